# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine has in common with another one, and must not."""

from __future__ import annotations

from collections.abc import Mapping

_ADVICE = {
    "host name": "set another one with hostnamectl",
    "machine-id": "on a copied machine empty /etc/machine-id and restart it",
    "MAC address": "give the copied machine's interface another one",
}


def _marks(node: Mapping) -> set[tuple[str, str]]:
    """Return what must be the machine's alone, as (kind, value)."""
    marks = {("MAC address", item["mac"]) for item in node["addresses"]}
    marks |= {("host name", node["nodename"].lower()), ("machine-id", node["machine_id"])}
    return {(kind, value) for kind, value in marks if value}


def twin_problems(nodes: Mapping[str, Mapping], name: str) -> list[str]:
    """Return a sentence for each mark that host `name` shares with others; a host without facts has none."""
    marks = {host: _marks(node) for host, node in nodes.items() if node}
    problems = []
    for kind, value in sorted(marks.get(name, ())):
        owners = sorted(host for host, own in marks.items() if (kind, value) in own)
        if len(owners) > 1:
            problems.append(
                f"{kind} is {value} on {' and '.join(owners)}; allowed is one of its own for each: {_ADVICE[kind]}"
            )
    return problems


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict:
        """Return the filters by name."""
        return {"twin_problems": twin_problems}
