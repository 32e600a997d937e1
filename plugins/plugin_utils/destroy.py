# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What destroy.yml destroys, and what it refuses to destroy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.egi.notebooks.plugins.plugin_utils import inventory, rules
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check, Run, must
from ansible_collections.egi.notebooks.plugins.plugin_utils.roles import Reader

HOST_NAME = "kubernetes.io/hostname"
#: The settings that name the directories with data on the nodes' disks.
DATA = (("jupyterhub", "db_path"), ("prometheus", "path"))


@dataclass(frozen=True)
class Removal:
    """What a run of destroy.yml knows."""

    run: Run
    #: The hosts of this run, which --limit may have made fewer.
    hosts: Sequence[str]
    delete_data: bool = False
    #: The result of M(egi.notebooks.cluster_info); none before the query.
    cluster: Mapping[str, Any] | None = None
    #: The directories with data, by their variables.
    data_paths: Mapping[str, str] = field(default_factory=dict)
    #: Names and addresses of NFS servers that this run does not destroy.
    other_servers: frozenset[str] = frozenset()

    @property
    def kube_host(self) -> str:
        """The host from which the cluster's API is called; empty where there is none."""
        return inventory.kube_host(self.run)

    @property
    def nodes(self) -> list[str]:
        """The hosts that are destroyed as nodes."""
        return [name for name in self.run.nodes if name in self.hosts]

    @property
    def servers(self) -> list[str]:
        """The hosts that are destroyed as NFS servers."""
        return [name for name in self.run.members("nfs_servers") if name in self.hosts]

    @property
    def cluster_stays(self) -> bool:
        """Whether no more than some of the cluster's nodes are destroyed."""
        masters = self.run.members("masters") or [self.kube_host]
        return self.kube_host not in self.nodes and any(name and name not in self.nodes for name in masters)

    @property
    def state(self) -> str:
        """The state of the cluster, as M(egi.notebooks.cluster_info) returns it."""
        # The host from which it is queried may be unreachable itself.
        return str((self.cluster or {}).get("state", "unreachable"))

    def objects(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the objects of a kind that the cluster has."""
        return [item for item in (self.cluster or {}).get("objects", ()) if item["kind"] == kind]

    @property
    def leaving(self) -> dict[str, str]:
        """The nodes that leave a cluster that stays: names in the cluster by hosts, which may have other names."""
        names = {item["metadata"]["name"] for item in self.objects("Node")}
        known = {host: node["nodename"] for host, node in self.run.known(self.nodes).items()}
        return {host: name for host, name in known.items() if self.cluster_stays and name in names}

    @property
    def local_volumes(self) -> list[dict[str, Any]]:
        """The volumes that are a directory of one node, with `name`, `path` and the names of its `nodes`."""
        volumes = []
        for item in self.objects("PersistentVolume"):
            spec = item["spec"]
            if "nodeAffinity" not in spec:
                continue
            terms = spec["nodeAffinity"].get("required", {}).get("nodeSelectorTerms", ())
            selectors = [selector for term in terms for selector in term.get("matchExpressions", ())]
            nodes = [selector.get("values", []) for selector in selectors if selector["key"] == HOST_NAME]
            path = (spec.get("hostPath") or spec.get("local") or {}).get("path", "")
            volumes.append({"name": item["metadata"]["name"], "nodes": sum(nodes, []), "path": path})
        return volumes


def plan(
    reader: Reader,
    hosts: Sequence[str],
    domain: str = "",
    confirm: str = "",
    delete_data: bool = False,
    cluster: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what this run destroys (`targets` in words), and its `problems`, with which it must not begin."""
    service = reader.on(inventory.kube_host(reader.run))
    checks = [(service.check(role), name) for role, name in DATA]
    paths = {f"{check.role}_{name}": str(check[name]) for check, name in checks}
    others = [name for name in reader.run.members("nfs_servers") if name not in hosts]
    removal = Removal(reader.run, hosts, delete_data, cluster, paths, _addresses(reader, others))
    problems = [*confirmation_problems(domain, confirm), *(path_problems(checks) if delete_data else ())]
    if cluster is not None:
        problems += cluster_problems(removal)
    return {
        "kube_host": removal.kube_host,
        "nodes": removal.nodes,
        "cluster_stays": removal.cluster_stays,
        "leaving": list(removal.leaving),
        "data_paths": paths,
        "delete_data": delete_data,
        "targets": targets(removal),
        "kept": kept_data(removal),
        "problems": problems,
    }


def _addresses(reader: Reader, hosts: Sequence[str]) -> frozenset[str]:
    """Return the names and addresses of hosts."""
    hostvars = reader.variables.get("hostvars", {})
    names = [hostvars[host].get("ansible_host", "") for host in hosts if host in hostvars]
    names += [reader.run.hosts[host].address for host in hosts if host in reader.run.hosts]
    return frozenset(filter(None, [*hosts, *names]))


def targets(removal: Removal) -> list[str]:
    """Return a line for each host that says what of it is destroyed. Data is in uppercase."""
    lines = []
    for host in dict.fromkeys([*removal.nodes, *removal.servers]):
        parts = ["the Kubernetes node and everything that runs on it"] if host in removal.nodes else []
        parts += ["the export of the homes"] if host in removal.servers else []
        if removal.delete_data:
            parts += ["THE HOMES"] if host in removal.servers else []
            where = ", ".join(dict.fromkeys(removal.data_paths.values()))
            parts += [f"THE HUB'S DATABASE AND THE METRICS in {where}"] if host in removal.nodes else []
        lines.append(f"{host}: {', '.join(parts)}")
    return lines


def confirmation_problems(domain: str, confirm: str) -> Iterator[str]:
    """Yield a message unless the service's name confirms that it is to be destroyed."""
    if not domain:
        yield must("egi_notebooks_domain", "the service's host name, which confirms what is destroyed", domain)
    elif confirm != domain:
        yield must(
            "egi_notebooks_destroy_confirm",
            f"the service's host name, {json.dumps(domain)}",
            confirm,
            "Nothing has been changed.",
        )


def path_problems(checks: Sequence[tuple[Check, str]]) -> Iterator[str]:
    """Yield a message for each setting whose directory is not to be deleted."""
    for check, name in checks:
        yield from rules.data_path_problems(check, name)


def cluster_problems(removal: Removal) -> Iterator[str]:
    """Yield what would harm a cluster that stays."""
    if not removal.cluster_stays:
        return
    leaving = list(dict.fromkeys([*removal.nodes, *removal.servers]))
    # A cluster that is unreachable may still need what is destroyed.
    if leaving and removal.state not in ("present", "absent"):
        reason = str(removal.cluster.get("reason") or removal.cluster.get("msg") or "no answer").strip()
        yield (
            f"cluster of {removal.kube_host} is unreachable ({reason}); must answer, so that {', '.join(leaving)} can "
            "leave it. Destroy all its nodes at once, or, if it does not exist any more, remove its masters from the "
            "inventory."
        )
    if not removal.delete_data:
        yield from _volume_problems(removal)
    if removal.servers:
        yield from _homes_problems(removal)


def _volume_problems(removal: Removal) -> Iterator[str]:
    for volume in removal.local_volumes:
        for node in volume["nodes"]:
            if node in removal.leaving.values():
                yield (
                    f"{node} has the volume {volume['name']} ({volume['path']}), which the cluster still needs. "
                    "Destroy a node without such a volume, or set egi_notebooks_destroy_data=true if the data may go."
                )


def _homes_problems(removal: Removal) -> Iterator[str]:
    for item in removal.objects("PersistentVolume"):
        export = item["spec"].get("nfs")
        mine = item["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") == "egi-notebooks"
        # Homes that have moved are on a server that this run does not destroy.
        if export and mine and export["server"] not in removal.other_servers:
            yield (
                f"{', '.join(removal.servers)} exports the homes ({export['server']}:{export['path']}), which the "
                "cluster still needs. Destroy the whole cluster at once, or move the homes first, see "
                "docs/operations.md."
            )


def kept_data(removal: Removal) -> list[str]:
    """Return where data stays that a new cluster can use."""
    if removal.delete_data or removal.cluster_stays:
        return []
    kept = [
        f"The volume {volume['name']} stays on {', '.join(volume['nodes'])} in {volume['path']}"
        for volume in removal.local_volumes
        if volume["nodes"]
    ]
    return [*kept, "A new cluster uses it if jupyterhub_db_node and prometheus_node name the nodes"] if kept else []
