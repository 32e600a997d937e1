# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that several roles share."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import rules
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check, Run


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (
            rules.is_url,
            ["", "https://m", "http://127.0.0.1:9/a/b"],
            ["m", "ftp://m", "https://", "https://me:word@m/x"],
        ),
        (rules.is_url, [], ["https://m\n", "https://m /x", "https:///x", "HTTPS://m"]),
        (
            rules.is_image,
            ["quay.io/a/b:1", "a:1", "localhost:5000/a:v1.2-3"],
            ["a", "a:", "a:1\n", "a b:1", "a@sha256:1"],
        ),
        (rules.is_path, ["/srv", "/srv/a.b/c_d-e"], ["", "/", "srv", "/srv/", "/srv//a", "/srv a", "/srv\n"]),
        (
            rules.is_kubernetes_version,
            ["1.34.0", "1.36.12"],
            ["1.36", "v1.36.1", "1.33.9", "1.9.1", "2.0.0", "1.36.1\n", "latest"],
        ),
    ],
)
def test_texts(rule, good, bad):
    assert [text for text in good if not rule(text)] == []
    assert [text for text in bad if rule(text)] == []


@pytest.mark.parametrize(
    ("paths", "is_good"),
    [
        (["/srv/hub", "/srv/hub/", "/mnt/a.b/..c"], True),
        (["", "/", "//", "/data", "/data/", "/var//", "/var/.", "/var/lib/../..", "data/hub", "/a//b"], False),
    ],
)
def test_directories_that_may_be_deleted(paths, is_good):
    for path in paths:
        check = Check("prometheus", {"prometheus_path": path}, Run("a"))
        found = list(rules.data_path_problems(check, "path"))
        assert (found == []) is is_good, path
        assert all(text.startswith("prometheus_path must be the absolute path of a directory inside") for text in found)


def test_the_numbers_of_a_version():
    assert rules.version_numbers("24.04") == (24, 4)
    assert rules.version_numbers("sid") == ()


def test_a_file_of_the_control_node(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ca.pem").touch()

    def problems(path):
        check = Check(
            "edge_ingress", {"edge_ingress_ca_file": path}, Run("a"), {"edge_ingress_ca_file": "egi_notebooks_ca"}
        )
        return list(rules.control_file(check, "ca_file", "the CA's certificate"))

    for path in ("", "~/ca.pem", str(tmp_path / "ca.pem")):
        assert problems(path) == []
    assert problems("ca.pem") == [
        'egi_notebooks_ca must be the absolute path of the CA\'s certificate on the control node; got "ca.pem".'
    ]
    for path in ("/nowhere/ca.pem", str(tmp_path)):
        assert problems(path) == [
            f'egi_notebooks_ca must be the path of the CA\'s certificate; got "{path}". '
            "There is no such file on the control node."
        ]


@pytest.mark.parametrize(
    ("name", "version", "is_good"),
    [
        ("debian", "13", True),
        ("debian", "14.1", True),
        ("debian", "12.9", False),
        ("debian", "sid", False),
        ("ubuntu", "24.04", True),
        ("ubuntu", "26.04", True),
        ("ubuntu", "22.04", False),
        ("fedora", "44", False),
    ],
)
def test_the_operating_system(name, version, is_good):
    node = {"distribution": name, "distribution_version": version, "service_manager": "systemd"}
    problems = (
        [] if is_good else [f"operating system is {name} {version}; must be Debian 13 or Ubuntu 24.04, or newer."]
    )
    assert list(rules.system_problems(node)) == problems
    assert list(rules.system_problems(node | {"service_manager": "openrc"})) == [
        *problems,
        "service manager is openrc; must be systemd.",
    ]


@pytest.mark.parametrize(
    ("skew", "synchronised", "problem"),
    [
        (5.0, False, None),
        (-5.0, True, None),
        (5.1, True, "clock is at least 5.1 s ahead of the control node's; must be at most 5 s (egi_notebooks_maximum_"),
        (-9.0, False, "clock is at least 9.0 s behind the control node's; must be at most 5 s (egi_notebooks_maximum_"),
    ],
)
def test_the_clock(skew, synchronised, problem):
    found = list(rules.clock_problems({"clock": {"skew": skew, "synchronised": synchronised}}, 5))
    assert [text[: len(problem)] for text in found] == ([problem] if problem else [])
    assert all(text.endswith(f"time is {'' if synchronised else 'not '}synchronised.") for text in found)


def test_ports_that_others_listen_on_are_one_message():
    def listener(port, process, protocol="tcp"):
        return {"port": port, "process": process, "protocol": protocol}

    expected = {80: ["traefik"], 443: ["traefik", "nginx"], 2049: []}
    own = [listener(80, "traefik"), listener(443, "nginx"), listener(22, "sshd"), listener(8472, "", "udp")]
    assert list(rules.port_problems({"listeners": own}, expected, "Stop it.", 8472)) == []
    # The same program on several addresses is reported once.
    others = [listener(80, "apache2"), listener(80, "apache2"), listener(2049, ""), listener(8472, "vpn", "udp")]
    assert list(rules.port_problems({"listeners": own + others}, expected, "Stop it.", 8472)) == [
        "port 80 by apache2, 2049 by the kernel, 8472 (UDP) by vpn is in use. Stop it."
    ]
    assert list(rules.port_problems({"listeners": others[3:]}, expected, "Stop it.")) == []


def test_networks_that_overlap_each_other():
    ranges = {"pods": "10.96.0.0/16", "services": "10.96.0.0/12", "far": "10.0.0.0/16"}
    assert list(rules.network_problems(ranges)) == ["pods (10.96.0.0/16) and services (10.96.0.0/12) must not overlap."]


NO_NETWORKS = ["10.244.0.0/33", "10.244.0.1/16", "pods", "fd00::/64", "10.244.0.0.0/16", ""]
#: What Python reads as a network and Kubernetes does not, or reads as one address.
OTHER_FORMS = ["10.244.0.0", "10.244.0.0/255.255.0.0", "10.244.0.0/016", "10.244.0.0/16\n"]


@pytest.mark.parametrize("text", NO_NETWORKS + OTHER_FORMS)
def test_what_is_no_network(text):
    (problem,) = rules.network_problems({"pods": text, "services": "10.96.0.0/12"})
    assert problem.startswith("pods must be an IPv4 network such as 10.244.0.0/16 (")


def test_networks_of_a_wrong_size():
    ranges = {"pods": "10.0.0.0/23", "services": "10.96.0.0/29", "odd": "x"}
    sizes = {"pods": (8, 22, "each node takes some"), "services": (12, 28, "so it is"), "odd": (1, 2, "no")}
    assert list(rules.network_problems(ranges, [], sizes))[1:] == [
        'pods must be a network from /8 to /22 (each node takes some); got "10.0.0.0/23".',
        'services must be a network from /12 to /28 (so it is); got "10.96.0.0/29".',
    ]
    assert list(rules.network_problems({"pods": "10.0.0.0/8", "services": "10.96.0.0/28"}, [], sizes)) == []
    assert list(rules.network_problems({"pods": "16.0.0.0/22", "services": "10.96.0.0/12"}, None, sizes)) == []
    (problem,) = rules.network_problems({"pods": "16.0.0.0/7"}, None, sizes)
    assert problem.startswith("pods must be a network from /8 to /22")


def test_networks_of_the_host():
    addresses = [
        {"interface": "eth0", "network": "192.0.2.0/24"},
        {"interface": "eth1", "network": "10.244.7.0/24"},
    ]
    ranges = {"pods": "10.244.0.0/16", "services": "10.96.0.0/12"}
    assert list(rules.network_problems(ranges, addresses)) == [
        'pods must be a network that no host is in (eth1 is in 10.244.7.0/24); got "10.244.0.0/16".'
    ]
    # Whether the ranges overlap each other is checked elsewhere.
    assert list(rules.network_problems({"pods": "10.96.0.0/16", "services": "10.96.0.0/12"}, addresses[:1])) == []


def host(name, machine_id, *macs):
    return {"nodename": name, "machine_id": machine_id, "addresses": [{"mac": mac} for mac in macs]}


def test_hosts_of_the_same_identity():
    nodes = {"a": host("a", "1", "m1", ""), "b": host("A", "1", "m2", ""), "c": host("c", "3", "m2"), "d": {}}
    assert list(rules.twin_problems(nodes, "a")) == [
        "host name is a on a and b; must be unique. Change one with hostnamectl.",
        "machine-id is 1 on a and b; must be unique. Empty /etc/machine-id on the copied host and reboot it.",
    ]
    assert [problem.split(";")[0] for problem in rules.twin_problems(nodes, "b")] == [
        "MAC address is m2 on b and c",
        "host name is a on a and b",
        "machine-id is 1 on a and b",
    ]
    assert list(rules.twin_problems(nodes, "d")) == []
    assert list(rules.twin_problems({"c": nodes["c"]}, "c")) == []


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
def test_a_host_of_no_cluster_or_of_ours(own, masters):
    assert list(rules.other_cluster_problems({"cluster": NONE | own}, masters, ["kube.example.org:6443"])) == []


@pytest.mark.parametrize(
    ("own", "masters", "problem"),
    [
        (
            {"api": "https://198.51.100.1:6443", "ca": "2"},
            {"m": MASTER},
            "host is a node of the cluster at https://198.51.100.1:6443; must be a host of no cluster, or of the "
            "cluster of m. Remove the host from the inventory, or run kubeadm reset on it if nothing there is needed.",
        ),
        ({"api": "https://198.51.100.1:6443"}, {"m": FRESH}, "host is a node of the cluster at https://198.51.100"),
        # The mark of a master is no node's.
        (
            {"api": "https://198.51.100.1:6443", "initialised": True},
            {"m": MASTER},
            "host is a node of the cluster at https://198.51.100.1:6443; must be",
        ),
        (
            {"control_plane": ["/etc/kubernetes/admin.conf", "/var/lib/etcd/member"], "api": "https://x:6443"},
            None,
            "host has /etc/kubernetes/admin.conf, /var/lib/etcd/member of a control plane that this collection did not "
            "make; must be a host of no cluster, or a master that this collection made.",
        ),
        (
            {"api": "https://198.51.100.1:6443"},
            None,
            "host is a node of the cluster at https://198.51.100.1:6443; must be a host of no cluster, or a master",
        ),
    ],
)
def test_a_host_of_another_cluster(own, masters, problem):
    (found,) = rules.other_cluster_problems({"cluster": NONE | own}, masters)
    assert found.startswith(problem)
