# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine is of a cluster that is not ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ADVICE = "take it out of the inventory, or run kubeadm reset on it if nothing there is needed"


def _host(address: str) -> str:
    """Return the host of an address such as https://192.0.2.10:6443 or kube.example.org:6443."""
    return re.sub("^https://|:[0-9]+$", "", address)


def _is_of(node: Mapping, master: Mapping, endpoints: list[str]) -> bool:
    """Tell whether a node is of the master's cluster, or of an earlier one at the same address."""
    cluster = master["cluster"]
    hosts = {_host(address) for address in [cluster["admin_api"], *endpoints]}
    hosts |= {item["address"] for item in master["addresses"]}
    return bool(node["ca"] and node["ca"] == cluster["ca"]) or _host(node["api"]) in hosts


def cluster_problems(
    machine: Mapping, masters: Mapping[str, Mapping] | None = None, endpoints: list[str] | None = None
) -> list[str]:
    """Return a sentence if the machine is of a cluster that is not ours.

    Without `masters` the machine is to be the master itself. With none of which something is known no node is refused.
    """
    own = machine["cluster"]
    if masters is None:
        if own["initialised"]:
            return []
        if own["control_plane"]:
            return [
                f"machine has {', '.join(own['control_plane'])} of a control plane that this collection did not make; "
                f"allowed as a master is a machine of no cluster, or a master of this collection's; {_ADVICE}"
            ]
        allowed = "as a master is a machine of no cluster"
    else:
        if not masters or any(_is_of(own, master, endpoints or []) for master in masters.values()):
            return []
        allowed = f"is a machine of no cluster, or of the one of {' and '.join(masters)}"
    return [f"machine is a node of the cluster at {own['api']}; allowed {allowed}; {_ADVICE}"] if own["api"] else []


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict:
        """Return the filters by name."""
        return {"cluster_problems": cluster_problems}
