# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses from which the API server's proxy reaches Prometheus."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import prometheus


def node(*addresses, pods=None, label="node-role.kubernetes.io/control-plane"):
    return {
        "kind": "Node",
        "metadata": {"name": label, "labels": {label: ""}},
        "spec": {"podCIDR": pods} if pods else {},
        "status": {
            "addresses": [
                {"type": "Hostname", "address": "m"},
                *({"type": "InternalIP", "address": address} for address in addresses),
            ]
        },
    }


@pytest.mark.parametrize(
    ("master", "cidrs"),
    [
        (node("192.0.2.1", pods="10.244.0.0/24"), ["10.244.0.0/32", "192.0.2.1/32"]),
        (
            node("192.0.2.1", "2001:db8::1", pods="fd00:10:244::/64"),
            ["192.0.2.1/32", "2001:db8::1/128", "fd00:10:244::/128"],
        ),
        (node("2001:db8::1"), ["2001:db8::1/128"]),
    ],
)
def test_each_address_of_a_master_is_let_in_alone(read_check, master, cidrs):
    cluster = [master, node("192.0.2.9", pods="10.244.9.0/24", label="worker")]
    assert prometheus.api_servers(read_check("prometheus"), cluster) == cidrs
