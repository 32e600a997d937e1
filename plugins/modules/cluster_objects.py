#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create, change and delete a role's objects of a Kubernetes cluster, and leave those of others alone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_objects
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Creates, changes and deletes a role's objects of a Kubernetes cluster
description:
  - Reads the objects with C(kubectl get) and runs C(kubectl apply) only if one is missing or differs. The Python
    client, which M(kubernetes.core.k8s) loads, takes seconds for that.
  - Gives each object the labels C(app.kubernetes.io/managed-by=egi.notebooks) and
    C(app.kubernetes.io/part-of=egi-notebooks).
  - Changes nothing if the cluster has an object of one of these names without the labels, or a namespace without them
    that runs workloads. Objects of earlier versions, which labelled workloads alone, are recognised.
  - No proxy of the host's environment is used.
extends_documentation_fragment:
  - egi.notebooks.changing
options:
  kubeconfig:
    description:
      - Path of the cluster's credentials on the host.
    type: path
    required: true
  objects:
    description:
      - Manifests of the objects, in the order in which they are created.
    type: list
    elements: dict
    required: true
  secret_data:
    description:
      - What C(data) of each Secret is, by the Secret's name, with values in base64. Kept out of output and logs.
    type: dict
    default: {}
  state:
    description:
      - Whether the objects exist. V(absent) deletes those that have the labels, and namespaces only if nothing of
        others is in them.
    type: str
    choices: [absent, present]
    default: present
  advice:
    description:
      - A sentence that ends the message about objects of others.
    type: str
    default: Choose another namespace, or delete them if nothing needs them.
  wait:
    description:
      - Seconds to wait until the DaemonSets and Deployments among the objects are ready. V(0) does not wait.
    type: int
    default: 0
  timeout:
    description:
      - Seconds to wait for an answer of the API.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Create a namespace with a Secret
  egi.notebooks.cluster_objects:
    kubeconfig: /etc/kubernetes/admin.conf
    objects:
      - apiVersion: v1
        kind: Namespace
        metadata:
          name: example
      - apiVersion: v1
        kind: Secret
        metadata:
          name: token
          namespace: example
    secret_data:
      token:
        value: "{{ 'correct horse' | b64encode }}"
"""

RETURN = r"""
changes:
  description: Objects that were created, changed or deleted, in check mode those that would be.
  type: list
  elements: str
  returned: always
  sample: [DaemonSet edge/traefik]
"""

import copy
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.kubectl import DIRECT

LABELS = {"app.kubernetes.io/managed-by": "egi.notebooks", "app.kubernetes.io/part-of": "egi-notebooks"}
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
WORKLOADS = ("DaemonSet", "Deployment")
#: What somebody may have put into a namespace: what runs there, and everything else that its end would delete.
RUNNING = "daemonsets,deployments,statefulsets,jobs,cronjobs,pods"
STORED = f"{RUNNING},services,ingresses,configmaps,secrets,serviceaccounts,persistentvolumeclaims"
#: What Kubernetes itself puts into each namespace.
BUILT_IN = (("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default"))
#: Seconds that the API may take for a change, such as while the control plane starts.
CHANGE_TIMEOUT = 120

#: Runs kubectl with arguments and input, and returns what it printed.
Kubectl = Callable[..., str]


class ClusterError(Exception):
    """The cluster did not do what was requested."""


def identity(item: dict) -> tuple[str, str, str]:
    """Return kind, namespace and name of an object."""
    metadata = item["metadata"]
    return item["kind"], metadata.get("namespace", ""), metadata["name"]


def shown(item: dict) -> str:
    """Return an object as a message names it."""
    kind, namespace, name = identity(item)
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def labelled(item: dict, secret_data: dict[str, dict]) -> dict:
    """Return a manifest with the collection's labels, and a Secret with its data."""
    wanted = copy.deepcopy(item)
    wanted["metadata"]["labels"] = (wanted["metadata"].get("labels") or {}) | LABELS
    if wanted["kind"] == "Secret":
        wanted["data"] = secret_data.get(wanted["metadata"]["name"], {})
    return wanted


def contains(actual: Any, wanted: Any) -> bool:
    """Return whether an object has all that a manifest says; Kubernetes adds defaults to it."""
    if wanted in (None, {}, []) and not actual:
        return True
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and all(contains(actual.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(actual, list) and len(actual) == len(wanted) and all(map(contains, actual, wanted))
    return actual == wanted


def pruned(value: Any) -> Any:
    """Return a manifest without empty annotations and null values, which kubectl adds and keeps."""
    if isinstance(value, dict):
        kept = {key: pruned(item) for key, item in value.items() if item is not None}
        return {key: item for key, item in kept.items() if key != "annotations" or item}
    return [pruned(item) for item in value] if isinstance(value, list) else value


def is_current(actual: dict | None, wanted: dict) -> bool:
    """Return whether applying a manifest would change nothing."""
    if actual is None:
        return False
    applied = json.loads((actual["metadata"].get("annotations") or {}).get(APPLIED) or "null")
    # What was applied once and is wanted no more has to be removed.
    return pruned(applied) == pruned(wanted) and contains(actual, wanted)


def has_labels(item: dict) -> bool:
    """Return whether an object has a label of the collection."""
    return any((item["metadata"].get("labels") or {}).get(name) == value for name, value in LABELS.items())


def is_own(actual: dict, wanted: dict, role_exists: bool) -> bool:
    """Return whether the collection made an object. Earlier versions labelled workloads alone."""
    if has_labels(actual):
        return True
    if set(LABELS) & set(actual["metadata"].get("labels") or {}):
        return False
    if role_exists or actual["metadata"]["name"].startswith("egi-notebooks-"):
        return True
    plain = {key: value for key, value in wanted.items() if key != "metadata"}
    # Those that say nothing but their name are not recognised by what they say.
    is_plain = wanted["kind"] in ("Namespace", "ServiceAccount") or plain.get("data") == {}
    return not is_plain and contains(actual, plain)


def unready(item: dict) -> str:
    """Return why a DaemonSet or Deployment is not ready; empty if it is."""
    status = item.get("status", {})
    if item["kind"] == "DaemonSet":
        wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
        available = status.get("numberAvailable", 0)
    else:
        wanted, updated = item["spec"].get("replicas", 1), status.get("updatedReplicas", 0)
        available = min(status.get("availableReplicas", 0), updated)
    if status.get("observedGeneration", 0) < item["metadata"].get("generation", 0):
        return "its change has not begun"
    return "" if min(available, updated) >= wanted else f"{min(available, updated)} of {wanted} pods are ready"


def split(wanted: list[dict], found: dict[tuple[str, str, str], dict]) -> tuple[list[dict], list[dict]]:
    """Return the wanted objects that exist: those that the collection made, and those of others."""
    mine = [item for item in wanted if identity(item) in found]
    role_exists = any(item["kind"] in WORKLOADS and has_labels(found[identity(item)]) for item in mine)
    own = [item for item in mine if is_own(found[identity(item)], item, role_exists)]
    return own, [item for item in mine if item not in own]


class Cluster:
    """The cluster, as kubectl reaches it."""

    def __init__(self, kubectl: Kubectl) -> None:
        """Take what runs kubectl."""
        self.kubectl = kubectl

    def items(self, *arguments: str, data: str = "") -> list[dict]:
        """Return the objects that `kubectl get` prints."""
        answer = json.loads(self.kubectl("get", *arguments, "--output=json", data=data) or "{}")
        return answer.get("items", [answer] if "metadata" in answer and "kind" in answer else [])

    def read(self, wanted: Iterable[dict]) -> dict[tuple[str, str, str], dict]:
        """Return those of the wanted objects that exist, by their identity."""
        found = self.items("--filename=-", "--ignore-not-found", data=as_list(wanted))
        return {identity(item): item for item in found}

    def others(self, namespace: str, kinds: str) -> list[str]:
        """Return what others have in a namespace, without what Kubernetes and controllers make."""
        return [
            shown(item)
            for item in self.items(kinds, f"--namespace={namespace}", "--ignore-not-found")
            if not has_labels(item)
            and not item["metadata"].get("ownerReferences")
            and (item["kind"], item["metadata"]["name"]) not in BUILT_IN
        ]

    def running(self, item: dict) -> list[str]:
        """Return the workloads of others in an object that is a namespace."""
        return self.others(item["metadata"]["name"], RUNNING) if item["kind"] == "Namespace" else []

    def apply(self, wanted: list[dict], before: dict[tuple[str, str, str], dict]) -> list[dict]:
        """Apply manifests and return those whose objects changed by it."""
        # To validate them, kubectl would download all of the API's schema first.
        arguments = ("apply", "--filename=-", "--validate=false", "--output=json")
        text = self.kubectl(*arguments, data=as_list(wanted), timeout=CHANGE_TIMEOUT)
        answer = json.loads(text)
        after = {identity(item): item["metadata"]["resourceVersion"] for item in answer.get("items", [answer])}
        old = {name: item["metadata"]["resourceVersion"] for name, item in before.items()}
        # Kubernetes may write a value in another way than the manifest does.
        return [item for item in wanted if after.get(identity(item)) != old.get(identity(item))]

    def wait(self, wanted: list[dict], seconds: int) -> None:
        """Wait until the workloads among the objects are ready."""
        workloads = [item for item in wanted if item["kind"] in WORKLOADS]
        end = time.monotonic() + seconds
        while workloads:
            reasons = {shown(item): unready(item) for item in self.read(workloads).values()}
            late = [f"{name} ({reason})" for name, reason in reasons.items() if reason]
            if not late:
                return
            if time.monotonic() >= end:
                raise ClusterError(f"{', '.join(late)} must be ready after {seconds} s. See kubectl describe.")
            time.sleep(2)


def as_list(items: Iterable[dict]) -> str:
    """Return objects as one JSON document."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})


def present(cluster: Cluster, wanted: list[dict], advice: str, dry: bool) -> list[str]:
    """Create and change objects, and return the changes."""
    found = cluster.read(wanted)
    foreign = []
    for item in split(wanted, found)[1]:
        # A namespace that was created for the role may have anything in it but programs.
        running = cluster.running(item)
        if running or item["kind"] != "Namespace":
            foreign.append(shown(item) + (f" with {', '.join(running)}" if running else ""))
    if foreign:
        raise ClusterError(
            f"The cluster must not have objects of others by the names of this role's; it has {'; '.join(foreign)}. "
            f"{advice}"
        )
    stale = [item for item in wanted if not is_current(found.get(identity(item)), item)]
    return [shown(item) for item in (cluster.apply(stale, found) if stale and not dry else stale)]


def absent(cluster: Cluster, wanted: list[dict], dry: bool) -> list[str]:
    """Delete objects of the collection, namespaces last, and return the changes."""
    own = list(reversed(split(wanted, cluster.read(wanted))[0]))
    spaces = [item for item in own if item["kind"] == "Namespace"]
    inside = [item for item in own if item not in spaces]
    delete = ("delete", "--filename=-", "--ignore-not-found", "--timeout=300s")
    if inside and not dry:
        cluster.kubectl(*delete, data=as_list(inside), timeout=0)
    gone = {shown(item) for item in inside}
    for item in spaces:
        # In check mode the role's own objects are still there, unlabelled ones of earlier versions too.
        if set(cluster.others(item["metadata"]["name"], STORED)) - gone:
            continue
        if not dry:
            cluster.kubectl(*delete, data=as_list([item]), timeout=0)
        inside.append(item)
    return [shown(item) for item in inside]


def make_kubectl(module: AnsibleModule, path: str) -> Kubectl:
    """Return a function that runs kubectl with the module's credentials."""

    def kubectl(*arguments: str, data: str = "", timeout: int = module.params["timeout"]) -> str:
        command = [path, f"--kubeconfig={module.params['kubeconfig']}", f"--request-timeout={timeout}s", *arguments]
        # Not run_command, which hides the message of a program that ends before it has read its input.
        result = subprocess.run(  # pylint: disable=ansible-bad-function
            command, input=data, capture_output=True, text=True, check=False, env={**os.environ, **DIRECT}
        )
        if result.returncode:
            raise ClusterError(f"kubectl {arguments[0]} failed: {(result.stderr or result.stdout).strip()}")
        return result.stdout

    return kubectl


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "kubeconfig": {"type": "path", "required": True},
            "objects": {"type": "list", "elements": "dict", "required": True},
            "secret_data": {"type": "dict", "default": {}, "no_log": True},
            "state": {"type": "str", "choices": ["absent", "present"], "default": "present"},
            "advice": {
                "type": "str",
                "default": "Choose another namespace, or delete them if nothing needs them.",
            },
            "wait": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    params = module.params
    wanted = [labelled(item, params["secret_data"]) for item in params["objects"]]
    path = module.get_bin_path("kubectl", opt_dirs=["/usr/local/bin"])
    if not path or not os.path.exists(params["kubeconfig"]):
        # In check mode the cluster may be one that the run would create; without one nothing is left to delete.
        if params["state"] == "absent" or module.check_mode:
            changes = [] if params["state"] == "absent" else [shown(item) for item in wanted]
            module.exit_json(changed=bool(changes), changes=changes)
        reason = f"there is no file {params['kubeconfig']}" if path else "there is no kubectl"
        module.fail_json(msg=f"The cluster can't be reached: {reason} on this host.", changes=[])
    cluster = Cluster(make_kubectl(module, path))
    changes: list[str] = []
    try:
        if params["state"] == "absent":
            changes = absent(cluster, wanted, module.check_mode)
        else:
            changes = present(cluster, wanted, params["advice"], module.check_mode)
            if params["wait"] and not module.check_mode:
                cluster.wait(wanted, params["wait"])
    except ClusterError as error:
        module.fail_json(msg=" ".join(str(error).split()), changed=bool(changes), changes=changes)
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
