# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""awx_setup.yml: awx.awx's own modules against a stand-in for AWX's API."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass, field

import pytest

from tests.awx.controller import TOKEN, Controller
from tests.awx.job import ROOT

SECRETS = {
    "checkin": {"client_secret": "correct-horse-battery-staple"},
    "kubeconfig": {"kubeconfig": "users:\n- user:\n    token: kubeconfig-token\n"},
    "certificate": {"certificate": "CERTIFICATE OF THE SERVICE\n", "key": "PRIVATE KEY OF THE SERVICE\n"},
    "machine": {"ssh_key_data": "PRIVATE KEY OF THE OPERATOR\n"},
    "known_hosts": {"known_hosts": "notebooks.example.org ssh-ed25519 AAAA\n"},
}
NEW_SECRET = "another-battery-staple"
HIDDEN = (NEW_SECRET, "correct-horse", "kubeconfig-token", "KEY OF THE SERVICE", "KEY OF THE OPERATOR", TOKEN)


NAME = "EGI Notebooks"


@dataclass
class Run:
    """What came of a run of the playbook."""

    status: int
    output: str
    changed: int
    #: The requests with which it changed something.
    writes: list[str] = field(default_factory=list)


def new_controller():
    """An AWX that has nothing but its own, with the playbooks of this collection."""
    return Controller([f"playbooks/{path.name}" for path in (ROOT / "playbooks").glob("*.yml")])


@pytest.fixture
def controller():
    """An AWX that has nothing but its own."""
    server = new_controller()
    yield server
    server.stop()


def write_site(folder):
    """Return the variables of a site: an inventory that has credentials in files."""
    files = {}
    for kind, fields in SECRETS.items():
        for name, text in fields.items():
            path = folder / f"{kind}-{name}"
            path.write_text(text)
            files.setdefault(kind, {})[name] = str(path)
    return {
        "egi_notebooks_domain": "notebooks.example.org",
        "egi_notebooks_mirror": "https://mirror.example.org",
        "egi_notebooks_awx_image": "registry.example.org/egi-notebooks-ee:1",
        "egi_notebooks_awx_user": "debian",
        "egi_notebooks_awx_inventory_url": "https://git.example.org/site.git",
        "egi_notebooks_awx_inventory_path": "hosts.yml",
        "egi_notebooks_awx_credentials": files,
    }


@pytest.fixture(scope="session")
def set_up(environment):
    """Return a function that runs the playbook."""

    def run(controller, folder, site, *arguments, token=TOKEN):
        inventory = folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"vars": site}}))
        controller.writes.clear()
        command = [environment / "venv/bin/ansible-playbook", "-i", inventory, *arguments]
        result = subprocess.run(
            [*command, ROOT / "playbooks/awx_setup.yml"],
            env={name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "VIRTUAL"))}
            | {
                "ANSIBLE_COLLECTIONS_PATH": f"{ROOT}/.collections:{environment}/collections",
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_PIPELINING": "True",
                "CONTROLLER_HOST": controller.url,
                "CONTROLLER_OAUTH_TOKEN": token,
                "no_proxy": "*",
            },
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        output = result.stdout + result.stderr
        recap = re.search(r"localhost +: ok=\d+ +changed=(\d+)", output)
        assert recap, output
        return Run(result.returncode, output, int(recap[1]), list(controller.writes))

    return run


@pytest.fixture(scope="module")
def runs(set_up, tmp_path_factory):
    """An AWX after several runs of the playbook, and these."""
    server, folder = new_controller(), tmp_path_factory.mktemp("setup")
    site = write_site(folder)
    done = {"first": set_up(server, folder, site, "-vvv", "--diff")}
    # Not noticed by the next run: AWX shows no secret.
    (folder / "checkin-client_secret").write_text(NEW_SECRET)
    done["second"] = set_up(server, folder, site)
    done["check"] = set_up(server, folder, site, "--check", "--diff")
    done["credentials"] = {item["name"]: dict(item["inputs"]) for item in server.objects["credentials"]}
    done["renewal"] = set_up(server, folder, site, "-e", "egi_notebooks_awx_update_secrets=true")
    yield server, done
    server.stop()


def test_one_run_sets_awx_up(runs):
    controller, done = runs
    assert done["first"].status == 0, done["first"].output
    assert {kind: controller.names(kind) for kind in controller.objects} == {
        "organizations": [NAME],
        "execution_environments": [NAME],
        "projects": [NAME, f"{NAME} inventory"],
        "inventories": [NAME],
        "inventory_sources": [NAME],
        "credential_types": [
            "EGI Check-in client",
            "EGI Notebooks certificate",
            "EGI Notebooks kubeconfig",
            "Machine",
            "SSH known hosts",
        ],
        "credentials": [f"{NAME} {kind}" for kind in sorted(SECRETS)],
        "job_templates": [f"{NAME} {step}" for step in ("destroy", "preflight", "site", "verify")],
        "workflow_job_templates": [f"{NAME} workflow"],
        "workflow_job_template_nodes": ["preflight", "site", "verify"],
        "schedules": [f"{NAME} quarterly"],
    }
    source = controller.named("inventory_sources", NAME)
    assert source["source_project"] == controller.named("projects", f"{NAME} inventory")["id"]
    assert source["source_path"] == "hosts.yml"


@pytest.mark.parametrize("name", ["second", "check"])
def test_another_run_changes_nothing(runs, name):
    run = runs[1][name]
    assert (run.status, run.changed, run.writes) == (0, 0, []), run.output


def test_secrets_are_in_awx_and_in_no_output(runs):
    _controller, done = runs
    for kind, fields in SECRETS.items():
        inputs = done["credentials"][f"{NAME} {kind}"]
        assert inputs == fields | ({"username": "debian"} if kind == "machine" else {})
    for run in ("first", "second", "check", "renewal"):
        assert not [secret for secret in HIDDEN if secret in done[run].output]


def test_a_new_secret_is_stored_on_demand(runs):
    controller, done = runs
    assert done["renewal"].status == 0, done["renewal"].output
    assert controller.named("credentials", f"{NAME} checkin")["inputs"] == {"client_secret": NEW_SECRET}
    assert all(write.startswith("PATCH credentials/") for write in done["renewal"].writes)


def credentials(controller, template):
    names = controller.associated(template, "credentials", "credentials")
    return [text.removeprefix(f"{NAME} ") for text in names]


def test_templates_workflow_and_schedule_hang_together(runs):
    controller, _done = runs
    templates = {step: controller.named("job_templates", f"{NAME} {step}") for step in ("preflight", "site", "verify")}
    assert credentials(controller, templates["preflight"]) == sorted(SECRETS)
    assert credentials(controller, templates["site"]) == sorted(SECRETS)
    # What needs no secret gets none.
    assert credentials(controller, templates["verify"]) == ["known_hosts", "kubeconfig", "machine"]

    surveys = {path: survey["spec"] for path, survey in controller.surveys.items()}
    workflow = controller.named("workflow_job_templates", f"{NAME} workflow")
    # Answers of the workflow reach its jobs only if these ask the same.
    asked = surveys[f"workflow_job_templates/{workflow['id']}/survey_spec"]
    assert all(surveys[f"job_templates/{item['id']}/survey_spec"] == asked for item in templates.values())
    assert {item["variable"]: item["default"] for item in asked}["egi_notebooks_mirror"] == "https://mirror.example.org"
    assert not [item for item in asked if item["required"]], "a schedule answers nothing"

    nodes = {item["identifier"]: item for item in controller.objects["workflow_job_template_nodes"]}
    assert all(nodes[step]["unified_job_template"] == item["id"] for step, item in templates.items())
    following = [
        controller.associated(nodes[step], "success_nodes", "workflow_job_template_nodes") for step in templates
    ]
    assert following == [["site"], ["verify"], []]
    schedule = controller.named("schedules", f"{NAME} quarterly")
    assert schedule["unified_job_template"] == workflow["id"]
    assert schedule["rrule"].endswith("FREQ=MONTHLY;INTERVAL=3")
    assert schedule["enabled"]


def test_destroy_asks_for_both_words_and_answers_neither(runs):
    controller, _done = runs
    destroy = controller.named("job_templates", f"{NAME} destroy")
    confirm, data = controller.surveys[f"job_templates/{destroy['id']}/survey_spec"]["spec"]
    assert destroy["survey_enabled"]
    assert "extra_vars" not in destroy
    assert not destroy.get("ask_variables_on_launch")
    assert credentials(controller, destroy) == ["known_hosts", "kubeconfig", "machine"]
    assert (confirm["variable"], confirm["required"]) == ("egi_notebooks_destroy_confirm", True)
    assert "default" not in confirm
    assert (data["variable"], data["default"], data["required"]) == ("egi_notebooks_destroy_data", "false", True)
    steps = controller.objects["workflow_job_template_nodes"]
    assert destroy["id"] not in [item["unified_job_template"] for item in steps]


def test_a_site_that_gives_only_its_name_works(controller, set_up, tmp_path):
    run = set_up(controller, tmp_path, {"egi_notebooks_domain": "n.example.org", "egi_notebooks_awx_name": "Site B"})
    assert run.status == 0, run.output
    assert "credentials" not in controller.objects
    template = controller.named("job_templates", "Site B site")
    assert controller.associated(template, "credentials", "credentials") == []
    assert "execution_environment" not in template
    source = controller.named("inventory_sources", "Site B")
    assert source["source_project"] == controller.named("projects", "Site B")["id"]


def test_check_mode_ends_early_where_nothing_is_there(controller, set_up, tmp_path):
    run = set_up(controller, tmp_path, write_site(tmp_path), "--check")
    assert (run.status, run.changed, run.writes) == (0, 1, []), run.output


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"machine": {"ssh_key_data": "/nowhere/key"}}, "/nowhere/key"),
        ({"machine": {"key": "/etc/hostname"}}, "key"),
        ({"other": {"x": "/etc/hostname"}}, "x"),
    ],
)
def test_what_is_wrong_with_files_is_reported_before_the_first_change(controller, set_up, tmp_path, change, wrong):
    site = write_site(tmp_path)
    site["egi_notebooks_awx_credentials"] |= change
    run = set_up(controller, tmp_path, site)
    assert (run.status, run.writes) == (2, []), run.output
    (kind,) = change
    text = " ".join(run.output.split())
    assert f"egi_notebooks_awx_credentials.{kind} must be files on the control node" in text
    assert f"No such field or file - {wrong}." in text


def test_a_wrong_token_is_reported(controller, set_up, tmp_path):
    run = set_up(controller, tmp_path, {"egi_notebooks_domain": "n.example.org"}, token="wrong")
    assert run.status != 0
    assert "Invalid authentication credentials" in run.output
