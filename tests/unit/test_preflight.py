# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles' checks say to each kind of machine, and that one run of the playbook says it all."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible.parsing.dataloader import DataLoader

ETH0 = {
    "address": "192.0.2.11",
    "prefix": 24,
    "network": "192.0.2.0/24",
    "interface": "eth0",
    "mac": "02:00:00:00:00:0b",
    "mtu": 1500,
}
ETH1 = ETH0 | {"address": "10.0.0.11", "network": "10.0.0.0/24", "interface": "eth1", "mac": "02:00:00:00:00:0c"}
MACHINE = {
    "nodename": "a.example.org",
    "machine_id": "1",
    "distribution": "debian",
    "distribution_version": "13",
    "architecture": "x86_64",
    "service_manager": "systemd",
    "memory_mb": 2000,
    "processors": 2,
    "is_node": False,
    "cluster_networks": {"pods": "", "services": ""},
    "cluster": {"api": "", "admin_api": "", "ca": "", "control_plane": [], "initialised": False},
    "artifacts": [],
    "kubelet_version": "",
    "packages": [],
    "packages_interrupted": False,
    "container_engines": [],
    "swap": {"active": [], "fstab": [], "units": [], "unknown": []},
    "addresses": [ETH0, ETH1],
    "default_ipv4": ETH0,
    "disks": {"/var/lib/containerd": {"total_mb": 12000, "free_mb": 9000}},
    "listeners": [],
    "clock": {"time": 1.0, "synchronised": True, "skew": 0.0, "uncertainty": 1.0},
}
GROUPS = {"masters": ["a"], "edges": ["b"], "workers": ["c"], "nfs_servers": ["d"], "all": ["a", "b", "c", "d"]}


def port(number, process):
    return {"protocol": "tcp", "port": number, "process": process}


@pytest.fixture
def say(render_role):
    """Return a function that gives what a role's checks say to a machine like MACHINE, but for these facts."""

    def call(role, facts=(), others=(), **variables):
        machine = MACHINE | dict(facts)
        known = {"a": machine} | dict(others)
        site = {
            "groups": GROUPS,
            "inventory_hostname": "a",
            # Of b, c and d this run knows nothing, as with --limit.
            "hostvars": {host: {"ansible_facts": {"egi_notebooks_node": facts}} for host, facts in known.items()}
            | {host: {} for host in GROUPS["all"] if host not in known},
            "ansible_facts": {"egi_notebooks_node": machine},
        }
        return render_role(role, f"__{role}_bad_inputs + __{role}_findings", **(site | variables))

    return call


@pytest.mark.parametrize("role", ["kube_node", "kube_master", "kube_worker", "nfs_server"])
def test_a_good_machine_passes(say, role):
    assert say(role) == []


def test_a_finished_host_s_own_programs_are_no_problem(say):
    listeners = [
        *(port(number, "etcd") for number in (2379, 2380)),
        port(6443, "kube-apiserver"),
        port(10257, "kube-controller"),
        port(10259, "kube-scheduler"),
        port(10248, "kubelet"),
        port(10250, "kubelet"),
        port(9080, "netpol"),
        port(9100, "node_exporter"),
        port(80, "traefik"),
        port(443, "traefik"),
        port(9101, "traefik"),
        port(2049, ""),
        port(8472, "") | {"protocol": "udp"},
    ]
    facts = {
        "listeners": listeners,
        "is_node": True,
        "cluster": {
            "api": "https://192.0.2.11:6443",
            "admin_api": "https://192.0.2.11:6443",
            "ca": "1",
            "control_plane": ["/etc/kubernetes/admin.conf"],
            "initialised": True,
        },
        "disks": {"/var/lib/etcd": {"total_mb": 12000, "free_mb": 100}},
    }
    for role in ("kube_node", "kube_master", "kube_worker", "nfs_server"):
        assert say(role, facts, kube_worker_labels={"egi.eu/edge": "true"}) == []


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"architecture": "aarch64"}, "architecture is aarch64; allowed is x86_64"),
        ({"distribution_version": "12"}, "operating system is debian 12; allowed are Debian from 13 and Ubuntu"),
        ({"distribution_version": ""}, "operating system is debian ; allowed are"),
        ({"distribution": "rocky"}, "operating system is rocky 13; allowed are"),
        ({"service_manager": "sysvinit"}, "service manager is sysvinit; allowed is systemd"),
        ({"nodename": "Node1"}, "host name is 'Node1'; allowed are lower case letters"),
        ({"nodename": "localhost.localdomain"}, "host name is 'localhost.localdomain'; allowed are"),
        ({"memory_mb": 800}, "memory is 800 MB; allowed is kube_node_minimum_memory, 900 MB, or more"),
        (
            {"disks": {"/a": {"free_mb": 9000}, "/b": {"free_mb": 4000}}},
            "free space of /a, /b is 4000 MB at the least; allowed is kube_node_minimum_disk, 5000 MB, or more",
        ),
        (
            {"swap": MACHINE["swap"] | {"units": ["dev-zram0.swap"]}},
            "swap comes back at each start by dev-zram0.swap; allowed is none",
        ),
        (
            {"swap": MACHINE["swap"] | {"active": ["/root/swap"], "unknown": ["/root/swap"]}},
            "swap is on /root/swap, by neither /etc/fstab nor a unit of systemd; allowed is none",
        ),
        (
            {"is_node": True, "kubelet_version": "1.35.4"},
            "kube_node_version is '1.36.3' and the node runs 1.35.4; allowed on a running cluster is",
        ),
        ({"default_ipv4": {}}, "kube_node_address is ''; allowed is an address that the machine itself has"),
        (
            {"listeners": [port(10250, "k3s-server"), port(9100, "prometheus-node"), port(10256, "")]},
            "port 10250 by k3s-server, 9100 by prometheus-node, 10256 by the kernel is taken; allowed are Kubernetes",
        ),
        (
            {"listeners": [port(9100, "node_exporter"), port(10250, "kubelet")]},
            "port 9100 by node_exporter is taken; allowed are Kubernetes and this collection's own node_exporter alone",
        ),
        (
            {"listeners": [port(8472, "openvpn") | {"protocol": "udp"}, port(8472, "x")]},
            "port 8472 (UDP) by openvpn is taken; allowed are Kubernetes and this collection's own node_exporter alone",
        ),
        # Whoever made it a node.
        (
            {"container_engines": ["/usr/bin/containerd"], "is_node": True},
            "/usr/bin/containerd is there already; allowed is a machine without a container engine",
        ),
        (
            {"container_engines": ["/usr/bin/containerd", "/usr/bin/dockerd"]},
            "/usr/bin/containerd, /usr/bin/dockerd is there already; allowed is a machine without a container engine",
        ),
        (
            {"clock": MACHINE["clock"] | {"skew": -7.5, "synchronised": False}},
            "clock is at least 7.5 s behind the control machine's; allowed are 5 s (egi_notebooks_maximum_clock_skew); "
            "here its time is not synchronised",
        ),
        (
            {"addresses": [ETH0, ETH1 | {"network": "10.96.3.0/24"}]},
            "kube_node_service_cidr is '10.96.0.0/12'; allowed is a network that no machine is in, eth1 is in",
        ),
    ],
)
def test_a_bad_machine_is_refused_with_one_sentence(say, facts, sentence):
    (problem,) = say("kube_node", facts)
    assert problem.startswith(sentence)


def test_swap_that_the_role_turns_off_itself_is_no_problem(say):
    swap = {"active": ["/swap.img"], "fstab": ["/swap.img"], "units": [], "unknown": []}
    assert say("kube_node", {"swap": swap}) == []


def test_what_the_role_has_installed_takes_its_share_of_the_disk(say):
    facts = {"disks": {"/var/lib/containerd": {"total_mb": 6000, "free_mb": 4000}}}
    assert len(say("kube_node", facts | {"artifacts": ["helm"]})) == 1
    assert say("kube_node", facts | {"artifacts": ["runc"]}) == []


def test_a_node_of_ours_may_have_got_another_engine(say):
    facts = {"is_node": True, "artifacts": ["containerd"], "container_engines": ["/usr/bin/dockerd"]}
    assert say("kube_node", facts) == []


NOTHING = MACHINE["cluster"]
FOREIGN = {"is_node": True, "cluster": NOTHING | {"api": "https://198.51.100.1:6443", "ca": "2"}}
OURS = MACHINE | {
    "nodename": "b",
    "machine_id": "2",
    "addresses": [ETH0 | {"address": "192.0.2.12", "mac": "x"}],
    "cluster": NOTHING | {"admin_api": "https://203.0.113.5:6443", "ca": "1"},
}
FRESH = OURS | {"cluster": NOTHING}


@pytest.mark.parametrize(
    ("groups", "master", "variables", "of"),
    [
        ({"masters": ["b"]}, OURS, {}, "b"),
        ({"masters": ["b"]}, FRESH, {}, "b"),
        ({}, OURS, {"kube_worker_kube_host": "b"}, "b"),
        ({"masters": []}, OURS, {"egi_notebooks_kube_host": "b"}, "b"),
        # Nothing is known: a run limited to this host, a host outside of the inventory or with credentials alone.
        ({"masters": ["c"]}, OURS, {}, None),
        ({"masters": []}, OURS, {}, None),
        ({}, OURS, {}, None),
        ({"masters": []}, OURS, {"egi_notebooks_kube_host": "elsewhere"}, None),
        ({"masters": ["b"]}, OURS, {"kube_worker_kube_host": "c"}, None),
        ({}, FRESH, {"kube_worker_kube_host": "b"}, None),
        # The site says itself that this is the host that leads to its cluster.
        ({}, OURS, {"kube_worker_kube_host": "a"}, None),
        ({"masters": ["b"]}, FRESH, {"kube_master_endpoint": "198.51.100.1:6443"}, None),
    ],
)
def test_a_node_of_another_cluster_is_refused_where_ours_is_known(say, groups, master, variables, of):
    site = {"groups": {"all": GROUPS["all"]} | groups} | variables
    sentence = (
        "machine is a node of the cluster at https://198.51.100.1:6443; allowed is a machine of no cluster, or of "
    )
    told = [problem.split(";")[:2] for problem in say("kube_node", FOREIGN, others={"b": master}, **site)]
    assert told == ([f"{sentence}the one of {of}".split(";")] if of else [])


def test_the_master_s_endpoint_may_be_a_variable_of_the_master(say):
    site = {
        "groups": GROUPS | {"masters": ["b"]},
        "hostvars": {
            "a": {"ansible_facts": {"egi_notebooks_node": MACHINE | FOREIGN}},
            "b": {"ansible_facts": {"egi_notebooks_node": FRESH}, "kube_master_endpoint": "198.51.100.1:6443"},
            "c": {},
        },
    }
    assert say("kube_node", FOREIGN, **site) == []
    site["hostvars"]["b"]["kube_master_endpoint"] = "198.51.100.2:6443"
    assert len(say("kube_node", FOREIGN, **site)) == 1


def test_a_master_that_others_made_is_refused(say):
    facts = {"is_node": True, "cluster": NOTHING | {"control_plane": ["/var/lib/etcd/member"], "api": "https://x:6443"}}
    sentence = "machine has /var/lib/etcd/member of a control plane that this collection did not make; allowed as"
    for role in ("kube_node", "kube_master"):
        (problem,) = say(role, facts)
        assert problem.startswith(sentence)
    (problem,) = say("kube_node", FOREIGN)
    assert problem.startswith("machine is a node of the cluster at https://198.51.100.1:6443; allowed as a master is")


@pytest.fixture
def look(render_role, tmp_path):
    """Return a function that says what kube_master takes for the machine's state, with /etc/kubernetes in tmp_path."""
    template = "lookup('ansible.builtin.template', role_path ~ '/templates/state.sh.j2')"
    script = render_role("kube_master", template, ansible_facts={"egi_notebooks_node": {"nodename": "m"}})
    script = script.replace("/etc/kubernetes", str(tmp_path)).replace("/var/lib/etcd", f"{tmp_path}/etcd")
    for folder in ("etcd", "pki"):
        (tmp_path / folder).mkdir()
    # All that is asked for is there.
    (tmp_path / "kubectl").symlink_to("/bin/true")
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    return lambda: subprocess.check_output(["sh", "-c", script], text=True, env=environment).strip()


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({}, "absent"),
        ({"admin.conf": ""}, "foreign"),
        ({"etcd/member": ""}, "foreign"),
        ({"etcd/member": "1", "egi-notebooks-init": "started"}, "started"),
        ({"egi-notebooks-init": "started"}, "empty"),
        # Without power a key may be there and lack what is in it.
        ({"etcd/member": "1", "egi-notebooks-init": "started", "pki/sa.key": ""}, "empty"),
        ({"admin.conf": "", "egi-notebooks-init": "finished"}, "ready 0 none"),
        # A power cut may leave an empty one.
        ({"admin.conf": "", "egi-notebooks-init": ""}, "ready 0 none"),
        ({"admin.conf": "", "egi-notebooks-kubeadm.yml": ""}, "ready 0 none"),
    ],
)
def test_only_a_control_plane_of_this_role_is_taken_for_the_master(look, tmp_path, files, state):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert look() == state


@pytest.mark.parametrize(
    ("name", "days", "state"),
    [
        ("apiserver", 89, "expiring"),
        ("apiserver", 91, "ready 0 none"),
        ("etcd/server", 1, "expiring"),
        ("ca", 1, "ready 0 none"),
        ("front-proxy-ca", 1, "ready 0 none"),
    ],
)
def test_certificates_that_end_soon_are_seen_and_those_of_the_cas_left_alone(look, tmp_path, name, days, state):
    (tmp_path / "pki/etcd").mkdir()
    (tmp_path / "egi-notebooks-init").write_text("finished")
    certificate = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    output = ["-subj", "/CN=x", "-keyout", tmp_path / "key", "-out", tmp_path / f"pki/{name}.crt"]
    subprocess.run([*certificate, "-days", str(days), *output], check=True, capture_output=True)
    assert look() == state


def test_a_floating_address_is_refused_with_those_that_the_machine_has(say):
    sentence = (
        "kube_node_address is '203.0.113.5'; allowed is an address that the machine itself has, which no floating "
        "address is; it has 192.0.2.11, 10.0.0.11"
    )
    # Both roles say the same, so the report has it once.
    assert say("kube_node", kube_node_address="203.0.113.5") == [sentence]
    assert say("kube_master", kube_node_address="203.0.113.5") == [sentence]
    assert say("kube_node", kube_node_address="10.0.0.11") == []


def test_twins_are_named(say):
    twin = MACHINE | {"nodename": "b", "addresses": [ETH0 | {"mac": "x"}]}
    (problem,) = say("kube_node", others={"b": twin})
    assert problem.startswith("machine-id is 1 on a and b; allowed is one of its own for each")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"kube_node_version": "v1.36"}, "kube_node_version is 'v1.36'; allowed is a whole version from 1.34 on"),
        ({"egi_notebooks_kubernetes_version": "2"}, "egi_notebooks_kubernetes_version is '2'; allowed is a whole"),
        ({"kube_node_containerd_version": "1.7.1"}, "kube_node_containerd_version is '1.7.1'; allowed is"),
        ({"egi_notebooks_mirror": "mirror"}, "kube_node_mirror is 'mirror'; allowed is an address such as"),
        ({"egi_notebooks_mirror": "https://u:p@m/x"}, "kube_node_mirror is 'https://***@m/x'; allowed is an address"),
        (
            {"kube_node_https_proxy": "http://u:p@x"},
            "kube_node_http_proxy is '' and kube_node_https_proxy is 'http://***@",
        ),
        ({"kube_node_http_proxy": "http//u:p@x"}, "kube_node_http_proxy is 'http//***@x' and kube_node_https_proxy is"),
        ({"egi_notebooks_pod_cidr": "10.0.0.0/8"}, "egi_notebooks_pod_cidr is '10.0.0.0/8'; allowed is a network that"),
    ],
)
def test_bad_inputs_of_a_node(say, variables, sentence):
    (problem,) = say("kube_node", **variables)
    assert problem.startswith(sentence)


@pytest.mark.parametrize(
    ("facts", "variables", "sentence"),
    [
        ({}, {"groups": GROUPS | {"masters": ["a", "b"]}}, "masters is a group of 2 hosts (a, b); allowed is one"),
        ({}, {"kube_master_endpoint": "kube"}, "kube_master_endpoint is 'kube'; allowed is a host and a port"),
        ({}, {"kube_master_pod_mtu": 500}, "kube_master_pod_mtu is 500; allowed is 0 or from 576 on"),
        (
            {},
            {"egi_notebooks_pod_cidr": "10.96.0.0/16"},
            "egi_notebooks_pod_cidr is '10.96.0.0/16' and kube_master_service_cidr is '10.96.0.0/12'; allowed are",
        ),
        (
            {},
            {"egi_notebooks_pod_cidr": "10.244.0.0"},
            "egi_notebooks_pod_cidr is '10.244.0.0'; allowed is an IPv4 network such as 10.244.0.0/16 (its size is",
        ),
        (
            {},
            {"egi_notebooks_pod_cidr": "10.244.0.0/23"},
            "egi_notebooks_pod_cidr is '10.244.0.0/23'; allowed is a network from /8 to /22: each node takes a /24 of "
            "it, and the inventory has 3",
        ),
        (
            {},
            {"kube_master_pod_cidr": "10.244.0.0/25", "groups": {"masters": ["a"]}},
            "kube_master_pod_cidr is '10.244.0.0/25'; allowed is a network from /8 to /24: each node takes",
        ),
        (
            {},
            {"egi_notebooks_service_cidr": "172.0.0.0/8"},
            "egi_notebooks_service_cidr is '172.0.0.0/8'; allowed is a network from /12 to /28: the API takes no other",
        ),
        ({}, {"egi_notebooks_service_cidr": "10.9.0.0/29"}, "egi_notebooks_service_cidr is '10.9.0.0/29'; allowed is"),
        (
            {"cluster_networks": {"pods": "10.245.0.0/16", "services": "10.96.0.0/12"}},
            {},
            "kube_master_pod_cidr is '10.244.0.0/16'; allowed on this cluster is '10.245.0.0/16', which it was made",
        ),
        (
            {"cluster_networks": {"pods": "10.244.0.0/16", "services": "10.96.0.0/12"}},
            {"egi_notebooks_service_cidr": "10.32.0.0/16"},
            "egi_notebooks_service_cidr is '10.32.0.0/16'; allowed on this cluster is '10.96.0.0/12', which it was",
        ),
        ({"processors": 1}, {}, "processors are 1; allowed on a master are 2 or more"),
        ({"memory_mb": 1000}, {}, "memory is 1000 MB; allowed on a master is kube_master_minimum_memory, 1700 MB"),
        (
            {"listeners": [port(6443, "haproxy"), port(2379, "etcd")]},
            {},
            "port 6443 by haproxy is taken; allowed is a control plane alone",
        ),
        ({"listeners": [port(7443, "x"), port(6443, "y")]}, {"kube_master_endpoint": "k:7443"}, "port 7443 by x is"),
    ],
)
def test_a_bad_master_is_refused_with_one_sentence(say, facts, variables, sentence):
    (problem,) = say("kube_master", facts, **variables)
    assert problem.startswith(sentence)


def test_ranges_that_are_just_large_enough_pass(say):
    nodes = GROUPS | {"workers": ["c", "e"]}
    for pods, groups in (("10.244.0.0/24", {}), ("10.244.0.0/22", GROUPS), ("10.244.0.0/22", nodes)):
        ranges = {"egi_notebooks_pod_cidr": pods, "egi_notebooks_service_cidr": "10.96.0.0/28"}
        site = {"hostvars": {host: {} for host in "abcde"}, "groups": groups}
        assert say("kube_master", **ranges, **site) == []
    (problem,) = say("kube_master", {}, egi_notebooks_pod_cidr="10.244.0.0/24", groups={"masters": ["a"], "edges": "b"})
    assert problem.endswith("allowed is a network from /8 to /23: each node takes a /24 of it, and the inventory has 2")


def test_pods_need_a_link_that_is_wide_enough(say):
    links = {"hostvars": {"a": {"__kube_node_link_mtu": 1500}, "b": {"__kube_node_link_mtu": 1400}, "c": {}, "d": {}}}
    (problem,) = say("kube_master", kube_master_pod_mtu=1450, **links)
    assert problem.startswith("kube_master_pod_mtu is 1450; allowed is at most 1350, the narrowest link")
    assert say("kube_master", kube_master_pod_mtu=1350, **links) == []
    # Nothing is known of any link.
    assert say("kube_master", kube_master_pod_mtu=8950) == []


def test_the_edge_s_ports_are_traefik_s(say):
    facts = {"listeners": [port(80, "nginx"), port(443, "nginx"), port(22, "sshd")]}
    assert say("kube_worker", facts) == []
    (problem,) = say("kube_worker", facts, kube_worker_labels={"egi.eu/edge": "true"})
    assert problem.startswith("port 80 by nginx, 443 by nginx is taken; allowed on an edge is the Traefik of this")
    # Of another one than ours, as nothing of ours runs before the machine is a node.
    (problem,) = say("kube_worker", {"listeners": [port(80, "traefik")]}, kube_worker_labels={"egi.eu/edge": "true"})
    assert problem.startswith("port 80 by traefik is taken; allowed on an edge is the Traefik of this")


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"distribution": "rocky"}, "operating system is rocky 13; allowed are"),
        ({"service_manager": "sysvinit"}, "service manager is sysvinit; allowed is systemd"),
        ({"clock": MACHINE["clock"] | {"skew": 6}}, "clock is at least 6.0 s ahead of the control"),
        ({"listeners": [port(2049, "ganesha.nfsd")]}, "port 2049 is taken by ganesha.nfsd; allowed is the kernel's"),
    ],
)
def test_a_bad_nfs_server_is_refused_with_one_sentence(say, facts, sentence):
    (problem,) = say("nfs_server", facts)
    assert problem.startswith(sentence)


def test_an_nfs_server_in_the_cluster_s_ranges_or_with_a_node_s_identity_is_refused(say):
    inside = {"addresses": [ETH0 | {"address": "10.244.3.9", "network": "10.244.3.0/24"}]}
    sentence = "egi_notebooks_pod_cidr is '10.244.0.0/16'; allowed is a network that no machine is in, eth0 is in 10.24"
    alone = {"inventory_hostname": "d", "others": {}}
    (problem,) = say("nfs_server", inside, **alone)
    assert problem.startswith(sentence)
    assert say("nfs_server", inside, **alone, egi_notebooks_pod_cidr="172.20.0.0/16") == []
    services = {"egi_notebooks_pod_cidr": "172.20.0.0/16", "egi_notebooks_service_cidr": "10.244.0.0/16"}
    (problem,) = say("nfs_server", inside, **alone, **services)
    assert problem.startswith("egi_notebooks_service_cidr is '10.244.0.0/16'; allowed is a network that no machine is")
    copy = MACHINE | {"nodename": "d", "addresses": [ETH0 | {"mac": "x"}]}
    (problem,) = say("nfs_server", others={"d": copy}, inventory_hostname="d")
    assert problem.startswith("machine-id is 1 on a and d; allowed is one of its own for each")


def test_of_an_nfs_server_that_is_a_node_the_node_s_checks_tell_it(say):
    inside = {"addresses": [ETH0 | {"network": "10.244.3.0/24"}]}
    twin = {"others": {"b": MACHINE | {"addresses": []}}}
    assert say("nfs_server", inside, **twin) == []
    assert len(say("kube_node", inside, **twin)) == 3


def test_a_disk_that_cannot_be_read_is_told_once(say):
    failed = {"rc": 1, "stderr": "no such file", "stdout": ""}
    (problem,) = say("nfs_server", nfs_server_disk="/dev/x", __nfs_server_wipefs=failed)
    assert problem.startswith('nfs_server_disk is "/dev/x", which the machine can\'t read (no such file); allowed is')


def test_an_empty_disk_must_not_hide_homes(say):
    empty = {"rc": 0, "stdout": ""}
    at = {"nfs_server_disk": "/dev/vdb", "__nfs_server_wipefs": empty}
    assert say("nfs_server", **at, __nfs_server_hidden={"stdout": ""}) == []
    (problem,) = say("nfs_server", **at, __nfs_server_hidden={"stdout": "/srv/homes/anna"})
    assert problem.startswith('nfs_server_disk is "/dev/vdb", an empty disk, and /srv/homes holds files that it would')


def test_an_empty_disk_must_not_take_the_place_of_one_that_is_missing(say):
    at = {"nfs_server_disk": "/dev/vdb", "__nfs_server_wipefs": {"rc": 0, "stdout": ""}}
    assert say("nfs_server", **at, __nfs_server_expected={"stdout": "", "rc": 1}) == []
    (problem,) = say("nfs_server", **at, __nfs_server_expected={"stdout": "UUID=1", "rc": 0})
    assert problem.startswith('nfs_server_disk is "/dev/vdb", an empty disk, and by /etc/fstab /srv/homes is on UUID=1')


@pytest.mark.parametrize(
    ("label", "said", "unfinished"),
    [
        ("egi-homes", ["inprogress = 1", "icount = 0", "ifree = 0"], True),
        ("egi-homes", ["inprogress = 1", "icount = 64", "ifree = 61"], True),
        # A copy of a file system with one file, which was interrupted.
        ("egi-homes", ["inprogress = 1", "icount = 64", "ifree = 60"], False),
        ("egi-homes", ["inprogress = 0", "icount = 64", "ifree = 61"], False),
        # xfs_db says nothing.
        ("egi-homes", [], False),
        ("others", ["inprogress = 1", "icount = 0", "ifree = 0"], False),
    ],
)
def test_a_file_system_is_made_anew_only_if_that_was_never_finished(render_role, label, said, unfinished):
    signature = {"type": "xfs", "label": label, "uuid": "1"}
    looks = {
        "__nfs_server_wipefs": {"rc": 0, "stdout": json.dumps({"signatures": [signature]})},
        "__nfs_server_superblock": {"stdout_lines": said},
    }
    assert render_role("nfs_server", "__nfs_server_disk_is_unfinished", **looks) is unfinished


def test_clients_mount_by_addresses_of_their_own(say):
    client = MACHINE | {"addresses": [ETH0 | {"address": "192.0.2.12"}]}
    known = {"b": client, "c": client}
    names = {"stdout_lines": ["192.0.2.12      STREAM b"]}
    assert say("nfs_server", others=known, __nfs_server_names=names) == []
    names = {"stdout_lines": ["203.0.113.7     STREAM b", "192.0.2.12      STREAM c"]}
    (problem,) = say("nfs_server", others=known, __nfs_server_names=names)
    assert "203.0.113.7 is the address here and no address of the machine itself" in problem
    # Of c this run knows nothing.
    assert say("nfs_server", others={"b": client}, __nfs_server_names=names) == []


@pytest.mark.parametrize(
    ("facts", "leads_to", "sentences"),
    [
        ({}, "203.0.113.7", []),
        ({"egi_notebooks_node": MACHINE}, "192.0.2.11", []),
        ({"egi_notebooks_node": MACHINE}, "127.0.1.1", []),
        (
            {"egi_notebooks_node": MACHINE},
            "203.0.113.7",
            ['nfs_volumes_server is "d", which leads to 203.0.113.7 and to no address of d itself; allowed is one by'],
        ),
    ],
)
def test_users_mount_from_an_address_of_the_nfs_server_s_own(render_role, facts, leads_to, sentences):
    site = {"groups": GROUPS, "hostvars": {"d": {"ansible_facts": facts}}}
    answer = {"rc": 0, "stdout_lines": [f"{leads_to}     STREAM d", f"{leads_to}     DGRAM"]}
    problems = render_role("nfs_volumes", "__nfs_volumes_bad_inputs", **site, __nfs_volumes_lookup=answer)
    assert len(problems) == len(sentences)
    assert all(map(str.startswith, problems, sentences))


def test_users_mount_from_the_address_that_the_inventory_names(render_role):
    site = {"groups": GROUPS, "hostvars": {"d": {"kube_node_address": "192.0.2.11"}}}
    assert render_role("nfs_volumes", "nfs_volumes_server", **site) == "192.0.2.11"
    assert render_role("nfs_volumes", "nfs_volumes_server", **(site | {"hostvars": {"d": {}}})) == "d"
    assert render_role("nfs_volumes", "nfs_volumes_server", groups={}, hostvars={}) == ""


@pytest.mark.parametrize(("role", "variable"), [("jupyterhub", "jupyterhub_db_node")])
def test_a_volume_s_node_goes_by_its_host_name(render_role, role, variable):
    def say(name, *known, **site):
        machines = {
            host: {"ansible_facts": {"egi_notebooks_node": {"nodename": f"{host}.site"}}} if host in known else {}
            for host in GROUPS["all"]
        }
        site = {"groups": GROUPS, "hostvars": machines} | site
        told = render_role(role, f"__{role}_checks", **{variable: name}, **site, **SITE)
        return [check["problem"] for check in told if check["problem"].startswith(variable) and not check["ok"]]

    (problem,) = say("c", "a", "b", "c")
    assert problem == f'{variable} is "c"; allowed is the host name of a node (a.site, b.site, c.site), or nothing'
    assert say("c.site", "a", "b", "c") == say("", "a", "b", "c") == []
    # Of a this run knows nothing, as with --limit; the role asks the cluster.
    assert say("c", "b", "c") == say("c", groups={}) == []


def test_the_homes_volume_stays_as_it_is(render_role):
    spec = {"nfs": {"server": "d", "path": "/srv/homes"}, "claimRef": {"namespace": "jupyterhub", "name": "homes"}}
    volume = {"kind": "PersistentVolume", "spec": spec, "status": {"phase": "Bound"}}
    claim = {"kind": "PersistentVolumeClaim", "spec": {"resources": {"requests": {"storage": "1Ti"}}}}

    def problems(*items, **variables):
        told = {"stdout": json.dumps({"items": items})}
        site = {"nfs_volumes_server": "d", "__nfs_volumes_cluster": told} | variables
        return render_role("nfs_volumes", "__nfs_volumes_moves", **site)

    assert problems() == problems(volume, claim) == problems(volume, claim, nfs_volumes_size="1024Gi") == []
    (problem,) = problems(volume, claim, nfs_volumes_server="e")
    assert problem.startswith(
        'nfs_volumes_server is "e" and nfs_volumes_path is "/srv/homes"; allowed are "d" and "/srv/homes" of the volume'
    )
    assert len(problems(volume, egi_notebooks_homes_path="/homes")) == 1
    (problem,) = problems(volume, claim, nfs_volumes_size="2Ti")
    assert problem.startswith('nfs_volumes_size is "2Ti"; allowed is "1Ti" of the claim homes, which Kubernetes never')
    # A claim that is made anew may have another size.
    assert problems(volume, nfs_volumes_size="2Ti") == []
    (problem,) = problems(volume, nfs_volumes_namespace="second")
    assert problem.startswith('nfs_volumes_namespace is "second"; allowed is "jupyterhub", whose claim has the volume')
    # Nobody has it any more.
    assert problems(volume | {"status": {"phase": "Released"}}, nfs_volumes_namespace="second") == []


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            {"unreachable": True, "msg": "Connection refused"},
            "machine does not answer: Connection refused; allowed is one that Ansible can log in to and be root on",
        ),
        (
            {"failed": False, "msg": 'Failed to find required executable "ip"'},
            'machine could not be asked: Failed to find required executable "ip"; allowed is one on which Ansible can',
        ),
        ({"ansible_facts": {}}, None),
        ({"skipped": True}, None),
    ],
)
def test_a_machine_that_answers_is_not_called_silent(root, evaluate, answer, sentence):
    path = root / "playbooks/vars/preflight.yml"
    variables = DataLoader().load_from_file(str(path), trusted_as_template=True)
    told = evaluate("egi_notebooks_silence", variables | {"egi_notebooks_machine": answer})
    assert [problem[: len(sentence)] for problem in told] == ([sentence] if sentence else [])


# --- The playbook, on hosts that are this machine ---
SITE = {
    "egi_notebooks_domain": "notebooks.invalid",
    "egi_notebooks_vos": ["vo.a"],
    "egi_notebooks_mirror": "http://127.0.0.1:9",
    "jupyterhub_oauth": {"client_id": "x", "issuer": "https://127.0.0.1:9/auth/realms/egi"},
    "jupyterhub_oauth_client_secret": "correct-horse-battery-staple",
}
# Named, since a machine need not have a way out, by which the default is chosen.
LINKS = json.loads(subprocess.check_output(["ip", "-json", "-4", "address", "show", "up"]))
OWN = next(link["addr_info"][0]["local"] for link in LINKS if "LOOPBACK" not in link["flags"])
# Made of a variable that other hosts don't have.
ENDPOINT = "{{ kube_master_address }}:6443"
MACHINES = {
    "masters": {
        "hosts": {
            "m": {
                "kube_node_address": OWN,
                "kube_master_endpoint": ENDPOINT,
                "kube_master_pod_mtu": 9999,
                "jupyterhub_db_path": "hub",
            }
        }
    },
    "edges": {
        "hosts": {
            "e": {
                "kube_node_address": "203.0.113.5",
                "kube_node_containerd_version": "2",
                "kube_node_extra_images": ["quay.io/team/more:1"],
            }
        }
    },
    "workers": {
        "hosts": {
            "w": {"kube_node_address": "203.0.113.5"},
            "odd": {"kube_node_minimum_memory": "much"},
            "gone": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9},
        }
    },
    "nfs_servers": {"hosts": {"n": {"nfs_server_path": "homes"}, "n2": {}}},
    "cooks": {
        "hosts": {
            "stranger": {},
            "bastion": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9},
        }
    },
}


class Empty(BaseHTTPRequestHandler):
    """A mirror that has nothing."""

    def do_HEAD(self):
        self.send_error(404)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def empty_mirror():
    """The address of a mirror that has nothing."""
    with HTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def refused(ansible_playbook, tmp_path, empty_mirror):
    """Return a function that runs a playbook and gives the lines with which its checks end it."""
    groups = copy.deepcopy(MACHINES)
    for group, host in (("masters", "m"), ("edges", "e")):
        groups[group]["hosts"][host]["kube_node_mirror"] = empty_mirror

    def run(playbook, *arguments):
        played = ansible_playbook(tmp_path, playbook, *arguments, groups=groups, site=SITE)
        ends = [message for task, message in played.failures if task == "Tell all that is wrong"]
        assert played.status != 0
        assert not any(counts["changed"] for counts in played.report["stats"].values())
        assert len(ends) == 1, played.output
        return ends[0].splitlines()

    return run


def test_one_run_tells_all_about_all_hosts(refused):
    lines = refused("preflight")
    text = "\n".join(lines)
    assert len(lines) == len(set(lines))
    for line in (
        "^inventory has bastion, stranger in no known group; allowed are masters, edges, workers, nfs_servers$",
        "^e, w: kube_node_address is '203.0.113.5'; allowed is an address that the machine itself has",
        "^m: kube_master_pod_mtu is 9999; allowed is at most [0-9]+, the narrowest link",
        r'^m: egi_notebooks_domain is "notebooks.invalid", which the control machine can\'t resolve',
        "^odd: kube_node stopped its checks: .*kube_node_minimum_memory",
        # Said by ssh, or by Ansible to an ssh that has ended already.
        "^gone: machine does not answer: .*(port 9|could not be sent to remote host)",
        '^n: nfs_server_path is "homes"; allowed is an absolute path',
        "^nfs_servers has n, n2; allowed is one machine, or nfs_volumes_server says whose export users get",
        "^m, w: http://127.0.0.1:9 does not answer",
        # What does not depend on a wrong input is asked for in the same run.
        '^m: jupyterhub_db_path is "hub"; allowed is an absolute path',
        "^m: quay.io/jupyterhub/k8s-singleuser-sample:4.4.0 is missing: .* answers 404",
        "^m: registry.k8s.io/kube-apiserver:v.* is missing: .* answers 404",
        "^e: kube_node_containerd_version is '2'; allowed is",
        "^e: quay.io/team/more:1 is missing: .* answers 404",
        "^m: issuer https://127.0.0.1:9/auth/realms/egi is of no use to this host: .*; open the way to it",
    ):
        assert re.search(line, text, re.MULTILINE), f"{line}\n{text}"
    assert text.count("notebooks.invalid") == 1


def test_the_service_alone_is_checked_before_its_first_part(refused):
    lines = refused("service")
    text = "\n".join(lines)
    for line in (
        '^n: nfs_server_path is "homes"',
        r'^m: egi_notebooks_domain is "notebooks.invalid"',
        "^m: issuer https://127.0.0.1:9/auth/realms/egi is of no use",
    ):
        assert re.search(line, text, re.MULTILINE), f"{line}\n{text}"
    assert not re.search("kube_node|kube_master|^(e|w|odd|gone): ", text, re.MULTILINE), text


@pytest.mark.parametrize(
    ("playbook", "host", "told"),
    [
        ("preflight", "bastion", "machine does not answer: "),
        ("service", "stranger", "http://127.0.0.1:9 does not answer"),
    ],
)
def test_the_host_that_speaks_with_the_cluster_is_asked_whatever_its_group(refused, playbook, host, told):
    text = "\n".join(refused(playbook, "--extra-vars", f"egi_notebooks_kube_host={host}"))
    assert re.search(f"^(.*, )?{host}(, .*)?: {told}", text, re.MULTILINE), text
    # What only a node has to be.
    assert not re.search(f"^(.*, )?{host}(, .*)?: (kube_|memory|architecture|port )", text, re.MULTILINE), text


@pytest.mark.parametrize("playbook", ["preflight", "site"])
def test_an_inventory_without_hosts_is_no_success(ansible_playbook, tmp_path, playbook):
    played = ansible_playbook(tmp_path, playbook, groups={})
    assert played.status != 0
    ((_task, message),) = played.failures
    assert re.match("inventory \\(.*hosts.json\\) has no host; allowed is one with the groups masters, edges", message)


def test_a_run_for_one_host_needs_no_facts_of_others_and_no_wrong_mirror_is_asked(refused):
    wrong = {"kube_node_mirror": "http://me:word@127.0.0.1:9", "kube_node_extra_images": ["quay.io/team/more:1"]}
    lines = refused("cluster", "--limit", "w", "--extra-vars", json.dumps(wrong))
    assert all(line.startswith("w: ") for line in lines), lines
    assert "w: kube_node_mirror is 'http://***@127.0.0.1:9'; allowed is" in "\n".join(lines)
    assert not [line for line in lines if "word" in line or "does not answer" in line], lines
    assert not [line for line in lines if "stopped its checks" in line]


@pytest.mark.parametrize(
    ("variables", "is_asked", "known"),
    [
        ({"jupyterhub_db_path": "hub", "jupyterhub_user_image": "image"}, True, ["files", "vo"]),
        ({"egi_notebooks_domain": ""}, False, ["files", "user", "vo"]),
        ({"egi_notebooks_ca_file": "ca.crt"}, False, ["files", "user", "vo"]),
        ({"egi_notebooks_mirror": "mirror"}, True, ["user", "vo"]),
        ({"egi_notebooks_vos": ["urn:vo"]}, False, ["files", "user"]),
        ({"egi_notebooks_vos": []}, False, ["files", "user"]),
    ],
)
def test_what_does_not_depend_on_a_wrong_input_is_asked_for(render_role, variables, is_asked, known):
    site = SITE | {
        "egi_notebooks_mirror": "https://m",
        "egi_notebooks_vos": [{"name": "v", "images": {"R": "quay.io/r:2"}}],
    }
    site |= variables
    assert render_role("jupyterhub", "__jupyterhub_bad_inputs", **site)
    assert render_role("jupyterhub", "__jupyterhub_login_is_told", **site) is is_asked
    told = "__jupyterhub_files + __jupyterhub_images | select('match', __jupyterhub_image_name)"
    downloads = "\n".join(render_role("jupyterhub", told, **site))
    marks = {"files": "https://m/", "user": "k8s-singleuser-sample:", "vo": "quay.io/r:2"}
    assert [name for name, mark in marks.items() if mark in downloads] == known
    assert "k8s-hub:" in downloads


def test_the_playbooks_know_every_role_that_notes_problems(root):
    noting = DataLoader().load_from_file(str(root / "playbooks/vars/preflight.yml"))["egi_notebooks_noting"]
    roles = {path.parents[1].name for path in (root / "roles").glob("*/tasks/problems.yml")}
    assert set(noting) == roles
    for role in roles:
        assert f"__{role}_problems:" in (root / f"roles/{role}/tasks/problems.yml").read_text()
