#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out whether nodes, pods and volume claims of a Kubernetes cluster are ready."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_health_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Finds out whether nodes, pods and volume claims of a cluster are ready
description:
  - Runs C(kubectl get) on the host until everything is ready or the time is over.
  - Reads the state of objects alone, never what pods are configured with, such as their tokens.
  - Ignores pods that have finished, evicted pods that a controller has replaced, servers of users, and image pullers
    that still pull.
  - No proxy of the host's environment is used.
extends_documentation_fragment:
  - egi.notebooks.info_module
options:
  kubeconfig:
    description:
      - Path of the cluster's credentials on the host.
    type: path
    required: true
  nodes:
    description:
      - Whether all nodes must be ready.
    type: bool
    default: false
  known_nodes:
    description:
      - Names of the nodes that the inventory has. Other nodes are faults. Empty if they are not all known.
    type: list
    elements: str
    default: []
  namespaces:
    description:
      - Namespaces that must have pods, whose pods must be ready and whose volume claims must be bound.
    type: list
    elements: str
    default: []
  claims:
    description:
      - Volume claims that must exist, as C(NAMESPACE/NAME).
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds to wait until everything is ready. V(0) queries once.
    type: int
    default: 180
  fail:
    description:
      - Whether to fail if there are faults.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Wait until the nodes and the pods of the hub are ready
  egi.notebooks.cluster_health_info:
    kubeconfig: /etc/kubernetes/admin.conf
    nodes: true
    namespaces: [jupyterhub]
    claims: [jupyterhub/homes]
"""

RETURN = r"""
faults:
  description: One sentence for each object that is missing or not ready.
  type: list
  elements: str
  returned: always
  sample: ["Node worker1 is not ready."]
nodes:
  description: Number of nodes.
  type: int
  returned: always
  sample: 3
pods:
  description: Number of pods in these namespaces.
  type: int
  returned: always
  sample: 12
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.kubectl import DIRECT

PAUSE = 5
#: What is read of each object. The label is the last one, as it may be empty.
COLUMNS = {
    "kind": ".kind",
    "namespace": ".metadata.namespace",
    "name": ".metadata.name",
    "phase": ".status.phase",
    "ready": '.status.conditions[?(@.type=="Ready")].status',
    "owners": ".metadata.ownerReferences[*].kind",
    "waiting": ".status.initContainerStatuses[*].state.waiting.reason",
    "component": ".metadata.labels.component",
}
CANNOT_PULL = {"ErrImagePull", "ImagePullBackOff"}


def parse_objects(output: str) -> list[dict[str, str]]:
    """Return the objects that kubectl has printed in columns, by the columns' names."""
    rows = ([cell.replace("<none>", "") for cell in line.split()] for line in output.splitlines() if line.strip())
    return [dict.fromkeys(COLUMNS, "") | dict(zip(COLUMNS, row, strict=False)) for row in rows]


def pod_is_expected(pod: dict[str, str]) -> bool:
    """Tell whether the service waits for a pod to be ready."""
    if pod["phase"] == "Succeeded" or pod["component"] == "singleuser-server":
        return False
    # An evicted pod stays in the list for long, and its controller has made another one.
    if pod["phase"] == "Failed" and pod["owners"]:
        return False
    # Images for users may be pulled for long, and users do not wait for that.
    return pod["component"] != "continuous-image-puller" or bool(CANNOT_PULL & set(pod["waiting"].split(",")))


def node_faults(objects: list[dict[str, str]], known: list[str]) -> list[str]:
    """Return a sentence for each node that is not ready, or unknown."""
    nodes = [item for item in objects if item["kind"] == "Node"]
    faults = [f"Node {node['name']} is not ready." for node in nodes if node["ready"] != "True"]
    return faults + [
        f"Node {node['name']} belongs to no host of the groups masters, edges and workers, so the homes are not "
        "exported to it. Add its host to the inventory, or drain and delete the node with kubectl."
        for node in nodes
        if known and node["name"] not in known
    ]


def namespace_faults(objects: list[dict[str, str]], namespaces: list[str], claims: list[str]) -> list[str]:
    """Return a sentence for each pod that is not ready, and for each claim that is missing or not bound."""
    mine = [item | {"full": f"{item['namespace']}/{item['name']}"} for item in objects if item["namespace"]]
    pods = [item for item in mine if item["kind"] == "Pod" and item["namespace"] in namespaces]
    faults = [
        f"Pod {pod['full']} is {pod['phase']}, but not ready."
        for pod in pods
        if pod["ready"] != "True" and pod_is_expected(pod)
    ]
    faults += [
        f"There are no pods in the namespace {namespace}."
        for namespace in namespaces
        if namespace not in {pod["namespace"] for pod in pods}
    ]
    found = {item["full"]: item for item in mine if item["kind"] == "PersistentVolumeClaim"}
    faults += [
        f"PersistentVolumeClaim {name} is {claim['phase']}; must be Bound."
        for name, claim in found.items()
        if claim["phase"] != "Bound" and (claim["namespace"] in namespaces or name in claims)
    ]
    return faults + [f"There is no PersistentVolumeClaim {name}." for name in claims if name not in found]


def kubectl_command(kubectl: str, wanted: dict) -> list[str]:
    """Return the command that reads what the options name."""
    scopes = {*wanted["namespaces"], *(claim.partition("/")[0] for claim in wanted["claims"])}
    kinds = ["nodes"] if wanted["nodes"] or wanted["known_nodes"] or not scopes else []
    kinds += ["pods", "persistentvolumeclaims"] if scopes else []
    return [
        kubectl,
        f"--kubeconfig={wanted['kubeconfig']}",
        "--request-timeout=30s",
        "get",
        ",".join(kinds),
        f"--namespace={scopes.pop()}" if len(scopes) == 1 else "--all-namespaces",
        "--no-headers",
        "--output=custom-columns=" + ",".join(f"{name}:{path}" for name, path in COLUMNS.items()),
    ]


def query(module: AnsibleModule, command: list[str]) -> tuple[list[dict[str, str]], list[str]]:
    """Return the objects and the faults of the cluster."""
    wanted = module.params
    status, output, error = module.run_command(command, environ_update=DIRECT)
    if status != 0:
        return [], [f"The cluster can't be queried: {error.strip() or 'kubectl failed'}"]
    objects = parse_objects(output)
    faults = node_faults(objects, wanted["known_nodes"])
    return objects, faults + namespace_faults(objects, wanted["namespaces"], wanted["claims"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "kubeconfig": {"type": "path", "required": True},
            "nodes": {"type": "bool", "default": False},
            "known_nodes": {"type": "list", "elements": "str", "default": []},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "claims": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 180},
            "fail": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    kubectl = module.get_bin_path("kubectl", opt_dirs=["/usr/local/bin"])
    objects: list[dict[str, str]] = []
    if not kubectl or not os.path.exists(wanted["kubeconfig"]):
        reason = "there is no kubectl" if not kubectl else f"there is no file {wanted['kubeconfig']}"
        faults = [f"The cluster can't be queried: {reason} on this host."]
    else:
        command = kubectl_command(kubectl, wanted)
        end = time.monotonic() + wanted["timeout"]
        objects, faults = query(module, command)
        while faults and time.monotonic() + PAUSE <= end:
            time.sleep(PAUSE)
            objects, faults = query(module, command)
    answer = {
        "changed": False,
        "faults": faults,
        "nodes": sum(item["kind"] == "Node" for item in objects),
        "pods": sum(item["kind"] == "Pod" and item["namespace"] in wanted["namespaces"] for item in objects),
    }
    if faults and wanted["fail"]:
        module.fail_json(msg="\n".join(faults), **answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
