# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""awx_setup.yml: awx.awx's own modules against a stand-in for AWX's API."""

from __future__ import annotations

import json
import os
import re
import subprocess

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
HIDDEN = ("correct-horse", "kubeconfig-token", "KEY OF THE SERVICE", "KEY OF THE OPERATOR", TOKEN)


@pytest.fixture
def controller():
    """An AWX that has nothing but its own."""
    server = Controller([f"playbooks/{path.name}" for path in (ROOT / "playbooks").glob("*.yml")])
    yield server
    server.stop()


@pytest.fixture
def site(tmp_path):
    """The variables of a site: an inventory that has credentials in files."""
    files = {}
    for kind, fields in SECRETS.items():
        for name, text in fields.items():
            path = tmp_path / f"{kind}-{name}"
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


@pytest.fixture
def set_up(controller, environment, tmp_path):
    """Return a function that runs the playbook and returns its exit status, output and count of changes."""

    def run(site, *arguments):
        inventory = tmp_path / "hosts.json"
        inventory.write_text(json.dumps({"all": {"vars": site}}))
        collections = f"{ROOT}/.collections:{environment}/collections"
        result = subprocess.run(
            [
                *(environment / "venv/bin/ansible-playbook", "-i", inventory, *arguments),
                ROOT / "playbooks/awx_setup.yml",
            ],
            env={name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "VIRTUAL"))}
            | {
                "ANSIBLE_COLLECTIONS_PATH": collections,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "CONTROLLER_HOST": controller.url,
                "CONTROLLER_OAUTH_TOKEN": TOKEN,
                "no_proxy": "*",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        output = result.stdout + result.stderr
        recap = re.search(r"localhost +: ok=\d+ +changed=(\d+)", output)
        assert recap, output
        return result.returncode, output, int(recap[1])

    return run


def test_one_run_sets_awx_up_and_a_second_changes_nothing(controller, set_up, site):
    status, output, changed = set_up(site, "-vvv", "--diff")
    assert status == 0, output
    assert changed > 0
    assert not [secret for secret in HIDDEN if secret in output]

    made = {
        kind: sorted(item["name"] for item in items if "name" in item) for kind, items in controller.objects.items()
    }
    name = "EGI Notebooks"
    assert made == {
        "organizations": [name],
        "execution_environments": [name],
        "projects": [name, f"{name} inventory"],
        "inventories": [name],
        "inventory_sources": [name],
        "credential_types": [
            "EGI Check-in client",
            "EGI Notebooks certificate",
            "EGI Notebooks kubeconfig",
            "Machine",
            "SSH known hosts",
        ],
        "credentials": [f"{name} {kind}" for kind in sorted(SECRETS)],
        "job_templates": [f"{name} {step}" for step in ("destroy", "preflight", "site", "verify")],
        "workflow_job_templates": [f"{name} workflow"],
        "workflow_job_template_nodes": ["preflight", "site", "verify"],
        "schedules": [f"{name} quarterly"],
    }
    for kind, fields in SECRETS.items():
        inputs = controller.named("credentials", f"{name} {kind}")["inputs"]
        assert inputs == fields | ({"username": "debian"} if kind == "machine" else {})

    controller.writes.clear()
    status, output, changed = set_up(site)
    assert (status, changed, controller.writes) == (0, 0, []), output
    status, output, changed = set_up(site, "--check", "--diff")
    assert (status, changed, controller.writes) == (0, 0, []), output


def test_templates_workflow_and_schedule_hang_together(controller, set_up, site):
    status, output, _changed = set_up(site)
    assert status == 0, output
    name = "EGI Notebooks"
    templates = {step: controller.named("job_templates", f"{name} {step}") for step in ("preflight", "site", "verify")}
    destroy = controller.named("job_templates", f"{name} destroy")

    def credentials(template):
        return [text.removeprefix(f"{name} ") for text in controller.associated(template, "credentials", "credentials")]

    assert credentials(templates["preflight"]) == credentials(templates["site"]) == sorted(SECRETS)
    # What needs no secret gets none.
    assert credentials(templates["verify"]) == credentials(destroy) == ["known_hosts", "kubeconfig", "machine"]

    surveys = {path: survey["spec"] for path, survey in controller.surveys.items()}
    by_template = {item["name"]: surveys[f"job_templates/{item['id']}/survey_spec"] for item in templates.values()}
    workflow = controller.named("workflow_job_templates", f"{name} workflow")
    # Answers of the workflow reach its jobs only if these ask the same.
    asked = surveys[f"workflow_job_templates/{workflow['id']}/survey_spec"]
    assert all(spec == asked for spec in by_template.values())
    assert {item["variable"]: item["default"] for item in asked}["egi_notebooks_mirror"] == "https://mirror.example.org"
    assert not [item for item in asked if item["required"]], "a schedule answers nothing"

    nodes = {item["identifier"]: item for item in controller.objects["workflow_job_template_nodes"]}
    assert {step: item["unified_job_template"] for step, item in nodes.items()} == {
        step: item["id"] for step, item in templates.items()
    }
    links = {
        step: controller.associated(item, "success_nodes", "workflow_job_template_nodes")
        for step, item in nodes.items()
    }
    assert links == {"preflight": ["site"], "site": ["verify"], "verify": []}
    schedule = controller.named("schedules", f"{name} quarterly")
    assert schedule["unified_job_template"] == workflow["id"]
    assert schedule["rrule"].endswith("FREQ=MONTHLY;INTERVAL=3")
    assert schedule["enabled"]


def test_destroy_asks_for_both_words_and_answers_neither(controller, set_up, site):
    status, output, _changed = set_up(site)
    assert status == 0, output
    destroy = controller.named("job_templates", "EGI Notebooks destroy")
    confirm, data = controller.surveys[f"job_templates/{destroy['id']}/survey_spec"]["spec"]
    assert destroy["survey_enabled"]
    assert "extra_vars" not in destroy
    assert not destroy.get("ask_variables_on_launch")
    assert (confirm["variable"], confirm["required"]) == ("egi_notebooks_destroy_confirm", True)
    assert "default" not in confirm
    assert (data["variable"], data["default"], data["required"]) == ("egi_notebooks_destroy_data", "false", True)
    steps = controller.objects["workflow_job_template_nodes"]
    assert destroy["id"] not in [item["unified_job_template"] for item in steps]


def test_a_site_that_gives_only_its_name_works(controller, set_up):
    status, output, _changed = set_up({"egi_notebooks_domain": "n.example.org", "egi_notebooks_awx_name": "Site B"})
    assert status == 0, output
    assert "credentials" not in controller.objects
    template = controller.named("job_templates", "Site B site")
    assert controller.associated(template, "credentials", "credentials") == []
    assert "execution_environment" not in template
    source = controller.named("inventory_sources", "Site B")
    assert source["source_project"] == controller.named("projects", "Site B")["id"]
    controller.writes.clear()
    status, output, changed = set_up({"egi_notebooks_domain": "n.example.org", "egi_notebooks_awx_name": "Site B"})
    assert (status, changed, controller.writes) == (0, 0, []), output


def test_a_new_secret_is_stored_on_demand(controller, set_up, site, tmp_path):
    assert set_up(site)[0] == 0
    (tmp_path / "checkin-client_secret").write_text("another-secret")
    assert set_up(site)[2] == 0
    status, output, changed = set_up(site, "-e", "egi_notebooks_awx_update_secrets=true")
    assert status == 0, output
    assert changed > 0
    stored = controller.named("credentials", "EGI Notebooks checkin")["inputs"]
    assert stored == {"client_secret": "another-secret"}
    assert "another-secret" not in output


def test_check_mode_ends_early_where_nothing_is_there(controller, set_up, site):
    status, output, changed = set_up(site, "--check")
    assert (status, changed, controller.writes) == (0, 1, []), output


@pytest.mark.parametrize(
    "change", [{"machine": {"ssh_key_data": "/nowhere/key"}}, {"passwords": {"x": "/etc/hostname"}}]
)
def test_what_is_wrong_with_files_is_reported_before_the_first_change(controller, set_up, site, change):
    site["egi_notebooks_awx_credentials"] |= change
    status, output, _changed = set_up(site)
    assert status != 0
    assert controller.writes == []
    assert "egi_notebooks_awx_credentials must be absolute paths of files" in output
    assert ("/nowhere/key" in output) == ("machine" in change)


def test_what_awx_would_reject_the_stand_in_rejects(controller, set_up, site):
    status, output, _changed = set_up(site | {"egi_notebooks_awx_schedule": "RRULE:FREQ=MONTHLY"})
    assert status != 0
    assert "exactly one DTSTART is required" in output


def test_another_token_is_rejected(controller, set_up, site, monkeypatch):
    monkeypatch.setattr("tests.awx.test_setup.TOKEN", "wrong")
    status, output, _changed = set_up(site)
    assert status != 0
    assert "Invalid authentication credentials" in output
