# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading objects of a cluster, with a kubectl that prints what a test wants."""

from __future__ import annotations

import json

import pytest

from ansible_collections.egi.notebooks.plugins.modules import cluster_info

KUBECTL = """#!/bin/sh
echo "$no_proxy|$NO_PROXY|$*" >>%(folder)s/calls
cat %(folder)s/answer
echo "connection refused" >&2
exit %(code)d
"""


@pytest.fixture
def read(run, monkeypatch, tmp_path):
    """Return a function that runs the module on a host, and gives what it returns and what kubectl was called with."""

    def call(answer="", code=0, kubectl=True, credentials=True, check=False, **options):
        if kubectl:
            monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        else:
            monkeypatch.setattr(cluster_info.AnsibleModule, "get_bin_path", lambda *_, **__: None)
        monkeypatch.setenv("https_proxy", "http://proxy:3128")
        if kubectl:
            (tmp_path / "kubectl").write_text(KUBECTL % {"folder": tmp_path, "code": code})
            (tmp_path / "kubectl").chmod(0o755)
        if credentials:
            (tmp_path / "admin.conf").touch()
        (tmp_path / "answer").write_text(answer)
        wanted = {"kubeconfig": str(tmp_path / "admin.conf"), "kinds": ["nodes", "pods"]} | options
        found = run(cluster_info, check, ca_path=None, **wanted)
        calls = tmp_path / "calls"
        return found, calls.read_text().splitlines() if calls.exists() else []

    return call


def test_all_objects_are_read_by_one_call_and_through_no_proxy(read, tmp_path):
    items = [{"kind": "Node"}, {"kind": "Pod"}]
    found, calls = read(json.dumps({"items": items}))
    assert (found["changed"], found["state"], found["reason"], found["objects"]) == (False, "present", "", items)
    assert calls == [
        f"*|*|--kubeconfig={tmp_path}/admin.conf --request-timeout=30s get nodes,pods --all-namespaces --output=json"
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"namespace": "edge"}, "get nodes,pods --namespace=edge --output=json"),
        ({"name": "n1"}, "get nodes,pods --all-namespaces --field-selector=metadata.name=n1 --output=json"),
        ({"timeout": 5, "kinds": ["nodes"]}, "--request-timeout=5s get nodes --all-namespaces --output=json"),
    ],
)
def test_the_objects_may_be_fewer(read, options, words):
    _found, (call,) = read('{"items": []}', **options)
    assert call.endswith(words)


def test_an_empty_list_is_a_cluster(read):
    found, _calls = read('{"items": []}')
    assert (found["state"], found["objects"]) == ("present", [])


def test_a_host_without_kubectl_can_not_tell_whether_there_is_a_cluster(read):
    found, calls = read(kubectl=False, required=False)
    assert (found["state"], found["objects"], calls) == ("unreachable", [], [])
    found, _calls = read(kubectl=False)
    assert found["msg"] == "The cluster can't be queried: there is no kubectl on this host."


def test_a_host_without_a_cluster_fails_unless_that_is_expected(read):
    for expected in ({"required": False}, {"check": True}):
        found, calls = read(credentials=False, **expected)
        assert (found["state"], found["objects"], calls) == ("absent", [], [])
        assert found["reason"].startswith("there is no ")
        assert not found.get("failed")
    found, calls = read(credentials=False)
    assert found["failed"]
    assert found["msg"].startswith("The cluster can't be queried: there is no ")
    assert (found["state"], calls) == ("absent", [])


@pytest.mark.parametrize(("answer", "code"), [("", 1), ("", 0), ("nonsense", 0), ("[]", 0), ("{}", 0), ("null", 0)])
def test_no_answer_is_never_taken_for_a_cluster_without_objects(read, answer, code):
    found, _calls = read(answer, code, required=False)
    assert (found["state"], found["reason"], found["objects"]) == ("unreachable", "connection refused", [])
    for check in (False, True):
        found, _calls = read(answer, code, check=check)
        assert found["failed"]
        assert found["msg"] == "The cluster can't be queried: connection refused"


def test_a_part_of_an_answer_is_none(read):
    """kubectl prints what it has read and fails, for example if it may not read one of the kinds."""
    found, _calls = read('{"items": [{"kind": "Node"}]}', 1, required=False)
    assert (found["state"], found["objects"]) == ("unreachable", [])
