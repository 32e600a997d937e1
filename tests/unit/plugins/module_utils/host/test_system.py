# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name, identity and kind of a host, and the space of its disks."""

from __future__ import annotations

from ansible_collections.egi.notebooks.plugins.module_utils.host import files
from ansible_collections.egi.notebooks.plugins.module_utils.host.cluster import cluster, is_node
from ansible_collections.egi.notebooks.plugins.module_utils.host.listeners import listeners
from ansible_collections.egi.notebooks.plugins.module_utils.host.packages import packages
from ansible_collections.egi.notebooks.plugins.module_utils.host.swap import swap
from ansible_collections.egi.notebooks.plugins.module_utils.host.system import disk, system


def test_system(host):
    known = system()
    assert known | {"architecture": "", "processors": 0} == {
        "nodename": "worker1.example.org",
        "machine_id": "0af3c2d1b4e54f6a8c7d9e0f1a2b3c4d",
        "distribution": "ubuntu",
        "distribution_version": "24.04",
        "architecture": "",
        "service_manager": "sysvinit",
        "memory_mb": 3932,
        "processors": 0,
        "masked_units": [],
    }
    assert known["processors"] >= 1
    host({"run/systemd/system/x": ""})
    assert system()["service_manager"] == "systemd"


def test_masked_units(host):
    units = host({"etc/systemd/system/rpcbind.socket": "", "etc/systemd/system/a.service": "[Unit]\n"})
    (units / "etc/systemd/system/b.service").symlink_to("/dev/null")
    (units / "etc/systemd/system/c.service.d").mkdir()
    assert system()["masked_units"] == ["b.service", "rpcbind.socket"]


def test_space_of_a_directory_that_does_not_exist_yet(tmp_path):
    assert disk(str(tmp_path / "a/b")) == disk(str(tmp_path))
    assert disk("/")["total_mb"] >= disk("/")["free_mb"] > 0


def test_a_host_without_any_file_is_no_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", str(tmp_path))
    assert system()["memory_mb"] == 0
    assert swap() == {"active": [], "fstab": [], "units": [], "unknown": []}
    assert packages() == {"packages": [], "packages_interrupted": False, "container_engines": []}
    assert not is_node()
    assert not any(cluster().values())
    assert listeners() == []
