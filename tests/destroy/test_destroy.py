# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""destroy.yml removes everything except users' data. These tests come last, as no service is left after them."""

from __future__ import annotations

import json

import pytest
from access import Lab
from runs import playbook
from test_bad_input import refused

CONFIRMED = ("--extra-vars", "egi_notebooks_destroy_confirm=notebooks.lab.test")
KEPT = "/srv/homes/someone/kept"
NODES = ("master", "edge", "worker")
GONE = (
    "/etc/kubernetes", "/etc/containerd", "/etc/cni", "/opt/cni", "/var/lib/containerd", "/var/lib/etcd",
    "/var/lib/kubelet", "/usr/local/bin/kubeadm", "/usr/local/bin/containerd", "/usr/local/bin/helm",
)  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


@pytest.fixture(scope="module")
def without_edge(lab):
    """The cluster after one of its nodes was destroyed."""
    return playbook("destroy", *CONFIRMED, "--limit", "edge.lab.test")


@pytest.fixture(scope="module")
def destroyed(lab):
    lab.host("nfs").check_output(f"install -D /dev/null {KEPT} && echo mine >{KEPT}")
    return playbook("destroy", *CONFIRMED)


def test_without_the_service_s_name_nothing_is_destroyed(lab):
    result = playbook("destroy", "--extra-vars", "egi_notebooks_destroy_confirm=yes")
    assert result.status != 0
    assert not any(result.changed.values())
    assert all("notebooks.lab.test" in message for message in result.failures)
    assert lab.host("master").file("/etc/kubernetes/admin.conf").exists


def nodes(lab) -> list[str]:
    return [node["metadata"]["name"] for node in lab.get("nodes")]


def test_a_node_with_data_is_not_removed_from_a_cluster_that_goes_on(lab):
    result = playbook("destroy", *CONFIRMED, "--limit", "worker.lab.test")
    refused(result, ["worker.lab.test", "jupyterhub-hub-db"], ["worker.lab.test", "monitoring-prometheus"])
    (worker,) = lab.get("node", "worker.lab.test")
    assert "unschedulable" not in worker["spec"]


def test_a_path_with_files_of_others_is_rejected():
    given = {"egi_notebooks_destroy_data": True, "jupyterhub_db_path": "/", "prometheus_path": "/var/lib/.."}
    result = playbook("destroy", *CONFIRMED, "--extra-vars", json.dumps(given))
    refused(result, ["jupyterhub_db_path", '"/"'], ["prometheus_path", '"/var/lib/.."'])


@pytest.mark.harsh
def test_check_mode_removes_no_node(lab):
    result = playbook("destroy", *CONFIRMED, "--limit", "edge.lab.test", "--check")
    assert result.status == 0, result.failures
    (edge,) = lab.get("node", "edge.lab.test")
    assert "unschedulable" not in edge["spec"]


@pytest.mark.harsh
def test_one_node_leaves_the_cluster(lab, without_edge):
    assert without_edge.status == 0, without_edge.failures
    assert nodes(lab) == ["master.lab.test", "worker.lab.test"]
    assert not lab.host("edge").file("/etc/kubernetes").exists


@pytest.mark.harsh
def test_a_node_that_the_cluster_does_not_know_is_no_error(lab, without_edge):
    again = playbook("destroy", *CONFIRMED, "--limit", "edge.lab.test")
    assert again.status == 0, again.failures
    assert again.changes == []
    assert nodes(lab) == ["master.lab.test", "worker.lab.test"]


def test_the_run_succeeds(destroyed):
    assert destroyed.status == 0, destroyed.failures
    assert "jupyterhub-hub-db stays on worker.lab.test in /var/lib/egi-notebooks/hub" in destroyed.output


@pytest.mark.parametrize("node", NODES)
def test_nothing_of_the_cluster_is_left_on_a_node(lab, destroyed, node):
    host = lab.host(node)
    left = [path for path in GONE if host.file(path).exists]
    assert left == []
    assert host.run("pgrep -a 'kubelet|containerd|etcd|kube-|traefik'").stdout == ""
    assert host.run("grep -E '/var/lib/kubelet|/run/containerd|:/srv/homes' /proc/mounts").stdout == ""
    assert host.run("ip -oneline link | grep -E 'cni0|flannel|veth'").stdout == ""


def test_data_of_users_is_kept_and_no_longer_exported(lab, destroyed):
    host = lab.host("nfs")
    assert host.file(KEPT).content_string == "mine\n"
    assert host.check_output("exportfs -s") == ""
    database = lab.host("worker").run("find /var/lib/egi-notebooks -name jupyterhub.sqlite").stdout
    assert database.strip()


@pytest.mark.harsh
def test_a_second_run_finds_nothing_to_do(destroyed):
    again = playbook("destroy", *CONFIRMED)
    assert again.status == 0, again.failures
    assert again.changes == []
