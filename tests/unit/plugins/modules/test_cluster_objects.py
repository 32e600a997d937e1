# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's objects are applied where they differ, and nobody else's are touched."""

from __future__ import annotations

import base64
import json
import sys

import pytest

from ansible_collections.egi.notebooks.plugins.modules import cluster_objects as module

#: A cluster in a file: what kubectl prints for it. Its first argument after the options is the verb.
KUBECTL = """#!{python}
import copy, json, pathlib, sys
path = pathlib.Path({store!r})
state = json.loads(path.read_text())
verb, options = sys.argv[3], sys.argv[4:]
state["calls"].append(verb)
def key(item):
    return [item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]]
items = state["items"]
if verb == "get" and "--filename=-" in options:
    wanted = [key(item) for item in json.load(sys.stdin)["items"]]
    answer = [item for item in items if key(item) in wanted]
elif verb == "get":
    kinds = options[0].split(",")
    space = next(option.split("=")[1] for option in options if option.startswith("--namespace="))
    answer = [i for i in items if i["kind"].lower() + "s" in kinds and i["metadata"].get("namespace") == space]
elif verb == "apply":
    answer = []
    for item in json.load(sys.stdin)["items"]:
        old = next((i for i in items if key(i) == key(item)), None)
        new = copy.deepcopy(item)
        new["metadata"]["annotations"] = {{"kubectl.kubernetes.io/last-applied-configuration": json.dumps(item)}}
        # The API writes some values in its own way and adds to them.
        if "replicas" in new.get("spec", {{}}):
            new["spec"]["replicas"] = int(new["spec"]["replicas"])
        new["default"] = True
        version = old["metadata"].pop("resourceVersion") if old else "0"
        new["status"] = (old or {{}}).get("status", {{}})
        if new != old:
            version = str(int(version) + 1)
        new["metadata"]["resourceVersion"] = version
        items[:] = [i for i in items if key(i) != key(item)] + [new]
        answer.append(new)
elif verb == "delete":
    gone = [key(item) for item in json.load(sys.stdin)["items"]]
    items[:] = [item for item in items if key(item) not in gone]
    answer = None
path.write_text(json.dumps(state))
if answer is not None:
    print(json.dumps({{"kind": "List", "items": answer}}))
"""

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "edge", "labels": {"level": "privileged"}}}
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pair", "namespace": "edge"}}
CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "traefik", "namespace": "edge"},
    "data": {"a": "1"},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "traefik", "namespace": "edge", "labels": {"app.kubernetes.io/part-of": "egi-notebooks"}},
    "spec": {"replicas": "1"},
}
OBJECTS = [NAMESPACE, SECRET, CONFIG, DEPLOYMENT]
NAMES = ["Namespace edge", "Secret edge/pair", "ConfigMap edge/traefik", "Deployment edge/traefik"]
KEY = base64.b64encode(b"correct horse battery staple").decode()


class Store:
    """The cluster of the tests."""

    def __init__(self, path):
        self.path = path
        self.write([])

    def write(self, items, calls=()):
        self.path.write_text(json.dumps({"items": items, "calls": list(calls)}))

    @property
    def items(self):
        return json.loads(self.path.read_text())["items"]

    def calls(self):
        """The verbs that kubectl was called with since the last time."""
        state = json.loads(self.path.read_text())
        self.write(state["items"])
        return state["calls"]


@pytest.fixture
def store(tmp_path, monkeypatch):
    found = Store(tmp_path / "cluster.json")
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(KUBECTL.format(python=sys.executable, store=str(found.path)))
    kubectl.chmod(0o755)
    (tmp_path / "kubeconfig").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    return found


@pytest.fixture
def objects(run, store, tmp_path):
    def call(check=False, objects=OBJECTS, **options):
        data = {"secret_data": {"pair": {"tls.key": KEY}}, "kubeconfig": str(tmp_path / "kubeconfig")}
        answer = run(module, check, ca_path=None, objects=objects, **data | options)
        assert KEY not in json.dumps(answer)
        return answer

    return call


def test_objects_are_created_changed_and_deleted_once(objects, store):
    # Create.
    assert objects(check=True)["changes"] == NAMES
    assert store.items == []
    store.calls()
    assert objects()["changes"] == NAMES
    assert store.calls() == ["get", "apply"]
    assert all(module.LABELS.items() <= item["metadata"]["labels"].items() for item in store.items)
    assert next(item for item in store.items if item["kind"] == "Secret")["data"] == {"tls.key": KEY}
    # A value that the API writes in its own way is applied again, and no change.
    for check in (True, False):
        assert objects(check=check, objects=OBJECTS[:3])["changes"] == []
    assert "apply" not in store.calls()
    assert objects()["changes"] == []
    # Change.
    changed = [CONFIG | {"data": {"b": "2"}}, NAMESPACE]
    assert objects(check=True, objects=changed)["changes"] == ["ConfigMap edge/traefik"]
    assert objects(objects=changed)["changes"] == ["ConfigMap edge/traefik"]
    assert not objects(objects=changed)["changed"]
    assert objects(secret_data={"pair": {"tls.key": "bmV3"}}, objects=[SECRET])["changes"] == ["Secret edge/pair"]
    # Delete.
    assert objects(check=True, state="absent")["changes"] == [*NAMES[:0:-1], NAMES[0]]
    assert len(store.items) == 4
    assert objects(state="absent")["changes"] == [*NAMES[:0:-1], NAMES[0]]
    assert store.items == []
    assert not objects(state="absent")["changed"]


def test_what_somebody_has_changed_is_repaired(objects, store):
    objects()
    items = store.items
    next(item for item in items if item["kind"] == "ConfigMap")["data"]["a"] = "other"
    store.write(items)
    assert objects()["changes"] == ["ConfigMap edge/traefik"]


def foreign(item, **labels):
    return item | {"metadata": {**item["metadata"], "labels": labels, "resourceVersion": "1"}}


GRAFANA = {"kind": "StatefulSet", "metadata": {"name": "grafana", "namespace": "edge", "resourceVersion": "1"}}
OTHERS = "The cluster must not have objects of others by the names of this role's; it has "


@pytest.mark.parametrize(
    ("items", "reported"),
    [
        ([foreign(DEPLOYMENT, **{"app.kubernetes.io/part-of": "kube-prometheus"})], "Deployment edge/traefik."),
        ([foreign(CONFIG | {"data": {"a": "9"}})], "ConfigMap edge/traefik."),
        ([foreign(CONFIG, **{"app.kubernetes.io/managed-by": "Helm"})], "ConfigMap edge/traefik."),
        ([foreign(NAMESPACE), GRAFANA], "Namespace edge with StatefulSet edge/grafana."),
        (
            [foreign(NAMESPACE), foreign(DEPLOYMENT | {"spec": {"replicas": "9"}})],
            "Namespace edge with Deployment edge/traefik; Deployment edge/traefik.",
        ),
    ],
)
def test_objects_of_others_are_rejected_before_the_first_change(objects, store, items, reported):
    for check in (True, False):
        store.write(items)
        answer = objects(check=check, advice="Choose another one.")
        assert answer["failed"]
        assert answer["msg"] == f"{OTHERS}{reported} Choose another one."
        assert not answer["changed"]
        assert store.items == items
        assert "apply" not in store.calls()
    # Nor are they deleted.
    assert objects(state="absent")["changes"] == []
    assert store.items == items


def test_a_namespace_that_was_created_for_the_role_is_labelled(objects, store):
    settings = {"kind": "Secret", "metadata": {"name": "site", "namespace": "edge", "resourceVersion": "1"}}
    pod = {
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "edge", "ownerReferences": [{}], "resourceVersion": "1"},
    }
    store.write([foreign(NAMESPACE), settings, pod])
    assert objects()["changes"] == NAMES


def test_objects_of_earlier_versions_are_recognised(objects, store):
    """They labelled workloads alone."""
    old = [foreign(item) for item in (NAMESPACE, SECRET, CONFIG | {"data": {"old": "1"}})]
    store.write([*old, foreign(DEPLOYMENT, **{"app.kubernetes.io/part-of": "egi-notebooks"}), GRAFANA])
    assert objects()["changes"] == NAMES
    assert objects()["changes"] == []
    # An interrupted run made this one alone.
    store.write([foreign(CONFIG)])
    assert objects()["changes"] == NAMES
    role = {"kind": "ClusterRole", "metadata": {"name": "egi-notebooks-edge"}, "rules": []}
    store.write([foreign(role | {"rules": [{"verbs": ["get"]}]})])
    assert objects(objects=[role])["changes"] == ["ClusterRole egi-notebooks-edge"]


def test_a_namespace_stays_with_what_others_have_in_it(objects, store):
    objects()
    theirs = {"kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": "edge"}}
    built_in = {"kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt", "namespace": "edge"}}
    store.write([*store.items, theirs, built_in])
    assert objects(state="absent")["changes"] == NAMES[:0:-1]
    assert [item["metadata"]["name"] for item in store.items] == ["edge", "theirs", "kube-root-ca.crt"]
    store.write([item for item in store.items if item != theirs])
    assert objects(state="absent")["changes"] == ["Namespace edge"]


def status(**fields):
    return DEPLOYMENT | {"spec": {"replicas": 1}, "status": fields}


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (status(updatedReplicas=1, availableReplicas=1), ""),
        (status(updatedReplicas=1), "0 of 1 pods are ready"),
        (status(availableReplicas=1), "0 of 1 pods are ready"),
        ({"kind": "DaemonSet", "metadata": {"generation": 2}, "status": {}}, "its change has not begun"),
        ({"kind": "DaemonSet", "metadata": {}, "status": {"desiredNumberScheduled": 2}}, "0 of 2 pods are ready"),
        (
            {
                "kind": "DaemonSet",
                "metadata": {},
                "status": {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2},
            },
            "",
        ),
    ],
)
def test_what_is_waited_for(item, reason):
    assert module.unready(item) == reason


def test_waiting_ends_with_what_is_not_ready(objects, store, monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    answer = objects(wait=1)
    assert answer["failed"]
    assert answer["changed"]
    assert answer["msg"] == (
        "Deployment edge/traefik (0 of 1 pods are ready) must be ready after 1 s. See kubectl describe."
    )
    items = store.items
    items[-1]["status"] = {"updatedReplicas": 1, "availableReplicas": 1}
    store.write(items)
    assert not objects(wait=1).get("failed")


def test_without_a_cluster(objects, tmp_path):
    missing = {"kubeconfig": str(tmp_path / "none")}
    assert objects(check=True, **missing)["changes"] == NAMES
    assert not objects(state="absent", **missing)["changed"]
    answer = objects(**missing)
    assert answer["msg"] == f"The cluster can't be reached: there is no file {tmp_path}/none on this host."


def test_a_refused_connection_is_reported_in_one_line(objects, tmp_path):
    (tmp_path / "kubectl").write_text("#!/bin/sh\necho 'The connection\nwas refused' >&2\nexit 1\n")
    assert objects()["msg"] == "kubectl get failed: The connection was refused"


@pytest.mark.parametrize(
    ("actual", "wanted", "result"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({}, {"a": {}, "b": [], "c": None}, True),
        ({"c": "uid"}, {"c": None}, False),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": "x"}, {"a": {"b": 1}}, False),
        ({"a": 0}, {"a": False}, True),
    ],
)
def test_what_an_object_contains(actual, wanted, result):
    assert module.contains(actual, wanted) is result
