# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helm: equal values are no change, a changed one is exactly one revision, whoever runs the task."""

from __future__ import annotations

import json
import re

import pytest
from faults import DEPLOY, HUB, deploy, extra, wait_until, wait_until_sound
from killed import kill_when, running
from runs import Run, playbook

DEPLOYER = "deployer"


@pytest.fixture
def deployer(lab):
    """Somebody who is not root but may become it, and knows nothing of Helm."""
    lab.run(
        "master",
        f"useradd --create-home --shell /bin/bash {DEPLOYER} && "
        f"install -d -m 700 -o {DEPLOYER} /home/{DEPLOYER}/.ssh && "
        f"install -m 600 -o {DEPLOYER} /root/.ssh/authorized_keys /home/{DEPLOYER}/.ssh/authorized_keys && "
        f"echo '{DEPLOYER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{DEPLOYER} && mkdir -p /tmp/faults-home",
    )
    yield DEPLOYER
    # The connection that Ansible keeps open is theirs.
    lab.ssh("master", f"loginctl terminate-user {DEPLOYER}; pkill --uid {DEPLOYER}")
    lab.run(
        "master",
        f"rm -f /etc/sudoers.d/{DEPLOYER}; rm -rf /tmp/faults-home; "
        f"for i in 1 2 3 4 5; do userdel --remove {DEPLOYER} 2>/dev/null && break; sleep 1; done; ! id {DEPLOYER}",
    )


def deployments(result: Run) -> list[str]:
    return [change for change in result.changes if "Deploy the hub" in change]


def test_equal_values_are_no_change_and_a_changed_one_is_one_revision(lab, deployer, tmp_path):
    """Case 35."""
    values = tmp_path / "values.json"
    try:
        before = lab.revision()
        assert deploy().changes == []
        # Equal values once more: by a values file, by another user, from another home.
        values.write_text(json.dumps({"jupyterhub_user_memory_limit": "1G"}))
        as_other = ("--extra-vars", f"@{values}", *extra(ansible_user=deployer))
        assert deploy(*as_other).changes == []
        assert deploy(*as_other, home="/tmp/faults-home").changes == []
        assert lab.revision() == before
        values.write_text(json.dumps({"jupyterhub_user_memory_limit": "1100M"}))
        assert len(deployments(deploy(*as_other))) == 1
        assert lab.revision() == before + 1
        assert deploy("--extra-vars", f"@{values}").changes == []
        assert lab.revision() == before + 1
    finally:
        deploy()
    assert lab.revision() == before + 2


def deployed(lab) -> dict[str, object]:
    """What Helm has made of the values, as the cluster has it."""
    objects = lab.get(
        "deployments,configmaps,secrets,services", "-n", HUB, "--selector=app.kubernetes.io/managed-by=Helm"
    )
    return {f"{item['kind']} {item['metadata']['name']}": item.get("spec", item.get("data")) for item in objects}


def kill_an_upgrade() -> None:
    wanted = extra(faults_home="/root", jupyterhub_user_memory_limit="1100M")
    kill_when(DEPLOY, *wanted, nodes=("master",), who=running("linux-amd64/helm .*upgrade"), later=8)


def take_back(lab, before: dict[str, object]) -> None:
    """Run with the old values: all is as it was, and nothing is left to do."""
    deploy()
    wait_until_sound(lab)
    assert deployed(lab) == before
    assert deploy().changes == []


def test_an_upgrade_that_is_killed_and_then_not_wanted_leaves_nothing(lab):
    """The run after it has the old values, which Helm still takes for the deployed ones."""
    assert deploy().changes == []
    before = deployed(lab)
    kill_an_upgrade()
    assert deployed(lab) != before
    take_back(lab, before)


def test_a_killed_upgrade_after_a_failed_one_goes_back_to_the_good_one(lab):
    """Not to the one before it, which never worked."""
    assert deploy().changes == []
    before = deployed(lab)
    image = {"hub": {"image": {"name": "registry.invalid/x", "tag": "1"}}}
    failing = extra(faults_home="/root", jupyterhub_timeout=15, jupyterhub_values=image)
    assert playbook(DEPLOY, *failing).status != 0
    kill_an_upgrade()
    take_back(lab, before)


def test_what_somebody_has_deleted_of_the_release_is_made_anew(lab, admin):
    """Its claim of the hub's database too, on the same volume."""

    def users() -> list[str]:
        answer = admin.api.get(f"{lab.url}/hub/api/users", timeout=20)
        return sorted(f"{user['name']} {user['created']}" for user in answer.json())

    assert deploy().changes == []
    before, known = lab.revision(), users()
    assert known
    lab.kubectl("delete", "deployment/hub", "deployment/proxy", "ingress/jupyterhub", "-n", HUB)
    foretold = deploy("--check")
    assert [change.split(" : ")[1] for change in foretold.changes] == ["Report an interrupted or incomplete release"]
    assert re.search(r"lacks deployments.apps \W*hub\W.*proxy\W.*ingresses.*jupyterhub\W", foretold.output)
    assert len(deploy().changes) == 1
    wait_until_sound(lab)
    assert lab.revision() == before + 1
    lab.kubectl("delete", "deployment/hub", "persistentvolumeclaim/hub-db-dir", "-n", HUB, "--timeout=90s")
    path = "jsonpath={.status.phase}"
    wait_until(
        lambda: lab.kubectl("get", "pv", "jupyterhub-hub-db", "-o", path) == "Released", 60, "the released volume"
    )
    assert len(deploy().changes) == 2, "volume and release"
    wait_until_sound(lab)
    # People log in by the tokens that they had.
    assert users() == known
    assert deploy().changes == []
