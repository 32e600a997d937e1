# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cluster a host belongs to."""

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.egi.notebooks.plugins.module_utils.host.cluster import (
    INITIALISED,
    cluster,
    cluster_networks,
    is_node,
)

NO_CLUSTER = {"api": "", "admin_api": "", "ca": "", "control_plane": [], "initialised": False}


def test_a_node_has_the_kubelet_s_credentials(host):
    assert not is_node()
    host({"etc/kubernetes/kubelet.conf": ""})
    assert is_node()


def test_a_node_s_cluster(host):
    assert cluster() == NO_CLUSTER
    config = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: eA==\n    server: {}\n  name: x\n"
    host({"etc/kubernetes/bootstrap-kubelet.conf": config.format("https://192.0.2.1:6443")})
    assert cluster() == NO_CLUSTER | {"api": "https://192.0.2.1:6443"}
    host(
        {
            "etc/kubernetes/kubelet.conf": config.format('"https://kube.example.org:6443"'),
            "etc/kubernetes/pki/ca.crt": "CA\n",
        }
    )
    assert cluster() == NO_CLUSTER | {
        "api": "https://kube.example.org:6443",
        "ca": hashlib.sha256(b"CA").hexdigest(),
    }


@pytest.mark.parametrize("file", ["etc/kubernetes/egi-notebooks-init", "etc/kubernetes/egi-notebooks-kubeadm.yml"])
def test_who_created_a_control_plane(host, file):
    host(
        {
            "etc/kubernetes/admin.conf": "    server: https://192.0.2.1:6443\n",
            "etc/kubernetes/manifests/kube-apiserver.yaml": "",
            "var/lib/etcd/member/x": "",
        }
    )
    master = NO_CLUSTER | {
        "admin_api": "https://192.0.2.1:6443",
        "control_plane": [
            "/etc/kubernetes/admin.conf",
            "/etc/kubernetes/manifests/kube-apiserver.yaml",
            "/var/lib/etcd/member",
        ],
    }
    assert cluster() == master
    # Also an empty one, as after a power cut.
    host({file: ""})
    assert cluster() == master | {"initialised": True}


def test_networks_of_the_control_plane(host):
    unknown = {"pods": "", "services": ""}
    assert cluster_networks() == unknown
    command = "spec:\n  containers:\n  - command:\n    - "
    folder = "etc/kubernetes/manifests"
    controller = f"{folder}/kube-controller-manager.yaml"
    host({controller: f"{command}x\n    - --cluster-cidr=10.244.0.0/16\n    - --cluster-name=k\n"})
    assert cluster_networks() == unknown | {"pods": "10.244.0.0/16"}
    host({f"{folder}/kube-apiserver.yaml": f"{command}--service-cluster-ip-range=10.96.0.0/12\n    image: x\n"})
    known = {"pods": "10.244.0.0/16", "services": "10.96.0.0/12"}
    assert cluster_networks() == known
    # It was not completed, and is created again with other networks.
    host({"etc/kubernetes/egi-notebooks-init": "started\n"})
    assert cluster_networks() == unknown
    host({"etc/kubernetes/egi-notebooks-init": "finished\n"})
    assert cluster_networks() == known


def test_the_files_of_a_control_plane_are_those_that_its_role_writes(root):
    sources = [*(root / "roles/kube_master").rglob("*"), *(root / "plugins").rglob("*kube_master*.py")]
    text = "".join(path.read_text() for path in sources if path.is_file())
    assert [path for path in INITIALISED if path not in text] == []
