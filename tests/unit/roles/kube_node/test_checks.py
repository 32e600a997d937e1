# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts and settings the role kube_node rejects, and what it downloads."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import kube_node, rules

GROUPS = {"masters": ["a"], "edges": ["b"], "workers": ["c"], "nfs_servers": ["d"], "all": ["a", "b", "c", "d"]}
ETH0 = {
    "address": "192.0.2.11",
    "prefix": 24,
    "network": "192.0.2.0/24",
    "interface": "eth0",
    "mac": "02:00:00:00:00:0b",
    "mtu": 1500,
}
OTHER_CLUSTER = {"is_node": True, "cluster": {"api": "https://198.51.100.1:6443", "ca": "2"}}


def port(number, process, protocol="tcp"):
    return {"protocol": protocol, "port": number, "process": process}


@pytest.fixture
def found(problems):
    """Return a function that gives the problems of the role."""
    return lambda facts=None, **variables: problems("kube_node", facts, **variables)


@pytest.fixture
def master(host_facts):
    """The facts of a host b with the credentials of a cluster."""
    return host_facts(
        nodename="b",
        machine_id="2",
        addresses=[ETH0 | {"address": "192.0.2.12", "mac": "x"}],
        cluster={"admin_api": "https://203.0.113.5:6443", "ca": "1"},
    )


def test_a_good_host_passes(found):
    assert found() == []


def test_the_programs_of_a_finished_host_are_no_problem(role_problems, finished_host):
    assert role_problems("kube_node", finished_host, groups=GROUPS) == []


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"architecture": "aarch64"}, "architecture is aarch64; must be x86_64."),
        ({"distribution_version": "12"}, "operating system is debian 12; must be Debian 13 or Ubuntu 24.04, or newer."),
        ({"distribution_version": ""}, "operating system is debian ; must be"),
        ({"distribution": "rocky"}, "operating system is rocky 13; must be"),
        ({"service_manager": "sysvinit"}, "service manager is sysvinit; must be systemd."),
        ({"nodename": "Node1"}, "host name is 'Node1'; must be lowercase letters"),
        ({"nodename": "localhost.localdomain"}, "host name is 'localhost.localdomain'; must be"),
        ({"nodename": "node1\n"}, "host name is 'node1\n'; must be"),
        (
            {"memory_mb": 800},
            "memory is 800 MB; must be at least 900 MB (kube_node_minimum_memory). For a test bed add",
        ),
        (
            {"disks": {"/a": {"free_mb": 9000}, "/b": {"free_mb": 4000}}},
            "free space of /a, /b is 4000 MB; must be at least 5000 MB (kube_node_minimum_disk).",
        ),
        ({"swap": {"units": ["dev-zram0.swap"]}}, "swap is turned on at each boot by dev-zram0.swap; must be off"),
        (
            {"swap": {"active": ["/root/swap"], "unknown": ["/root/swap"]}},
            "swap is on (/root/swap), by neither /etc/fstab nor a systemd unit; must be off",
        ),
        (
            {"is_node": True, "kubelet_version": "1.35.4"},
            "egi_notebooks_kubernetes_version must be of the same minor version as the running kubelet, 1.35.4; got",
        ),
        (
            {"default_ipv4": {}},
            "egi_notebooks_node_address must be one of the host's own addresses (192.0.2.11, 10.0.0.11); got",
        ),
        (
            {"addresses": [], "default_ipv4": {}},
            "egi_notebooks_node_address must be one of the host's own addresses (it has none)",
        ),
        (
            {"listeners": [port(10250, "k3s-server"), port(9100, "prometheus-node"), port(10256, "")]},
            "port 10250 by k3s-server, 9100 by prometheus-node, 10256 by the kernel is in use. These ports are for",
        ),
        ({"listeners": [port(9100, "node_exporter"), port(10250, "kubelet")]}, "port 9100 by node_exporter is in use."),
        ({"listeners": [port(8472, "openvpn", "udp"), port(8472, "x")]}, "port 8472 (UDP) by openvpn is in use."),
        # Whoever made it a node.
        (
            {"container_engines": ["/usr/bin/containerd"], "is_node": True},
            "host has a container engine (/usr/bin/containerd); must have none.",
        ),
        (
            {"container_engines": ["/usr/bin/containerd", "/usr/bin/dockerd"]},
            "host has a container engine (/usr/bin/containerd, /usr/bin/dockerd); must have none.",
        ),
        (
            {"clock": {"skew": -7.5, "synchronised": False}},
            "clock is at least 7.5 s behind the control node's; must be at most 5 s "
            "(egi_notebooks_maximum_clock_skew). The host's time is not synchronised.",
        ),
        (
            {"addresses": [ETH0, ETH0 | {"network": "10.96.3.0/24", "interface": "eth1"}]},
            "egi_notebooks_service_cidr must be a network that no host is in (eth1 is in 10.96.3.0/24); got",
        ),
    ],
)
def test_a_bad_host_is_rejected_with_one_sentence(found, facts, sentence):
    (problem,) = found(facts)
    assert problem.startswith(sentence)


def test_swap_that_the_role_turns_off_itself_is_no_problem(found):
    assert found({"swap": {"active": ["/swap.img"], "fstab": ["/swap.img"]}}) == []


def test_what_the_role_has_installed_takes_its_share_of_the_disk(found):
    disks = {"/var/lib/containerd": {"total_mb": 6000, "free_mb": 4000}}
    assert len(found({"disks": disks, "artifacts": ["helm"]})) == 1
    assert found({"disks": disks, "artifacts": ["runc"]}) == []
    assert found({"disks": disks, "is_node": True}) == []


@pytest.mark.parametrize("name", ["Mem", "all"])
def test_a_test_bed_may_have_less_memory(found, name):
    assert found({"memory_mb": 800}, egi_notebooks_ignore_preflight_errors=[name]) == []


def test_a_node_of_this_collection_may_have_another_engine(found):
    facts = {"is_node": True, "artifacts": ["containerd"], "container_engines": ["/usr/bin/dockerd"]}
    assert found(facts) == []


def test_a_node_exporter_of_the_site_may_have_its_port(found):
    facts = {"listeners": [port(9100, "prometheus-node")]}
    assert found(facts, egi_notebooks_node_exporter_port=9110) == []
    assert len(found({"listeners": [port(9110, "x")]}, egi_notebooks_node_exporter_port=9110)) == 1


@pytest.mark.parametrize(
    ("groups", "has_credentials", "kube_host", "of"),
    [
        ({"masters": ["b"]}, True, "", "b"),
        ({"masters": ["b"]}, False, "", "b"),
        ({}, True, "b", "b"),
        ({"masters": []}, True, "b", "b"),
        # Nothing is known: a run limited to this host, a host outside of the inventory or with credentials alone.
        ({"masters": ["c"]}, True, "", None),
        ({"masters": []}, True, "", None),
        ({}, True, "", None),
        ({"masters": []}, True, "elsewhere", None),
        ({"masters": ["c"]}, True, "c", None),
        ({}, False, "b", None),
        # The site itself names this host as the one that leads to its cluster.
        ({}, True, "a", None),
    ],
)
def test_a_node_of_another_cluster_is_rejected_where_the_cluster_is_known(
    found, host_facts, master, groups, has_credentials, kube_host, of
):
    others = {"b": master if has_credentials else master | {"cluster": host_facts()["cluster"]}}
    hostvars = {"c": {}, "a": {"ansible_facts": {"egi_notebooks_node": host_facts(**OTHER_CLUSTER)}}}
    hostvars |= {name: {"ansible_facts": {"egi_notebooks_node": facts}} for name, facts in others.items()}
    site = {"groups": {"all": ["a", "b", "c"]} | groups, "egi_notebooks_kube_host": kube_host, "hostvars": hostvars}
    sentence = "host is a node of the cluster at https://198.51.100.1:6443; must be a host of no cluster, or of the "
    assert [problem.split(". ")[0] for problem in found(OTHER_CLUSTER, **site)] == (
        [f"{sentence}cluster of {of}"] if of else []
    )


@pytest.mark.parametrize(
    ("endpoints", "rejected"),
    [
        ({"b": "198.51.100.1:6443"}, 0),
        ({"a": "198.51.100.1:6443"}, 0),
        ({"a": "198.51.100.1:6443", "b": "198.51.100.1:6443"}, 0),
        ({"b": "198.51.100.2:6443"}, 1),
        ({}, 1),
    ],
)
def test_the_endpoint_tells_the_cluster_too_whoever_has_the_variable(found, host_facts, master, endpoints, rejected):
    facts = {"a": host_facts(**OTHER_CLUSTER), "b": master | {"cluster": host_facts()["cluster"]}, "c": None}
    hostvars = {
        name: {"ansible_facts": {"egi_notebooks_node": node}, "egi_notebooks_kube_endpoint": endpoints.get(name, "")}
        for name, node in facts.items()
    }
    groups = GROUPS | {"masters": ["b"]}
    assert len(found(OTHER_CLUSTER, groups=groups, hostvars=hostvars)) == rejected


@pytest.mark.parametrize("how", ["api", "ca"])
def test_a_node_of_this_cluster_passes(found, host_facts, master, how):
    cluster = {"api": "https://203.0.113.5:6443", "ca": "2"} if how == "api" else {"api": "https://x:6443", "ca": "1"}
    groups = GROUPS | {"masters": ["b"]}
    assert found({"is_node": True, "cluster": cluster}, others={"b": master}, groups=groups) == []


@pytest.mark.parametrize("role", ["kube_node", "kube_master"])
def test_a_master_that_others_made_is_rejected(problems, role):
    facts = {"is_node": True, "cluster": {"control_plane": ["/var/lib/etcd/member"], "api": "https://x:6443"}}
    (problem,) = problems(role, facts)
    sentence = "host has /var/lib/etcd/member of a control plane that this collection did not make; must be"
    assert problem.startswith(sentence)


def test_a_node_of_another_cluster_is_no_master(found):
    (problem,) = found(OTHER_CLUSTER)
    assert problem.startswith(
        "host is a node of the cluster at https://198.51.100.1:6443; must be a host of no cluster"
    )


def test_a_floating_address_is_rejected_with_those_that_the_host_has(problems, found):
    sentence = (
        "egi_notebooks_node_address must be one of the host's own addresses (192.0.2.11, 10.0.0.11); got "
        '"203.0.113.5". A floating address is none of them.'
    )
    # Both roles report the same, so the run's report has it once.
    assert found(egi_notebooks_node_address="203.0.113.5") == [sentence]
    assert problems("kube_master", egi_notebooks_node_address="203.0.113.5") == [sentence]
    assert found(egi_notebooks_node_address="10.0.0.11") == []
    (problem,) = found(kube_node_address="203.0.113.5")
    assert problem.startswith("kube_node_address must be one of the host's own addresses")


def test_all_problems_are_reported_at_once(found, host_facts):
    inside = {"addresses": [ETH0 | {"network": "10.244.3.0/24"}]}
    subjects = [problem.split()[0] for problem in found(inside, others={"b": host_facts(addresses=[])})]
    assert subjects == ["egi_notebooks_pod_cidr", "host", "machine-id"]


def test_hosts_with_the_same_identity_are_named(found, host_facts):
    twin = host_facts(nodename="b", addresses=[ETH0 | {"mac": "x"}])
    (problem,) = found(others={"b": twin})
    assert problem.startswith("machine-id is 1 on a and b; must be unique.")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"kube_node_version": "v1.36"}, "kube_node_version must be a full version from 1.34 on, such as 1.36.3; got"),
        ({"egi_notebooks_kubernetes_version": "2"}, "egi_notebooks_kubernetes_version must be a full version"),
        ({"kube_node_containerd_version": "1.7.1"}, "kube_node_containerd_version must be a full version of the 2.x"),
        ({"egi_notebooks_mirror": "mirror"}, "egi_notebooks_mirror must be a URL without a login, such as"),
        ({"egi_notebooks_mirror": "https://u:p@m/x"}, "egi_notebooks_mirror must be a URL without a login"),
        ({"kube_node_https_proxy": "http://u:p@x"}, "kube_node_https_proxy must be a URL such as http://proxy.example"),
        ({"egi_notebooks_http_proxy": "http//u:p@x"}, "egi_notebooks_http_proxy must be a URL such as"),
        ({"egi_notebooks_pod_cidr": "10.0.0.0/8"}, "egi_notebooks_pod_cidr must be a network that no host is in"),
        ({"kube_node_pod_cidr": "10.244.0.0"}, "kube_node_pod_cidr must be an IPv4 network such as 10.244.0.0/16"),
        ({"kube_node_minimum_memory": "much"}, 'kube_node_minimum_memory must be of type int; got "much".'),
    ],
)
def test_bad_settings_of_a_node(found, variables, sentence):
    (problem,) = found(**variables)
    assert problem.startswith(sentence)
    assert "u:p" not in problem


@pytest.mark.parametrize(
    ("version", "is_good"),
    [("1.34.0", True), ("1.36.3", True), ("1.33.9", False), ("1.36", False), ("2.0.0", False), ("1.36.3\n", False)],
)
def test_versions_of_kubernetes(version, is_good):
    assert rules.is_kubernetes_version(version) is is_good


def test_a_login_in_a_proxy_s_url_is_not_supported(found):
    (problem,) = found(kube_node_https_proxy="http://u:p@x")
    assert problem.endswith('got "http://***@x". A login is not supported, as command lines would show it.')


def test_settings_of_an_unreachable_host_are_checked(role_problems):
    (problem,) = role_problems("kube_node", groups=GROUPS, kube_node_version="2")
    assert problem.startswith("kube_node_version must be")


def test_what_a_node_downloads(read_check):
    def wanted(**variables):
        return kube_node.downloads(read_check("kube_node", groups=GROUPS, **variables))

    found = wanted(egi_notebooks_mirror="https://m", kube_node_extra_images=["quay.io/r:1"])
    assert "https://m/dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet" in found
    assert {"registry.k8s.io/pause:3.10.2", "registry.k8s.io/kube-proxy:v1.36.3", "quay.io/r:1"} <= set(found)
    # What would be named by a wrong setting is not queried.
    assert wanted(egi_notebooks_mirror="m", kube_node_extra_images=["quay.io/r:1"]) == ["quay.io/r:1"]


def test_a_proxy_is_not_used_for_the_cluster_and_the_host_s_own_network(read_check, host_facts):
    def environment(**variables):
        return kube_node.proxy_environment(read_check("kube_node", host_facts(), **variables))

    assert environment(egi_notebooks_no_proxy=["site"]) == {}
    found = environment(egi_notebooks_http_proxy="http://p:3128", egi_notebooks_no_proxy=["site", "192.0.2.11"])
    assert (found["http_proxy"], found["https_proxy"]) == ("http://p:3128", "")
    direct = "localhost,127.0.0.0/8,.svc,.cluster.local,10.244.0.0/16,10.96.0.0/12,192.0.2.11,192.0.2.0/24,site"
    assert found["no_proxy"] == direct
    found = environment(egi_notebooks_http_proxy="http://p:3128", egi_notebooks_node_address="10.0.0.11")
    assert found["no_proxy"].endswith(",10.0.0.11,10.0.0.0/24")


@pytest.mark.parametrize(
    ("variables", "is_queried"),
    [
        ({}, True),
        ({"kube_node_check_downloads": False}, False),
        ({"egi_notebooks_mirror": "m"}, False),
        ({"egi_notebooks_http_proxy": "http://u:p@x"}, False),
    ],
)
def test_downloads_are_queried_the_way_that_the_node_takes(read_check, host_facts, variables, is_queried):
    seen = []

    def query(module, environment=None, **arguments):
        seen.append((module, environment, arguments["downloads"]))
        return {"problems": ["missing"]}

    check = read_check("kube_node", host_facts(), query=query, **variables)
    assert kube_node.download_problems(check, ["https://f"]) == (["missing"] if is_queried else [])
    assert seen == ([("egi.notebooks.artifact_info", {}, ["https://f"])] if is_queried else [])


def test_a_host_that_can_t_be_queried_is_reported(read_check, host_facts):
    check = read_check("kube_node", host_facts(), query=lambda *_, **__: {"failed": True, "msg": "no Python"})
    assert kube_node.download_problems(check, ["https://f"]) == ["no Python"]
    assert kube_node.download_problems(read_check("kube_node"), ["https://f"]) == []
