# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's own addresses."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.module_utils.host.network import addresses, default_address

LINKS = [
    {
        "ifname": "lo",
        "flags": ["LOOPBACK", "UP"],
        "mtu": 65536,
        "address": "00:00:00:00:00:00",
        "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}],
    },
    {
        "ifname": "eth0",
        "flags": ["UP"],
        "mtu": 1500,
        "address": "02:00:00:00:00:0b",
        "addr_info": [
            {"family": "inet", "local": "10.0.2.15", "prefixlen": 24},
            {"family": "inet6", "local": "fe80::1", "prefixlen": 64},
        ],
    },
    {
        "ifname": "eth1",
        "flags": ["UP"],
        "mtu": 1400,
        "address": "02:00:00:00:00:0c",
        "addr_info": [
            {"family": "inet", "local": "192.0.2.11", "prefixlen": 24},
            {"family": "inet", "local": "192.0.2.12", "prefixlen": 24},
        ],
    },
    {"ifname": "veth1", "flags": ["UP"], "mtu": 1450, "address": "ee:ee:ee:ee:ee:ee", "addr_info": []},
    {},
]


def test_addresses():
    own = addresses(LINKS)
    assert own[0] == {
        "address": "10.0.2.15",
        "prefix": 24,
        "network": "10.0.2.0/24",
        "interface": "eth0",
        "mac": "02:00:00:00:00:0b",
        "mtu": 1500,
    }
    assert [(item["address"], item["mtu"]) for item in own[1:]] == [("192.0.2.11", 1400), ("192.0.2.12", 1400)]


@pytest.mark.parametrize(
    ("interface", "is_own"), [("cni0", False), ("flannel.1", False), ("kube-ipvs0", False), ("kubenet", True)]
)
def test_addresses_of_a_cluster_s_network_are_not_the_host_s_own(interface, is_own):
    link = LINKS[1] | {"ifname": interface}
    assert bool(addresses([link])) is is_own


@pytest.mark.parametrize(
    ("routes", "address"),
    [
        ([{"dst": "default", "dev": "eth1"}], "192.0.2.11"),
        ([{"dst": "default", "dev": "eth1", "prefsrc": "192.0.2.12"}], "192.0.2.12"),
        ([{"dst": "default", "dev": "eth1", "metric": 200}, {"dev": "eth0", "metric": 100}], "10.0.2.15"),
        ([{"dst": "default", "nexthops": []}], None),
        ([], None),
    ],
)
def test_default_route(routes, address):
    assert default_address(routes, addresses(LINKS)).get("address") == address
