# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From Ansible's variables to the data that functions of roles and playbooks get."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar, trust_as_template

from ansible_collections.egi.notebooks.plugins.plugin_utils import kube_node
from ansible_collections.egi.notebooks.plugins.plugin_utils.roles import Reader, decide, read_run, role_module

NODE = {"nodename": "a.site"}


def test_what_a_run_knows_of_its_hosts(read_reader):
    hostvars = {"b": {"egi_notebooks_node_address": "10.0.0.2", "egi_notebooks_kube_endpoint": "api:6443"}}
    groups = {"masters": ["a"], "workers": ["b"], "nfs_servers": ["n"], "others": ["z"]}
    run = read_reader(
        facts={"a": NODE}, groups=groups, hostvars=hostvars | {"admin": {}}, egi_notebooks_kube_host="admin"
    ).run
    assert (run.host, run.kube_host, run.groups) == ("a", "admin", groups)
    assert (run.hosts["a"].node, run.hosts["b"].node) == (NODE, None)
    assert (run.hosts["b"].address, run.hosts["b"].endpoint) == ("10.0.0.2", "api:6443")
    # Hosts of other groups do not matter.
    assert set(run.hosts) == {"a", "b", "n", "admin"}


def test_the_host_that_calls_the_cluster_s_api_may_be_a_template(read_reader):
    template = trust_as_template("{{ groups['masters'][0] }}")
    assert read_reader(groups={"masters": ["m"]}, egi_notebooks_kube_host=template).run.kube_host == "m"


def test_a_host_that_the_inventory_does_not_list_is_known_by_its_own_variables():
    run = read_run({"inventory_hostname": "localhost", "ansible_facts": {"egi_notebooks_node": NODE}})
    assert run.hosts["localhost"].node == NODE


def test_settings_come_from_the_site_with_their_types(read_check):
    problems: list[str] = []
    check = read_check(
        "kube_node", egi_notebooks_mirror="https://m", kube_node_minimum_memory="1000", problems=problems
    )
    assert problems == []
    assert (check["mirror"], check["minimum_memory"]) == ("https://m", 1000)
    assert check.must("mirror", "empty") == 'egi_notebooks_mirror must be empty; got "https://m".'
    # Nobody has set it, so the message names the variable to set.
    assert check.name("pod_cidr") == "egi_notebooks_pod_cidr"


def test_a_wrong_type_is_a_problem_and_the_default_is_used(read_check):
    problems: list[str] = []
    check = read_check("kube_node", kube_node_minimum_memory="much", egi_notebooks_no_proxy={"a": 1}, problems=problems)
    assert sorted(problems) == [
        'egi_notebooks_no_proxy must be of type list; got {"a": 1}.',
        'kube_node_minimum_memory must be of type int; got "much".',
    ]
    assert (check["minimum_memory"], check["no_proxy"]) == (900, [])


def test_within_a_role_its_defaults_are_no_settings_of_the_site(read_check):
    default = trust_as_template("{{ egi_notebooks_mirror | default('') }}")
    assert read_check("kube_node", egi_notebooks_mirror="m", kube_node_mirror=default).name("mirror") == (
        "egi_notebooks_mirror"
    )
    assert read_check("kube_node", egi_notebooks_mirror="m", kube_node_mirror="m").name("mirror") == "kube_node_mirror"
    assert read_check("kube_node", kube_node_mirror=default).name("mirror") == "egi_notebooks_mirror"


def test_a_variable_that_can_not_be_evaluated_is_a_problem(read_check):
    problems: list[str] = []
    check = read_check("kube_node", kube_node_mirror=trust_as_template("{{ nobody_has_set_this }}"), problems=problems)
    (problem,) = problems
    assert problem.startswith("kube_node_mirror can't be evaluated: ")
    assert "nobody_has_set_this" in problem
    assert check["mirror"] == ""


def test_another_host_s_settings(read_reader):
    reader = read_reader(
        groups={"masters": ["b"]},
        hostvars={"b": {"egi_notebooks_mirror": "https://b"}},
        egi_notebooks_mirror="https://a",
    )
    assert reader.on("b").check("kube_node")["mirror"] == "https://b"
    assert reader.on("b").run.host == "b"
    assert reader.on("b").run.groups == {"masters": ["b"]}
    assert reader.on("nobody") is reader


def test_a_function_gets_the_settings_of_its_role_or_the_reader(read_reader, monkeypatch):
    reader = read_reader(egi_notebooks_mirror="https://m")
    assert decide(reader, "kube_node.artifacts")[0]["url"].startswith("https://m/")
    monkeypatch.setattr(kube_node, "twice", lambda check, text: [check.role, text * 2], raising=False)
    assert decide(reader, "kube_node.twice", text="a") == ["kube_node", "aa"]
    assert decide(reader, "migrate_users.homes") == "/srv/homes"


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("kube_node.nothing", "kube_node has no function nothing"),
        ("kube_node._space_problems", "kube_node has no function _space_problems"),
        ("kube_node.PROGRAMS", "kube_node has no function PROGRAMS"),
        ("kube_node", "kube_node has no function "),
        ("rules.is_url", "The collection has no role rules"),
    ],
)
def test_other_functions_are_rejected(read_reader, term, message):
    with pytest.raises(AnsibleError, match=message):
        decide(read_reader(), term)


def test_each_role_has_its_checks(root):
    for role in sorted(path.parent.name for path in (root / "roles").glob("*/meta")):
        assert callable(role_module(role).problems), role


def test_the_lookup_calls_the_functions():
    site = {"inventory_hostname": "a", "groups": {}, "hostvars": {}, "nfs_server_path": "/srv/own"}
    loader = DataLoader()
    lookup = lookup_loader.get("egi.notebooks.decision", loader=loader, templar=Templar(loader=loader, variables=site))
    assert lookup.run(["migrate_users.homes", "migrate_users.homes"], site) == ["/srv/own", "/srv/own"]
    assert Reader(site, Templar(loader=loader, variables=site), loader).run.host == "a"
