# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's name server: its configuration, read by dnsmasq itself where there is one."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from lab import dns


def test_names_of_the_lab_are_known(tmp_path):
    lines = dns.config(tmp_path).splitlines()
    for name, address in {
        "mirror": "10.77.0.2", "aai": "10.77.0.3", "master": "10.77.0.11", "edge": "10.77.0.12",
        "worker": "10.77.0.13", "nfs": "10.77.0.14", "notebooks": "10.77.0.12", "nb-alias": "10.77.0.12",
    }.items():  # fmt: skip
        assert f"host-record={name}.lab.test,{address}" in lines


def test_nothing_is_asked_of_others(tmp_path):
    lines = dns.config(tmp_path).splitlines()
    assert {"no-resolv", "no-hosts", "bind-interfaces", "listen-address=10.77.0.1", "address=/#/"} <= set(lines)
    assert not [line for line in lines if line.startswith("server=")]


@pytest.mark.skipif(not shutil.which("dnsmasq"), reason="dnsmasq-base is not installed")
def test_dnsmasq_takes_the_configuration(tmp_path):
    dns.prepare(tmp_path)
    subprocess.run([*dns.command(tmp_path), "--test"], check=True)
