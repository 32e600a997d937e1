# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as AWX prepares it for ansible-runner, and what came of it.

What is written where, and in which form, follows awx/main/tasks/jobs.py (RunJob) and awx/main/models/credential.py
(inject_credential) of AWX 24.
"""

from __future__ import annotations

import configparser
import json
import os
import pathlib
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = pathlib.Path(__file__).resolve().parents[2]
USER = 1000
COLLECTIONS = "~/.ansible/collections:/usr/share/ansible/collections"
ROLES = "~/.ansible/roles:/usr/share/ansible/roles:/etc/ansible/roles"


@dataclass(frozen=True)
class Result:
    """What ansible-runner leaves of a job."""

    status: str
    stdout: str
    #: All files of the job's artifacts, as AWX stores them: output and events.
    artifacts: str
    events: list[dict[str, Any]]

    def results(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the events' data of these kinds, such as runner_on_failed."""
        return [event["event_data"] for event in self.events if event["event"] in kinds]

    @property
    def failures(self) -> list[str]:
        """The messages of failed tasks."""
        return [data["res"].get("msg", "") for data in self.results("runner_on_failed")]

    @property
    def changed(self) -> dict[str, int]:
        """How many tasks changed something, by host."""
        (stats,) = self.results("playbook_on_stats")
        return stats["changed"]


class Job:
    """The private data directory of a job."""

    def __init__(self, folder: pathlib.Path, environment: pathlib.Path) -> None:
        """Copy the project as AWX does, as files of another user than the job's."""
        self.folder, self.environment = folder, environment
        self.private = folder / "private"
        for name in ("env", "inventory", "cp", "project"):
            (self.private / name).mkdir(parents=True)
        self.arguments = ["-u", "root"]
        copy_project(self.private / "project")
        for path in (self.private / "env", self.private / "inventory", self.private / "cp", self.private):
            os.chown(path, USER, 0)

    def write(self, name: str, text: str, mode: int = 0o600) -> str:
        """Write a file for the job's user, and return its path in the job."""
        path = self.private / name
        path.write_text(text)
        path.chmod(mode)
        os.chown(path, USER, 0)
        return f"/runner/{name}"

    def run_command(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the execution environment."""
        settings = [f"{name}={value}" for name, value in variables.items()]
        return subprocess.run(
            [ROOT / "tests/awx/container", self.folder, self.environment, "env", *settings, *command],
            capture_output=True,
            text=True,
            check=False,
        )

    def import_inventory(self, path: str, more: dict[str, Any] | None = None) -> dict[str, Any]:
        """Import an inventory of the project as an inventory source does; `more` are variables of all hosts.

        AWX keeps templates as they are, and hands hosts and groups to the job by a program.
        """
        result = self.run_command(
            *("ansible-inventory", "-i", f"/runner/project/{path}", "--list", "--export"),
            ANSIBLE_COLLECTIONS_PATH=f"/runner/project/.collections:{COLLECTIONS}",
            ANSIBLE_INVENTORY_UNPARSED_FAILED="True",
        )
        assert result.returncode == 0, result.stderr
        inventory = json.loads(result.stdout)
        inventory.setdefault("all", {}).setdefault("vars", {}).update(more or {})
        self.set_inventory(inventory)
        return inventory

    def set_inventory(self, inventory: dict[str, Any]) -> None:
        """Write the inventory of AWX's database."""
        text = json.dumps(inventory)
        self.write("inventory/hosts", f"#! /usr/bin/env python3\n# -*- coding: utf-8 -*-\nprint({text!r})\n", 0o700)

    def inject(self, credential_type: dict[str, Any], inputs: dict[str, str]) -> None:
        """Write the files and variables of a credential."""

        class Namespace:
            """What a template of a credential type knows as `tower`."""

        templates, tower = ImmutableSandboxedEnvironment(), Namespace()

        def rendered(text: str) -> str:
            return templates.from_string(text).render(tower=tower, **inputs)

        number = len(list((self.private / "env").iterdir()))
        for name, text in credential_type["injectors"].get("file", {}).items():
            path = self.write(f"env/tmp{number}{name.replace('.', '')}", rendered(text))
            if "." in name:
                tower.filename = getattr(tower, "filename", Namespace())
                setattr(tower.filename, name.split(".")[1], path)
            else:
                tower.filename = path
        variables = {key: rendered(text) for key, text in credential_type["injectors"].get("extra_vars", {}).items()}
        path = self.write(f"env/tmp{number}extra_vars", unsafe_yaml(variables), 0o400)
        self.arguments += ["-e", f"@{path}"]

    def run(self, playbook: str, *arguments: str, answers: dict[str, Any] | None = None, **environment: str) -> Result:
        """Run a playbook of the project; `answers` are those of a survey."""
        meta = {"awx_job_id": 42, "tower_job_id": 42, "awx_user_name": "operator", "awx_inventory_name": "test"}
        self.write("env/extravars", unsafe_yaml((answers or {}) | meta))
        self.write("env/envvars", yaml.safe_dump(self.variables() | environment))
        self.write("env/cmdline", " ".join([*self.arguments, *arguments]))
        settings = {"job_timeout": 0, "suppress_ansible_output": True, "suppress_output_file": False}
        self.write("env/settings", json.dumps(settings))
        result = self.run_command(
            *("ansible-runner", "run", "/runner", "-p", playbook, "--inventory", "/runner/inventory", "--ident", "42")
        )
        artifacts = self.private / "artifacts/42"
        assert (artifacts / "status").exists(), result.stdout + result.stderr
        files = {path: path.read_text() for path in sorted(artifacts.rglob("*")) if path.is_file()}
        events = [json.loads(text) for path, text in files.items() if path.parent.name == "job_events"]
        return Result(
            files[artifacts / "status"],
            files[artifacts / "stdout"],
            "\n".join(files.values()) + result.stdout + result.stderr,
            sorted(events, key=lambda event: event["counter"]),
        )

    def variables(self) -> dict[str, str]:
        """Return the environment variables that AWX gives a job."""
        configuration = configparser.ConfigParser()
        configuration.read(self.private / "project/ansible.cfg")
        given = configuration["defaults"]["collections_path"]
        missing = [path for path in given.split(":") if path not in COLLECTIONS.split(":")]
        paths = ":".join([given] * len(missing) + COLLECTIONS.split(":"))
        return {
            "ANSIBLE_HOST_KEY_CHECKING": "False",
            "ANSIBLE_PARAMIKO_RECORD_HOST_KEYS": "False",
            "ANSIBLE_FORCE_COLOR": "True",
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
            "ANSIBLE_RETRY_FILES_ENABLED": "False",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": "/runner/cp",
            "ANSIBLE_COLLECTIONS_PATH": f"/runner/requirements_collections:{paths}",
            "ANSIBLE_COLLECTIONS_PATHS": f"/runner/requirements_collections:{COLLECTIONS}",
            "ANSIBLE_ROLES_PATH": f"/runner/requirements_roles:{ROLES}",
            "AWX_HOST": "https://awx.example.org",
            "AWX_PRIVATE_DATA_DIR": "/tmp/awx_42_test",
            "INVENTORY_ID": "1",
            "JOB_ID": "42",
            "MAX_EVENT_RES": "700000",
            "PROJECT_REVISION": "0" * 40,
        }


def copy_project(target: pathlib.Path) -> None:
    """Copy what a clone of the project has."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        # A file that is being deleted is still listed.
        if source.is_symlink() or source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)


class Unsafe(str):
    """Text that Ansible must not take for a template."""


class UnsafeDumper(yaml.SafeDumper):
    """Writes texts of users as AWX does."""


UnsafeDumper.add_representer(Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text)))


def unsafe_yaml(value: Any) -> str:
    """Return extra variables as AWX writes them."""

    def marked(item: Any) -> Any:
        if isinstance(item, dict):
            return {marked(key): marked(entry) for key, entry in item.items()}
        if isinstance(item, list):
            return [marked(entry) for entry in item]
        return Unsafe(item) if isinstance(item, str) else item

    return yaml.dump(marked(value), Dumper=UnsafeDumper)
