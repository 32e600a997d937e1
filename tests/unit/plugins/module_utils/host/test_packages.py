# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's package manager has installed."""

from __future__ import annotations

from ansible_collections.egi.notebooks.plugins.module_utils.host.packages import packages


def test_packages_that_are_completely_installed(host):
    entries = (
        "Package: bash\nEssential: yes\nStatus: install ok installed\nDescription: a shell\n of GNU",
        "Package: socat\nStatus: deinstall ok config-files\nConffiles:\n /etc/x 0",
        "Package: ethtool\nStatus: hold ok installed",
        "Package: kmod\nStatus: install ok half-configured",
        "Package: iptables\nStatus: install reinstreq installed",
        "Package: apt\nStatus: install ok installed",
    )
    host({"var/lib/dpkg/status": "\n\n".join(entries) + "\n"})
    assert packages()["packages"] == ["apt", "bash", "ethtool"]


def test_an_interrupted_package_manager(host):
    host({"var/lib/dpkg/updates/tmp.i": ""})
    assert not packages()["packages_interrupted"]
    host({"var/lib/dpkg/updates/0001": ""})
    assert packages()["packages_interrupted"]


def test_container_engines_of_packages(host):
    assert packages()["container_engines"] == []
    host({"usr/bin/dockerd": "", "usr/local/bin/containerd": ""})
    assert packages()["container_engines"] == ["/usr/bin/dockerd"]
