# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What destroy.yml makes of its inputs and of the cluster's answer. No run here goes further than its refusals."""

from __future__ import annotations

import json
import platform

import pytest
from ansible.parsing.dataloader import DataLoader

from ansible_collections.egi.notebooks.plugins.plugin_utils import destroy
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Run

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


def cluster(*names: str) -> dict:
    """As cluster_info returns it: nodes, a database on w.site, and homes that are on no node."""
    nodes = [{"kind": "Node", "metadata": {"name": name}, "spec": {}} for name in names]
    return {"state": "present", "reason": "", "objects": [*nodes, export("homes", "n"), volume("hub-db", "w.site")]}


ALL = ("m", "e", "w", "v", "n")
NODES = ("m", "e", "w", "v")
PRESENT = cluster("m.site", "e.site", "w.site", "v.site")
UNREACHABLE = {"state": "unreachable", "reason": "connection refused", "objects": []}
DOMAIN = "n.example.org"


@pytest.fixture
def plan(read_reader):
    """Return a function that gives the plan of a confirmed run on some hosts."""

    def call(hosts, cluster=PRESENT, groups=GROUPS, delete_data=False, confirm=DOMAIN, domain=DOMAIN, **variables):
        facts = {host: {"nodename": f"{host}.site", "is_node": host != "v"} for host in hosts}
        variables.setdefault("hostvars", {"n2": {"ansible_host": "192.0.2.9"}})
        reader = read_reader(facts=facts, groups=groups, inventory_hostname=hosts[0], **variables)
        return destroy.plan(reader, hosts, domain, confirm, delete_data, cluster)

    return call


@pytest.mark.parametrize(
    ("hosts", "variables", "stays"),
    [
        (["w"], {}, True),
        (["e", "w", "v"], {}, True),
        (ALL, {}, False),
        (["m"], {}, False),
        (["w"], {"egi_notebooks_kube_host": "admin"}, True),
        (NODES, {"egi_notebooks_kube_host": "admin"}, False),
        (["w"], {"groups": {"workers": ["w"]}}, False),
    ],
    ids=["a worker", "all but the master", "all", "the master", "from elsewhere", "all, from elsewhere", "no master"],
)
def test_the_cluster_stays_unless_its_master_is_destroyed(plan, hosts, variables, stays):
    assert plan(hosts, **variables)["cluster_stays"] is stays


def test_hosts_leave_whose_names_the_cluster_knows(plan):
    hosts = ["e", "w", "v"]
    # One that an interrupted run has reset too: its node object is left.
    assert plan(hosts)["leaving"] == ["e", "w", "v"]
    assert plan(hosts, cluster("m.site", "w.site"))["leaving"] == ["w"]
    # Where the whole cluster is destroyed, no node has to leave it.
    assert plan(NODES)["leaving"] == []


def test_a_node_with_a_volume_leaves_only_with_its_data(plan):
    (problem,) = plan(["e", "w"])["problems"]
    assert problem.startswith(
        "w.site has the volume hub-db (/srv/hub-db), which the cluster still needs. Destroy a node"
    )
    assert plan(["e", "v"])["problems"] == []
    assert plan(["w"], delete_data=True)["problems"] == []
    assert plan(NODES)["problems"] == []


def test_it_is_reported_where_data_stays(plan):
    assert plan(NODES)["kept"] == [
        "The volume hub-db stays on w.site in /srv/hub-db",
        "A new cluster uses it if jupyterhub_db_node and prometheus_node name the nodes",
    ]
    assert plan(NODES, UNREACHABLE)["kept"] == []
    assert plan(NODES, delete_data=True)["kept"] == []
    assert plan(["e"])["kept"] == []


def test_a_local_volume_counts_like_a_directory_of_the_host():
    local = volume("data", "w.site")
    local["spec"]["local"] = local["spec"].pop("hostPath")
    anywhere = volume("free")
    anywhere["spec"]["nodeAffinity"] = {}
    removal = destroy.Removal(Run("m"), ["w"], cluster={"state": "present", "objects": [local, anywhere]})
    assert removal.local_volumes == [
        {"name": "data", "nodes": ["w.site"], "path": "/srv/data"},
        {"name": "free", "nodes": [], "path": "/srv/free"},
    ]


def test_an_unreachable_cluster_is_not_left(plan):
    (problem,) = plan(["w", "n"], UNREACHABLE)["problems"]
    assert problem.startswith(
        "cluster of m is unreachable (connection refused); must answer, so that w, n can leave it."
    )
    assert plan(NODES, UNREACHABLE)["problems"] == []
    assert len(plan(["n"], UNREACHABLE)["problems"]) == 1
    # The host from which it is queried is unreachable itself.
    (problem,) = plan(["w"], {"unreachable": True, "msg": "no route"})["problems"]
    assert "(no route)" in problem
    # The cluster does not exist any more, and is no longer in the inventory.
    assert plan(["n"], UNREACHABLE, groups={"nfs_servers": ["n"]})["problems"] == []
    # The control plane was never created.
    assert plan(["w", "n"], {"state": "absent", "reason": "there is no kubectl", "objects": []})["problems"] == []


@pytest.mark.parametrize("delete_data", [False, True])
def test_the_homes_stay_with_a_cluster_that_goes_on(plan, delete_data):
    (problem,) = plan(["n"], delete_data=delete_data)["problems"]
    assert problem.startswith("n exports the homes (n:/srv/homes), which the cluster still needs. Destroy the whole")
    # On one host with a node.
    groups = GROUPS | {"nfs_servers": ["v"]}
    (problem,) = plan(["e", "v"], groups=groups, delete_data=delete_data)["problems"]
    assert problem.startswith("v exports the homes")
    assert plan(["e"], groups=groups, delete_data=delete_data)["problems"] == []
    assert plan(ALL, delete_data=delete_data)["problems"] == []


@pytest.mark.parametrize(
    ("server", "refused"), [("n2", 0), ("192.0.2.9", 0), ("10.0.0.9", 0), ("n", 1), ("homes.example.org", 1)]
)
def test_an_nfs_server_leaves_when_the_homes_have_moved(plan, server, refused):
    found = {"state": "present", "objects": [export("homes", server), export("data", "n", "others")]}
    groups = GROUPS | {"nfs_servers": ["n", "n2"]}
    hostvars = {"n2": {"ansible_host": "192.0.2.9", "egi_notebooks_node_address": "10.0.0.9"}}
    assert len(plan(["n"], found, groups=groups, hostvars=hostvars)["problems"]) == refused


@pytest.mark.parametrize("path", ["", "/", "//", "/data", "/data/", "/var//", "/var/.", "/var/lib/../..", "data/hub"])
def test_no_directory_is_deleted_that_may_be_others(plan, path):
    given = {"hostvars": {"m": {"jupyterhub_db_path": path}}, "delete_data": True}
    (problem,) = plan(NODES, **given)["problems"]
    assert problem.startswith("jupyterhub_db_path must be the absolute path of a directory inside another one")
    assert f"; got {json.dumps(path)}." in problem
    # A run that deletes no data does not need them.
    assert plan(NODES, **given | {"delete_data": False})["problems"] == []


def test_the_directories_are_those_of_the_host_from_which_the_service_was_installed(plan):
    given = {
        "m": {"jupyterhub_db_path": "/srv/hub/", "prometheus_path": "/mnt/a.b/metrics"},
        "w": {"prometheus_path": "/"},
    }
    found = plan(["w", "m"], hostvars=given, delete_data=True)
    assert found["data_paths"] == {"jupyterhub_db_path": "/srv/hub/", "prometheus_path": "/mnt/a.b/metrics"}
    assert found["problems"] == []
    # Without a host of the cluster the defaults count.
    assert plan(["n"], groups={"nfs_servers": ["n"]})["data_paths"] == {
        "jupyterhub_db_path": "/var/lib/egi-notebooks/hub",
        "prometheus_path": "/var/lib/egi-notebooks/prometheus",
    }


def test_what_is_destroyed_is_listed(plan):
    assert plan(["e", "n"], None)["targets"] == [
        "e: the Kubernetes node and everything that runs on it",
        "n: the export of the homes",
    ]
    found = plan(["v"], None, groups=GROUPS | {"nfs_servers": ["v"]}, delete_data=True)
    assert found["targets"] == [
        "v: the Kubernetes node and everything that runs on it, the export of the homes, THE HOMES, THE HUB'S DATABASE "
        "AND THE METRICS in /var/lib/egi-notebooks/hub, /var/lib/egi-notebooks/prometheus"
    ]


@pytest.mark.parametrize(
    ("domain", "confirm", "problem"),
    [
        (DOMAIN, DOMAIN, None),
        (
            DOMAIN,
            "",
            'egi_notebooks_destroy_confirm must be the service\'s host name, "n.example.org"; got "". Nothing',
        ),
        (DOMAIN, "yes", 'egi_notebooks_destroy_confirm must be the service\'s host name, "n.example.org"; got "yes".'),
        ("", "", "egi_notebooks_domain must be the service's host name, which confirms what is destroyed"),
    ],
)
def test_nothing_is_destroyed_unless_the_service_is_named(plan, domain, confirm, problem):
    found = plan(NODES, None, domain=domain, confirm=confirm)["problems"]
    assert [text[: len(problem)] for text in found] == ([problem] if problem else [])


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
        assert [part["play"]["name"] for part in played.report["plays"]] == ["Check what is to be destroyed"]
        log = kubectl.with_suffix(".log")
        return [message for _, message in played.failures], log.read_text() if log.exists() else ""

    return run


def test_a_run_that_would_harm_ends_before_it_changes_anything(refusal):
    node = {"kind": "Node", "metadata": {"name": NODE}, "spec": {}}
    (message,), asked = refusal(
        {"items": [node, volume("hub-db", NODE)]}, "-e", "prometheus_path=/", "-e", "egi_notebooks_destroy_data=false"
    )
    assert message.startswith(f"{NODE} has the volume hub-db (/srv/hub-db)")
    (line,) = asked.splitlines()
    assert "get nodes,persistentvolumes --all-namespaces --output=json" in line
    (message,), _ = refusal({"items": [node]}, "-e", "prometheus_path=/", "-e", "egi_notebooks_destroy_data=true")
    assert message.startswith("prometheus_path must be the absolute path of a directory inside another one")
    (message,), _ = refusal({"items": [node, export("homes", "n")]}, "--limit", "n")
    assert message.startswith("n exports the homes (n:/srv/homes)")


def test_check_mode_reports_that_a_node_would_be_reset(root, ansible_playbook, tmp_path):
    """With the role's task as it is, except for the path of the program."""
    (task,) = (
        task
        for task in DataLoader().load_from_file(str(root / "roles/kube_node/tasks/remove.yml"))
        if "reset" in task.get("ansible.builtin.command", {}).get("argv", [])
    )
    program = tmp_path / "kubeadm"
    task["ansible.builtin.command"]["removes"] = str(program)
    (tmp_path / "play.json").write_text(json.dumps([{"hosts": "w", "gather_facts": False, "tasks": [task]}]))
    for installed in (False, True):
        if installed:
            program.symlink_to("/bin/true")
        played = ansible_playbook(tmp_path, tmp_path / "play.json", "--check", groups={"workers": {"hosts": {"w": {}}}})
        assert played.status == 0, played.output
        assert played.report["stats"]["w"]["changed"] == installed
