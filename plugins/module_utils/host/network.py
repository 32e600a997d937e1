# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own addresses."""

from __future__ import annotations

import ipaddress
import re

#: Interfaces of a pod network and of kube-proxy, which come and go with a cluster.
CLUSTER_INTERFACE = re.compile(r"cni|flannel\.|kube-")


def addresses(links: list[dict]) -> list[dict]:
    """Return the host's own IPv4 addresses from the output of `ip -json address`."""
    found = []
    for link in links:
        if "ifname" not in link or "LOOPBACK" in link["flags"] or CLUSTER_INTERFACE.match(link["ifname"]):
            continue
        for item in link.get("addr_info", []):
            if item.get("family") != "inet":
                continue
            text = f"{item['local']}/{item['prefixlen']}"
            found.append(
                {
                    "address": item["local"],
                    "prefix": item["prefixlen"],
                    "network": str(ipaddress.ip_interface(text).network),
                    "interface": link["ifname"],
                    "mac": link.get("address", ""),
                    "mtu": link["mtu"],
                }
            )
    return found


def default_address(routes: list[dict], own: list[dict]) -> dict:
    """Return the address of the default route, from the output of `ip -json route show default`."""
    for route in sorted(routes, key=lambda item: item.get("metric", 0)):
        for item in own:
            if item["interface"] == route.get("dev") and route.get("prefsrc", item["address"]) == item["address"]:
                return item
    return {}
