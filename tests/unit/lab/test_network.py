# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's daemons: every process knows them, and any may end them with all that they have started."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import network


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path) -> Path:
    monkeypatch.setattr(network, "STATE", tmp_path)
    return tmp_path


@pytest.fixture
def daemon(state):
    """A daemon with a child, whose process id is in its log."""
    process = network.spawn("daemon", ["sh", "-c", "sleep 60 & echo $!; wait"], on_host=True)
    while not (state / "logs/daemon.log").read_text().endswith("\n"):
        time.sleep(0.01)
    yield process
    network.stop("daemon")


def elsewhere(state: Path, expression: str) -> subprocess.Popen[str]:
    """Evaluate the expression in another process."""
    return subprocess.Popen(
        [sys.executable, "-c", f"from lab import network; print({expression})"],
        env=os.environ | {"EGI_NOTEBOOKS_LAB": str(state)},
        stdout=subprocess.PIPE,
        text=True,
    )


def alive(process: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def test_a_daemon_is_known_to_other_processes(state, daemon):
    assert network.running() == ["daemon"]
    assert elsewhere(state, "network.pid('daemon')").communicate()[0] == f"{daemon.pid}\n"


def test_a_daemon_that_runs_is_not_started_again(daemon):
    assert network.spawn("daemon", ["sleep", "60"], on_host=True) is None
    assert network.pid("daemon") == daemon.pid


def test_another_process_ends_a_daemon_with_its_children(state, daemon):
    child = int((state / "logs/daemon.log").read_text())
    assert alive(child)
    stopping = elsewhere(state, "network.stop('daemon')")
    daemon.wait(timeout=20)
    assert stopping.wait(timeout=20) == 0
    assert not alive(child)
    assert network.running() == []


def test_a_process_with_the_id_of_an_ended_daemon_is_left_alone(state):
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    file = state / "run/daemon.pid"
    file.parent.mkdir()
    file.write_text(f"{process.pid} 1\n")
    network.stop("daemon")
    assert not file.exists()
    assert process.poll() is None
    process.kill()
    process.wait()


def test_the_network_of_another_lab_is_left_alone(monkeypatch, tmp_path):
    owner = tmp_path / "owner"
    monkeypatch.setattr(network, "_OWNER", owner)
    network.require_own()
    owner.write_text("/elsewhere/lab\n")
    monkeypatch.setattr(network, "exists", lambda: False)
    network.require_own()
    monkeypatch.setattr(network, "exists", lambda: True)
    for refused in (network.require_own, network.create, network.remove):
        with pytest.raises(SystemExit, match=f"EGI_NOTEBOOKS_LAB is {tmp_path} and .* in /elsewhere/lab is up"):
            refused()
    owner.write_text(f"{tmp_path}\n")
    network.create()


def test_a_network_that_is_half_made_goes_again(monkeypatch, tmp_path):
    removed = []
    monkeypatch.setattr(network, "exists", lambda: False)
    monkeypatch.setattr(network, "_make", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(network, "remove", lambda: removed.append(True))
    with pytest.raises(KeyboardInterrupt):
        network.create()
    assert removed == [True]
