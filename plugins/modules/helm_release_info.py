#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the state of a Helm release."""

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_release_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Reads the state of a Helm release
description:
  - Compares a release with the values that it is to have, and with the objects of the cluster.
  - A Helm whose playbook has died may still be at work. The module waits for it, as it may well succeed.
  - Manifests, which may hold secrets, are never returned.
extends_documentation_fragment:
  - egi.notebooks.info_module
options:
  release:
    description:
      - Name of the release.
    type: str
    required: true
  namespace:
    description:
      - Namespace of the release.
    type: str
    required: true
  kubeconfig:
    description:
      - Path of the cluster's credentials on the host.
    type: path
    required: true
  helm:
    description:
      - Path of Helm on the host.
    type: path
    default: helm
  values:
    description:
      - Values that the release is to have, beside those of the chart itself.
    type: dict
    default: {}
  timeout:
    description:
      - Seconds to wait for another Helm that works on the release.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Read the state of the hub's release
  egi.notebooks.helm_release_info:
    release: jupyterhub
    namespace: jupyterhub
    kubeconfig: /etc/kubernetes/admin.conf
    values:
      hub:
        baseUrl: /
  register: release
"""

RETURN = r"""
state:
  description:
    - V(absent).
    - V(deployed) with these values, and all its objects exist.
    - V(incomplete), which is deployed with these values and lacks objects that somebody has deleted.
    - V(changed), which has other values or has failed.
    - V(pending), which an interrupted Helm has left unfinished. Helm refuses to change it before a rollback.
  type: str
  returned: success
  sample: deployed
revision:
  description: The last revision, V(0) if the release is absent.
  type: int
  returned: success
  sample: 3
good_revision:
  description: The last revision that Helm calls deployed, to which one can roll back. V(0) if there is none.
  type: int
  returned: success
  sample: 3
is_wanted:
  description: Whether RV(good_revision) has the wanted values.
  type: bool
  returned: success
  sample: true
missing:
  description: Objects that an incomplete release lacks, as C(kubectl) names them.
  type: list
  elements: str
  returned: success
  sample: ['deployments.apps "hub"']
summary:
  description: One sentence about the state.
  type: str
  returned: success
  sample: The release jupyterhub is deployed as wanted.
"""

import json
import os
import re
import time
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.kubectl import DIRECT

NOT_FOUND = re.compile(r"\(NotFound\): (.+) not found")
SUMMARIES = {
    "absent": "The release {release} is absent.",
    "deployed": "The release {release} is deployed as wanted.",
    "incomplete": "The release {release} lacks {missing}. What is missing is created again.",
    "changed": "The release {release} has other values, or its last change has failed.",
    "pending": "An interrupted run has left revision {revision} of release {release} unfinished; it is rolled back.",
}


def other_helm(release: str) -> int | None:
    """Return the process ID of a Helm that works on the release."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                program, *arguments = stream.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if os.path.basename(program) == "helm" and release in arguments:
            return int(pid)
    return None


class Release:
    """A release, read by Helm and kubectl."""

    def __init__(self, module: AnsibleModule) -> None:
        """Take the module's parameters."""
        self._module = module
        self._wanted = module.params["values"]
        self._name, self._namespace = module.params["release"], module.params["namespace"]
        self._kubeconfig = module.params["kubeconfig"]

    def read(self) -> dict[str, Any]:
        """Return what the module returns."""
        found: dict[str, Any] = {"revision": 0, "good_revision": 0, "is_wanted": False, "missing": []}
        status = self._helm("status")
        if status is None:
            return found | {"state": "absent"}
        found["revision"] = status["version"]
        phase = status["info"]["status"]
        if phase.startswith("pending"):
            return found | self._last_good() | {"state": "pending"}
        if phase != "deployed" or (status.get("config") or {}) != self._wanted:
            return found | {"state": "changed"}
        found |= {"good_revision": status["version"], "is_wanted": True}
        missing = self._missing(status.get("manifest", ""))
        return found | {"state": "incomplete" if missing else "deployed", "missing": missing}

    def _last_good(self) -> dict[str, Any]:
        """Return the last good revision, which Helm calls deployed whatever came after it, and whether it is wanted."""
        good = [item["revision"] for item in self._helm("history") or () if item["status"] == "deployed"]
        if not good:
            return {}
        values = self._helm("get", "values", f"--revision={good[-1]}") or {}
        return {"good_revision": int(good[-1]), "is_wanted": values == self._wanted}

    def _missing(self, manifest: str) -> list[str]:
        """Return the objects of a manifest that the cluster does not have. Helm itself compares only values."""
        kubectl = self._module.get_bin_path("kubectl", opt_dirs=["/usr/local/bin"], required=True)
        options = [f"--kubeconfig={self._kubeconfig}", f"--namespace={self._namespace}"]
        command = [kubectl, *options, "get", "--filename=-", "--output=name"]
        code, _output, error = self._module.run_command(command, data=manifest, environ_update=DIRECT)
        missing = NOT_FOUND.findall(error)
        if code and not missing:
            self._fail("kubectl can't read the objects of the release", error)
        return missing

    def _helm(self, *command: str) -> Any:
        """Return Helm's answer, None where there is no such release."""
        helm, options = self._module.params["helm"], [f"--namespace={self._namespace}", "--output=json"]
        code, output, error = self._module.run_command(
            [helm, *command, self._name, *options],
            environ_update=DIRECT | {"KUBECONFIG": self._kubeconfig},
        )
        if code and "not found" in error:
            return None
        try:
            return json.loads(output)
        except ValueError:
            return self._fail(f"helm {' '.join(command)} has failed", error)

    def _fail(self, what: str, error: str) -> NoReturn:
        self._module.fail_json(msg=f"{what}: {' '.join(error.split()) or 'no output'}.")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "kubeconfig": {"type": "path", "required": True},
            "helm": {"type": "path", "default": "helm"},
            "values": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    name, limit = module.params["release"], module.params["timeout"]
    end = time.monotonic() + limit
    while pid := other_helm(name):
        if time.monotonic() > end:
            module.fail_json(msg=f"Another helm (process {pid}) has worked on the release {name} for {limit} s.")
        time.sleep(1)
    found = Release(module).read()
    known = found | {"release": name, "missing": ", ".join(found["missing"])}
    module.exit_json(changed=False, summary=SUMMARIES[found["state"]].format(**known), **found)


if __name__ == "__main__":
    main()
