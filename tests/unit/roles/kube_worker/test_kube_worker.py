# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts and settings the role kube_worker rejects, and what it changes when a node joins, stays and leaves."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.egi.notebooks.plugins.plugin_utils import kube_worker

NAME = "a.example.org"
EDGE = {"kube_worker_labels": {"egi.eu/edge": "true"}}
MEMBER = {"state": "worker", "joined": True, "has_api_server": False, "api": "https://x:6443"}
NEW = {"state": "absent", "joined": False, "has_api_server": False, "api": ""}
CONTROL_PLANE_TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
EDGE_TAINT = {"key": "egi.eu/edge", "value": "true", "effect": "NoSchedule"}


def port(number, process):
    return {"protocol": "tcp", "port": number, "process": process}


def node(name=NAME, labels=None, taints=None, ready="True"):
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": taints} if taints else {},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


@pytest.fixture
def found(problems):
    """Return a function that gives the problems of the role."""
    return lambda facts=None, **variables: problems("kube_worker", facts, **variables)


@pytest.fixture
def check(check_of):
    """Return a function that gives the role's settings."""
    return lambda **variables: check_of("kube_worker", **variables)


def test_a_good_host_passes(found):
    assert found() == found(**EDGE) == []


def test_the_programs_of_a_finished_host_are_no_problem(role_problems, finished_host):
    groups = {"masters": ["a"], "edges": ["a"], "all": ["a"]}
    assert role_problems("kube_worker", finished_host, groups=groups) == []


def test_the_ports_of_an_edge_are_traefik_s(found):
    facts = {"listeners": [port(80, "nginx"), port(443, "nginx"), port(22, "sshd")]}
    assert found(facts) == []
    (problem,) = found(facts, **EDGE)
    assert problem.startswith(
        "port 80 by nginx, 443 by nginx is in use. These ports of an edge are for this collection"
    )
    # Of another one than ours, as nothing of ours runs before the host is a node.
    (problem,) = found({"listeners": [port(80, "traefik")]}, **EDGE)
    assert problem.startswith("port 80 by traefik is in use.")


def test_the_port_of_the_edge_s_metrics_is_the_site_s_choice(found):
    facts = {"listeners": [port(9101, "x"), port(9201, "y")]}
    (problem,) = found(facts, **EDGE)
    assert problem.startswith("port 9101 by x is in use.")
    (problem,) = found(facts, **EDGE, egi_notebooks_edge_metrics_port=9201)
    assert problem.startswith("port 9201 by y is in use.")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"egi_notebooks_kube_host": "x"}, 'egi_notebooks_kube_host must be a host of the inventory; got "x".'),
        ({"kube_worker_kube_host": ""}, "kube_worker_kube_host must be a host of the inventory"),
        ({"kube_worker_labels": {"a b": "c"}}, "kube_worker_labels must be names and values of letters, digits"),
        ({"kube_worker_labels": {"a": "c/d"}}, "kube_worker_labels must be names and values of letters, digits"),
        ({"kube_worker_labels": {"a": "c\n"}}, "kube_worker_labels must be names and values of letters, digits"),
        (
            {"kube_worker_labels": {"node-role.kubernetes.io/x": ""}},
            "kube_worker_labels must be without names below kubernetes.io/ and k8s.io/, which Kubernetes reserves",
        ),
        ({"kube_worker_labels": {"k8s.io/x": ""}}, "kube_worker_labels must be without names below kubernetes.io/"),
        ({"kube_worker_taints": [{"key": "x", "effect": "No"}]}, "kube_worker_taints must be of type list (value of"),
    ],
)
def test_bad_settings_of_a_worker(found, variables, sentence):
    (problem,) = found(**variables)
    assert problem.startswith(sentence)


@pytest.mark.parametrize(
    ("groups", "labels", "taints"),
    [
        ({"edges": ["a"]}, {"egi.eu/edge": "true"}, [EDGE_TAINT]),
        ({"workers": ["a"]}, {"egi.eu/worker": "true"}, []),
        ({"edges": ["a"], "workers": ["a"]}, {"egi.eu/edge": "true", "egi.eu/worker": "true"}, []),
        ({}, {}, []),
    ],
)
def test_labels_and_taints_follow_the_groups(check, groups, labels, taints):
    settings = check(groups=groups)
    assert (settings["labels"], settings["taints"]) == (labels, taints)


def test_labels_are_changed_by_one_call(check):
    settings = check(kube_worker_labels={"egi.eu/worker": True, "zone": "b", "rack": 2})
    present = {"egi.eu/edge": "true", "zone": "a", "kubernetes.io/os": "linux", "own": "x"}
    changes = ["egi.eu/worker=true", "rack=2", "zone=b", "egi.eu/edge-"]
    assert kube_worker.label_changes(settings, node(labels=present)) == changes
    reached = {"egi.eu/worker": "true", "zone": "b", "rack": "2"}
    assert kube_worker.label_changes(settings, node(labels=reached)) == []


@pytest.mark.parametrize(
    ("wanted", "present", "changes"),
    [
        ([EDGE_TAINT], [], ["egi.eu/edge=true:NoSchedule"]),
        ([EDGE_TAINT], [EDGE_TAINT], []),
        ([EDGE_TAINT], [EDGE_TAINT | {"value": "x"}], ["egi.eu/edge=true:NoSchedule"]),
        (
            [EDGE_TAINT],
            [EDGE_TAINT | {"effect": "NoExecute"}],
            ["egi.eu/edge=true:NoSchedule", "egi.eu/edge:NoExecute-"],
        ),
        ([], [EDGE_TAINT], ["egi.eu/edge:NoSchedule-"]),
        # The taint of a master that is to take work goes, those of others stay.
        ([], [CONTROL_PLANE_TAINT], ["node-role.kubernetes.io/control-plane:NoSchedule-"]),
        ([], [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}], []),
        ([], [{"key": "node-role.kubernetes.io/control-plane-x", "effect": "NoSchedule"}], []),
        ([{"key": "x", "effect": "NoExecute"}], [], ["x=:NoExecute"]),
        ([{"key": "x", "effect": "NoExecute"}], [{"key": "x", "effect": "NoExecute"}], []),
    ],
)
def test_taints_are_changed_by_one_call(check, wanted, present, changes):
    assert kube_worker.taint_changes(check(kube_worker_taints=wanted), node(taints=present)) == changes


@pytest.mark.parametrize(
    ("member", "nodes", "wanted"),
    [
        (MEMBER, [node()], []),
        (MEMBER, [node(ready="False")], ["wait"]),
        (NEW, [], ["join", "wait"]),
        # A host that was installed again under its old name has to join.
        (NEW, [node()], ["join", "wait"]),
        # One with credentials alone, by which it calls another cluster perhaps.
        (NEW | {"state": "credentials"}, [], ["join", "wait"]),
        (MEMBER | {"state": "remains", "joined": False}, [], ["join", "reset", "wait"]),
        (MEMBER, [node("b")], ["join", "reset", "wait"]),
        # A master that is a worker too.
        (MEMBER | {"state": "control_plane", "has_api_server": True}, [node()], []),
        (MEMBER | {"state": "control_plane", "has_api_server": True}, [], ["join", "problem", "reset", "wait"]),
        (NEW | {"state": "begun"}, [], ["join", "reset", "wait"]),
    ],
)
def test_what_is_to_be_done_on_a_host(check, member, nodes, wanted):
    plan = kube_worker.plan(check(), member, nodes)
    assert sorted(name for name in ("join", "problem", "reset", "wait") if plan[name]) == wanted
    assert plan["labels"] == plan["label_changes"] == plan["taint_changes"] == []


def test_a_master_is_not_turned_into_a_worker(check):
    plan = kube_worker.plan(check(), MEMBER | {"state": "foreign", "has_api_server": True}, [node("b")])
    assert plan["problem"].startswith(
        "a has a control plane, but the cluster of a has no such node. Its cluster is left"
    )


def test_labels_of_a_new_node_are_given_when_it_joins(check):
    settings = check(groups={"edges": ["a"], "workers": ["a"]})
    assert kube_worker.plan(settings, NEW, [])["labels"] == ["egi.eu/edge=true", "egi.eu/worker=true"]
    assert kube_worker.plan(settings, NEW, [])["label_changes"] == []
    # The cluster still has the labels of a host's earlier life.
    plan = kube_worker.plan(settings, NEW, [node(labels={"egi.eu/edge": "true"})])
    assert plan["label_changes"] == ["egi.eu/worker=true"]


def test_the_invitation_is_read_from_kubeadm_s_command(check):
    command = "kubeadm join kube:6443 --token abc.def --discovery-token-ca-cert-hash sha256:12 \n"
    assert kube_worker.invitation(check(), command) == {"api": "kube:6443", "token": "abc.def", "digest": "sha256:12"}
    assert kube_worker.invitation(check(), "") == {"api": "", "token": "", "digest": ""}


@pytest.mark.parametrize("labels", [[], ["egi.eu/edge=true", "x=y"]])
def test_what_kubeadm_is_to_join_with(render_role, labels):
    site = {
        "__kube_worker_invitation": {"api": "kube:6443", "token": "abc.def", "digest": "sha256:12"},
        "__kube_worker_plan": {"labels": labels},
        "kube_worker_taints": [EDGE_TAINT],
        "egi_notebooks_ignore_preflight_errors": ["Mem"],
        "ansible_facts": {"egi_notebooks_node": {"nodename": NAME}},
    }
    text = render_role(
        "kube_worker", "lookup('ansible.builtin.template', role_path ~ '/templates/join.yml.j2')", **site
    )
    found = yaml.safe_load(text)
    assert found["discovery"]["bootstrapToken"] == {
        "apiServerEndpoint": "kube:6443",
        "token": "abc.def",
        "caCertHashes": ["sha256:12"],
    }
    registration = found["nodeRegistration"]
    assert (registration["name"], registration["taints"]) == (NAME, [EDGE_TAINT])
    assert registration["ignorePreflightErrors"] == ["Mem"]
    arguments = [{"name": "node-labels", "value": "egi.eu/edge=true,x=y"}]
    assert registration.get("kubeletExtraArgs") == (arguments if labels else None)


@pytest.mark.parametrize(
    ("member", "nodes", "wanted"),
    [
        (MEMBER, [node(), node("b")], ["drain", "forget", "reset"]),
        # The cluster has forgotten it already.
        (MEMBER, [node("b")], ["reset"]),
        # An interrupted run has reset it.
        (NEW, [node()], ["forget"]),
        (NEW, [], []),
        (MEMBER | {"state": "remains", "joined": False}, [], ["reset"]),
        # A control plane goes by kube_master alone, with its cluster.
        (MEMBER | {"state": "control_plane", "has_api_server": True}, [node()], []),
    ],
)
def test_what_is_to_be_done_for_a_node_that_leaves(check, member, nodes, wanted):
    plan = kube_worker.leave_plan(check(), member, nodes)
    assert sorted(name for name in plan if plan[name]) == wanted


def test_pods_that_do_not_end_keep_the_nodes(check):
    done, skipped = {"rc": 0, "stderr": "warning"}, {"skipped": True}
    assert kube_worker.drain_problem(check(), [done, skipped, {}]) == ""
    (first, *others) = kube_worker.drain_problem(
        check(), [done, {"rc": 1, "stderr": "one\n"}, {"msg": "no kubectl"}]
    ).split("\n")
    assert first == ("Pods do not end within 300 s (kube_worker_drain_timeout), so the nodes stay in the cluster: one")
    assert others == ["no kubectl"]


def test_a_node_that_is_missing_or_not_ready_is_reported(check):
    assert kube_worker.node_fault(check(), [node("b"), node()]) == ""
    assert kube_worker.node_fault(check(), [node(ready="Unknown")]) == f"Node {NAME} is not ready."
    assert kube_worker.node_fault(check(), [node("b")]) == f"The cluster of a has no node {NAME}."
