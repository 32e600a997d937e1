# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What destroy.yml makes of its inputs and of the cluster's answer. No run here goes further than its refusals."""

from __future__ import annotations

import json
import platform

import pytest
from ansible.parsing.dataloader import DataLoader

NODE = platform.node()
GROUPS = {"masters": ["m"], "edges": ["e"], "workers": ["w", "v"], "nfs_servers": ["n"]}


def volume(name: str, *nodes: str) -> dict:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": list(nodes)}]}
    affinity = {"required": {"nodeSelectorTerms": [term]}}
    return {
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {"hostPath": {"path": f"/srv/{name}"}, "nodeAffinity": affinity},
    }


def export(name: str, server: str, owner: str = "egi-notebooks") -> dict:
    labels = {"app.kubernetes.io/part-of": owner}
    nfs = {"server": server, "path": "/srv/homes"}
    return {"kind": "PersistentVolume", "metadata": {"name": name, "labels": labels}, "spec": {"nfs": nfs}}


def cluster(*names: str) -> str:
    """As kubectl tells it: nodes, a database on w.site, and homes that are on no node."""
    nodes = [{"kind": "Node", "metadata": {"name": name}, "spec": {}} for name in names]
    return json.dumps({"items": [*nodes, export("homes", "n"), volume("hub-db", "w.site")]})


@pytest.fixture
def say(root, evaluate):
    """Return a function that gives an expression of the playbook's variables in a run on some hosts."""

    def call(expression: str, hosts: list[str], **variables):
        path = str(root / "playbooks/vars/destroy.yml")
        known = DataLoader().load_from_file(path, trusted_as_template=True)
        facts = {
            host: {"ansible_facts": {"egi_notebooks_node": {"nodename": f"{host}.site", "is_node": host != "v"}}}
            for host in hosts
        }
        site = {
            "groups": GROUPS,
            "hostvars": {"m": {}, "n2": {"ansible_host": "192.0.2.9"}} | facts,
            "ansible_play_hosts_all": hosts,
            "ansible_check_mode": False,
            "destroy_asked": {"stdout": cluster("m.site", "e.site", "w.site", "v.site")},
        }
        return evaluate(expression, known | site | variables)

    return call


@pytest.mark.parametrize(
    ("hosts", "variables", "stays"),
    [
        (["w"], {}, True),
        (["e", "w", "v"], {}, True),
        (["m", "e", "w", "v", "n"], {}, False),
        (["m"], {}, False),
        (["w"], {"egi_notebooks_kube_host": "admin"}, True),
        (["m", "e", "w", "v"], {"egi_notebooks_kube_host": "admin"}, False),
        (["w"], {"groups": {"workers": ["w"]}}, False),
    ],
    ids=["a worker", "all but the master", "all", "the master", "from elsewhere", "all, from elsewhere", "no master"],
)
def test_the_cluster_stays_unless_its_master_goes(say, hosts, variables, stays):
    assert say("destroy_cluster_stays", hosts, **variables) is stays


def test_nodes_leave_under_the_names_that_the_cluster_knows(say):
    hosts = ["e", "w", "v"]
    assert say("destroy_leaving", hosts) == ["e.site", "v.site", "w.site"]
    assert say("destroy_leaving", hosts, destroy_asked={"stdout": cluster("m.site", "w.site")}) == ["w.site"]
    # One that an interrupted run has reset is forgotten, but has nothing to drain.
    assert say("destroy_drained", hosts) == ["e.site", "w.site"]
    # Where all goes nothing is drained.
    assert say("destroy_leaving + destroy_drained", ["m", "e", "w", "v"]) == []


def test_a_node_that_keeps_a_volume_leaves_only_with_its_data(say):
    (problem,) = say("destroy_problems", ["e", "w"])
    assert problem.startswith("w.site keeps the volume hub-db (/srv/hub-db), which the cluster still needs; allowed is")
    assert say("destroy_problems", ["e", "v"]) == []
    assert say("destroy_problems", ["w"], egi_notebooks_destroy_data="true") == []
    assert say("destroy_problems", ["m", "e", "w", "v"]) == []


def test_it_is_told_where_data_stays(say):
    assert say("destroy_kept", ["m", "e", "w", "v"]) == ["The volume hub-db stays on w.site in /srv/hub-db"]
    assert say("destroy_kept", ["m", "e", "w", "v"], destroy_asked={"stdout": "", "rc": 1}) == []
    assert say("destroy_kept", ["m", "e", "w", "v"], egi_notebooks_destroy_data=True) == []
    assert say("destroy_kept", ["e"]) == []


def test_a_cluster_that_does_not_answer_stops_who_wants_to_leave_it(say):
    silent = {"stdout": "", "stderr": "connection refused", "rc": 1}
    (problem,) = say("destroy_problems", ["w", "n"], destroy_asked=silent)
    assert problem.startswith("the cluster of m does not answer (connection refused); allowed is")
    assert say("destroy_problems", ["m", "e", "w", "v"], destroy_asked=silent) == []
    assert len(say("destroy_problems", ["n"], destroy_asked=silent)) == 1
    # One that is no more, and no longer in the inventory.
    assert say("destroy_problems", ["n"], groups={"nfs_servers": ["n"]}, destroy_asked=silent) == []
    # The control plane was never made.
    never = {"stdout": "skipped, since /etc/kubernetes/admin.conf does not exist", "rc": 0}
    assert say("destroy_problems", ["w", "n"], destroy_asked=never) == []


@pytest.mark.parametrize("destroyed", [False, True])
def test_the_homes_stay_with_a_cluster_that_goes_on(say, destroyed):
    given = {"egi_notebooks_destroy_data": destroyed}
    (problem,) = say("destroy_problems", ["n"], **given)
    assert problem.startswith("n exports the homes (n:/srv/homes), which the cluster still needs; allowed is a host")
    # On one machine with a node.
    groups = GROUPS | {"nfs_servers": ["v"]}
    (problem,) = say("destroy_problems", ["e", "v"], groups=groups, **given)
    assert problem.startswith("v exports the homes")
    assert say("destroy_problems", ["e"], groups=groups, **given) == []
    assert say("destroy_problems", ["m", "e", "w", "v", "n"], **given) == []


@pytest.mark.parametrize(("server", "refused"), [("n2", 0), ("192.0.2.9", 0), ("n", 1), ("homes.example.org", 1)])
def test_an_nfs_server_leaves_when_the_homes_have_moved(say, server, refused):
    asked = {"stdout": json.dumps({"items": [export("homes", server), export("data", "n", "others")]})}
    groups = GROUPS | {"nfs_servers": ["n", "n2"]}
    assert len(say("destroy_problems", ["n"], groups=groups, destroy_asked=asked)) == refused


@pytest.mark.parametrize("path", ["", "/", "//", "/data", "/data/", "/var//", "/var/.", "/var/lib/../..", "data/hub"])
def test_no_path_is_deleted_that_may_be_others(say, path):
    given = {"hostvars": {"m": {"jupyterhub_db_path": path}}, "egi_notebooks_destroy_data": True}
    (problem,) = say("destroy_problems", GROUPS["masters"], **given)
    assert problem.startswith(f"jupyterhub_db_path is {json.dumps(path)}; allowed is a directory")
    chosen = "destroy_data_paths | select('match', destroy_data_path)"
    assert say(chosen, GROUPS["masters"], **given) == ["/var/lib/egi-notebooks/prometheus"]
    # A run that deletes no data does not care.
    assert say("destroy_problems", GROUPS["masters"], **given | {"egi_notebooks_destroy_data": False}) == []


def test_what_the_site_s_variables_name_is_deleted(say):
    given = {"hostvars": {"m": {"jupyterhub_db_path": "/srv/hub/", "prometheus_path": "/mnt/a.b/metrics"}}}
    assert say("destroy_data_paths", GROUPS["masters"], **given) == ["/srv/hub", "/mnt/a.b/metrics"]
    assert say("destroy_data_problems", GROUPS["masters"], **given, egi_notebooks_destroy_data=True) == []


@pytest.fixture
def refusal(ansible_playbook, tmp_path):
    """Return a function that runs the playbook for one worker, dry, and gives what it failed with."""
    kubectl = tmp_path / "bin/kubectl"
    kubectl.parent.mkdir()
    (tmp_path / "admin.conf").touch()
    site = {"egi_notebooks_domain": "n.example.org", "egi_notebooks_kubeconfig": str(tmp_path / "admin.conf")}
    groups = {name: {"hosts": dict.fromkeys(hosts)} for name, hosts in GROUPS.items()}
    confirmed = ("--check", "--limit", "w", "-e", "egi_notebooks_destroy_confirm=n.example.org")

    def run(answer: dict, *arguments: str) -> tuple[list[str], str]:
        kubectl.write_text(f"#!/bin/sh\necho \"$*\" >>$0.log\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
        kubectl.chmod(0o755)
        played = ansible_playbook(
            tmp_path, "destroy", *confirmed, *arguments, groups=groups, site=site, tools=kubectl.parent
        )
        assert played.status != 0, played.output
        assert [part["play"]["name"] for part in played.report["plays"]] == ["Make sure that it is meant"]
        return [message for _, message in played.failures], kubectl.with_suffix(".log").read_text()

    return run


def test_a_run_that_would_harm_ends_before_it_changes_anything(refusal):
    node = {"kind": "Node", "metadata": {"name": NODE}, "spec": {}}
    (message,), asked = refusal(
        {"items": [node, volume("hub-db", NODE)]}, "-e", "prometheus_path=/", "-e", "egi_notebooks_destroy_data=false"
    )
    assert message.startswith(f"{NODE} keeps the volume hub-db (/srv/hub-db)")
    (line,) = asked.splitlines()
    assert "get nodes,persistentvolumes --output=json" in line
    (message,), _ = refusal({"items": [node]}, "-e", "prometheus_path=/", "-e", "egi_notebooks_destroy_data=true")
    assert message.startswith('prometheus_path is "/"; allowed is')
    (message,), _ = refusal({"items": [node, export("homes", "n")]}, "--limit", "n")
    assert message.startswith("n exports the homes (n:/srv/homes)")


def test_a_dry_run_tells_that_a_node_would_be_reset(root, ansible_playbook, tmp_path):
    """With the task as it is, but for the place of the program."""
    (task,) = (
        task
        for play in DataLoader().load_from_file(str(root / "playbooks/destroy.yml"))
        for task in play["tasks"]
        if "reset" in task.get("ansible.builtin.command", {}).get("argv", [])
    )
    program = tmp_path / "kubeadm"
    task["ansible.builtin.command"]["removes"] = str(program)
    (tmp_path / "play.json").write_text(json.dumps([{"hosts": "w", "gather_facts": False, "tasks": [task]}]))
    for there in (False, True):
        if there:
            program.symlink_to("/bin/true")
        played = ansible_playbook(tmp_path, tmp_path / "play.json", "--check", groups={"workers": {"hosts": {"w": {}}}})
        assert played.status == 0, played.output
        assert played.report["stats"]["w"]["changed"] == there
