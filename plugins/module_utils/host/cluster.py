# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Kubernetes cluster the host belongs to."""

from __future__ import annotations

import hashlib
import re

from ansible_collections.egi.notebooks.plugins.module_utils.host.files import exists, read

CONTROL_PLANE = ("/etc/kubernetes/admin.conf", "/etc/kubernetes/manifests/kube-apiserver.yaml", "/var/lib/etcd/member")
#: What the role kube_master writes before kubeadm creates anything.
STATE = "/etc/kubernetes/egi-notebooks-init"
INITIALISED = (STATE, "/etc/kubernetes/egi-notebooks-kubeadm.yml")
API = re.compile(r"^ *server: *[\"']?([^\s\"']+)", re.MULTILINE)
#: By network, the program and its option that say what the control plane was created with.
NETWORKS = {
    "pods": ("kube-controller-manager", "cluster-cidr"),
    "services": ("kube-apiserver", "service-cluster-ip-range"),
}


def is_node() -> bool:
    """Tell whether the host has joined a cluster."""
    return exists("/etc/kubernetes/kubelet.conf")


def cluster() -> dict:
    """Return what identifies the cluster."""
    authority = read("/etc/kubernetes/pki/ca.crt").strip()
    return {
        "api": _api("kubelet.conf") or _api("bootstrap-kubelet.conf"),
        "admin_api": _api("admin.conf"),
        "ca": hashlib.sha256(authority.encode()).hexdigest() if authority else "",
        "control_plane": [path for path in CONTROL_PLANE if exists(path)],
        "initialised": any(exists(path) for path in INITIALISED),
    }


def cluster_networks() -> dict:
    """Return the networks that the control plane was created with; empty if it was not completed."""
    is_complete = read(STATE).strip() != "started"
    return {name: _option(*place) if is_complete else "" for name, place in NETWORKS.items()}


def _api(name: str) -> str:
    """Return the API's address in a kubeconfig."""
    return next(iter(API.findall(read(f"/etc/kubernetes/{name}"))), "")


def _option(program: str, option: str) -> str:
    """Return the network that a static pod gets by an option."""
    manifest = read(f"/etc/kubernetes/manifests/{program}.yaml")
    match = re.search(rf"--{option}=([0-9./]+)\s*$", manifest, re.MULTILINE)
    return match[1] if match else ""
