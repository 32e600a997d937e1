#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read objects of a Kubernetes cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Reads objects of a Kubernetes cluster in one query
description:
  - Runs C(kubectl get) on the host. The Python client, which M(kubernetes.core.k8s_info) loads, takes seconds for that.
  - No proxy of the host's environment is used.
extends_documentation_fragment:
  - egi.notebooks.info_module
options:
  kubeconfig:
    description:
      - Path of the cluster's credentials on the host.
    type: path
    required: true
  kinds:
    description:
      - Kinds of objects as C(kubectl) takes them, for example V(nodes).
    type: list
    elements: str
    required: true
  namespace:
    description:
      - Namespace of the objects. Empty means all.
    type: str
    default: ""
  name:
    description:
      - Name of the objects. Empty means all.
    type: str
    default: ""
  required:
    description:
      - Whether to fail where the cluster is absent or unreachable. In check mode an absent one is no failure.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to wait for an answer.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Read the nodes and volumes of the cluster
  egi.notebooks.cluster_info:
    kubeconfig: /etc/kubernetes/admin.conf
    kinds: [nodes, persistentvolumes]
  register: cluster
"""

RETURN = r"""
state:
  description:
    - V(present), V(absent) where the host has no credentials, or V(unreachable).
  type: str
  returned: always
  sample: present
reason:
  description: Why the cluster is unreachable. Empty if it is not.
  type: str
  returned: always
  sample: ""
objects:
  description: The objects as the API has them.
  type: list
  elements: dict
  returned: always
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.kubectl import DIRECT


def read_objects(module: AnsibleModule, command: list[str]) -> tuple[str, list[dict]]:
    """Return why the cluster is unreachable, or nothing, and the objects."""
    code, output, error = module.run_command(command, environ_update=DIRECT)
    try:
        objects = json.loads(output)["items"]
    except (ValueError, KeyError, TypeError):
        objects = None
    # With an error kubectl may print a part of the objects, which is no answer.
    if code or objects is None:
        return error.strip() or "kubectl returned no objects", []
    return "", objects


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "kubeconfig": {"type": "path", "required": True},
            "kinds": {"type": "list", "elements": "str", "required": True},
            "namespace": {"type": "str", "default": ""},
            "name": {"type": "str", "default": ""},
            "required": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    kubectl = module.get_bin_path("kubectl", opt_dirs=["/usr/local/bin"])
    if not os.path.exists(wanted["kubeconfig"]):
        reason = f"there is no file {wanted['kubeconfig']} on this host."
        if wanted["required"] and not module.check_mode:
            module.fail_json(msg=f"The cluster can't be queried: {reason}", state="absent", reason=reason, objects=[])
        module.exit_json(changed=False, state="absent", reason=reason, objects=[])
    where = [f"--namespace={wanted['namespace']}"] if wanted["namespace"] else ["--all-namespaces"]
    selected = [f"--field-selector=metadata.name={wanted['name']}"] if wanted["name"] else []
    command = [
        kubectl,
        f"--kubeconfig={wanted['kubeconfig']}",
        f"--request-timeout={wanted['timeout']}s",
        "get",
        ",".join(wanted["kinds"]),
        *where,
        *selected,
        "--output=json",
    ]
    reason, objects = read_objects(module, command) if kubectl else ("there is no kubectl on this host.", [])
    state = "unreachable" if reason else "present"
    if reason and wanted["required"]:
        module.fail_json(msg=f"The cluster can't be queried: {reason}", state=state, reason=reason, objects=[])
    module.exit_json(changed=False, state=state, reason=reason, objects=objects)


if __name__ == "__main__":
    main()
