#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report what a host has of a Kubernetes cluster that kubeadm made."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_member_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Reports what a host has of a Kubernetes cluster that kubeadm made
description:
  - Reads the files that C(kubeadm init), C(kubeadm join) and the role kube_master leave on the host, and queries the
    API of a control plane that this collection made.
  - Waits for a C(kubeadm) that still runs, as its playbook may have died, and for an API that starts, as after a
    reboot.
  - No proxy of the host's environment is used.
extends_documentation_fragment:
  - egi.notebooks.info_module
options:
  query_api:
    description:
      - Whether to look at the certificates of a control plane of this collection and to query its API. Without, its
        state is V(control_plane), and nothing is known of its API.
    type: bool
    default: true
  renew_days:
    description:
      - Days before the end of a certificate of the control plane in which the state is V(expiring).
    type: int
    default: 0
  timeout:
    description:
      - Seconds to wait for a C(kubeadm) that runs, and again for the API.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Find out what the host has of a cluster
  egi.notebooks.cluster_member_info:
    renew_days: 90
    timeout: 60
  register: member

- name: Show the network of its pods
  ansible.builtin.debug:
    var: member.pod_cidr
  when: member.state == 'control_plane'
"""

RETURN = r"""
state:
  description:
    - V(absent) if there is nothing of a cluster.
    - V(remains) if a join was interrupted or the pod network's files are left.
    - V(credentials) if there is an C(admin.conf) and no node.
    - V(worker) if the host has joined a cluster.
    - V(begun) if an initialisation by this collection was interrupted before anything was stored, or before all of its
      keys were on the disk.
    - V(interrupted) if an initialisation by this collection was interrupted later.
    - V(control_plane) if this collection has made the control plane and its API answers.
    - V(expiring) if this collection has made the control plane and a certificate expires soon. The API is not queried.
    - V(unreachable) if this collection has made the control plane and its API does not answer in time.
    - V(foreign) if somebody else has made the control plane.
  type: str
  returned: always
  sample: worker
joined:
  description: Whether the host is a node of a cluster, or has the API server of one.
  type: bool
  returned: always
  sample: true
has_api_server:
  description: Whether the host has the API server of a control plane, whoever made it.
  type: bool
  returned: always
  sample: false
api:
  description: Address at which the kubelet reaches the API, or was to reach it in a join that was interrupted. Empty if
    there is none.
  type: str
  returned: always
  sample: https://192.0.2.10:6443
pod_cidr:
  description: Network of the pods. Empty if it is not known.
  type: str
  returned: always
  sample: 10.244.0.0/16
mtu:
  description: MTU in bytes of the link that the pod network counts on. 0 if it is not known.
  type: int
  returned: always
  sample: 1500
labels:
  description: Labels of the host's node. Empty if they are not known.
  type: dict
  returned: always
  sample: {egi.eu/worker: "true"}
ready:
  description: Whether the API reports the host's node as ready.
  type: bool
  returned: always
  sample: true
"""

import glob
import json
import os
import platform
import re
import time
from collections.abc import Callable

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.kubectl import DIRECT

#: The tests put a tree of their own in place of the host's.
ROOT = ""
FOLDER = "/etc/kubernetes"
ADMIN = f"{FOLDER}/admin.conf"
KUBELET = f"{FOLDER}/kubelet.conf"
BOOTSTRAP = f"{FOLDER}/bootstrap-kubelet.conf"
API_SERVER = f"{FOLDER}/manifests/kube-apiserver.yaml"
#: What the role kube_master writes before kubeadm makes anything: C(started), and C(finished) in the end.
MARK = f"{FOLDER}/egi-notebooks-init"
CONFIG = f"{FOLDER}/egi-notebooks-kubeadm.yml"
STORED = "/var/lib/etcd/member"
SERVER = re.compile(r"^ *server: *[\"']?([^\s\"']+)", re.MULTILINE)
#: What `kubeadm init` makes last.
COMPLETE = {("ConfigMap", "kubeadm-config"), ("DaemonSet", "kube-proxy"), ("Deployment", "coredns")}
UNKNOWN = {"pod_cidr": "", "mtu": 0, "labels": {}, "ready": False}


def exists(path: str) -> bool:
    """Tell whether the host has the path."""
    return os.path.exists(ROOT + path)


def read(path: str) -> str:
    """Return a file's content, or nothing where there is none."""
    try:
        with open(ROOT + path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def runs_kubeadm() -> bool:
    """Tell whether a kubeadm runs on the host."""
    names = (read(path.removeprefix(ROOT)) for path in glob.iglob(f"{ROOT}/proc/[0-9]*/comm"))
    return any(name.strip() == "kubeadm" for name in names)


def wait_until(condition: Callable[[], object], seconds: float, pause: float) -> object:
    """Return what the condition returns once that is true, or its last result when the time is over."""
    end = time.monotonic() + seconds
    while not (result := condition()) and time.monotonic() < end:
        time.sleep(pause)
    return result


def has_empty_file() -> bool:
    """Tell whether a file of the cluster is empty, as after a power cut before it was on the disk."""
    paths = (os.path.join(folder, name) for folder, _folders, names in os.walk(ROOT + FOLDER) for name in names)
    return any(os.path.isfile(path) and not os.path.getsize(path) for path in paths)


def state_by_files() -> str:
    """Return the state as far as the host's files have it."""
    mark = read(MARK).strip()
    if mark == "started":
        return "interrupted" if exists(STORED) and not has_empty_file() else "begun"
    is_ours = exists(MARK) or exists(CONFIG)
    if mark == "finished" or exists(STORED) or exists(API_SERVER) or (exists(ADMIN) and is_ours):
        return "control_plane" if is_ours else "foreign"
    if exists(KUBELET):
        return "worker"
    if exists(BOOTSTRAP) or exists(f"{FOLDER}/pki/ca.crt") or exists("/run/flannel"):
        return "remains"
    return "credentials" if exists(ADMIN) else "absent"


def api_address() -> str:
    """Return the address at which the kubelet reaches the API, or was to reach it."""
    return next(iter(SERVER.findall(read(KUBELET)) + SERVER.findall(read(BOOTSTRAP))), "")


def certificates() -> list[str]:
    """Return the certificates that expire with the control plane's. CAs are made for ten years, the others for one."""
    found = glob.glob(f"{ROOT}{FOLDER}/pki/**/*.crt", recursive=True)
    return sorted(path for path in found if not path.endswith("ca.crt"))


def stubs(node: str) -> str:
    """Return the objects to be queried, as kubectl takes them: one query for all namespaces."""
    wanted = [
        ("v1", "ConfigMap", "kube-system", "kubeadm-config"),
        ("apps/v1", "DaemonSet", "kube-system", "kube-proxy"),
        ("apps/v1", "Deployment", "kube-system", "coredns"),
        ("v1", "ConfigMap", "kube-flannel", "kube-flannel-cfg"),
        ("v1", "Node", None, node),
    ]
    items = [
        {"apiVersion": version, "kind": kind, "metadata": {"name": name} | ({"namespace": space} if space else {})}
        for version, kind, space, name in wanted
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def read_json(text: str) -> dict:
    """Return the object of a JSON text, an empty one if there is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_objects(answer: str) -> dict:
    """Return what the API reports; nothing if it does not answer or the control plane is not complete."""
    items = read_json(answer).get("items", [])
    objects = {(item["kind"], item["metadata"]["name"]): item for item in items}
    if not objects.keys() >= COMPLETE:
        return {}
    network = read_json(objects.get(("ConfigMap", "kube-flannel-cfg"), {}).get("data", {}).get("net-conf.json", ""))
    node = next((item for item in items if item["kind"] == "Node"), {})
    conditions = node.get("status", {}).get("conditions", [])
    return {
        "pod_cidr": network.get("Network", ""),
        "mtu": network.get("Backend", {}).get("MTU", 0),
        "labels": node.get("metadata", {}).get("labels", {}),
        "ready": any(item["type"] == "Ready" and item["status"] == "True" for item in conditions),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "query_api": {"type": "bool", "default": True},
            "renew_days": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    wait_until(lambda: not runs_kubeadm(), wanted["timeout"], 1)
    state, details = state_by_files(), UNKNOWN

    def expires(path: str) -> bool:
        openssl = ["openssl", "x509", "-noout", "-checkend", str(wanted["renew_days"] * 86400), "-in", path]
        return module.run_command(openssl)[0] != 0

    def query() -> dict:
        kubectl = [module.get_bin_path("kubectl", required=True, opt_dirs=["/usr/local/bin"])]
        kubectl += [f"--kubeconfig={ROOT}{ADMIN}", "--request-timeout=20s"]
        kubectl += ["get", "--filename=-", "--ignore-not-found", "--output=json"]
        return read_objects(module.run_command(kubectl, data=stubs(platform.node()), environ_update=DIRECT)[1])

    if state == "control_plane" and wanted["query_api"]:
        if any(expires(path) for path in certificates()):
            state = "expiring"
        elif found := wait_until(query, wanted["timeout"], 2):
            details = found
        else:
            state = "unreachable"
    module.exit_json(
        changed=False,
        state=state,
        joined=exists(KUBELET) or exists(API_SERVER),
        has_api_server=exists(API_SERVER),
        api=api_address(),
        **details,
    )


if __name__ == "__main__":
    main()
