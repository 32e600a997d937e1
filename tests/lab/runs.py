# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible runs of the tests, with their results as data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from access import PROJECT


@dataclass
class Run:
    """What came of a run: exit status, changed tasks a host, messages of failed tasks, all that was printed."""

    status: int
    changed: dict[str, int]
    failures: set[str]
    changes: list[str]
    output: str


def failed(answer: dict) -> list[str]:
    """Messages of a failed task; of a loop, those of its failed items."""
    items = [item for item in answer.get("results", []) if item.get("failed")] or [answer]
    return [str(item.get("msg", item)) for item in items if item.get("failed")]


def inventory(folder: Path, hosts: dict) -> Path:
    """An inventory with the lab's variables and other hosts."""
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(hosts))
    (folder / "group_vars").symlink_to(PROJECT / "inventories/lab/group_vars")
    return path


def lab_hosts() -> dict:
    return yaml.safe_load((PROJECT / "inventories/lab/hosts.yml").read_text())


def reported(*arguments: str | Path) -> tuple[subprocess.CompletedProcess[str], dict | None]:
    """Run ansible-playbook on this clone; what came of it, and its report, or none if it did not come to that."""
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_FORCE_COLOR": "false",
        # An inventory elsewhere has the lab's variables, but not the chart beside it.
        "CHART": os.environ.get("CHART") or str(PROJECT / "lab/charts/jupyterhub"),
    }
    command = [Path(sys.executable).with_name("ansible-playbook"), *arguments]
    result = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=1200
    )
    try:
        return result, json.JSONDecoder().raw_decode(result.stdout[result.stdout.find("{") :])[0]
    except ValueError:
        return result, None


def playbook(name: str, *arguments: str | Path, inventory: str | Path = "inventories/lab") -> Run:
    result, report = reported("-i", inventory, *arguments, f"playbooks/{name}.yml")
    output = result.stdout + result.stderr
    if report is None:
        return Run(result.returncode, {}, {result.stderr.strip()}, [], output)
    answers = [
        (task["task"]["name"], host, answer)
        for play in report["plays"]
        for task in play["tasks"]
        for host, answer in task["hosts"].items()
    ]
    return Run(
        status=result.returncode,
        changed={host: counts["changed"] for host, counts in report["stats"].items()},
        failures={message for _, _, answer in answers for message in failed(answer)},
        changes=[f"{host}: {task}" for task, host, answer in answers if answer.get("changed")],
        output=output,
    )
