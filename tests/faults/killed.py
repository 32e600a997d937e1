# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that do not come to their end."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from access import OUTPUT, PROJECT


def start(name: str, *arguments: str) -> subprocess.Popen:
    """Start a playbook on the lab in a process group of its own; its output goes to tests/output/killed.log."""
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "inventories/lab", *arguments]
    with (OUTPUT / "killed.log").open("ab") as log:
        return subprocess.Popen(
            [*command, f"playbooks/{name}.yml"],
            cwd=PROJECT,
            env=os.environ | {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "false"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def kill(run: subprocess.Popen) -> None:
    """End the run and all its workers at once."""
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)
    run.wait(timeout=30)


def kill_when(lab, node: str, pattern: str, name: str, *arguments: str, timeout: float = 600, later: float = 0) -> None:
    """Start a playbook; as soon as a node has a process of this command line, kill the run and that process."""
    # The brackets keep the search from finding its own shell.
    search = f"pgrep --full {shlex.quote(f'[{pattern[0]}]{pattern[1:]}')}"
    run = start(name, *arguments)
    try:
        deadline = time.monotonic() + timeout
        while not (found := lab.ssh(node, search).stdout.split()):
            assert run.poll() is None, f"the run ended (status {run.returncode}) before {pattern!r} ran on {node}"
            assert time.monotonic() < deadline, f"{pattern!r} did not run on {node} within {timeout:.0f} s"
        time.sleep(later)
    finally:
        kill(run)
    lab.ssh(node, f"kill -KILL {' '.join(found)}")
