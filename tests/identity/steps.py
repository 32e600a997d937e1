# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules run by Ansible on this machine, several times in one play, with and without check mode."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from access import STATE
from runs import reported

CA = str(STATE / "ca/ca.crt")


def both(arguments: dict) -> list[tuple[dict, bool]]:
    """A step with check mode, then without."""
    return [(arguments, True), (arguments, False)]


def run_steps(folder: Path, module: str, steps: list[tuple[dict, bool]]) -> list[dict]:
    """What the module answered to each (arguments, check mode), in one play. Arguments are on no command line."""
    tasks = [
        {
            "name": f"Step {number}",
            # A busy machine's Keycloak takes its time.
            f"egi.notebooks.{module}": {"ca_path": CA, "timeout": 60} | arguments,
            "check_mode": check,
            "diff": True,
            "ignore_errors": True,
        }
        for number, (arguments, check) in enumerate(steps, start=1)
    ]
    play = folder / "play.json"
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    with open(os.open(play, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump([{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}], stream)
    run, report = reported("-i", "localhost,", play)
    assert report, run.stdout + run.stderr
    answers = [task["hosts"]["localhost"] for task in report["plays"][0]["tasks"]]
    assert len(answers) == len(steps), run.stdout + run.stderr
    return answers


def changed(answers: list[dict]) -> list[bool]:
    """Whether each step changed something; none of them may have failed."""
    failures = [answer["msg"] for answer in answers if answer.get("failed")]
    assert not failures, "\n".join(failures)
    return [answer["changed"] for answer in answers]
