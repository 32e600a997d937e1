# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What verify.yml makes of the site's variables and of the cluster's answer; the lab's tests run it for real."""

from __future__ import annotations

import json
import re

import pytest
from ansible.parsing.dataloader import DataLoader

GROUPS = {"masters": ["m"], "edges": ["e"], "workers": ["e", "w"]}


def item(kind: str, name: str, ready: str = "True", **fields) -> dict:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]} | fields.pop("status", {})
    return {"kind": kind, "metadata": {"name": name} | fields, "status": status}


def table(columns: dict[str, str], objects: list[dict]) -> list[str]:
    """As kubectl answers: a column for each path, values of a list joined by commas."""

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

    return ["   ".join(cell(item, path) for path in columns.values()) for item in objects]


def waits(reason: str) -> dict:
    return {"initContainerStatuses": [{"state": {"waiting": {"reason": reason}}}, {"state": {"running": {}}}]}


@pytest.fixture
def play(root):
    """The playbook's one play."""
    (play,) = DataLoader().load_from_file(str(root / "playbooks/verify.yml"), trusted_as_template=True)
    return play


@pytest.fixture
def say(play, evaluate):
    """Return a function that gives an expression of the play's variables, with these objects in the cluster."""

    def call(expression: str, objects=(), machines=("m", "e", "w"), **variables):
        facts = {name: {"ansible_facts": {"egi_notebooks_node": {"nodename": f"{name}.site"}}} for name in machines}
        answer = {"rc": 0, "stdout_lines": table(play["vars"]["verify_columns"], objects)}
        site = {
            "groups": GROUPS,
            "hostvars": {name: {} for name in "mew"} | facts,
            "inventory_hostname": "m",
            "egi_notebooks_domain": "n.example.org",
            "verify_cluster": answer,
        }
        return evaluate(expression, play["vars"] | site | variables)

    return call


def test_a_node_whose_machine_left_the_inventory_is_told(say):
    nodes = [item("Node", name) for name in ("m.site", "e.site", "w.site", "old.site")]
    (fault,) = say("verify_strangers", nodes)
    assert fault.startswith("Node old.site belongs to no machine of the groups masters, edges and workers")
    assert say("verify_strangers", nodes[:3]) == []
    # A run that has not asked all machines does not know whose node it is.
    assert say("verify_strangers", nodes, machines=("m", "e")) == []


def test_what_is_not_ready_is_told(say):
    replaced = {"status": {"phase": "Failed"}, "ownerReferences": [{"kind": "ReplicaSet"}]}
    pulls = {"component": "continuous-image-puller"}
    objects = [
        item("Node", "w.site", ready="Unknown"),
        item("Pod", "hub", ready="False", namespace="jupyterhub"),
        item("Pod", "done", ready="False", namespace="jupyterhub", status={"phase": "Succeeded"}),
        item("Pod", "evicted", ready="False", namespace="jupyterhub", **replaced),
        item("Pod", "alone", ready="False", namespace="jupyterhub", status={"phase": "Failed"}),
        item("Pod", "jupyter-a", ready="False", namespace="jupyterhub", labels={"component": "singleuser-server"}),
        item("Pod", "of-somebody-else", ready="False", namespace="other"),
        item("Pod", "puller", ready="False", namespace="jupyterhub", labels=pulls, status=waits("PodInitializing")),
        item("Pod", "lacking", ready="False", namespace="jupyterhub", labels=pulls, status=waits("ImagePullBackOff")),
        item("Pod", "unlabelled", ready="False", namespace="jupyterhub", labels={"component": ""}),
        item("PersistentVolumeClaim", "homes", namespace="jupyterhub", status={"phase": "Pending"}),
        item("PersistentVolumeClaim", "of-somebody-else", namespace="other", status={"phase": "Pending"}),
        item("PersistentVolume", "homes", status={"phase": "Available"}),
    ]
    assert say("verify_conditions", objects) == [
        "Node w.site is not ready.",
        "Pod jupyterhub/hub is Running and not ready.",
        "Pod jupyterhub/alone is Failed and not ready.",
        "Pod jupyterhub/lacking is Running and not ready.",
        "Pod jupyterhub/unlabelled is Running and not ready.",
        "PersistentVolumeClaim jupyterhub/homes is Pending, not bound.",
    ]


def test_what_users_pods_are_told_is_not_asked_for(play, say):
    """Each pod of a user has an API token in its environment, and a run's log all that kubectl answers."""
    assert not [path for path in play["vars"]["verify_columns"].values() if ".spec" in path or ".annotations" in path]
    (argv,) = (task["ansible.builtin.command"]["argv"] for task in play["tasks"] if "nodes, pods" in task["name"])
    (*_, output) = say(argv.removeprefix("{{").removesuffix("}}"))
    assert output.startswith("--output=custom-columns=kind:.kind,namespace:.metadata.namespace,")


@pytest.mark.parametrize("lines", [[], ["Node   <none>   m.site   <none>   True   <none>   <none>   <none>"]])
def test_a_cluster_that_does_not_answer_is_told(say, lines):
    silent = {"verify_cluster": {"rc": 1, "stdout_lines": lines, "stderr": "connection refused"}}
    page = {"verify_web": [], "verify_target_faults": []}
    assert say("verify_faults", **silent, **page)[0] == "The cluster does not answer: connection refused"


@pytest.mark.parametrize(
    ("variable", "shared", "own"),
    [
        ("verify_home", {}, {"jupyterhub_domain": "own"}),
        ("verify_namespace", {"egi_notebooks_namespace": "shared"}, {"jupyterhub_namespace": "own"}),
        ("verify_kubectl[1].split('=')[1]", {"egi_notebooks_kubeconfig": "shared"}, {"jupyterhub_kubeconfig": "own"}),
        ("verify_monitoring", {"egi_notebooks_monitoring_namespace": "shared"}, {"prometheus_namespace": "own"}),
    ],
)
def test_a_role_s_own_variable_counts_more_than_the_shared_one(say, variable, shared, own):
    default, by_shared, by_own = say(variable), say(variable, **shared), say(variable, **shared, **own)
    assert default.removeprefix("https://") in (
        "n.example.org",
        "jupyterhub",
        "monitoring",
        "/etc/kubernetes/admin.conf",
    )
    assert by_shared == next(iter(shared.values()), default)
    assert by_own.removeprefix("https://") == "own"


def test_the_login_is_the_one_that_the_hub_has(say):
    login = {"client_id": "x", "environment": "demo"}
    found = say("verify_login", jupyterhub_oauth=login, jupyterhub_vos=["vo.own"])
    assert found["oauth_callback_url"] == "https://n.example.org/hub/oauth_callback"
    assert say("verify_login", jupyterhub_oauth=login, egi_notebooks_vos=["vo.own"]) == found
    moved = login | {"callback_url": "https://else.example.org/hub/oauth_callback"}
    assert (
        say("verify_login.oauth_callback_url", jupyterhub_oauth=moved, jupyterhub_vos=["vo.own"])
        == moved["callback_url"]
    )


def test_the_cluster_s_host_asks_for_a_name_that_this_machine_can_not_know(say):
    assert say("verify_browser") == "localhost"
    assert say("verify_browser", edge_ingress_check_dns="false") == "m"


@pytest.mark.parametrize(
    ("given", "trusted"),
    [
        ([], []),
        (["egi_notebooks_ca_file"], ["egi_notebooks_ca_file"]),
        (["egi_notebooks_ca_file", "edge_ingress_ca_file"], ["edge_ingress_ca_file", "egi_notebooks_ca_file"]),
        (["edge_ingress_ca_file", "jupyterhub_oauth_ca_file"], ["edge_ingress_ca_file", "jupyterhub_oauth_ca_file"]),
    ],
)
def test_the_browser_trusts_what_edge_and_login_were_given(root, say, tmp_path, given, trusted):
    tasks = DataLoader().load_from_file(str(root / "playbooks/tasks/verify_web.yml"), trusted_as_template=True)
    (block,) = (task for task in tasks if "block" in task)
    for name in given:
        (tmp_path / name).write_text(f"-- {name} --")
    files = {name: str(tmp_path / name) for name in given}
    bundle = say("verify_bundle", **block["vars"], **files, verify_internal_ca={})
    assert re.findall("-- (.*_ca_file) --", bundle) == trusted


LOGIN = {"jupyterhub_oauth": {"client_id": "x", "environment": "demo"}, "egi_notebooks_vos": ["vo.a"]}
REALM = "https://aai-demo.egi.eu/auth/realms/egi"
AUTHORISE = f"{REALM}/protocol/openid-connect/auth"
CALLBACK = "https%3A%2F%2Fn.example.org%2Fhub%2Foauth_callback"
#: What a service that works answers.
WEB = {
    "verify_plain": {"status": 308, "location": "https://n.example.org/", "msg": ""},
    "verify_page": {"status": 200, "content": '<a href="/hub/oauth_login">', "msg": ""},
    "verify_to_login": {
        "status": 302,
        "location": f"{AUTHORISE}?client_id=x&redirect_uri={CALLBACK}&code_challenge_method=S256",
    },
    "verify_discovery": {"status": 200, "json": {"authorization_endpoint": AUTHORISE}, "msg": ""},
}


def test_a_website_that_works_has_no_fault(say):
    assert say("verify_web", **LOGIN, **WEB) == []


@pytest.mark.parametrize(
    ("asked", "answer", "fault"),
    [
        ("verify_plain", {"status": 200, "location": ""}, "http://n.example.org/ answers 200  and does not lead to"),
        ("verify_plain", {"location": "https://else.org/"}, "http://n.example.org/ answers 308 https://else.org/ and"),
        ("verify_page", {"status": 503, "msg": "no hub"}, "https://n.example.org/hub/login answers 503: no hub"),
        ("verify_page", {"content": "Sign in by PAM"}, "https://n.example.org/hub/login offers no login by Check-in."),
        ("verify_to_login", {"status": 404, "location": ""}, "https://n.example.org/hub/oauth_login answers 404 and"),
        (
            "verify_to_login",
            {"location": f"{AUTHORISE}?client_id=y&redirect_uri={CALLBACK}&code_challenge_method=S256"},
            "The way to Check-in lacks client_id=x.",
        ),
        (
            "verify_to_login",
            {"location": f"{AUTHORISE}?client_id=x&redirect_uri={CALLBACK}"},
            "The way to Check-in lacks code_challenge_method=S256.",
        ),
        (
            "verify_discovery",
            {"status": -1, "msg": "timed out"},
            f"{REALM}/.well-known/openid-configuration answers -1: timed out",
        ),
        ("verify_discovery", {"json": {}}, f"{REALM} says that people log in at nowhere, the hub sends them to"),
    ],
)
def test_a_website_that_does_not_work_has_one_fault(say, asked, answer, fault):
    (told,) = say("verify_web", **LOGIN, **(WEB | {asked: WEB[asked] | answer}))
    assert told.startswith(fault)


def test_a_target_that_is_down_or_missing_is_told(say):
    up = [
        {"labels": {"job": job}, "health": "up", "scrapeUrl": f"http://{job}", "lastError": ""}
        for job in say("verify_jobs")
    ]
    down = {"labels": {"job": "hub"}, "health": "down", "scrapeUrl": "http://hub/metrics", "lastError": "403"}

    def faults(targets):
        return say("verify_target_faults", verify_targets={"stdout": json.dumps({"data": {"activeTargets": targets}})})

    assert faults(up) == []
    assert faults([*up, down]) == ["Prometheus target hub at http://hub/metrics is down: 403."]
    assert faults([target for target in up if target["labels"]["job"] != "traefik"]) == [
        "Prometheus has no target for traefik."
    ]
