# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that find and list what preflight refuses."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.filter import checkin_oauth_problems as checkin
from ansible_collections.egi.notebooks.plugins.filter import cluster_problems as clusters
from ansible_collections.egi.notebooks.plugins.filter import network_problems as networks
from ansible_collections.egi.notebooks.plugins.filter import problem_lines as lines
from ansible_collections.egi.notebooks.plugins.filter import twin_problems as twins


@pytest.mark.parametrize("module", [checkin, clusters, networks, lines, twins])
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


NONE = {"api": "", "admin_api": "", "ca": "", "control_plane": [], "initialised": False}
MASTER = {
    "addresses": [{"address": "192.0.2.1"}],
    "cluster": NONE | {"admin_api": "https://203.0.113.5:6443", "ca": "1", "initialised": True},
}
FRESH = {"addresses": MASTER["addresses"], "cluster": NONE}


@pytest.mark.parametrize(
    ("own", "masters"),
    [
        ({}, {"m": MASTER}),
        # An interrupted join, a finished one by another name, and one to an earlier cluster at the same address.
        ({"api": "https://203.0.113.5:6443"}, {"m": MASTER}),
        ({"api": "https://old.example.org:6443", "ca": "1"}, {"m": MASTER}),
        ({"api": "https://192.0.2.1:6443", "ca": "2"}, {"m": MASTER}),
        ({"api": "https://192.0.2.1:6443", "ca": "2"}, {"m": FRESH}),
        ({"api": "https://kube.example.org:6443", "ca": "2"}, {"m": FRESH}),
        ({"api": "https://203.0.113.5:6443"}, {"other": FRESH, "m": MASTER}),
        # Nothing is known of the master.
        ({"api": "https://198.51.100.1:6443", "ca": "2"}, {}),
        # A master of ours, finished or not.
        ({"control_plane": ["/etc/kubernetes/admin.conf"], "initialised": True, "api": "https://x:6443"}, None),
        ({"initialised": True}, None),
        ({}, None),
    ],
)
def test_a_machine_of_no_cluster_or_of_ours(own, masters):
    assert clusters.cluster_problems({"cluster": NONE | own}, masters, ["kube.example.org:6443"]) == []


@pytest.mark.parametrize(
    ("own", "masters", "sentence"),
    [
        (
            {"api": "https://198.51.100.1:6443", "ca": "2"},
            {"m": MASTER},
            "machine is a node of the cluster at https://198.51.100.1:6443; allowed is a machine of no cluster, or of "
            "the one of m; take it out of the inventory, or run kubeadm reset on it if nothing there is needed",
        ),
        ({"api": "https://198.51.100.1:6443"}, {"m": FRESH}, "machine is a node of the cluster at https://198.51.100"),
        # The mark of a master is no node's.
        (
            {"api": "https://198.51.100.1:6443", "initialised": True},
            {"m": MASTER},
            "machine is a node of the cluster at https://198.51.100.1:6443; allowed is",
        ),
        (
            {"control_plane": ["/etc/kubernetes/admin.conf", "/var/lib/etcd/member"], "api": "https://x:6443"},
            None,
            "machine has /etc/kubernetes/admin.conf, /var/lib/etcd/member of a control plane that this collection did "
            "not make; allowed as a master is",
        ),
        (
            {"api": "https://198.51.100.1:6443"},
            None,
            "machine is a node of the cluster at https://198.51.100.1:6443; allowed as a master is a machine of no",
        ),
    ],
)
def test_a_machine_of_another_cluster(own, masters, sentence):
    (problem,) = clusters.cluster_problems({"cluster": NONE | own}, masters)
    assert problem.startswith(sentence)


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
