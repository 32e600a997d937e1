# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When services are started and restarted, with a systemctl that prints what a test wants."""

from __future__ import annotations

import time

import pytest

from ansible_collections.egi.notebooks.plugins.modules import current_services

SYSTEMCTL = """#!/bin/sh
case $* in
    "show --timestamp=unix --property=ExecMainStartTimestamp --value "*) cat %(folder)s/started ;;
    "--quiet is-active "* | "--quiet is-enabled "*) grep --quiet --line-regexp "$2 $3" %(folder)s/states ;;
    *) echo "$*" >>%(folder)s/calls ;;
esac
"""


@pytest.fixture
def host(run, monkeypatch, tmp_path):
    """Return a function that runs the module on a host with these files and services, and gives what it did."""
    monkeypatch.setattr(current_services, "UNITS", str(tmp_path / "units"))
    monkeypatch.setattr(current_services, "UNIT_FOLDERS", (str(tmp_path / "units"), str(tmp_path / "lib")))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "systemctl").write_text(SYSTEMCTL % {"folder": tmp_path})
    (tmp_path / "systemctl").chmod(0o755)

    def call(*files, services, active=(), enabled=None, seconds=60, check=False):
        for name in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        states = [f"is-active {name}.service" for name in active]
        states += [f"is-enabled {name}.service" for name in (active if enabled is None else enabled)]
        (tmp_path / "states").write_text("\n".join(states))
        (tmp_path / "started").write_text(f"@{int(time.time()) + seconds}\n")
        (tmp_path / "calls").write_text("")
        options = [
            service
            | {"files": [str(tmp_path / name) for name in service.get("files", ())]}
            | ({"started_by": str(tmp_path / service["started_by"])} if "started_by" in service else {})
            for service in services
        ]
        found = run(current_services, check, ca_path=None, services=options)
        assert found["changed"] == bool(found["restarted"])
        return found["restarted"], (tmp_path / "calls").read_text().splitlines()

    return call


CONTAINERD = {"name": "containerd", "files": ["config.toml", "containerd"]}
KUBELET = {"name": "kubelet", "files": ["kubelet"], "started_by": "config.yaml"}
NODE = {"services": [CONTAINERD, KUBELET]}
PROGRAMS = ("config.toml", "containerd", "kubelet")
UNITS = ("units/containerd.service", "units/kubelet.service")
BOTH = ["containerd", "kubelet"]


@pytest.mark.parametrize(
    ("files", "active", "found"),
    [
        # In check mode on a host where a run was killed between the programs and the units.
        (PROGRAMS, [], []),
        ([*PROGRAMS, UNITS[0]], [], ["containerd"]),
        ([*PROGRAMS, *UNITS, "config.yaml"], ["containerd"], ["kubelet"]),
        ([*PROGRAMS, *UNITS, "config.yaml"], BOTH, []),
        # A unit of a Debian package.
        ([*PROGRAMS, "lib/containerd.service"], [], ["containerd"]),
    ],
)
def test_services_that_are_off_are_found_in_check_mode_where_they_exist(host, files, active, found):
    assert host(*files, active=active, check=True, **NODE) == (found, [])


def test_services_that_are_off_are_enabled_and_started(host):
    calls = [
        "daemon-reload",
        "enable --quiet containerd.service",
        "restart containerd.service",
        "enable --quiet kubelet.service",
        "restart kubelet.service",
    ]
    assert host(*PROGRAMS, *UNITS, "config.yaml", **NODE) == (BOTH, calls)
    assert host(active=BOTH, **NODE) == ([], [])


@pytest.mark.parametrize(("seconds", "found"), [(-60, BOTH), (60, [])])
def test_services_older_than_their_files_are_restarted(host, seconds, found):
    restarted, calls = host(*PROGRAMS, *UNITS, "config.yaml", active=BOTH, seconds=seconds, **NODE)
    assert restarted == found
    assert calls == (["daemon-reload", *(f"restart {name}.service" for name in BOTH)] if found else [])


@pytest.mark.parametrize("file", ["units/containerd.service", "units/containerd.service.d/proxy.conf", "config.toml"])
def test_each_file_of_a_service_counts(host, file):
    restarted, _calls = host(file, services=[CONTAINERD], active=["containerd"], seconds=-60)
    assert restarted == ["containerd"]
    assert host("other", services=[{"name": "x"}], active=["x"], seconds=-60) == ([], [])


def test_a_pattern_names_files_and_a_removed_one_counts(host, tmp_path):
    service = {"name": "x", "files": ["conf.d", "conf.d/*"]}
    assert host("conf.d/one", services=[service], active=["x"]) == ([], [])
    (tmp_path / "conf.d/one").unlink()
    assert host(services=[service], active=["x"], seconds=-60)[0] == ["x"]


def test_a_kubelet_is_not_started_before_the_host_is_a_node(host):
    restarted, calls = host(*PROGRAMS, *UNITS, services=[KUBELET])
    assert (restarted, calls) == (["kubelet"], ["daemon-reload", "enable --quiet kubelet.service"])
    assert host(services=[KUBELET], enabled=["kubelet"]) == ([], [])


def test_a_service_that_runs_and_is_not_enabled_goes_on(host):
    restarted, calls = host(*PROGRAMS, *UNITS, services=[CONTAINERD], active=["containerd"], enabled=[])
    assert (restarted, calls) == (["containerd"], ["daemon-reload", "enable --quiet containerd.service"])


def test_in_check_mode_files_that_are_to_come_count(host):
    """An NFS server of somebody else, whose settings this run would write."""
    server = {"name": "nfs-server", "files": ["nfs.conf"]}
    here = {"services": [server], "active": ["nfs-server"], "check": True}
    assert host("lib/nfs-server.service", **here) == (["nfs-server"], [])
    assert host("nfs.conf", **here) == ([], [])
    assert host(**here, seconds=-60) == (["nfs-server"], [])
    # Without the server.
    assert host(services=[server | {"name": "none"}], check=True) == ([], [])
