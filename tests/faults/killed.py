# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that do not come to their end."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from access import OUTPUT, PROJECT
from faults import MACHINES

from lab.nodes import ssh_options

LOG = OUTPUT / "killed.log"
#: Prints the processes that are in the middle of a download of egi.notebooks.artifact_install.
DOWNLOADING = "find /proc/[0-9]*/fd -lname '*/.artifact-*' 2>/dev/null | cut --delimiter=/ --fields=3 | sort --unique"


def running(pattern: str) -> str:
    """Print the processes with such a command line, but not the shells and searches that only name it."""
    return f"pgrep --full {shlex.quote(f'^([^ ]*/)?[{pattern[0]}]{pattern[1:]}')}"


def printed_so_far() -> int:
    """How much killed runs have printed: what they print from here on is `LOG.read_bytes()[this:]`."""
    return LOG.stat().st_size if LOG.exists() else 0


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


def on(node: str, command: str) -> list[str]:
    """A command on a node, by a connection of its own."""
    host = f"root@{MACHINES[node].fqdn}"
    return ["ssh", *ssh_options(), "-o", "BatchMode=yes", "-o", "ControlPath=none", host, command]


def _wait(run: subprocess.Popen, question: Callable[[], bool], what: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not question():
        assert run.poll() is None, f"the run ended (status {run.returncode}) before {what}"
        assert time.monotonic() < deadline, f"{what} did not come within {timeout:.0f} s"
        time.sleep(0.1)


def kill_when(
    name: str, *arguments: str, nodes: tuple[str, ...], who: str, sign: str = "true", later: float = 0,
    alone: bool = False, timeout: float = 600,
) -> None:  # fmt: skip
    """Start a playbook; when one of the nodes shows this, kill the run and what it runs there. Fails if that was over.

    `who` is a command that prints numbers of processes, `sign` one that must succeed as well. They are stopped first:
    so they are neither over before the run is killed, nor does the run see them end. With `alone` they are left at
    work, as when the control machine dies.
    """
    look = (
        f'until found=$({who}) && [ -n "$found" ] && {sign}; do echo || exit; sleep 0.2; done; '
        f"sleep {later}; kill {'-0' if alone else '-STOP'} $found"
    )
    run = start(name, *arguments)
    watchers: dict[str, subprocess.Popen] = {}
    try:
        for node in nodes:
            watchers[node] = subprocess.Popen(
                on(node, look), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        what = f"{who!r} with {sign!r} on {nodes}"
        _wait(run, lambda: any(watcher.poll() is not None for watcher in watchers.values()), what, timeout)
    finally:
        kill(run)
        said = {}
        for node, watcher in watchers.items():
            watcher.terminate()
            said[node] = (watcher.communicate(timeout=10)[1].decode(errors="replace"), watcher.returncode)
            # An orphan must be there still.
            subprocess.run(
                on(node, f"kill {'-0' if alone else '-KILL'} $({who})"),
                stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=alone and watcher.returncode == 0,
            )  # fmt: skip
    assert any(status == 0 for _, status in said.values()), f"{what} was over when the run was to be killed: {said}"


def kill_at(name: str, *arguments: str, task: str, later: float = 0, timeout: float = 600) -> None:
    """Start a playbook and kill it some seconds after the first answer of a task whose name begins like this.

    Fails if the run has come to another role by then. What it runs on the nodes comes to its end, as when the control
    machine dies.
    """
    seen = printed_so_far()
    run = start(name, *arguments)
    try:
        _wait(run, lambda: f"TASK [{task}".encode() in LOG.read_bytes()[seen:], f"the task {task!r}", timeout)
        time.sleep(later)
        assert run.poll() is None, f"the run ended {later} s after {task!r}"
        latest = re.findall(rb"^TASK \[(.*?)\]", LOG.read_bytes()[seen:], re.MULTILINE)[-1].decode()
        assert latest.split(" : ")[0] == task.split(" : ")[0], f"{later} s after {task!r} the run was at {latest!r}"
    finally:
        kill(run)
