# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the groups of an inventory mean, and how problems of many hosts are reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Run, must

GROUPS = {
    "masters": "the host of the control plane",
    "edges": "the host that users reach",
    "workers": "the hosts of the users' servers",
    "nfs_servers": "the host of the homes",
}
#: The roles that run on the host from which the cluster's API is called.
SERVICE_ROLES = ("nfs_volumes", "edge_ingress", "prometheus", "jupyterhub")


def kube_host(run: Run) -> str:
    """Return the host from which the cluster's API is called; empty where there is none."""
    return run.kube_host or next(iter(run.groups.get("masters", ())), "")


def known_nodes(run: Run) -> list[str]:
    """Return the names that the inventory's hosts have as nodes; none where the run has not reached them all."""
    nodes = run.known(run.nodes)
    return [node["nodename"] for node in nodes.values()] if len(nodes) == len(run.nodes) else []


def host_roles(run: Run, part: str = "all") -> list[str]:
    """Return the roles of a host in the whole service, or in the playbook V(cluster) or V(service) alone."""
    host, roles = run.host, []
    if part != "service":
        roles += ["kube_node"] if host in run.nodes else []
        roles += ["kube_master"] if host in run.members("masters") else []
        roles += ["kube_worker"] if host in run.members("edges", "workers") else []
    roles += ["nfs_server"] if host in run.members("nfs_servers") else []
    return roles + (list(SERVICE_ROLES) if part != "cluster" and host == kube_host(run) else [])


def inventory_problems(run: Run, hosts: list[str], nfs_server_is_set: bool = False) -> Iterator[str]:
    """Yield what is wrong with the groups. `hosts` are those of the run, which --limit may have made fewer."""
    known = {*run.members(*GROUPS), "localhost", run.kube_host}
    if unknown := sorted(set(run.groups.get("all", ())) - known):
        yield f"inventory has hosts in none of the groups {', '.join(GROUPS)}: {', '.join(unknown)}."
    servers = run.groups.get("nfs_servers", [])
    new = sorted(
        name for name, node in run.known(run.members("workers")).items() if name in hosts and not node["is_node"]
    )
    if new and not set(servers) <= set(hosts):
        yield (
            f"--limit leaves out {', '.join(servers)}, which would not export the homes to the new "
            f"{', '.join(new)}; must be --limit {','.join(new)},nfs_servers."
        )
    if len(servers) > 1 and not nfs_server_is_set:
        yield must("nfs_servers", "a group of one host, unless nfs_volumes_server is set", servers)
    for group in ("masters", "edges", "workers"):
        if not run.groups.get(group):
            yield f"{group} must not be empty: it is the group of {GROUPS[group]}."


def connection_problems(answer: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a message for a host that did not return facts."""
    if not answer or answer.get("skipped") or "ansible_facts" in answer:
        return
    message = str(answer.get("msg", "")).strip().removeprefix("Task failed: ").rstrip(".") + "."
    if answer.get("unreachable"):
        yield f"host is unreachable: {message} Ansible must be able to log in and become root: ansible -m ping HOST."
    else:
        yield (
            f"host returned no facts: {message} It must have Python 3 and ip (package iproute2), and Ansible must be "
            "able to become root: ansible -b -m egi.notebooks.node_facts HOST."
        )


def problem_lines(problems: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a line for each sentence, with its hosts in front; host "" stands for the whole run."""
    hosts: dict[str, list[str]] = {}
    for host, sentences in problems.items():
        for sentence in dict.fromkeys(" ".join(text.split()) for text in sentences):
            hosts.setdefault(sentence, []).append(host)
    return [f"{', '.join(names)}: {sentence}" if any(names) else sentence for sentence, names in hosts.items()]
