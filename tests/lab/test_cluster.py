# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes and the cluster on them."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from access import ADDRESSES, PROJECT

CLUSTER = ("master", "edge", "worker")
VERSIONS = yaml.safe_load((PROJECT / "meta/artifacts.yml").read_text())


@pytest.fixture(scope="module")
def nodes(lab) -> dict[str, dict]:
    return {node["metadata"]["name"].split(".")[0]: node for node in lab.get("nodes")}


@pytest.fixture(scope="module")
def pods(lab) -> list[dict]:
    return lab.get("pods", "--all-namespaces")


def test_every_node_is_ready_and_of_the_pinned_version(nodes):
    assert set(nodes) == set(CLUSTER)
    for node in nodes.values():
        conditions = {condition["type"]: condition["status"] for condition in node["status"]["conditions"]}
        assert conditions["Ready"] == "True"
        assert node["status"]["nodeInfo"]["kubeletVersion"] == f"v{VERSIONS['files']['kubelet']['version']}"
        assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://2.")


def test_nodes_register_the_address_that_the_inventory_means(nodes):
    for name, node in nodes.items():
        addresses = {address["type"]: address["address"] for address in node["status"]["addresses"]}
        assert addresses["InternalIP"] == ADDRESSES[name]


def test_only_edges_are_tainted_for_the_edge(nodes):
    edge_taints = {
        name: [taint["key"] for taint in node["spec"].get("taints", []) if "edge" in taint["key"]]
        for name, node in nodes.items()
    }
    assert {name for name, taints in edge_taints.items() if taints} == {"edge"}


def test_every_daemon_runs_on_every_node_that_it_should(lab):
    daemons = {daemon["metadata"]["name"]: daemon for daemon in lab.get("daemonsets", "--all-namespaces")}
    images = " ".join(
        container["image"]
        for daemon in daemons.values()
        for container in daemon["spec"]["template"]["spec"]["containers"]
    )
    for part in ("flannel:", "kube-network-policies:", "kube-proxy:", "traefik:", "node-exporter:"):
        assert part in images
    for name, daemon in daemons.items():
        status = daemon["status"]
        assert status["desiredNumberScheduled"] == status.get("numberReady", 0) > 0, name


def test_services_outlive_a_kube_proxy_that_starts_anew(lab):
    """It takes over the rules that it finds, and deletes those that it does not know as its own."""
    edge = lab.host("edge")
    on_edge = ("-l", "k8s-app=kube-proxy", "--field-selector", "spec.nodeName=edge.lab.test")
    lab.kubectl("delete", "pod", "-n", "kube-system", *on_edge)
    lab.kubectl("rollout", "status", "-n", "kube-system", "daemonset/kube-proxy", "--timeout=90s")
    count = 'kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"}'
    synced = f"curl -s http://localhost:10249/metrics | grep -q '^{count} 1$'"
    edge.check_output(f"for i in $(seq 60); do {synced} && break; sleep 1; done; {synced}")
    assert "10.96.0.1 . tcp . 443" in edge.check_output("nft list map ip kube-proxy service-ips")
    assert edge.check_output("curl --silent --insecure --max-time 10 https://10.96.0.1/healthz") == "ok"


def test_no_pod_has_failed(pods):
    for pod in pods:
        assert pod["status"]["phase"] in ("Running", "Succeeded"), pod["metadata"]["name"]
        for container in pod["status"].get("containerStatuses", []):
            waiting = container["state"].get("waiting", {})
            assert waiting.get("reason") != "CrashLoopBackOff", pod["metadata"]["name"]


def test_every_image_is_of_a_pinned_version(pods):
    images = {container["image"] for pod in pods for container in pod["spec"]["containers"]}
    for image in images:
        name, _, tag = image.partition("@")[0].rpartition(":")
        assert name, image
        assert tag not in ("", "latest"), image


@pytest.mark.parametrize("name", CLUSTER)
@pytest.mark.parametrize("service", ["kubelet", "containerd"])
def test_the_service_runs_and_starts_at_boot(lab, name, service):
    assert lab.host(name).service(service).is_running
    assert lab.host(name).service(service).is_enabled


@pytest.mark.parametrize("name", [*CLUSTER, "nfs"])
def test_no_port_mapper_is_open(lab, name):
    assert lab.host(name).check_output("ss --listening --tcp --udp --numeric --no-header 'sport = :111'") == ""


@pytest.mark.parametrize("name", CLUSTER)
def test_images_come_through_the_mirror(lab, name):
    for registry in ("docker.io", "ghcr.io", "quay.io", "registry.k8s.io"):
        hosts = lab.host(name).file(f"/etc/containerd/certs.d/{registry}/hosts.toml")
        assert f"https://mirror.lab.test/v2/{registry}" in hosts.content_string


@pytest.mark.parametrize("name", CLUSTER)
def test_keys_and_kubeconfigs_are_root_s_alone(lab, name):
    loose = lab.host(name).check_output(
        "find /etc/kubernetes /var/lib/kubelet/pki -type f "
        "\\( -name '*.key' -o -name '*.conf' -o -name 'kubelet-client-*' \\) "
        "\\( -perm /077 -o ! -user root \\)"
    )
    assert loose == ""


def test_join_tokens_expire(lab):
    tokens = lab.get("secrets", "-n", "kube-system", "--field-selector", "type=bootstrap.kubernetes.io/token")
    assert [token["metadata"]["name"] for token in tokens if "expiration" not in token["data"]] == []


def test_there_is_no_way_out_of_the_lab():
    routes = json.loads(subprocess.check_output(["ip", "-json", "route", "show"]))
    assert {route["dst"] for route in routes} == {"10.77.0.0/24"}
    resolved = subprocess.run(["getent", "hosts", "registry.k8s.io"], capture_output=True, check=False)
    assert resolved.returncode != 0


def test_homes_are_exported_squashed_and_to_the_cluster_alone(lab):
    exports = lab.host("nfs").check_output("exportfs -s")
    homes = [line for line in exports.splitlines() if line.startswith("/srv/homes")]
    assert homes
    for line in homes:
        for option in ("all_squash", "anonuid=1000", "anongid=100", "sec=sys", "rw"):
            assert option in line.replace("(", ",").replace(")", ",").split(","), line
        assert "no_root_squash" not in line
        client = line.split()[1].split("(")[0]
        assert client not in ("*", "0.0.0.0/0", "<world>"), line


def test_homes_lie_on_a_disk_of_their_own_with_project_quotas(lab):
    (mount,) = json.loads(lab.host("nfs").check_output("findmnt --json --target /srv/homes"))["filesystems"]
    assert mount["fstype"] == "xfs"
    assert mount["source"] == "/dev/ubdb"
    assert {"prjquota", "pquota"} & set(mount["options"].split(","))
    assert "/srv/homes" in lab.host("nfs").file("/etc/fstab").content_string or lab.host("nfs").check_output(
        "systemctl list-units --type=mount --no-legend 'srv-homes.mount'"
    )
