# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that checks the settings of roles and their host."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import kube_node, nfs_server

INFO = "egi.notebooks.artifact_info"
FACTS = {"egi_notebooks_node": {"nodename": "a"}}


@pytest.fixture
def check(act, monkeypatch):
    """Return a function that checks two roles whose own checks are those of this test."""
    monkeypatch.setattr(kube_node, "problems", lambda check: iter([f"{check.role} is bad.", "both are bad."]))
    monkeypatch.setattr(nfs_server, "problems", lambda check: iter(["both are bad.", *found(check)]))
    monkeypatch.setattr(kube_node, "downloads", lambda check: ["https://m/file", "quay.io/a/b:1"])
    monkeypatch.setattr(nfs_server, "downloads", lambda check: ["https://m/file"], raising=False)

    def found(check):
        if not check.query:
            return ["not queried."]
        return [check.query("command", {"A": "1"}, argv=["ls"])["msg"], check.query("secret", no_log=True)["msg"]]

    def call(facts=FACTS, variables=None, problems=(), **arguments):
        site = {"inventory_hostname": "a", "groups": {}, "hostvars": {}, "ansible_facts": facts} | (variables or {})
        modules = {INFO: {"problems": list(problems)}, "command": {"msg": "ran."}, "secret": {"msg": "ran too."}}
        return act("role_problems", {"roles": ["kube_node", "nfs_server"]} | arguments, site, modules)

    return call


def test_all_problems_of_all_roles_are_in_one_message(check):
    answer = check(problems=["https://m/file is missing."])
    problems = ["kube_node is bad.", "both are bad.", "ran.", "ran too.", "https://m/file is missing."]
    assert (answer["failed"], answer["changed"], answer["problems"]) == (True, False, problems)
    assert answer["msg"].splitlines() == problems


def test_problems_may_be_returned_only(check):
    answer = check(fail=False)
    assert not answer.get("failed")
    assert "both are bad." in answer["problems"]


def test_wrong_types_are_problems_too(check):
    problems = check(variables={"kube_node_minimum_memory": "much"}, fail=False)["problems"]
    assert problems[0] == 'kube_node_minimum_memory must be of type int; got "much".'


@pytest.mark.parametrize("images", [False, True])
def test_each_download_is_queried_once_and_images_on_request(check, images):
    (queried,) = [arguments["downloads"] for name, arguments, *_ in check(images=images)["ran"] if name == INFO]
    assert queried == ["https://m/file", *(["quay.io/a/b:1"] if images else [])]


def test_nothing_is_queried_of_a_host_without_facts(check):
    answer = check(facts={}, fail=False)
    assert answer["ran"] == []
    assert answer["problems"] == ["kube_node is bad.", "both are bad.", "not queried."]


def test_a_query_has_its_environment_and_may_be_kept_out_of_logs(check):
    ran = {name: (arguments, environment, no_log) for name, arguments, environment, no_log in check()["ran"]}
    assert ran["command"] == ({"argv": ["ls"]}, [{"A": "1"}], False)
    # Nothing of one query is left for the next.
    assert ran["secret"] == ({}, None, True)
    assert ran[INFO][2] is False
