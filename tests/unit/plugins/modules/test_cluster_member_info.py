# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of a cluster, with files in place of the host's and a kubectl that prints what a test wants."""

from __future__ import annotations

import json
import platform
import subprocess

import pytest

from ansible_collections.egi.notebooks.plugins.modules import cluster_member_info

FINISHED = {"etc/kubernetes/egi-notebooks-init": "finished\n"}
KUBELET = 'apiVersion: v1\nclusters:\n- cluster:\n    server: "https://192.0.2.10:6443"\n'
KUBECTL = """#!/bin/sh
echo "$no_proxy $*" >>%(folder)s/calls
cat >%(folder)s/stdin
cat %(folder)s/answer 2>/dev/null
"""
FLANNEL = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "MTU": 1400}}


def item(kind, name, **fields):
    return {"kind": kind, "metadata": {"name": name, "labels": fields.pop("labels", {})}} | fields


def answer(*items, complete=True):
    """Return what kubectl prints."""
    made = [item("ConfigMap", "kubeadm-config"), item("DaemonSet", "kube-proxy"), item("Deployment", "coredns")]
    return json.dumps({"kind": "List", "items": [*(made if complete else made[:2]), *items]})


@pytest.fixture
def host(monkeypatch, tmp_path):
    """Return a function that writes files of the host and gives its folder."""
    monkeypatch.setattr(cluster_member_info, "ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(KUBECTL % {"folder": tmp_path})
    kubectl.chmod(0o755)

    def write(files):
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return tmp_path

    return write


@pytest.fixture
def info(run, host):
    """Return a function that gives what the module returns on a host with these files."""

    def call(files, **options):
        host(files)
        found = run(cluster_member_info, ca_path=None, **({"timeout": 0} | options))
        assert found["changed"] is False
        return found

    return call


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({}, "absent"),
        ({"etc/kubernetes/admin.conf": "x"}, "credentials"),
        ({"etc/kubernetes/admin.conf": "x", "etc/kubernetes/kubelet.conf": "x"}, "worker"),
        ({"etc/kubernetes/kubelet.conf": "x"}, "worker"),
        (
            {"etc/kubernetes/kubelet.conf": "x", "etc/kubernetes/pki/ca.crt": "x", "run/flannel/subnet.env": ""},
            "worker",
        ),
        ({"etc/kubernetes/bootstrap-kubelet.conf": "x"}, "remains"),
        ({"etc/kubernetes/pki/ca.crt": "x"}, "remains"),
        ({"run/flannel/subnet.env": ""}, "remains"),
        ({"var/lib/etcd/member/x": ""}, "foreign"),
        ({"etc/kubernetes/manifests/kube-apiserver.yaml": "x"}, "foreign"),
        ({"etc/kubernetes/manifests/kube-apiserver.yaml": "x", "etc/kubernetes/kubelet.conf": "x"}, "foreign"),
        ({"etc/kubernetes/admin.conf": "x", "var/lib/etcd/member/x": ""}, "foreign"),
        ({"var/lib/etcd/member/x": "", "etc/kubernetes/egi-notebooks-init": "started\n"}, "interrupted"),
        ({"etc/kubernetes/egi-notebooks-init": "started\n"}, "begun"),
        # Without power a key may exist and be empty.
        (
            {
                "var/lib/etcd/member/x": "",
                "etc/kubernetes/egi-notebooks-init": "started\n",
                "etc/kubernetes/pki/sa.key": "",
            },
            "begun",
        ),
        ({"etc/kubernetes/egi-notebooks-kubeadm.yml": "x"}, "absent"),
        (FINISHED | {"etc/kubernetes/admin.conf": "x"}, "control_plane"),
        (FINISHED, "control_plane"),
        # A power cut may leave an empty one.
        ({"etc/kubernetes/admin.conf": "x", "etc/kubernetes/egi-notebooks-init": ""}, "control_plane"),
        ({"etc/kubernetes/admin.conf": "x", "etc/kubernetes/egi-notebooks-kubeadm.yml": ""}, "control_plane"),
    ],
)
def test_the_files_tell_the_state(host, files, state):
    host(files)
    assert cluster_member_info.state_by_files() == state


@pytest.mark.parametrize(
    ("files", "api"),
    [
        ({}, ""),
        ({"etc/kubernetes/kubelet.conf": KUBELET}, "https://192.0.2.10:6443"),
        ({"etc/kubernetes/bootstrap-kubelet.conf": "    server: https://x:1\n"}, "https://x:1"),
        (
            {"etc/kubernetes/kubelet.conf": KUBELET, "etc/kubernetes/bootstrap-kubelet.conf": " server: https://x:1"},
            "https://192.0.2.10:6443",
        ),
    ],
)
def test_the_kubelet_s_files_tell_the_api(host, files, api):
    host(files)
    assert cluster_member_info.api_address() == api


def test_a_worker_is_reported_without_a_query(info, tmp_path):
    found = info({"etc/kubernetes/kubelet.conf": KUBELET})
    assert (found["state"], found["joined"], found["has_api_server"]) == ("worker", True, False)
    assert (found["api"], found["pod_cidr"], found["mtu"]) == ("https://192.0.2.10:6443", "", 0)
    assert (found["labels"], found["ready"]) == ({}, False)
    assert not (tmp_path / "calls").exists()


def test_a_host_without_a_cluster_needs_no_kubectl(info, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    found = info({})
    assert (found["state"], found["joined"], found["api"]) == ("absent", False, "")


def test_the_api_is_queried_once_and_through_no_proxy(info, tmp_path):
    node = item(
        "Node",
        "n",
        labels={"egi.eu/edge": "true"},
        status={"conditions": [{"type": "MemoryPressure", "status": "True"}, {"type": "Ready", "status": "True"}]},
    )
    flannel = item("ConfigMap", "kube-flannel-cfg", data={"net-conf.json": json.dumps(FLANNEL)})
    found = info(FINISHED | {"answer": answer(flannel, node)})
    assert (found["state"], found["pod_cidr"], found["mtu"]) == ("control_plane", "10.244.0.0/16", 1400)
    assert (found["labels"], found["ready"]) == ({"egi.eu/edge": "true"}, True)
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith(f"* --kubeconfig={tmp_path}/etc/kubernetes/admin.conf --request-timeout=20s get")
    asked = json.loads((tmp_path / "stdin").read_text())["items"]
    assert ("Node", platform.node()) in [(one["kind"], one["metadata"]["name"]) for one in asked]


@pytest.mark.parametrize(
    "items",
    [
        [],
        [item("ConfigMap", "kube-flannel-cfg", data={"net-conf.json": "nonsense"})],
        [item("ConfigMap", "kube-flannel-cfg"), item("Node", "n")],
    ],
)
def test_a_cluster_without_a_network_or_node_is_complete(info, items):
    found = info(FINISHED | {"answer": answer(*items)})
    assert (found["state"], found["pod_cidr"], found["mtu"], found["ready"]) == ("control_plane", "", 0, False)


@pytest.mark.parametrize("printed", ["", "nonsense", answer(complete=False), "[]", "{}"])
def test_a_control_plane_that_does_not_answer_as_a_whole_is_unreachable(info, printed):
    assert info(FINISHED | {"answer": printed})["state"] == "unreachable"


def test_an_api_that_starts_is_waited_for(info, monkeypatch, tmp_path):
    """As after a reboot: it must never be taken for a missing one."""
    monkeypatch.setattr(cluster_member_info.time, "sleep", lambda _: (tmp_path / "answer").write_text(answer()))
    assert info(FINISHED, timeout=60)["state"] == "control_plane"
    assert len((tmp_path / "calls").read_text().splitlines()) == 2


def test_without_a_query_nothing_is_known_of_the_api(info, tmp_path):
    found = info(FINISHED, query_api=False)
    assert (found["state"], found["ready"]) == ("control_plane", False)
    assert not (tmp_path / "calls").exists()


def test_a_kubeadm_that_runs_is_waited_for(info, monkeypatch, tmp_path):
    """Its playbook may have died; it may well succeed."""
    process = tmp_path / "proc/123/comm"

    def ends(_):
        process.unlink()
        (tmp_path / "etc/kubernetes/kubelet.conf").write_text(KUBELET)

    monkeypatch.setattr(cluster_member_info.time, "sleep", ends)
    files = {"proc/123/comm": "kubeadm\n", "proc/9/comm": "x\n", "etc/kubernetes/bootstrap-kubelet.conf": KUBELET}
    assert info(files, timeout=60)["state"] == "worker"


@pytest.mark.parametrize(("comm", "runs"), [("kubeadm\n", True), ("kubeadm-x\n", False), ("kubelet\n", False)])
def test_a_running_kubeadm_is_known_by_its_name(host, comm, runs):
    host({"proc/123/comm": comm, "proc/self/comm": "kubeadm\n"})
    assert cluster_member_info.runs_kubeadm() is runs


def test_the_wait_for_kubeadm_has_a_limit(info, monkeypatch):
    monkeypatch.setattr(cluster_member_info.time, "sleep", lambda _: None)
    assert info({"proc/123/comm": "kubeadm\n"}, timeout=0)["state"] == "absent"


@pytest.mark.parametrize(
    ("name", "days", "state"),
    [
        ("apiserver", 89, "expiring"),
        ("apiserver", 91, "control_plane"),
        ("etcd/server", 1, "expiring"),
        ("ca", 1, "control_plane"),
        ("front-proxy-ca", 1, "control_plane"),
    ],
)
def test_certificates_that_expire_soon_are_found_and_those_of_cas_left_alone(info, host, name, days, state):
    folder = host({"etc/kubernetes/pki/etcd/x": "", **FINISHED, "answer": answer()})
    certificate = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    output = ["-subj", "/CN=x", "-keyout", folder / "key", "-out", folder / f"etc/kubernetes/pki/{name}.crt"]
    subprocess.run([*certificate, "-days", str(days), *output], check=True, capture_output=True)
    assert info({}, renew_days=90)["state"] == state
