# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the role kube_worker, and what it changes in a cluster and on a host that joins or leaves it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.egi.notebooks.plugins.plugin_utils import rules
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check

LABEL_NAME = re.compile(r"([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?")
RESERVED_LABEL = re.compile(r"([a-z0-9.-]*\.)?(kubernetes|k8s)\.io/")
#: Labels that the role removes if they are not wanted.
OWN_LABEL = re.compile(r"egi\.eu/")
#: Taints that the role removes if they are not wanted: its own, and the one of a master that is to take work.
OWN_TAINT = re.compile(r"egi\.eu/|node-role\.kubernetes\.io/control-plane$")
EDGE_LABEL = "egi.eu/edge"
#: States of a host on which there is nothing for kubeadm to reset.
CLEAN = ("absent", "credentials")


def problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings and the host."""
    if check["kube_host"] not in check.run.groups.get("all", ()):
        yield check.must(
            "kube_host", "a host of the inventory", "By default it is the first host of the group masters."
        )
    wanted = labels(check)
    if not all(LABEL_NAME.fullmatch(name) and LABEL_VALUE.fullmatch(value) for name, value in wanted.items()):
        yield check.must(
            "labels",
            "names and values of letters, digits, '.', '_' and '-', where a name may begin with a domain and '/'",
        )
    if any(RESERVED_LABEL.match(name) for name in wanted):
        yield check.must("labels", "without names below kubernetes.io/ and k8s.io/, which Kubernetes reserves")
    if check.node and EDGE_LABEL in wanted:
        # Before the host is a node, a Traefik is not the one of this collection.
        programs = ["traefik"] if check.node["is_node"] else []
        yield from rules.port_problems(
            check.node,
            dict.fromkeys((80, 443, check["edge_metrics_port"]), programs),
            "These ports of an edge are for this collection's Traefik. Stop the other program.",
        )


def labels(check: Check) -> dict[str, str]:
    """Return the labels of the node, sorted by name, with truth values as YAML writes them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in sorted(check["labels"].items())
    }


def find_node(check: Check, nodes: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the host's node, empty if the cluster has none of its name."""
    name = check.node["nodename"] if check.node else ""
    return next((node for node in nodes if node["metadata"]["name"] == name), {})


def plan(check: Check, member: Mapping[str, Any], nodes: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the role has to do.

    `member` is what M(egi.notebooks.cluster_member_info) returned, `nodes` are those of the cluster.
    """
    node = find_node(check, nodes)
    # A host that was installed again under its old name is known to the cluster, yet has to join.
    join = not node or not member["joined"]
    return {
        "join": join,
        "problem": control_plane_problem(check) if join and member["has_api_server"] else "",
        "reset": join and member["state"] not in CLEAN,
        "labels": [f"{name}={value}" for name, value in labels(check).items()],
        "wait": join or not rules.is_ready(node),
        "label_changes": label_changes(check, node) if node else [],
        "taint_changes": taint_changes(check, node) if node else [],
    }


def control_plane_problem(check: Check) -> str:
    """Return why a host with a control plane can't join."""
    return (
        f"{check.run.host} has a control plane, but the cluster of {check['kube_host']} has no such node. Its cluster "
        "is left as it is, but kube_node, if it ran, has replaced its container runtime and kubelet. Remove the host "
        "from the groups edges and workers, or run kubeadm reset on it if nothing there is needed."
    )


def label_changes(check: Check, node: Mapping[str, Any]) -> list[str]:
    """Return what kubectl label has to change: NAME=VALUE sets, NAME- removes."""
    present, wanted = node["metadata"].get("labels", {}), labels(check)
    added = [f"{name}={value}" for name, value in wanted.items() if present.get(name) != value]
    return added + [f"{name}-" for name in present if OWN_LABEL.match(name) and name not in wanted]


def taint_changes(check: Check, node: Mapping[str, Any]) -> list[str]:
    """Return what kubectl taint has to change: NAME=VALUE:EFFECT sets, NAME:EFFECT- removes."""
    present, wanted = ([_taint(one) for one in taints] for taints in (node["spec"].get("taints", []), check["taints"]))
    # kubectl replaces the value of a taint that stays.
    kept = {(key, effect) for key, _value, effect in wanted}
    added = [f"{key}={value}:{effect}" for key, value, effect in wanted if (key, value, effect) not in present]
    return added + [
        f"{key}:{effect}-" for key, _value, effect in present if OWN_TAINT.match(key) and (key, effect) not in kept
    ]


def _taint(taint: Mapping[str, Any]) -> tuple[str, str, str]:
    return taint["key"], taint.get("value") or "", taint["effect"]


def invitation(_check: Check, command: str) -> dict[str, str]:
    """Return the API's address, the token and the CA's digest of a command as kubeadm token create prints it."""
    words = command.split()
    following = dict(zip(words, words[1:], strict=False))
    options = {"api": "join", "token": "--token", "digest": "--discovery-token-ca-cert-hash"}
    return {name: following.get(option, "") for name, option in options.items()}


def leave_plan(check: Check, member: Mapping[str, Any], nodes: list[Mapping[str, Any]]) -> dict[str, bool]:
    """Return what is to be done for a node that leaves a cluster which goes on: not for one with a control plane."""
    is_known = bool(find_node(check, nodes)) and not member["has_api_server"]
    return {
        # One that an interrupted run has reset runs nothing any more, and its pods would never be seen to end.
        "drain": is_known and member["joined"],
        "reset": member["state"] in ("worker", "remains"),
        "forget": is_known,
    }


def drain_problem(check: Check, results: Iterable[Mapping[str, Any]]) -> str:
    """Return why nodes must not leave, by what kubectl drain returned for each, or nothing."""
    failed = [result for result in results if result and not result.get("skipped") and result.get("rc") != 0]
    if not failed:
        return ""
    reasons = dict.fromkeys((result.get("stderr") or result.get("msg") or "").strip() for result in failed)
    return (
        f"Pods do not end within {check['drain_timeout']} s ({check.name('drain_timeout')}), so the nodes stay in the "
        "cluster: " + "\n".join(reasons)
    )


def node_fault(check: Check, nodes: list[Mapping[str, Any]]) -> str:
    """Return what is wrong with the host's node, or nothing."""
    node, name = find_node(check, nodes), check.node["nodename"] if check.node else check.run.host
    if not node:
        return f"The cluster of {check['kube_host']} has no node {name}."
    return "" if rules.is_ready(node) else f"Node {name} is not ready."
