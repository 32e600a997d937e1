# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that finds out whether nodes, pods and claims are ready, with a kubectl that is a script."""

from __future__ import annotations

import json
import re

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.egi.notebooks.plugins.modules import cluster_health_info as health

UNKNOWN = "belongs to no host of the groups masters, edges and workers"


def item(kind: str, name: str, ready: str = "True", **fields) -> dict:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]} | fields.pop("status", {})
    return {"kind": kind, "metadata": {"name": name} | fields, "status": status}


def table(objects: list[dict]) -> str:
    """As kubectl prints objects: a column for each path, values of a list joined by commas."""

    def cell(value, path: str) -> str:
        values = [value]
        for step in re.findall(r"\.\w+|\[.*?\]", path):
            if step == "[*]":
                values = [item for items in values for item in items]
            elif step.startswith("["):
                values = [item for items in values for item in items if item["type"] == "Ready"]
            else:
                values = [item[step[1:]] for item in values if step[1:] in item]
        return ",".join(values) if values else "<none>"

    return "\n".join("   ".join(cell(item, path) for path in health.COLUMNS.values()) for item in objects)


def waits(reason: str) -> dict:
    return {"initContainerStatuses": [{"state": {"waiting": {"reason": reason}}}, {"state": {"running": {}}}]}


def pod(name: str, ready: str = "True", **fields) -> dict:
    return item("Pod", name, ready, **{"namespace": "jupyterhub"} | fields)


def claim(name: str, phase: str = "Bound", namespace: str = "jupyterhub") -> dict:
    return item("PersistentVolumeClaim", name, namespace=namespace, status={"phase": phase})


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    """Return a function that runs the module; each query gets the next of these answers, and the last one again."""
    monkeypatch.setattr(health.time, "sleep", lambda _seconds: None)
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        '#!/bin/sh\necho "$*|$no_proxy" >>"$0.log"\nnumber=$(wc -l <"$0.log")\nwhile ! test -e "$0.$number"; do '
        'number=$((number - 1)); done\ntest -s "$0.$number" || { echo "connection refused" >&2; exit 1; }\n'
        'cat "$0.$number"\n'
    )
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "admin.conf").touch()

    def call(*answers: list[dict] | None, check: bool = False, **options) -> dict:
        for number, objects in enumerate(answers, 1):
            (tmp_path / f"kubectl.{number}").write_text("" if objects is None else table(objects) + "\n")
        (tmp_path / "kubectl.log").unlink(missing_ok=True)
        arguments = {"kubeconfig": str(tmp_path / "admin.conf"), "timeout": 0} | options
        with patch_module_args(arguments | {"_ansible_check_mode": check}), pytest.raises(SystemExit):
            health.main()
        answer = json.loads(capsys.readouterr().out)
        assert answer.get("failed", False) == (bool(answer["faults"]) and options.get("fail", True))
        assert answer.get("msg", "") in ("", "\n".join(answer["faults"]))
        log = tmp_path / "kubectl.log"
        return answer | {"queries": log.read_text().splitlines() if log.exists() else []}

    return call


def test_what_is_ready_is_counted(ask):
    objects = [
        item("Node", "m"),
        item("Node", "w"),
        pod("hub"),
        pod("else", "False", namespace="other"),
        claim("homes"),
    ]
    for check in (False, True):
        answer = ask(objects, check=check, nodes=True, namespaces=["jupyterhub"], claims=["jupyterhub/homes"])
        assert (answer["faults"], answer["nodes"], answer["pods"], answer["changed"]) == ([], 2, 1, False)


def test_a_node_of_no_host_is_reported(ask):
    nodes = [item("Node", name) for name in ("m.site", "e.site", "w.site", "old.site")]
    (fault,) = ask(nodes, nodes=True, known_nodes=["m.site", "e.site", "w.site"])["faults"]
    assert fault.startswith(f"Node old.site {UNKNOWN}")
    assert ask(nodes[:3], nodes=True, known_nodes=["m.site", "e.site", "w.site"])["faults"] == []
    # Where not all nodes of the inventory are known, nobody can say whose node it is.
    assert ask(nodes, nodes=True)["faults"] == []


def test_what_is_not_ready_is_reported(ask):
    evicted = {"status": {"phase": "Failed"}, "ownerReferences": [{"kind": "ReplicaSet"}]}
    pulls = {"component": "continuous-image-puller"}
    objects = [
        item("Node", "w.site", ready="Unknown"),
        pod("hub", "False"),
        pod("done", "False", status={"phase": "Succeeded"}),
        pod("evicted", "False", **evicted),
        pod("alone", "False", status={"phase": "Failed"}),
        pod("jupyter-a", "False", labels={"component": "singleuser-server"}),
        pod("of-somebody-else", "False", namespace="other"),
        pod("puller", "False", labels=pulls, status=waits("PodInitializing")),
        pod("lacking", "False", labels=pulls, status=waits("ImagePullBackOff")),
        pod("unlabelled", "False", labels={"component": ""}),
        claim("homes", "Pending"),
        claim("of-somebody-else", "Pending", "other"),
        item("PersistentVolume", "homes", status={"phase": "Available"}),
    ]
    assert ask(objects, nodes=True, namespaces=["jupyterhub", "edge"], claims=["other/data"])["faults"] == [
        "Node w.site is not ready.",
        "Pod jupyterhub/hub is Running, but not ready.",
        "Pod jupyterhub/alone is Failed, but not ready.",
        "Pod jupyterhub/lacking is Running, but not ready.",
        "Pod jupyterhub/unlabelled is Running, but not ready.",
        "There are no pods in the namespace edge.",
        "PersistentVolumeClaim jupyterhub/homes is Pending; must be Bound.",
        "There is no PersistentVolumeClaim other/data.",
    ]


def test_what_pods_are_configured_with_is_not_read(ask):
    """Each pod of a user has an API token in its environment, and a run's log has all that kubectl prints."""
    assert not [path for path in health.COLUMNS.values() if ".spec" in path or ".annotations" in path]
    (query,) = ask([pod("hub")], namespaces=["jupyterhub"])["queries"]
    assert "--output=custom-columns=kind:.kind,namespace:.metadata.namespace," in query
    # Not through a proxy either.
    assert query.endswith("|*")


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({"nodes": True}, "get nodes --all-namespaces"),
        ({"namespaces": ["a"]}, "get pods,persistentvolumeclaims --namespace=a"),
        ({"nodes": True, "namespaces": ["a", "b"]}, "get nodes,pods,persistentvolumeclaims --all-namespaces"),
        ({"claims": ["a/homes"]}, "get pods,persistentvolumeclaims --namespace=a"),
    ],
)
def test_only_what_is_checked_is_read(ask, options, query):
    (line,) = ask([item("Node", "m")], fail=False, **options)["queries"]
    assert f"{query} --no-headers" in line


def test_it_waits_until_all_is_ready(ask):
    objects = [None, [pod("hub", "False")], [pod("hub")]]
    answer = ask(*objects, namespaces=["jupyterhub"], timeout=60)
    assert (answer["faults"], len(answer["queries"])) == ([], 3)
    assert ask(*objects, namespaces=["jupyterhub"], timeout=0)["faults"] == [
        "The cluster can't be queried: connection refused"
    ]


def test_without_credentials_it_is_reported(ask):
    (fault,) = ask([], kubeconfig="/nowhere/admin.conf", nodes=True, timeout=60)["faults"]
    assert fault == "The cluster can't be queried: there is no file /nowhere/admin.conf on this host."
    assert ask([], namespaces=["empty"], fail=False)["faults"] == ["There are no pods in the namespace empty."]
