# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What groups of an inventory mean, and how the problems of many hosts are reported."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.filter import host_roles as host_roles_filter
from ansible_collections.egi.notebooks.plugins.plugin_utils import inventory
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Host, Run

GROUPS = {"masters": ["m"], "edges": ["e"], "workers": ["w", "one"], "nfs_servers": ["n", "one"]}
SERVICE = ["nfs_volumes", "edge_ingress", "prometheus", "jupyterhub"]


@pytest.mark.parametrize(
    ("host", "kube_host", "part", "roles"),
    [
        ("m", "", "all", ["kube_node", "kube_master", *SERVICE]),
        ("m", "", "cluster", ["kube_node", "kube_master"]),
        ("m", "", "service", SERVICE),
        ("m", "admin", "all", ["kube_node", "kube_master"]),
        ("e", "", "all", ["kube_node", "kube_worker"]),
        ("one", "", "all", ["kube_node", "kube_worker", "nfs_server"]),
        # The homes are exported while the cluster is made, or before the service.
        ("n", "", "cluster", ["nfs_server"]),
        ("n", "", "service", ["nfs_server"]),
        ("e", "e", "service", SERVICE),
        ("admin", "admin", "all", SERVICE),
        ("stranger", "", "all", []),
    ],
)
def test_the_roles_of_a_host(host, kube_host, part, roles):
    assert inventory.host_roles(Run(host, GROUPS, kube_host=kube_host), part) == roles
    assert host_roles_filter.FilterModule().filters()["host_roles"](GROUPS, host, kube_host, part) == roles


def test_the_host_from_which_the_cluster_s_api_is_called():
    assert inventory.kube_host(Run("a", GROUPS)) == "m"
    assert inventory.kube_host(Run("a", GROUPS, kube_host="admin")) == "admin"
    assert inventory.kube_host(Run("a", {"masters": []})) == ""


def test_the_names_of_nodes_are_known_if_all_hosts_are_reached():
    hosts = {name: Host({"nodename": f"{name}.site"}) for name in ("m", "e", "w")}
    groups = {"masters": ["m"], "edges": ["e"], "workers": ["e", "w"], "nfs_servers": ["n"]}
    assert inventory.known_nodes(Run("m", groups, hosts)) == ["m.site", "e.site", "w.site"]
    assert inventory.known_nodes(Run("m", groups, hosts | {"w": Host()})) == []
    assert inventory.known_nodes(Run("m", groups, {"m": hosts["m"]})) == []


def problems(hosts=None, server_is_set=False, kube_host="", nodes=None, **groups):
    known = GROUPS | groups
    known["all"] = [*dict.fromkeys(sum(known.values(), []))]
    facts = {name: Host({"is_node": is_node}) for name, is_node in (nodes or {}).items()}
    run = Run("m", {name: members for name, members in known.items() if members is not None}, facts, kube_host)
    return list(inventory.inventory_problems(run, hosts or known["all"], server_is_set))


def test_groups_of_a_good_inventory():
    assert problems(nfs_servers=["n"]) == []
    assert problems(nfs_servers=[]) == []
    # One host from which everything is installed, beside the cluster.
    assert problems(nfs_servers=["n"], others=["admin"], kube_host="admin") == []
    assert problems(nfs_servers=["n"], others=["localhost"]) == []


def test_hosts_in_no_group():
    assert problems(nfs_servers=["n"], others=["z", "b", "m"]) == [
        "inventory has hosts in none of the groups masters, edges, workers, nfs_servers: b, z."
    ]


@pytest.mark.parametrize("group", ["masters", "edges", "workers"])
def test_a_group_without_hosts(group):
    (problem,) = problems(nfs_servers=["n"], **{group: []})
    assert problem.startswith(f"{group} must not be empty: it is the group of the host")


def test_one_host_has_the_homes_unless_the_site_names_it():
    (problem,) = problems()
    assert problem == ('nfs_servers must be a group of one host, unless nfs_volumes_server is set; got ["n", "one"].')
    assert problems(server_is_set=True) == []


def test_a_new_worker_comes_with_the_nfs_server():
    given = {"nfs_servers": ["n"], "nodes": {"w": False, "one": True}}
    assert problems(["w"], **given) == [
        "--limit leaves out n, which would not export the homes to the new w; must be --limit w,nfs_servers."
    ]
    assert problems(["w", "n"], **given) == []
    # One that is a node, or of which nothing is known.
    assert problems(["one"], **given) == []
    assert problems(["w"], nfs_servers=["n"]) == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (
            {"unreachable": True, "msg": "Task failed: Connection refused"},
            "host is unreachable: Connection refused. Ansible must be able to log in and become root",
        ),
        (
            {"failed": False, "msg": 'Failed to find required executable "ip"'},
            'host returned no facts: Failed to find required executable "ip". It must have Python 3 and ip',
        ),
        ({"ansible_facts": {}}, None),
        ({"skipped": True}, None),
        (None, None),
        ({}, None),
    ],
)
def test_a_host_that_answers_is_not_unreachable(answer, problem):
    found = list(inventory.connection_problems(answer))
    assert [text[: len(problem or "")] for text in found] == ([problem] if problem else [])


def test_a_problem_of_several_hosts_is_one_line():
    found = {"": ["all"], "a": ["x\n is 1", "x is 1", "y"], "b": ["x is 1"], "c": []}
    assert inventory.problem_lines(found) == ["all", "a, b: x is 1", "a: y"]
    assert inventory.problem_lines({"": [], "a": []}) == []
