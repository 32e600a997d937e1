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
from contextlib import suppress
from pathlib import Path

from access import OUTPUT, PROJECT

LOG = OUTPUT / "killed.log"


def start(name: str, *arguments: str) -> subprocess.Popen:
    """Start a playbook on the lab in a process group of its own; its output goes to tests/output/killed.log."""
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "inventories/lab", *arguments]
    with LOG.open("ab") as log:
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
    """End the run and all its workers at once. Each worker has a session of its own, with its ssh in it."""
    if run.poll() is None:
        listed = subprocess.run(["pgrep", "--parent", str(run.pid)], capture_output=True, text=True, check=False)
        os.killpg(run.pid, signal.SIGKILL)
        for worker in listed.stdout.split():
            with suppress(ProcessLookupError):
                os.killpg(int(worker), signal.SIGKILL)
    run.wait(timeout=30)


def kill_when(
    lab, nodes: tuple[str, ...], pattern: str, name: str, *arguments: str, timeout: float = 600, later: float = 0
) -> None:
    """Start a playbook; soon after one of the nodes runs a command like this, kill the run and that command."""
    # The brackets keep the search from finding its own shell.
    search = shlex.quote(f"[{pattern[0]}]{pattern[1:]}")
    run = start(name, *arguments)
    try:
        deadline = time.monotonic() + timeout
        while not any(lab.ssh(node, f"pgrep --full {search}").stdout for node in nodes):
            assert run.poll() is None, f"the run ended (status {run.returncode}) before {pattern!r} ran on {nodes}"
            assert time.monotonic() < deadline, f"{pattern!r} did not run on {nodes} within {timeout:.0f} s"
        time.sleep(later)
    finally:
        kill(run)
    for node in nodes:
        lab.ssh(node, f"pkill -KILL --full {search}")


def kill_at(task: str, name: str, timeout: float = 600) -> None:
    """Start a playbook and kill it when it comes to a task whose name begins like this."""
    seen = LOG.stat().st_size if LOG.exists() else 0
    run = start(name)
    try:
        deadline = time.monotonic() + timeout
        while f"TASK [{task}".encode() not in LOG.read_bytes()[seen:]:
            assert run.poll() is None, f"the run ended (status {run.returncode}) before it came to {task!r}"
            assert time.monotonic() < deadline, f"the run did not come to {task!r} within {timeout:.0f} s"
            time.sleep(0.2)
    finally:
        kill(run)
