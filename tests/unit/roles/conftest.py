# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of roles share: the facts of a host."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils.roles import role_module

ETH0 = {
    "address": "192.0.2.11",
    "prefix": 24,
    "network": "192.0.2.0/24",
    "interface": "eth0",
    "mac": "02:00:00:00:00:0b",
    "mtu": 1500,
}
ETH1 = ETH0 | {"address": "10.0.0.11", "network": "10.0.0.0/24", "interface": "eth1", "mac": "02:00:00:00:00:0c"}
#: A host on which nothing is installed, which may become any.
HOST = {
    "nodename": "a.example.org",
    "machine_id": "1",
    "distribution": "debian",
    "distribution_version": "13",
    "architecture": "x86_64",
    "service_manager": "systemd",
    "memory_mb": 2000,
    "processors": 2,
    "is_node": False,
    "cluster_networks": {"pods": "", "services": ""},
    "cluster": {"api": "", "admin_api": "", "ca": "", "control_plane": [], "initialised": False},
    "artifacts": [],
    "kubelet_version": "",
    "packages": [],
    "packages_interrupted": False,
    "container_engines": [],
    "swap": {"active": [], "fstab": [], "units": [], "unknown": []},
    "addresses": [ETH0, ETH1],
    "default_ipv4": ETH0,
    "disks": {"/var/lib/containerd": {"total_mb": 12000, "free_mb": 9000}},
    "listeners": [],
    "clock": {"time": 1.0, "synchronised": True, "skew": 0.0, "uncertainty": 1.0},
}
#: Of b, c and d a run knows nothing unless a test says so, as with --limit.
GROUPS = {"masters": ["a"], "edges": ["b"], "workers": ["c"], "nfs_servers": ["d"], "all": ["a", "b", "c", "d"]}
#: What listens on a host that is a master, an edge and a worker.
LISTENERS = {
    2379: "etcd",
    2380: "etcd",
    6443: "kube-apiserver",
    10257: "kube-controller",
    10259: "kube-scheduler",
    10248: "kubelet",
    10250: "kubelet",
    9080: "netpol",
    9100: "node_exporter",
    80: "traefik",
    443: "traefik",
    9101: "traefik",
    2049: "",
}


@pytest.fixture
def host_facts() -> Callable[..., dict[str, Any]]:
    """Return a function that gives the facts of a host, with changes; a dictionary changes single keys of the fact."""

    def facts(**changes: Any) -> dict[str, Any]:
        found = copy.deepcopy(HOST)
        for name, value in changes.items():
            is_part = isinstance(value, dict) and name != "disks" and value
            found[name] = found[name] | value if is_part else value
        return found

    return facts


@pytest.fixture
def finished_host(host_facts) -> dict[str, Any]:
    """The facts of a host on which the whole service runs."""
    listeners = [{"protocol": "tcp", "port": port, "process": process} for port, process in LISTENERS.items()]
    return host_facts(
        is_node=True,
        listeners=[*listeners, {"protocol": "udp", "port": 8472, "process": ""}],
        cluster={
            "api": "https://192.0.2.11:6443",
            "admin_api": "https://192.0.2.11:6443",
            "ca": "1",
            "control_plane": ["/etc/kubernetes/admin.conf"],
            "initialised": True,
        },
        disks={"/var/lib/etcd": {"total_mb": 12000, "free_mb": 100}},
    )


@pytest.fixture(scope="session")
def default_check(read_check) -> Callable[[str], Any]:
    """Return a function that gives the settings of a role on a host, with no variables set by a site."""
    return functools.cache(lambda role: read_check(role, HOST, groups=GROUPS))


@pytest.fixture
def check_of(read_check, default_check, host_facts) -> Callable[..., Any]:
    """Return a function that gives what a role's checks get, on a host with these changes of its facts.

    To template the settings takes a while, so those of a site that sets nothing are templated once.
    """

    def call(role: str, facts: dict[str, Any] | None = None, **variables: Any) -> Any:
        node = host_facts(**(facts or {}))
        if variables or node["default_ipv4"] != ETH0:
            return read_check(role, node, **({"groups": GROUPS} | variables))
        check = default_check(role)
        hosts = check.run.hosts | {"a": dataclasses.replace(check.run.hosts["a"], node=node)}
        return dataclasses.replace(check, run=dataclasses.replace(check.run, hosts=hosts))

    return call


@pytest.fixture
def problems(check_of) -> Callable[..., list[str]]:
    """Return a function that gives the problems of a role, with the arguments of `check_of`."""

    def call(role: str, *arguments: Any, **variables: Any) -> list[str]:
        noted: list[str] = []
        check = check_of(role, *arguments, **(variables | ({"problems": noted} if variables else {})))
        return noted + list(role_module(role).problems(check))

    return call
