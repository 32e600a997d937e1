# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the role prometheus, and what it derives from the cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.egi.notebooks.plugins.plugin_utils import rules
from ansible_collections.egi.notebooks.plugins.plugin_utils.artifacts import artifact
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check

DURATION = re.compile(r"([0-9]+(ms|[smhdwy]))+")
SIZE = re.compile(r"[0-9]+(B|KB|MB|GB|TB|PB|EB)")
ANNOTATION = re.compile(r"[A-Za-z0-9./_-]+")
#: The setting of each image's version, by the image's name in the manifest of artifacts.
VERSIONS = {
    "prometheus": "version",
    "node-exporter": "node_exporter_version",
    "kube-state-metrics": "kube_state_metrics_version",
}

Objects = Iterable[Mapping[str, Any]]


def problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings."""
    yield from input_problems(check)
    yield from rules.volume_node_problems(check, "node")


def input_problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings by themselves."""
    for name, example in (("namespace", "monitoring"), ("hub_namespace", "jupyterhub"), ("edge_namespace", "edge")):
        yield from rules.namespace_problems(check, name, example)
    for name, example in (("scrape_interval", "30s"), ("retention_time", "90d")):
        if not DURATION.fullmatch(check[name]):
            yield check.must(name, f"a time such as {example}")
    if not SIZE.fullmatch(check["retention_size"]):
        yield check.must("retention_size", "a size such as 10GB")
    if not rules.is_path(check["path"]):
        yield check.must("path", "an absolute path on the node's own disk, such as /srv/prometheus")
    if not all(ANNOTATION.fullmatch(name) for name in check["pod_annotations"]):
        yield check.must("pod_annotations", "a list of annotations' names, such as [hub.jupyter.org/username]")
    for name, setting in VERSIONS.items():
        yield from rules.tag_problems(check, setting, artifact(name)["version"])


def images(check: Check) -> dict[str, str]:
    """Return the images by their names in the manifest of artifacts."""
    return {name: artifact(name, check[setting])["image"] for name, setting in VERSIONS.items()}


def downloads(check: Check) -> list[str]:
    """Return the images that the nodes fetch; none by a wrong version."""
    wrong = any(True for setting in VERSIONS.values() for _problem in rules.tag_problems(check, setting, ""))
    return [] if wrong else list(images(check).values())


def data_problems(check: Check) -> list[str]:
    """Return why the directory of the metrics must not be deleted."""
    return list(rules.data_path_problems(check, "path"))


def volume_name(check: Check) -> str:
    """Return the name of the volume of the metrics."""
    return f"{check['namespace']}-prometheus"


def volume(check: Check, cluster: Objects) -> dict[str, Any]:
    """Return the volume of the metrics that the cluster has: its node, path and phase; empty if it has none."""
    for item in cluster:
        spec = item["spec"]
        if item["kind"] == "PersistentVolume" and item["metadata"]["name"] == volume_name(check):
            terms = spec.get("nodeAffinity", {}).get("required", {}).get("nodeSelectorTerms", [])
            names = [name for term in terms for entry in term.get("matchExpressions", ()) for name in entry["values"]]
            # A volume of another shape is somebody else's.
            if names and "hostPath" in spec:
                phase = item.get("status", {}).get("phase", "")
                return {"node": names[0], "path": spec["hostPath"]["path"], "phase": phase}
    return {}


def nodes(cluster: Objects) -> list[Mapping[str, Any]]:
    """Return the nodes of the cluster by name."""
    return sorted((item for item in cluster if item["kind"] == "Node"), key=lambda item: item["metadata"]["name"])


def volume_node(check: Check, cluster: Objects) -> str:
    """Return the node that keeps the metrics; empty if none can.

    It is chosen once, as the data is there. Nodes that take any pod: no control plane, no edge, none being drained.
    """
    ordinary = [item["metadata"]["name"] for item in nodes(cluster) if not item["spec"].get("taints")]
    place = volume(check, cluster)
    return check["node"] or (place["node"] if place else next(iter(ordinary), ""))


def volume_problems(check: Check, cluster: Objects) -> list[str]:
    """Return why the metrics can't be kept where the settings say."""
    place, node = volume(check, cluster), volume_node(check, cluster)
    names = [item["metadata"]["name"] for item in nodes(cluster)]
    if not node:
        return [check.must("node", "the name of a node that keeps the metrics", "No node takes ordinary pods.")]
    if not place and check["node"] and node not in names:
        return [check.must("node", f"the name of a node of the cluster ({', '.join(names)}), or empty")]
    advice = f"The volume {volume_name(check)} is there, and Kubernetes never moves a volume. See docs/operations.md."
    wanted = {"node": node, "path": check["path"]}
    return [check.must(name, place[name], advice) for name in wanted if place and place[name] != wanted[name]]


def api_servers(check: Check, cluster: Objects) -> list[str]:
    """Return the addresses from which the API server's proxy reaches pods, each as a network of one address.

    They are the address of the API server's node, or through flannel the first address of that node's pods.
    """
    del check
    found = set()
    for item in nodes(cluster):
        if "node-role.kubernetes.io/control-plane" in item["metadata"].get("labels", {}):
            found |= {entry["address"] for entry in item["status"]["addresses"] if entry["type"] == "InternalIP"}
            found |= {item["spec"]["podCIDR"].partition("/")[0]} if item["spec"].get("podCIDR") else set()
    return sorted(f"{address}/{128 if ':' in address else 32}" for address in found)
