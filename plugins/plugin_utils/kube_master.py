# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the role kube_master, and what it makes of a host's control plane."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.egi.notebooks.plugins.plugin_utils import inventory, rules
from ansible_collections.egi.notebooks.plugins.plugin_utils.artifacts import artifact
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check, must

ENDPOINT = re.compile(r"[a-z0-9][a-z0-9.-]*:[0-9]+")
API_PORT = 6443
#: Ports of etcd, the controller manager and the scheduler.
PORTS = (2379, 2380, 10257, 10259)
#: Names as the kernel cuts them.
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller", "kube-scheduler")
#: Bytes that VXLAN takes from each packet.
VXLAN = 50
#: Bits of the network that each node gets for its pods.
NODE_BITS = 24
#: kubeadm's certificates are valid for so many days.
CERTIFICATE_DAYS = 365
#: Labels by which an edge or a worker is known.
ROLE_LABELS = ("egi.eu/edge", "egi.eu/worker")
#: States of a host on which kubeadm has to make the control plane.
TO_BE_MADE = ("absent", "remains", "begun", "interrupted")
#: Checks of kubeadm that fail since an interrupted run has left files and programs, each of which kubeadm takes over.
LEFTOVERS = (
    *(
        f"FileAvailable--etc-kubernetes-manifests-{name}.yaml"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
    ),
    "DirAvailable--var-lib-etcd",
    "Port-10250",
)
KUBE_NODE = "kube_node, if it ran, has replaced its container runtime and kubelet"
LEAVE_ADVICE = "Remove the host from the group masters, or run kubeadm reset on it if nothing there is needed."


def problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings and the host."""
    yield from input_problems(check)
    if check.node:
        yield from host_problems(check, check.node)


def input_problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings."""
    masters = check.run.groups.get("masters", [check.run.host])
    if len(masters) != 1:
        yield must("masters", "a group of one host", masters)
    yield from rules.kubernetes_version_problems(check)
    # The address of an unreachable host is not known.
    if not ENDPOINT.fullmatch(check["endpoint"]) and (check.node or check["endpoint"] != f":{API_PORT}"):
        yield check.must("endpoint", "a host and a port, such as kube.example.org:6443")
    if check["renew_days"] not in range(CERTIFICATE_DAYS):
        yield check.must("renew_days", f"from 0 to {CERTIFICATE_DAYS - 1}, as new certificates are valid for a year")
    yield from _mtu_problems(check)
    yield from _network_problems(check)


def _mtu_problems(check: Check) -> Iterator[str]:
    mtu, links = check["pod_mtu"], link_mtus(check)
    if mtu and mtu < 576:
        yield check.must("pod_mtu", "0, or at least 576")
    elif any(links) and mtu > (largest := min(filter(None, links)) - VXLAN):
        yield check.must(
            "pod_mtu",
            f"at most {largest}, the narrowest link between the nodes less the {VXLAN} bytes of VXLAN",
            "0 takes just that.",
        )


def _network_problems(check: Check) -> Iterator[str]:
    nodes = len({*check.run.nodes, check.run.host})
    pods, services = check.name("pod_cidr"), check.name("service_cidr")
    sizes = {
        # The controller manager gives each node a part.
        pods: (8, NODE_BITS - (nodes - 1).bit_length(), f"each node takes a /{NODE_BITS} of it, and there are {nodes}"),
        services: (12, 28, "the API takes no other"),
    }
    yield from rules.network_problems({pods: check["pod_cidr"], services: check["service_cidr"]}, sizes=sizes)


def host_problems(check: Check, node: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the host."""
    ignored = check["ignore_preflight_errors"]
    if node["processors"] < 2 and not {"NumCPU", "all"} & set(ignored):
        yield (
            f"processors are {node['processors']}; must be at least 2 on a master. "
            f"For a test bed add NumCPU to {check.name('ignore_preflight_errors')}."
        )
    yield from rules.memory_problems(check, node, " on a master")
    yield from rules.address_problems(check, node)
    # Nodes and services keep the addresses that they were given.
    for name, existing in (("pod_cidr", "pods"), ("service_cidr", "services")):
        yield from _other_network_problems(check, name, node["cluster_networks"][existing])
    yield from rules.port_problems(
        node,
        dict.fromkeys((*PORTS, api_port(check)), PROGRAMS),
        "These ports are for the control plane. Stop the other program.",
    )
    yield from rules.other_cluster_problems(node)


def _other_network_problems(check: Check, name: str, existing: str) -> Iterator[str]:
    if existing and check[name] != existing:
        yield check.must(name, f"{existing}, the network that this cluster was made with")


def api_port(check: Check) -> int:
    """Return the port of the API server."""
    match = re.search("[0-9]+$", check["endpoint"])
    return int(match[0]) if match else API_PORT


def link_mtus(check: Check) -> list[int]:
    """Return the MTU of each node's link to the other nodes, 0 for one that is not known."""
    names = {*check.run.nodes, check.run.host}
    return [check.run.hosts[name].link.get("mtu", 0) if name in check.run.hosts else 0 for name in names]


def link_mtu(check: Check, configured: int = 0) -> int:
    """Return the MTU of the link that the pod network counts on, 0 for each node's own.

    A run that does not know all nodes may lower what is configured, never raise it.
    """
    if check["pod_mtu"]:
        return check["pod_mtu"] + VXLAN
    links = link_mtus(check)
    return min(filter(None, [*links, *([configured] if 0 in links else [])]), default=0)


def downloads(check: Check) -> list[str]:
    """Return the images of the control plane, not those of a wrong version."""
    if not rules.is_kubernetes_version(check["version"]):
        return []
    version = f"v{check['version']}"
    images = [
        artifact(name, version)["image"] for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    ]
    # The versions of etcd and CoreDNS are kubeadm's own choice.
    if check["version"] == artifact("kubeadm")["version"]:
        images += [artifact(name)["image"] for name in ("etcd", "coredns")]
    return images + [check[f"{name}_image"] for name in ("flannel", "flannel_cni_plugin", "network_policies")]


def plan(check: Check, member: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the role has to do on a host, by what M(egi.notebooks.cluster_member_info) returned."""
    labelled = [name for name in ROLE_LABELS if member["labels"].get(name)]
    return {
        "problems": list(member_problems(check, member)),
        "init": member["state"] in TO_BE_MADE,
        "ignored_errors": ignored_errors(check, member["state"]),
        "link_mtu": link_mtu(check, member["mtu"]),
        # What runs on a master that has become dedicated goes on.
        "removed_labels": [] if check["schedulable"] else [f"{name}-" for name in labelled],
    }


def ignored_errors(check: Check, state: str) -> list[str]:
    """Return the checks of kubeadm that may fail."""
    if state != "interrupted":
        return list(check["ignore_preflight_errors"])
    ports = (f"Port-{port}" for port in (*PORTS, api_port(check)))
    return [*check["ignore_preflight_errors"], *LEFTOVERS, *ports]


def member_problems(check: Check, member: Mapping[str, Any]) -> Iterator[str]:
    """Yield why the role must not touch the host's cluster."""
    host, state = check.run.host, member["state"]
    if state in ("foreign", "credentials"):
        yield (
            f"{host} has a control plane that this role did not make. Its cluster is left as it is, but {KUBE_NODE}. "
            f"{LEAVE_ADVICE}"
        )
    elif state == "worker":
        yield (f"{host} is a node of the cluster at {member['api']}. It stays one, but {KUBE_NODE}. {LEAVE_ADVICE}")
    elif state == "unreachable":
        yield (
            f"{host} has a control plane whose API does not answer within {check['wait_timeout']} s. It is left as it "
            "is. See journalctl -u kubelet and the logs below /var/log/pods."
        )
    # Pods would lose their network.
    yield from _other_network_problems(check, "pod_cidr", member["pod_cidr"])


def known_nodes(check: Check) -> list[str]:
    """Return the names that the inventory's hosts have as nodes; none where the run has not reached them all."""
    return inventory.known_nodes(check.run)
