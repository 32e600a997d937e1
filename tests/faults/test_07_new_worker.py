# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker comes to a cluster that has been running for long."""

from __future__ import annotations

import time

import pytest
from faults import MACHINES, containers, faults_of, picture, record, wait_until_sound
from leaks import printed, process_lists, secrets_of_the_run, shown
from runs import playbook
from test_bad_input import refused

WORKER = MACHINES["worker"]
TOKENS = ("-n", "kube-system", "--field-selector=type=bootstrap.kubernetes.io/token")
#: Leaves the pod network's interfaces and range, of which kubeadm knows nothing.
RESET = "kubeadm reset --force --cri-socket=unix:///run/containerd/containerd.sock"


@pytest.fixture
def worker_of_no_cluster(lab):
    """The worker as a machine that the cluster doesn't know, and no token to join by. It keeps programs and images.

    Not by destroy.yml, which refuses the lab's only worker: it keeps the hub's database.
    """
    lab.kubectl(
        "drain", WORKER.fqdn, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=150s"
    )  # fmt: skip
    lab.kubectl("delete", "node", WORKER.fqdn)
    lab.run("worker", RESET, timeout=240)
    lab.kubectl("delete", "secrets", *TOKENS)
    yield
    if WORKER.fqdn not in lab.kubectl("get", "nodes") or faults_of(lab):
        assert playbook("site").status == 0


def others(lab) -> dict[str, object]:
    """What runs on the other machines, and since when."""
    services = {name: since for name, since in picture(lab).items() if name.startswith(("master ", "edge ", "nfs "))}
    return {**services, **containers(lab, "master"), **containers(lab, "edge")}


@pytest.mark.usefixtures("worker_of_no_cluster")
def test_a_worker_joins_by_a_run_limited_to_it(lab):
    """Case 16 and case 21."""
    before = others(lab)
    assert len(before) > 5
    # To a machine that is new the homes have to be exported.
    refused(playbook("site", "--limit", WORKER.fqdn), ["nfs.lab.test", "--limit worker.lab.test,nfs_servers"])
    with process_lists() as seen:
        started = time.monotonic()
        result = playbook("site", "--limit", f"{WORKER.fqdn},nfs_servers", "-vv")
        seconds = time.monotonic() - started
    assert result.status == 0, result.failures
    assert any(change.endswith("egi.notebooks.kube_worker : Join the cluster") for change in result.changes)
    (node,) = lab.get("node", WORKER.fqdn)
    (ready,) = (item for item in node["status"]["conditions"] if item["type"] == "Ready")
    assert ready["status"] == "True"
    # From the start of the run, its checks included.
    assert seconds <= 120
    # There was none before, so one that is left is this run's.
    assert [token["metadata"]["name"] for token in lab.get("secrets", *TOKENS)] == []
    wanted = secrets_of_the_run(lab)
    assert printed(result.output, wanted) == []
    assert shown(seen, wanted) == []
    now = others(lab)
    assert {name: now.get(name) for name in before} == before
    wait_until_sound(lab, 420)
    record("worker added", seconds, "nothing on the other nodes")
