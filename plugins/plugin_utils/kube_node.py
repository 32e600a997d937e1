# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the role kube_node, and what it installs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.egi.notebooks.plugins.plugin_utils import rules
from ansible_collections.egi.notebooks.plugins.plugin_utils.artifacts import addresses, artifact
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check

#: Where each program goes, as upstream's own instructions have it, and whether it is unpacked there.
PROGRAMS = {
    "kubeadm": ("version", "/usr/local/bin/kubeadm", False),
    "kubelet": ("version", "/usr/local/bin/kubelet", False),
    "kubectl": ("version", "/usr/local/bin/kubectl", False),
    "containerd": ("containerd_version", "/usr/local", True),
    "runc": ("runc_version", "/usr/local/sbin/runc", False),
    "cni-plugins": ("cni_plugins_version", "/opt/cni/bin", True),
}
#: The pod network's VXLAN, on which the kernel itself listens.
VXLAN_PORT = 8472
HOST_NAME = re.compile(r"(?!localhost(\.|$))[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
#: What the cluster itself is reached by, never through the proxy.
DIRECT = ("localhost", "127.0.0.0/8", ".svc", ".cluster.local")


def problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings and the host."""
    yield from input_problems(check)
    if check.node:
        yield from host_problems(check, check.node)
        yield from _neighbour_problems(check, check.node)


def input_problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings."""
    yield from rules.kubernetes_version_problems(check)
    if not re.fullmatch(r"2\.[0-9]+\.[0-9]+", check["containerd_version"]):
        yield check.must(
            "containerd_version", f"a full version of the 2.x line, such as {artifact('containerd')['version']}"
        )
    if not rules.is_url(check["mirror"]):
        yield check.must("mirror", rules.URL_RULE)
    for name in ("http_proxy", "https_proxy"):
        if not rules.is_url(check[name]):
            yield check.must(
                name,
                "a URL such as http://proxy.example.org:3128, or empty",
                "A login is not supported, as command lines would show it.",
            )


def host_problems(check: Check, node: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the host by itself."""
    version, running = check["version"], node["kubelet_version"]
    if node["is_node"] and running and version.split(".")[:2] != running.split(".")[:2]:
        yield check.must("version", f"of the same minor version as the running kubelet, {running}")
    if node["architecture"] != "x86_64":
        yield f"architecture is {node['architecture']}; must be x86_64."
    yield from rules.system_problems(node)
    if not HOST_NAME.fullmatch(node["nodename"]):
        yield (
            f"host name is '{node['nodename']}'; must be lowercase letters, digits, '-' and '.', and not localhost. "
            "Change it with hostnamectl."
        )
    yield from rules.address_problems(check, node)
    yield from _space_problems(check, node)
    yield from _swap_problems(node["swap"])
    yield from rules.clock_problems(node, check["maximum_clock_skew"])
    yield from rules.port_problems(
        node,
        _ports(check, node),
        "These ports are for Kubernetes and this collection's node_exporter (UDP 8472 for the kernel). Stop the other "
        "program, or set egi_notebooks_node_exporter_port.",
        VXLAN_PORT,
    )
    # A node that the role has not made belongs to somebody else, whichever cluster it is in.
    if node["container_engines"] and not (node["is_node"] and is_begun(node)):
        yield (
            f"host has a container engine ({', '.join(node['container_engines'])}); must have none. The role installs "
            "a containerd of its own, which is removed with all its images when the node is removed."
        )


def _space_problems(check: Check, node: Mapping[str, Any]) -> Iterator[str]:
    yield from rules.memory_problems(check, node)
    free = min((disk["free_mb"] for disk in node["disks"].values()), default=0)
    # What is installed already takes its share of it, also after a run that was killed.
    if not node["is_node"] and not is_begun(node) and free < check["minimum_disk"]:
        yield (
            f"free space of {', '.join(node['disks'])} is {free} MB; must be at least {check['minimum_disk']} MB "
            "(kube_node_minimum_disk)."
        )


def _swap_problems(swap: Mapping[str, Any]) -> Iterator[str]:
    if swap["units"]:
        yield (
            f"swap is turned on at each boot by {', '.join(swap['units'])}; must be off, as the kubelet needs it. "
            "Remove the package that brings it, or run systemctl mask --now for these units."
        )
    if swap["unknown"]:
        yield (
            f"swap is on ({', '.join(swap['unknown'])}), by neither /etc/fstab nor a systemd unit; must be off, as the "
            "kubelet needs it. Remove what turns it on at each boot, such as a line in /etc/rc.local, and run swapoff."
        )


def is_begun(node: Mapping[str, Any]) -> bool:
    """Tell whether the role has begun to make the host a node."""
    return bool(set(PROGRAMS) & set(node["artifacts"]))


def _ports(check: Check, node: Mapping[str, Any]) -> dict[int, list[str]]:
    """Return the programs that may listen on the ports of a node: those of Kubernetes once the host is one."""
    ports = {
        9080: "netpol",
        check["exporter_port"]: "node_exporter",
        10248: "kubelet",
        10249: "kube-proxy",
        10250: "kubelet",
        10256: "kube-proxy",
    }
    # The kubelet starts before the host has joined.
    return {port: [program] if node["is_node"] or program == "kubelet" else [] for port, program in ports.items()}


def _neighbour_problems(check: Check, node: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the host beside the others."""
    run = check.run
    ranges = {check.name(name): check[name] for name in ("pod_cidr", "service_cidr")}
    yield from rules.network_problems(ranges, node["addresses"])
    yield from rules.twin_problems(run.known([*run.nodes, run.host]), run.host)
    masters = run.groups.get("masters", [])
    kube_hosts = [name for name in dict.fromkeys([*masters, run.kube_host]) if name in run.hosts]
    if run.host in masters:
        yield from rules.other_cluster_problems(node)
    elif run.host not in kube_hosts:
        endpoints = [run.hosts[name].endpoint for name in [*kube_hosts, run.host] if run.hosts[name].endpoint]
        yield from rules.other_cluster_problems(node, _masters(check, kube_hosts), endpoints)


def _masters(check: Check, kube_hosts: list[str]) -> dict[str, Mapping[str, Any]]:
    """Return the hosts by which the cluster is known. One with credentials in a place of its own tells nothing."""
    return {
        name: node
        for name, node in check.run.known(kube_hosts).items()
        if name in check.run.groups.get("masters", ()) or node["cluster"]["admin_api"] or node["cluster"]["ca"]
    }


def artifacts(check: Check) -> list[dict[str, Any]]:
    """Return what the role installs, as M(egi.notebooks.artifact_install) takes it."""
    return [
        artifact(name, check[version], check["mirror"]) | {"path": path, "unpack": unpack}
        for name, (version, path, unpack) in PROGRAMS.items()
    ]


def downloads(check: Check) -> list[str]:
    """Return the files and images that the node fetches; not those that a wrong input would name."""
    extra = list(check["extra_images"])
    return extra if any(input_problems(check)) else [*addresses(artifacts(check)), *check["images"], *extra]


def proxy_environment(check: Check) -> dict[str, str]:
    """Return the environment for downloads; empty without a proxy."""
    if not (check["http_proxy"] or check["https_proxy"]):
        return {}
    own = check.node["addresses"] if check.node else []
    direct = [*DIRECT, check["pod_cidr"], check["service_cidr"], check["address"]]
    direct += [*(item["network"] for item in own if item["address"] == check["address"]), *check["no_proxy"]]
    return {
        "http_proxy": check["http_proxy"],
        "https_proxy": check["https_proxy"],
        "no_proxy": ",".join(dict.fromkeys(direct)),
    }


def download_problems(check: Check, wanted: list[str]) -> list[str]:
    """Query for files and images the way that the node fetches them, and return what is missing."""
    ways = [check[name] for name in ("mirror", "http_proxy", "https_proxy")]
    # Nothing is queried by a wrong way, which may hold a login.
    if not check.query or not check["check_downloads"] or not all(map(rules.is_url, ways)):
        return []
    answer = check.query(
        "egi.notebooks.artifact_info",
        proxy_environment(check),
        downloads=wanted,
        mirror=check["mirror"],
        registries=check["registries"],
    )
    return list(answer.get("problems", [answer.get("msg", "the host could not be queried for downloads")]))
