# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a Helm release, by a helm and a kubectl of the tests."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ansible_collections.egi.notebooks.plugins.modules import helm_release_info

HELM = """#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$* KUBECONFIG=$KUBECONFIG no_proxy=$no_proxy" >>asked
file=$1; test "$1" = get && file="values${3#--revision=}"
test -e "$file" || { cat error >&2; exit 1; }
cat "$file"
"""
KUBECTL = """#!/bin/sh
cd "$(dirname "$0")" || exit 1
cat >manifest
test ! -e missing || { cat missing >&2; exit 1; }
"""
MISSING = """Error from server (NotFound): deployments.apps "hub" not found
Error from server (NotFound): persistentvolumeclaims "hub-db-dir" not found
"""
WANTED = {"a": {"cpu": 1.0, "b": "wanted"}}
#: Helm prints numbers as Go does.
PRINTED = {"a": {"b": "wanted", "cpu": 1}}
HISTORY = [
    {"revision": 1, "status": "superseded"},
    {"revision": 2, "status": "deployed"},
    {"revision": 3, "status": "failed"},
    {"revision": 4, "status": "pending-upgrade"},
    {"revision": 5, "status": "pending-rollback"},
]


@pytest.fixture
def read(run, tmp_path, monkeypatch):
    """Return a function that reads a release of which helm prints these files, `error` where one is missing."""
    for name, text in (("helm", HELM), ("kubectl", KUBECTL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def call(error="Error: release: not found", missing="", values=None, release="hub-of-tests", timeout=0, **files):
        (tmp_path / "error").write_text(error)
        if missing:
            (tmp_path / "missing").write_text(missing)
        for name, answer in files.items():
            (tmp_path / name).write_text(json.dumps(answer))
        options = {"release": release, "namespace": "n", "kubeconfig": "/admin.conf", "helm": str(tmp_path / "helm")}
        answer = run(
            helm_release_info, ca_path=None, values=WANTED if values is None else values, timeout=timeout, **options
        )
        assert "kind: Secret" not in json.dumps(answer)
        return answer

    return call


def status(phase, revision=6, values=PRINTED):
    return {"version": revision, "info": {"status": phase}, "config": values, "manifest": "kind: Secret"}


def test_a_release_that_is_absent(read, tmp_path):
    found = read()
    assert (found["state"], found["revision"], found["good_revision"], found["changed"]) == ("absent", 0, 0, False)
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert asked == "status hub-of-tests --namespace=n --output=json KUBECONFIG=/admin.conf no_proxy=*"


def test_a_release_that_is_deployed_as_wanted(read, tmp_path):
    found = read(status=status("deployed"))
    assert (found["state"], found["good_revision"], found["is_wanted"], found["missing"]) == ("deployed", 6, True, [])
    assert (tmp_path / "manifest").read_text().strip() == "kind: Secret"


def test_a_release_without_values(read):
    assert read(status=status("deployed", values=None), values={})["state"] == "deployed"


@pytest.mark.parametrize(
    ("phase", "values"), [("deployed", {"a": "old"}), ("failed", PRINTED), ("uninstalled", PRINTED)]
)
def test_a_release_that_has_to_be_changed(read, phase, values):
    found = read(status=status(phase, values=values), missing=MISSING)
    assert (found["state"], found["revision"], found["is_wanted"]) == ("changed", 6, False)


def test_a_release_of_which_somebody_has_deleted_objects(read):
    found = read(status=status("deployed"), missing=MISSING)
    assert (found["state"], found["good_revision"], found["is_wanted"]) == ("incomplete", 6, True)
    assert found["missing"] == ['deployments.apps "hub"', 'persistentvolumeclaims "hub-db-dir"']
    assert found["summary"].startswith('The release hub-of-tests lacks deployments.apps "hub", persistentvolumeclaims')


@pytest.mark.parametrize(("kept", "good"), [(HISTORY, 2), (HISTORY[2:], 0), ([], 0)])
def test_only_a_deployed_revision_is_good(read, kept, good):
    found = read(status=status("pending-rollback", 5), history=kept, values2=PRINTED)
    assert (found["state"], found["revision"], found["good_revision"]) == ("pending", 5, good)
    assert found["is_wanted"] is (good == 2)


@pytest.mark.parametrize("phase", ["pending-install", "pending-upgrade", "pending-rollback"])
def test_an_interrupted_change_from_other_values(read, phase):
    found = read(status=status(phase, 5), history=HISTORY, values2={"a": "old"})
    assert (found["state"], found["good_revision"], found["is_wanted"]) == ("pending", 2, False)


def test_errors_are_one_line(read):
    assert read(error="Error: Kubernetes cluster\nunreachable")["msg"] == (
        "helm status has failed: Error: Kubernetes cluster unreachable."
    )
    found = read(status=status("deployed"), missing="error: You must be logged in")
    assert found["msg"] == "kubectl can't read the objects of the release: error: You must be logged in."


def test_another_helm_is_waited_for(read):
    program = ["/usr/local/lib/helm-3/linux-amd64/helm", "-c", "import time; time.sleep(2)", "upgrade", "waited-for"]
    with subprocess.Popen(program, executable=sys.executable) as other:
        failed = read(release="waited-for")
        assert failed["msg"] == f"Another helm (process {other.pid}) has worked on the release waited-for for 0 s."
        assert read(release="another")["state"] == "absent"
        assert read(release="waited-for", timeout=30)["state"] == "absent"
        assert other.poll() is not None
