# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts and settings the role kube_master rejects, and what it makes of a host's control plane."""

from __future__ import annotations

import json

import pytest
import yaml

from ansible_collections.egi.notebooks.plugins.plugin_utils import kube_master

GROUPS = {"masters": ["a"], "edges": ["b"], "workers": ["c"], "nfs_servers": ["d"], "all": ["a", "b", "c", "d"]}
MEMBER = {
    "state": "control_plane",
    "joined": True,
    "has_api_server": True,
    "api": "https://192.0.2.11:6443",
    "pod_cidr": "10.244.0.0/16",
    "mtu": 1500,
    "labels": {},
    "ready": True,
}


def port(number, process):
    return {"protocol": "tcp", "port": number, "process": process}


@pytest.fixture
def found(problems):
    """Return a function that gives the problems of the role."""
    return lambda facts=None, **variables: problems("kube_master", facts, **variables)


@pytest.fixture
def check(check_of):
    """Return a function that gives the role's settings."""
    return lambda **variables: check_of("kube_master", **variables)


@pytest.fixture
def nodes(host_facts):
    """Return a function that gives the facts of hosts by the MTU of their links."""

    def facts(**links):
        found = {}
        for name, mtu in links.items():
            link = host_facts()["addresses"][0] | {"mtu": mtu, "mac": name}
            found[name] = host_facts(nodename=name, machine_id=name, addresses=[link], default_ipv4=link)
        return found

    return facts


def test_a_good_host_passes(found):
    assert found() == []


def test_the_programs_of_a_finished_host_are_no_problem(role_problems, finished_host):
    assert role_problems("kube_master", finished_host, groups=GROUPS) == []


@pytest.mark.parametrize(
    ("facts", "variables", "sentence"),
    [
        ({}, {"groups": GROUPS | {"masters": ["a", "b"]}}, 'masters must be a group of one host; got ["a", "b"].'),
        ({}, {"groups": GROUPS | {"masters": []}}, "masters must be a group of one host; got []."),
        ({}, {"kube_master_version": "1.36"}, "kube_master_version must be a full version from 1.34 on, such as"),
        ({}, {"egi_notebooks_kubernetes_version": "2"}, "egi_notebooks_kubernetes_version must be a full version"),
        ({}, {"kube_master_endpoint": "kube"}, "kube_master_endpoint must be a host and a port, such as kube.example"),
        ({}, {"egi_notebooks_kube_endpoint": "K:1"}, "egi_notebooks_kube_endpoint must be a host and a port, such as"),
        ({}, {"kube_master_renew_days": 365}, "kube_master_renew_days must be from 0 to 364, as new certificates are"),
        ({}, {"kube_master_renew_days": -1}, "kube_master_renew_days must be from 0 to 364"),
        ({}, {"kube_master_pod_mtu": 500}, "kube_master_pod_mtu must be 0, or at least 576; got 500."),
        (
            {},
            {"egi_notebooks_pod_cidr": "10.96.0.0/16"},
            "egi_notebooks_pod_cidr (10.96.0.0/16) and egi_notebooks_service_cidr (10.96.0.0/12) must not overlap.",
        ),
        (
            {},
            {"egi_notebooks_pod_cidr": "10.244.0.0"},
            "egi_notebooks_pod_cidr must be an IPv4 network such as 10.244.0.0/16 (its size must be a number of bits",
        ),
        ({}, {"egi_notebooks_pod_cidr": "10.244.0.1/16"}, "egi_notebooks_pod_cidr must be an IPv4 network such as"),
        (
            {},
            {"egi_notebooks_pod_cidr": "10.244.0.0/23"},
            "egi_notebooks_pod_cidr must be a network from /8 to /22 (each node takes a /24 of it, and there are 3)",
        ),
        (
            {},
            {"kube_master_pod_cidr": "10.244.0.0/25", "groups": {"masters": ["a"]}},
            "kube_master_pod_cidr must be a network from /8 to /24 (each node takes a /24 of it, and there are 1)",
        ),
        (
            {},
            {"egi_notebooks_pod_cidr": "10.244.0.0/24", "groups": {"masters": ["a"], "edges": ["b"]}},
            "egi_notebooks_pod_cidr must be a network from /8 to /23 (each node takes a /24 of it, and there are 2)",
        ),
        (
            {},
            {"egi_notebooks_service_cidr": "172.0.0.0/8"},
            "egi_notebooks_service_cidr must be a network from /12 to /28 (the API takes no other)",
        ),
        ({}, {"egi_notebooks_service_cidr": "10.9.0.0/29"}, "egi_notebooks_service_cidr must be a network from /12"),
        (
            {"cluster_networks": {"pods": "10.245.0.0/16", "services": "10.96.0.0/12"}},
            {},
            "egi_notebooks_pod_cidr must be 10.245.0.0/16, the network that this cluster was made with; got",
        ),
        (
            {"cluster_networks": {"pods": "10.244.0.0/16", "services": "10.96.0.0/12"}},
            {"egi_notebooks_service_cidr": "10.32.0.0/16"},
            "egi_notebooks_service_cidr must be 10.96.0.0/12, the network that this cluster was made with; got",
        ),
        ({"processors": 1}, {}, "processors are 1; must be at least 2 on a master. For a test bed add NumCPU to"),
        (
            {"memory_mb": 1000},
            {},
            "memory is 1000 MB; must be at least 1700 MB on a master (kube_master_minimum_memory). For a test bed add",
        ),
        (
            {"listeners": [port(6443, "haproxy"), port(2379, "etcd"), port(10259, "")]},
            {},
            "port 6443 by haproxy, 10259 by the kernel is in use. These ports are for the control plane.",
        ),
        (
            {"listeners": [port(7443, "x"), port(6443, "y")]},
            {"kube_master_endpoint": "k:7443"},
            "port 7443 by x is in use.",
        ),
    ],
)
def test_a_bad_master_is_rejected_with_one_sentence(found, facts, variables, sentence):
    (problem,) = found(facts, **variables)
    assert problem.startswith(sentence)


def test_a_test_bed_may_be_small(found):
    ignored = ["NumCPU", "Mem"]
    assert found({"processors": 1, "memory_mb": 1000}, egi_notebooks_ignore_preflight_errors=ignored) == []
    assert found({"processors": 1, "memory_mb": 1000}, kube_master_ignore_preflight_errors=["all"]) == []


def test_the_endpoint_of_an_unreachable_host_is_not_known(role_problems):
    assert role_problems("kube_master", groups=GROUPS) == []
    (problem,) = role_problems("kube_master", groups=GROUPS, kube_master_endpoint="kube")
    assert problem.startswith("kube_master_endpoint must be a host and a port")


@pytest.mark.parametrize(
    ("pods", "groups"),
    [
        ("10.244.0.0/24", {}),
        ("10.244.0.0/22", GROUPS),
        ("10.244.0.0/22", GROUPS | {"workers": ["c", "e"]}),
    ],
)
def test_networks_that_are_just_large_enough_pass(found, pods, groups):
    assert found(groups=groups, egi_notebooks_pod_cidr=pods, egi_notebooks_service_cidr="10.96.0.0/28") == []


def test_pods_need_a_link_that_is_wide_enough(found, nodes):
    others = nodes(b=1400)
    (problem,) = found(kube_master_pod_mtu=1450, others=others)
    assert problem == (
        "kube_master_pod_mtu must be at most 1350, the narrowest link between the nodes less the 50 bytes of VXLAN; "
        "got 1450. 0 takes just that."
    )
    assert found(kube_master_pod_mtu=1350, others=others) == []


def test_a_pod_mtu_is_not_compared_with_links_that_are_not_known(role_problems):
    assert role_problems("kube_master", groups=GROUPS, kube_master_pod_mtu=8950) == []


@pytest.mark.parametrize(
    ("links", "configured", "variables", "mtu"),
    [
        ({"b": 1400, "c": 9000}, 0, {}, 1400),
        ({"b": 9000, "c": 9000}, 1400, {}, 1500),
        # Of c this run knows nothing: what is configured may be lowered, never raised.
        ({"b": 1450}, 1400, {}, 1400),
        ({"b": 1300}, 1400, {}, 1300),
        ({"b": 1400}, 0, {}, 1400),
        ({"b": 1400}, 1500, {"kube_master_pod_mtu": 1300}, 1350),
    ],
)
def test_the_narrowest_link_counts(check, nodes, links, configured, variables, mtu):
    assert kube_master.link_mtu(check(others=nodes(**links), **variables), configured) == mtu


def test_nothing_is_known_of_any_link(read_check):
    check = read_check("kube_master", groups=GROUPS)
    assert (kube_master.link_mtu(check), kube_master.link_mtu(check, 1400)) == (0, 1400)


def test_the_link_is_the_one_of_the_node_s_address(read_check, host_facts):
    eth0, eth1 = host_facts()["addresses"]
    facts = {"egi_notebooks_node": host_facts(addresses=[eth0, eth1 | {"mtu": 1300}])}
    hostvars = {"a": {"ansible_facts": facts, "egi_notebooks_node_address": "10.0.0.11"}}
    site = {"groups": {"masters": ["a"]}, "hostvars": hostvars, "ansible_facts": facts}
    assert kube_master.link_mtu(read_check("kube_master", **site)) == 1300


@pytest.mark.parametrize(
    ("state", "changes", "sentence"),
    [
        (
            "foreign",
            {},
            "a has a control plane that this role did not make. Its cluster is left as it is, but kube_node,",
        ),
        ("credentials", {"joined": False}, "a has a control plane that this role did not make."),
        (
            "worker",
            {},
            "a is a node of the cluster at https://192.0.2.11:6443. It stays one, but kube_node, if it ran,",
        ),
        (
            "unreachable",
            {"pod_cidr": ""},
            "a has a control plane whose API does not answer within 600 s. It is left as",
        ),
        (
            "control_plane",
            {"pod_cidr": "10.245.0.0/16"},
            "egi_notebooks_pod_cidr must be 10.245.0.0/16, the network that this cluster was made with; got",
        ),
    ],
)
def test_what_must_not_be_changed_is_rejected(check, state, changes, sentence):
    (problem,) = kube_master.plan(check(), MEMBER | {"state": state} | changes)["problems"]
    assert problem.startswith(sentence)


@pytest.mark.parametrize(
    ("state", "is_made"),
    [
        ("absent", True),
        ("remains", True),
        ("begun", True),
        ("interrupted", True),
        ("control_plane", False),
        ("expiring", False),
        ("unreachable", False),
    ],
)
def test_a_control_plane_that_exists_is_never_initialised_again(check, state, is_made):
    assert kube_master.plan(check(), MEMBER | {"state": state})["init"] is is_made


def test_kubeadm_takes_over_what_an_interrupted_run_left(check):
    settings = check(kube_master_endpoint="k:7443", kube_master_ignore_preflight_errors=["Mem"])
    assert kube_master.ignored_errors(settings, "begun") == ["Mem"]
    ignored = kube_master.ignored_errors(settings, "interrupted")
    assert ignored[0] == "Mem"
    assert {
        "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
        "DirAvailable--var-lib-etcd",
        *(f"Port-{port}" for port in (2379, 2380, 7443, 10250, 10257, 10259)),
    } <= set(ignored)


@pytest.mark.parametrize(
    ("groups", "variables", "labels", "removed"),
    [
        ({"masters": ["a"]}, {}, {"egi.eu/edge": "true", "egi.eu/worker": "true"}, ["egi.eu/edge-", "egi.eu/worker-"]),
        ({"masters": ["a"]}, {}, {"egi.eu/worker": "true", "zone": "x"}, ["egi.eu/worker-"]),
        ({"masters": ["a"]}, {}, {"zone": "x"}, []),
        ({"masters": ["a"], "workers": ["a"]}, {}, {"egi.eu/worker": "true"}, []),
        ({"masters": ["a"]}, {"egi_notebooks_schedulable_masters": True}, {"egi.eu/worker": "true"}, []),
    ],
)
def test_a_master_that_is_no_worker_any_more_is_kept_to_itself(check, groups, variables, labels, removed):
    settings = check(groups=groups, **variables)
    assert kube_master.plan(settings, MEMBER | {"labels": labels})["removed_labels"] == removed


def test_images_of_the_control_plane(check):
    images = kube_master.downloads(check())
    assert "registry.k8s.io/kube-apiserver:v1.36.3" in images
    assert len(images) == 8
    # Of another version the versions of etcd and CoreDNS are not known.
    assert len(kube_master.downloads(check(kube_master_version="1.35.1"))) == 6
    assert kube_master.downloads(check(kube_master_version="1")) == []


def test_the_nodes_of_the_inventory_are_known_if_all_hosts_are_reached(check):
    assert kube_master.known_nodes(check(groups={"masters": ["a"]})) == ["a.example.org"]
    # Of b and c this run knows nothing.
    assert kube_master.known_nodes(check()) == []


@pytest.fixture
def template(render_role, host_facts):
    """Return a function that gives the documents of a template of the role."""

    def read(name, **variables):
        site = {"groups": GROUPS, "inventory_hostname": "a", "ansible_facts": {"egi_notebooks_node": host_facts()}}
        plan = {"__kube_master_plan": {"link_mtu": 1400}}
        lookup = f"lookup('ansible.builtin.template', role_path ~ '/templates/{name}.j2')"
        return list(yaml.safe_load_all(render_role("kube_master", lookup, **(site | plan | variables))))

    return read


def test_what_kubeadm_is_to_make(template):
    init, cluster, proxy, kubelet = template(
        "kubeadm.yml",
        kube_master_endpoint="kube.example.org:7443",
        kube_master_extra_sans=["x"],
        kube_master_kubelet_config={"maxPods": 50},
        kube_master_kube_proxy_config={"conntrack": {"maxPerCore": 0}},
    )
    assert init["localAPIEndpoint"] == {"advertiseAddress": "192.0.2.11", "bindPort": 7443}
    assert "taints" not in init["nodeRegistration"]
    assert init["nodeRegistration"]["name"] == "a.example.org"
    assert cluster["controlPlaneEndpoint"] == "kube.example.org:7443"
    assert cluster["apiServer"]["certSANs"] == ["192.0.2.11", "kube.example.org", "a.example.org", "x"]
    assert (kubelet["cgroupDriver"], kubelet["maxPods"]) == ("systemd", 50)
    assert (proxy["mode"], proxy["conntrack"]) == ("nftables", {"maxPerCore": 0})
    (init, *_) = template("kubeadm.yml", kube_master_schedulable=True)
    assert init["nodeRegistration"]["taints"] == []


@pytest.mark.parametrize("mtu", [0, 1400])
def test_the_pod_network_counts_on_the_narrowest_link(template, mtu):
    objects = {item["kind"]: item for item in template("flannel.yml", __kube_master_plan={"link_mtu": mtu})}
    network = json.loads(objects["ConfigMap"]["data"]["net-conf.json"])
    assert network["Network"] == "10.244.0.0/16"
    assert network["Backend"] == {"Type": "vxlan"} | ({"MTU": mtu} if mtu else {})


@pytest.mark.parametrize("name", ["flannel.yml", "network-policies.yml"])
def test_all_objects_are_labelled_as_the_collection_s(template, name):
    for item in template(name):
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "egi.notebooks"
        assert labels["app.kubernetes.io/part-of"] == "egi-notebooks"
