# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of a role get: plain data about the role's settings, the inventory and its hosts."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Runs a module on the host that is checked and returns its result.
Query = Callable[..., Mapping[str, Any]]
#: Reads a file of the control node.
Read = Callable[[str], bytes]
#: Groups whose hosts become nodes of the cluster.
NODE_GROUPS = ("masters", "edges", "workers")


@dataclass(frozen=True)
class Host:
    """What a run knows about a host of the inventory."""

    #: The fact `egi_notebooks_node`; none where this run has not reached the host.
    node: Mapping[str, Any] | None = None
    #: The variable `egi_notebooks_node_address`.
    address: str = ""
    #: The variable `egi_notebooks_kube_endpoint`.
    endpoint: str = ""

    @property
    def link(self) -> Mapping[str, Any]:
        """The entry of the fact's `addresses` by which other nodes reach the host; empty where it is unknown."""
        node = self.node or {}
        wanted = self.address or node.get("default_ipv4", {}).get("address", "")
        return next((item for item in node.get("addresses", ()) if item["address"] == wanted), {})


@dataclass(frozen=True)
class Run:
    """What a run knows: the host that is checked, the inventory's groups and the other hosts."""

    host: str
    groups: Mapping[str, list[str]] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    #: The host from which the cluster's API is called, where the site names it.
    kube_host: str = ""

    def members(self, *groups: str) -> list[str]:
        """Return the hosts of these groups, each once."""
        return list(dict.fromkeys(name for group in groups for name in self.groups.get(group, ())))

    @property
    def nodes(self) -> list[str]:
        """The hosts that are to be nodes of the cluster."""
        return self.members(*NODE_GROUPS)

    def known(self, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Return the facts of those of these hosts that the run has reached."""
        found = {name: self.hosts[name].node for name in names if name in self.hosts}
        return {name: node for name, node in found.items() if node}


@dataclass(frozen=True)
class Check:
    """The settings of one role on one host."""

    role: str
    settings: Mapping[str, Any]
    run: Run
    #: By a variable of the role, the shared variable that its value comes from.
    shared_names: Mapping[str, str] = field(default_factory=dict)
    #: A query of the host; none where the run can't reach it.
    query: Query | None = None
    #: Reads a file by its absolute path, one that ansible-vault has encrypted too; OSError or AnsibleError if it can't.
    read: Read = lambda path: pathlib.Path(path).expanduser().read_bytes()

    def __getitem__(self, name: str) -> Any:
        """Return a setting by its name without the role's."""
        return self.settings[f"{self.role}_{name}"]

    @property
    def node(self) -> Mapping[str, Any] | None:
        """The facts of the host, none where the run has not reached it."""
        host = self.run.hosts.get(self.run.host)
        return host.node if host else None

    def name(self, name: str) -> str:
        """Return the variable that the site set, as a message names it."""
        full = f"{self.role}_{name}"
        return self.shared_names.get(full, full)

    def must(self, name: str, rule: str, advice: str = "") -> str:
        """Return the message for a setting: `VARIABLE must be RULE; got VALUE. ADVICE`."""
        return must(self.name(name), rule, self[name], advice)


def must(variable: str, rule: str, value: Any, advice: str = "") -> str:
    """Return a message about bad input: `VARIABLE must be RULE; got VALUE. ADVICE`."""
    return f"{variable} must be {rule}; got {shown(value)}." + (f" {advice}" if advice else "")


def shown(value: Any) -> str:
    """Return a value as JSON, with logins in URLs replaced by `***`."""
    return re.sub(r"//[^\s\"]*@", "//***@", json.dumps(value, ensure_ascii=False, default=str))
