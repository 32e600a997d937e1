# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role jupyterhub makes Helm do, by a helm and a kubectl that write down what they were asked."""

from __future__ import annotations

import json

import pytest

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: egi.notebooks.jupyterhub
        tasks_from: release
"""

HELM = """#!/bin/sh
namespace=${HELM_NAMESPACE:-$(echo "$*" | sed -n 's/.*--namespace=\\([^ ]*\\).*/\\1/p')}
cd "$(dirname "$0")/../$namespace" || exit 1
echo "$*" >>asked
case "$1 $2" in
  status*) cat status ;;
  history*) cat history ;;
  "get values") cat values ;;
  # It knows a release only by its last revision.
  list*) grep -q '"failed"' status || echo "[{name: jupyterhub, chart: jupyterhub-1.0.0, app_version: ''}]" ;;
  plugin*) echo NAME VERSION ;;
  "show chart") printf 'name: jupyterhub\\nversion: 1.0.0\\n' ;;
  version*) echo 'version.BuildInfo{Version:"v3.22.0", }' ;;
esac
"""

KUBECTL = """#!/bin/sh
cd "$(dirname "$0")/../${2#--namespace=}" || exit 1
case "$*" in *" delete "*) echo "$*" >>asked-to-delete; exit ;; esac
cat >asked-for
if test -e missing; then cat missing >&2; exit 1; fi
"""

MISSING = """Error from server (NotFound): deployments.apps "hub" not found
Error from server (NotFound): persistentvolumeclaims "hub-db-dir" not found
"""
WANTED = {"a": "wanted"}
OLD = {"a": "old"}
HISTORY = [
    {"revision": 1, "status": "superseded"},
    {"revision": 2, "status": "deployed"},
    {"revision": 3, "status": "failed"},
    {"revision": 4, "status": "pending-upgrade"},
    {"revision": 5, "status": "pending-rollback"},
]

UNFINISHED = [{"revision": 1, "status": "pending-install"}]
#: The last revision and its status, the values of the last good one, and what kubectl does not find.
CASES = {
    "complete": (6, "deployed", WANTED, ""),
    "deleted": (6, "deployed", WANTED, MISSING),
    "deleted_and_other_values": (6, "deployed", OLD, MISSING),
    "failed": (6, "failed", WANTED, MISSING),
    "killed": (5, "pending-rollback", OLD, ""),
    "killed_and_not_wanted": (5, "pending-rollback", WANTED, ""),
    "never_good": (1, "pending-install", OLD, ""),
}


@pytest.fixture(scope="module", params=[(), ("--check",)], ids=["run", "check"])
def played(request, ansible_playbook, tmp_path_factory):
    """What a run, or a check, has changed and asked of Helm in each case, by tasks and by arguments."""
    folder = tmp_path_factory.mktemp("release")
    for name, text in (("helm", HELM), ("kubectl", KUBECTL)):
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    for case, (version, status, values, missing) in CASES.items():
        (folder / case).mkdir()
        release = {"version": version, "info": {"status": status}, "config": values, "manifest": "kind: Secret"}
        history = UNFINISHED if version == 1 else HISTORY
        for name, answer in (("status", release), ("history", history), ("values", values)):
            (folder / case / name).write_text(json.dumps(answer))
        if missing:
            (folder / case / "missing").write_text(missing)
    (folder / "play.yml").write_text(PLAY)
    given = {
        "__jupyterhub_helm": str(folder / "bin/helm"),
        "__jupyterhub_helm_values": WANTED,
        "__jupyterhub_chart_file": "chart",
        "jupyterhub_kubeconfig": "",
        "jupyterhub_timeout": 1,
    }
    result = ansible_playbook(
        folder,
        folder / "play.yml",
        "--extra-vars",
        json.dumps(given),
        *request.param,
        groups={"cases": {"hosts": {case: {"jupyterhub_namespace": case} for case in CASES}}},
        tools=folder / "bin",
    )
    assert result.status == 0, result.output
    assert "kind: Secret" not in result.output
    tasks = [task for play in result.report["plays"] for task in play["tasks"]]
    told = {}
    for case in CASES:
        changes = [task["task"]["name"] for task in tasks if task["hosts"].get(case, {}).get("changed")]
        asked = (folder / case / "asked").read_text().splitlines()
        told[case] = (changes, [line for line in asked if line.split()[0] in ("rollback", "upgrade")])
    return bool(request.param), told, folder


def test_what_is_deployed_as_wanted_is_left_alone(played):
    assert played[1]["complete"] == ([], [])


def test_what_somebody_has_deleted_is_created_again_by_its_own_revision(played):
    check, told, _folder = played
    changes, asked = told["deleted"]
    assert len(changes) == 1
    if not check:
        assert [line.split()[:3] for line in asked] == [["rollback", "jupyterhub", "6"]]
        assert asked[0].endswith("--wait=true --timeout=1s")


@pytest.mark.parametrize("case", ["deleted_and_other_values", "failed"])
def test_whatever_else_is_wanted_is_one_upgrade(played, case):
    check, told, _folder = played
    changes, asked = told[case]
    assert [change for change in changes if "Deploy the hub" in change] == changes
    assert len(changes) == 1
    assert [line.split()[0] for line in asked] == ([] if check else ["upgrade"])


@pytest.mark.parametrize(("case", "waits"), [("killed", "false"), ("killed_and_not_wanted", "true")])
def test_an_interrupted_upgrade_is_rolled_back_to_the_last_good_revision(played, case, waits):
    check, told, _folder = played
    if check:
        assert told[case][1] == []
    else:
        back, *more = told[case][1]
        assert back.split()[:3] == ["rollback", "jupyterhub", "2"]
        assert f"--wait={waits}" in back
        assert [line.split()[0] for line in more] == (["upgrade"] if case == "killed" else [])


def test_an_installation_that_was_never_good_is_taken_over(played):
    check, told, folder = played
    changes, asked = told["never_good"]
    deleted = folder / "never_good/asked-to-delete"
    if check:
        assert asked == []
        assert not deleted.exists()
    else:
        assert [line.split()[0] for line in asked] == ["upgrade"]
        assert deleted.read_text().split()[2:] == [
            "delete",
            "secret",
            "sh.helm.release.v1.jupyterhub.v1",
            "--ignore-not-found",
        ]
