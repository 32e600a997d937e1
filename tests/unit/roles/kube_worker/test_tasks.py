# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hosts join and leave a cluster, with a kubectl and a kubeadm that print what a test wants."""

from __future__ import annotations

import json
import platform

import pytest

NODE = {"kind": "Node", "metadata": {"name": platform.node()}, "spec": {}}
TOOL = """#!/bin/sh
echo "$(basename $0) $*" >>%(folder)s/calls
case "$(basename $0) $*" in
    *" get nodes "*) echo '%(nodes)s' ;;
    *" drain v "*) echo "pod stuck has not ended" >&2; exit 1 ;;
    *"token create"*) echo "kubeadm join kube:6443 --token abcdef.secret --discovery-token-ca-cert-hash sha256:12" ;;
    "kubeadm join"*) cat >%(folder)s/join; echo "the token abcdef.secret has expired" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def play(ansible_playbook, tmp_path):
    """Return a function that runs tasks of the role on hosts w and v, and gives the run and what was called."""

    def run(tasks_from, *arguments, nodes=(), **variables):
        tools = tmp_path / "bin"
        tools.mkdir()
        for name in ("kubectl", "kubeadm"):
            (tools / name).write_text(TOOL % {"folder": tmp_path, "nodes": json.dumps({"items": nodes})})
            (tools / name).chmod(0o755)
        (tmp_path / "admin.conf").touch()
        (tmp_path / "calls").touch()
        task = {"ansible.builtin.include_role": {"name": "egi.notebooks.kube_worker", "tasks_from": tasks_from}}
        (tmp_path / "play.json").write_text(json.dumps([{"hosts": "workers", "gather_facts": False, "tasks": [task]}]))
        site = {"egi_notebooks_kubeconfig": str(tmp_path / "admin.conf"), "kube_worker_preflight": False}
        groups = {"masters": {"hosts": {"m": {}}}, "workers": {"hosts": {"w": {}, "v": {}}}}
        played = ansible_playbook(
            tmp_path,
            tmp_path / "play.json",
            "--extra-vars",
            json.dumps(variables),
            *arguments,
            groups=groups,
            site=site,
            tools=tools,
        )
        calls = (tmp_path / "calls").read_text().replace(f"--kubeconfig={tmp_path}/admin.conf ", "")
        return played, calls.splitlines()

    return run


def test_nodes_stay_together_if_pods_of_one_do_not_end(play):
    leaving = {"__kube_worker_leaving": {"drain": True}, "__kube_worker_node_name": "{{ inventory_hostname }}"}
    played, calls = play("drain", **leaving)
    assert played.status != 0
    assert {message for _, message in played.failures} == {
        "Pods do not end within 300 s (kube_worker_drain_timeout), so the nodes stay in the cluster: pod stuck has not "
        "ended"
    }
    # None is drained before all are closed to further pods.
    verbs = [call.split()[1] for call in calls]
    assert verbs == ["cordon"] * 2 + ["drain"] * 2 + ["uncordon"] * 2
    assert sorted(calls[-2:]) == ["kubectl uncordon v", "kubectl uncordon w"]
    options = "--ignore-daemonsets --force --delete-emptydir-data --timeout=300s"
    assert sorted(calls[2:4]) == [f"kubectl drain v {options}", f"kubectl drain w {options}"]


def test_a_node_that_an_interrupted_run_has_reset_is_deleted(play):
    played, calls = play("remove", nodes=[NODE])
    assert played.status == 0, played.output
    asked, *deleted = calls
    assert " get nodes " in asked
    # Both hosts of this test are this machine.
    assert deleted == [f"kubectl delete node {platform.node()} --ignore-not-found --timeout=60s"] * 2


def test_a_join_that_fails_is_reported_without_its_token(play, tmp_path):
    played, calls = play("main")
    assert played.status != 0
    failures = [message for task, message in played.failures if task.endswith("Report why the host could not join")]
    assert sorted(failures) == [f"{host} could not join: the token *** has expired" for host in ("v", "w")]
    assert "abcdef.secret" not in played.output
    # By its standard input: no command line and no file has the token.
    assert "token: abcdef.secret" in (tmp_path / "join").read_text()
    assert "secret" not in "".join(calls)
    assert [call for call in calls if "token" in call] == [
        "kubeadm token create --ttl=15m --description=egi.notebooks.kube_worker --print-join-command",
        "kubeadm token delete abcdef",
    ]
