# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with address ranges: no networks at all, or networks that overlap."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Mapping


def network_problems(ranges: Mapping[str, str], addresses: list[Mapping] | None = None) -> list[str]:
    """Return a sentence for each range (by its variable's name) that is no network or overlaps another one.

    With addresses of a machine each range is compared with the machine's networks, not with the other ranges.
    """
    problems, networks = [], {}
    for name, text in ranges.items():
        try:
            networks[name] = ipaddress.IPv4Network(text)
        except ValueError as error:
            problems.append(f"{name} is '{text}'; allowed is an IPv4 network such as 10.244.0.0/16 ({error})")
    if addresses is None:
        return problems + [
            f"{one} is '{networks[one]}' and {other} is '{networks[other]}'; allowed are networks that do not overlap"
            for one, other in itertools.combinations(networks, 2)
            if networks[one].overlaps(networks[other])
        ]
    return problems + [
        f"{name} is '{network}'; allowed is a network that no machine is in, {item['interface']} is in "
        f"{item['network']}"
        for name, network in networks.items()
        for item in addresses
        if network.overlaps(ipaddress.IPv4Network(item["network"]))
    ]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict:
        """Return the filters by name."""
        return {"network_problems": network_problems}
