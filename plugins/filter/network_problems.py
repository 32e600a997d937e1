# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with address ranges: no networks at all, of a wrong size, or networks that overlap."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Mapping


def _network(text: str) -> ipaddress.IPv4Network:
    """Return the network, or raise ValueError for what Kubernetes would not read as one."""
    network = ipaddress.IPv4Network(text)
    # Python also reads an address alone and a mask of four numbers.
    if str(network) != text:
        raise ValueError("its size is to be given as bits after a slash")
    return network


def network_problems(
    ranges: Mapping[str, str],
    addresses: list[Mapping] | None = None,
    sizes: Mapping[str, tuple[int, int, str]] | None = None,
) -> list[str]:
    """Return a sentence for each range (by its variable's name) that is no network or overlaps another one.

    With addresses of a machine each range is compared with the machine's networks, not with the other ranges.
    Sizes have by the same names the bits of the largest and of the smallest network that is allowed, and the reason.
    """
    problems, networks = [], {}
    for name, text in ranges.items():
        try:
            networks[name] = _network(text)
        except ValueError as error:
            problems.append(f"{name} is '{text}'; allowed is an IPv4 network such as 10.244.0.0/16 ({error})")
    for name, (largest, smallest, reason) in (sizes or {}).items():
        if name in networks and not largest <= networks[name].prefixlen <= smallest:
            problems.append(
                f"{name} is '{networks[name]}'; allowed is a network from /{largest} to /{smallest}: {reason}"
            )
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
