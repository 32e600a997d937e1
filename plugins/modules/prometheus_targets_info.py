#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query Prometheus for its targets."""

from __future__ import annotations

DOCUMENTATION = r"""
module: prometheus_targets_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Queries Prometheus for its targets, and waits until they are up
description:
  - Queries the Prometheus that the role P(egi.notebooks.prometheus#role) runs, through the API of the cluster. Runs on
    a host that has the cluster's credentials and kubectl.
  - Does not fail because of a target. What is wrong is in RV(faults).
  - No proxy of the host's environment is used.
extends_documentation_fragment:
  - egi.notebooks.info_module
options:
  kubeconfig:
    description:
      - Path of the cluster's credentials on the host.
    type: path
    required: true
  namespace:
    description:
      - Namespace of Prometheus.
    type: str
    default: monitoring
  jobs:
    description:
      - Jobs that must have a target.
    type: list
    elements: str
    default: []
  wait:
    description:
      - Seconds to wait until each job has a target and all targets are up. V(0) queries once.
    type: int
    default: 0
  timeout:
    description:
      - Seconds to wait for one answer.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Wait until Prometheus reaches the hub
  egi.notebooks.prometheus_targets_info:
    kubeconfig: /etc/kubernetes/admin.conf
    jobs: [hub, proxy]
    wait: 180
  register: metrics
"""

RETURN = r"""
targets:
  description: Targets that Prometheus scrapes now.
  type: list
  elements: dict
  returned: always
  contains:
    job:
      description: Name of the job.
      type: str
      sample: hub
    url:
      description: URL that Prometheus scrapes.
      type: str
      sample: http://10.244.1.7:8081/hub/metrics
    health:
      description: V(up), V(down), or V(unknown) before the first scrape.
      type: str
      sample: up
    error:
      description: Why the last scrape failed. Empty if it did not.
      type: str
      sample: ""
faults:
  description: What is wrong, in one sentence each. Empty if all targets are up.
  type: list
  elements: str
  returned: always
  sample: ["Prometheus target hub at http://10.244.1.7:8081/hub/metrics is down: connection refused."]
"""

import json
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.kubectl import DIRECT

PAUSE = 5


def read_targets(answer: str) -> list[dict]:
    """Return the targets of an answer of Prometheus; ValueError for what is none."""
    try:
        return [
            {
                "job": item["labels"]["job"],
                "url": item["scrapeUrl"],
                "health": item["health"],
                "error": item["lastError"],
            }
            for item in json.loads(answer)["data"]["activeTargets"]
        ]
    except (KeyError, TypeError) as error:
        raise ValueError("the answer has no targets") from error


def target_faults(targets: list[dict], jobs: list[str]) -> list[str]:
    """Return what is wrong with targets, and which jobs have none."""
    present = {target["job"] for target in targets}
    missing = [f"Prometheus has no target for {job}." for job in jobs if job not in present]
    down = [
        f"Prometheus target {target['job']} at {target['url']} is {target['health']}"
        + (f": {target['error'].rstrip('.')}." if target["error"] else ".")
        for target in targets
        if target["health"] != "up"
    ]
    return missing + down


def query(module: AnsibleModule, kubectl: str) -> tuple[list[dict], list[str]]:
    """Return the targets and what is wrong."""
    service = f"/api/v1/namespaces/{module.params['namespace']}/services/prometheus:9090/proxy"
    command = [
        kubectl,
        f"--kubeconfig={module.params['kubeconfig']}",
        f"--request-timeout={module.params['timeout']}s",
        "get",
        "--raw",
        f"{service}/api/v1/targets?state=active",
    ]
    code, output, error = module.run_command(command, environ_update=DIRECT)
    try:
        if code:
            raise ValueError(" ".join(error.split()) or "kubectl failed")
        targets = read_targets(output)
    except ValueError as problem:
        return [], [f"Prometheus does not answer: {str(problem).rstrip('.')}."]
    return targets, target_faults(targets, module.params["jobs"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "kubeconfig": {"type": "path", "required": True},
            "namespace": {"type": "str", "default": "monitoring"},
            "jobs": {"type": "list", "elements": "str", "default": []},
            "wait": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    kubectl = module.get_bin_path("kubectl", required=True, opt_dirs=["/usr/local/bin"])
    end = time.monotonic() + module.params["wait"]
    while True:
        targets, faults = query(module, kubectl)
        if not faults or time.monotonic() >= end:
            module.exit_json(changed=False, targets=targets, faults=faults)
        time.sleep(min(PAUSE, max(0.0, end - time.monotonic())))


if __name__ == "__main__":
    main()
