# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines start again, in order or because the power failed. Times are what a user waits, from the fault on."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import requests
from faults import (
    MACHINES,
    boot_id,
    cut_power,
    differences,
    edge_answers,
    machine,
    picture,
    record,
    wait_until,
    wait_until_sound,
)
from runs import playbook
from user import Kernel

from lab import nodes

#: Seconds without power; 60 in a full run.
DARK = float(os.environ.get("FAULTS_DARK_SECONDS", "5"))
#: How long a user may wait at most.
LIMIT = 600
WAYS = ("reboot", "power cut")
#: After so many seconds without a word of a node Kubernetes takes it for lost.
GRACE = 50
#: What asking a machine ends with that is not there, or goes away meanwhile.
GONE = (
    ConnectionError,
    TimeoutError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    subprocess.TimeoutExpired,
)


def named(way: str, whom: str) -> str:
    """What the fault is called; one that lasted longer than usual is another."""
    return f"{way} of {whom}" + (f" for {DARK:.0f} s" if way == "power cut" and DARK > 5 else "")


@contextmanager
def outage(lab, way: str, *names: str) -> Iterator[float]:
    """Nodes go down and come back by themselves; yields when it began. All is sound again at the end."""
    boots = {name: boot_id(lab, name) for name in names}
    powered = []
    started = time.monotonic()
    if way == "power cut":
        powered = [threading.Timer(DARK, cut_power(MACHINES[name])) for name in names]
        for timer in powered:
            timer.start()
    else:
        for name in names:
            lab.ssh(name, "systemctl reboot --no-block")
    try:
        yield started
    finally:
        for timer in powered:
            timer.join()
        for name, old in boots.items():
            wait_until(lambda name=name, old=old: boot_id(lab, name) != old, 180, f"the new start of {name}")
        wait_until_sound(lab, LIMIT)


def wait_until_gone(question: Callable[[], object]) -> None:
    """An orderly reboot takes a while to begin. Only silence counts, and the answer that it is not there."""

    def gone() -> bool:
        try:
            return not question()
        except GONE:
            return True

    wait_until(gone, 90, "the outage", pause=0.3)


def written(kernel: Kernel, name: str, text: str, timeout: float = 60) -> None:
    """Let a cell write a file, to the disk of the NFS server."""
    code = (
        f"import os\nwith open({name!r}, 'w') as stream:\n"
        f"    stream.write({text!r})\n    stream.flush()\n    os.fsync(stream.fileno())\nprint('written')"
    )
    assert kernel.run(code, timeout) == "written\n"


@pytest.fixture
def at_work(member, kept) -> Kernel:
    """A member's kernel that has a variable; the member has stored a file."""
    kernel = Kernel(member)
    assert kernel.run("word = 'kept'; print(word)") == "kept\n"
    return kernel


def is_lost(lab, node: str) -> bool:
    (found,) = lab.get("node", MACHINES[node].fqdn)
    return any(item["type"] == "Ready" and item["status"] == "Unknown" for item in found["status"]["conditions"])


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("way", WAYS)
def test_worker(lab, member, kept, way):
    """The hub runs there, too. Kernels end with their machine, files don't."""
    with outage(lab, way, "worker") as started:
        wait_until_gone(member.server_answers)
        if way == "power cut" and DARK > GRACE:
            wait_until(lambda: is_lost(lab, "worker"), DARK + 30, "Kubernetes' notice of the lost node")
        member.start(timeout=LIMIT)
        seconds = time.monotonic() - started
        record(named(way, "the worker"), seconds, "hub and server don't answer; kernels ended", kept())
    assert member.read("faults-before.txt") == "before the fault"
    with member.kernel() as kernel:
        assert kernel.run("print('works')") == "works\n"


@pytest.mark.parametrize("way", WAYS)
def test_edge(lab, at_work, kept, way):
    with outage(lab, way, "edge") as started:
        wait_until_gone(lambda: edge_answers(lab))
        wait_until(lambda: edge_answers(lab), LIMIT, "the edge", pause=0.5)
        record(named(way, "the edge"), time.monotonic() - started, "no page; kernels went on", kept())
    at_work.connect()
    assert at_work.run("print(word)") == "kept\n"


def nfs_listens() -> bool:
    """An address that is not there is an OSError as well, and not always one of its own kind."""
    try:
        with socket.create_connection((MACHINES["nfs"].address, 2049), timeout=2):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("way", WAYS)
def test_nfs_server(lab, at_work, kept, way):
    with outage(lab, way, "nfs") as started:
        wait_until_gone(nfs_listens)
        written(at_work, "faults-meanwhile.txt", "meanwhile", timeout=LIMIT)
        record(named(way, "the NFS server"), time.monotonic() - started, "saving hangs, then succeeds", kept())
    assert at_work.run("print(open('faults-before.txt').read(), open('faults-meanwhile.txt').read())") == (
        "before the fault meanwhile\n"
    )
    assert at_work.run("print(word)") == "kept\n"


def test_nfs_server_without_its_disk_starts_and_goes_on_when_the_disk_is_back(lab, at_work, kept):
    node = MACHINES["nfs"]
    kernel, image = machine(node)
    old = boot_id(lab, "nfs")
    nodes.power_off(node)
    nodes.start(dataclasses.replace(node, data_disk=0), kernel, image)
    try:
        wait_until(lambda: boot_id(lab, "nfs") != old, 180, "the NFS server without its disk")
        result = playbook("preflight")
        assert result.status != 0
        (failure,) = result.failures
        assert re.match(
            r'nfs.*: nfs_server_disk must be a block device that the host can read .*; got "/dev/ubdb"', failure
        ), failure
        assert "\n" not in failure
        assert not nfs_listens()
        assert lab.ssh("nfs", "ls -A /srv/homes").stdout == ""
    finally:
        started = time.monotonic()
        nodes.power_off(node)
        nodes.start(node, kernel, image)
    written(at_work, "faults-meanwhile.txt", "meanwhile", timeout=LIMIT)
    saw = "saving hangs, then succeeds (time: from the start with the disk)"
    record("NFS server without its disk", time.monotonic() - started, saw, kept())
    wait_until_sound(lab, LIMIT)


@pytest.mark.parametrize("way", WAYS)
def test_master(lab, member2, at_work, kept, way):
    early: list[bool] = []
    answers: set[str] = set()

    def api_answers() -> bool:
        started_one = member2.server_answers()
        answers.add(at_work.run("print(word)"))
        if lab.ssh("master", "true").returncode != 0:
            # Without its machine there is no API, so there was none a moment ago.
            early.append(started_one)
            return False
        return bool(lab.get("nodes"))

    with outage(lab, way, "master") as started:
        wait_until_gone(lambda: lab.ssh("master", "true").returncode == 0)
        # Who works goes on working.
        assert at_work.run("print(word)", timeout=20) == "kept\n"
        if way == "power cut":
            # In a reboot the API may still answer when ssh doesn't any more.
            with suppress(requests.RequestException):
                member2.hub("POST", "/server", timeout=15)
        wait_until(api_answers, LIMIT, "the API")
        answered = time.monotonic() - started
        assert answers == {"kept\n"}
        # Who has pressed the button gets no server without the API.
        assert set(early) == {False}
        member2.start(timeout=LIMIT)
        seconds = time.monotonic() - started
        saw = f"no new server (API back after {answered:.0f} s); kernels went on"
        record(named(way, "the master"), seconds, saw, kept())
    # Nobody has answered the server's pings meanwhile.
    at_work.connect()
    assert at_work.run("print(word)") == "kept\n"


@pytest.mark.usefixtures("at_work")
def test_after_a_reboot_of_all_nodes_a_run_changes_nothing_and_restarts_nothing(lab, member, kept):
    """Case 26. Three runs without a reboot are in test_05_runs.py."""
    with outage(lab, "reboot", *MACHINES) as started:
        wait_until_gone(lambda: edge_answers(lab))
        member.start(timeout=LIMIT)
        record("reboot of all nodes", time.monotonic() - started, "nothing answers; kernels ended", kept())
    before = picture(lab)
    result = playbook("site")
    assert result.status == 0, result.failures
    assert result.changes == []
    assert differences(before, picture(lab)) == {}
    assert member.read("faults-before.txt") == "before the fault"
