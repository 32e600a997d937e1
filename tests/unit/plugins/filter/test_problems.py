# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that find and list what preflight refuses."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.filter import checkin_oauth_problems as checkin
from ansible_collections.egi.notebooks.plugins.filter import network_problems as networks
from ansible_collections.egi.notebooks.plugins.filter import problem_lines as lines
from ansible_collections.egi.notebooks.plugins.filter import twin_problems as twins


@pytest.mark.parametrize("module", [checkin, networks, lines, twins])
def test_the_filter_is_registered(module):
    name = module.__name__.rsplit(".", 1)[-1]
    assert module.FilterModule().filters() == {name: getattr(module, name)}


def test_lines_are_told_once():
    problems = {"": ["all"], "a": ["x\n is 1", "x is 1", "y"], "b": ["x is 1"], "c": []}
    assert lines.problem_lines(problems) == ["all", "a, b: x is 1", "a: y"]
    assert lines.problem_lines({"": [], "a": []}) == []


def machine(name, machine_id, *macs):
    return {"nodename": name, "machine_id": machine_id, "addresses": [{"mac": mac} for mac in macs]}


def test_twins():
    nodes = {
        "a": machine("a", "1", "m1", ""),
        "b": machine("A", "1", "m2", ""),
        "c": machine("c", "3", "m2"),
        "d": {},
    }
    name = "host name is a on a and b; allowed is one of its own for each: set another one with hostnamectl"
    identity = "machine-id is 1 on a and b; allowed is one of its own for each: on a copied machine empty "
    assert twins.twin_problems(nodes, "a") == [name, f"{identity}/etc/machine-id and restart it"]
    assert [item.split(";")[0] for item in twins.twin_problems(nodes, "b")] == [
        "MAC address is m2 on b and c",
        "host name is a on a and b",
        "machine-id is 1 on a and b",
    ]
    assert twins.twin_problems(nodes, "d") == []
    assert twins.twin_problems({"c": nodes["c"]}, "c") == []


def test_networks_that_overlap_each_other():
    assert networks.network_problems({"pods": "10.96.0.0/16", "services": "10.96.0.0/12", "far": "10.0.0.0/16"}) == [
        "pods is '10.96.0.0/16' and services is '10.96.0.0/12'; allowed are networks that do not overlap"
    ]


NO_NETWORKS = ["10.244.0.0/33", "10.244.0.1/16", "pods", "fd00::/64", "10.244.0.0.0/16"]
#: What Python takes and Kubernetes does not, or takes for one address.
OTHER_FORMS = ["10.244.0.0", "10.244.0.0/255.255.0.0", "10.244.0.0/016"]


@pytest.mark.parametrize("text", NO_NETWORKS + OTHER_FORMS)
def test_what_is_no_network(text):
    (problem,) = networks.network_problems({"pods": text, "services": "10.96.0.0/12"})
    assert problem.startswith(f"pods is '{text}'; allowed is an IPv4 network such as 10.244.0.0/16 (")


def test_networks_of_a_wrong_size():
    ranges = {"pods": "10.0.0.0/7", "services": "10.96.0.0/29", "odd": "x"}
    sizes = {"pods": [8, 22, "each node takes some"], "services": [12, 28, "so it is"], "odd": [1, 2, "no"]}
    said = networks.network_problems(ranges | {"pods": "10.0.0.0/23"}, [], sizes)
    assert said[1:] == [
        "pods is '10.0.0.0/23'; allowed is a network from /8 to /22: each node takes some",
        "services is '10.96.0.0/29'; allowed is a network from /12 to /28: so it is",
    ]
    assert networks.network_problems({"pods": "10.0.0.0/8", "services": "10.96.0.0/28"}, [], sizes) == []
    assert networks.network_problems({"pods": "16.0.0.0/22", "services": "10.96.0.0/12"}, None, sizes) == []
    (problem,) = networks.network_problems({"pods": "16.0.0.0/7"}, None, sizes)
    assert problem.startswith("pods is '16.0.0.0/7'; allowed is a network from /8 to /22")


def test_networks_of_the_machine():
    addresses = [
        {"interface": "eth0", "network": "192.0.2.0/24"},
        {"interface": "eth1", "network": "10.244.7.0/24"},
    ]
    ranges = {"pods": "10.244.0.0/16", "services": "10.96.0.0/12"}
    assert networks.network_problems(ranges, addresses) == [
        "pods is '10.244.0.0/16'; allowed is a network that no machine is in, eth1 is in 10.244.7.0/24"
    ]
    # The ranges themselves are another role's matter.
    assert networks.network_problems({"pods": "10.96.0.0/16", "services": "10.96.0.0/12"}, addresses[:1]) == []


def test_settings_of_the_login():
    good = {"environment": "demo", "client_id": "x", "vos": ["vo.a"], "domain": "n.example.org"}
    assert checkin.checkin_oauth_problems(good) == []
    (problem,) = checkin.checkin_oauth_problems(good | {"client_id": None})
    assert problem.startswith("jupyterhub_oauth is refused: checkin_oauth: client_id is None; allowed is a text")
    assert len(checkin.checkin_oauth_problems("text")) == 1
