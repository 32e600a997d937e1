# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Full disks: what users are told, and that nobody has to help once there is room again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from checkin_client import browser
from faults import CLUSTER, HUB, MACHINES, deploy, edge_answers, record, wait_until, wait_until_sound
from user import Kernel

#: kubelet believes in a disk's room only when it has lasted for five minutes.
LIMIT = 900
NAME = "faults-full"
WRITE = """
import os
with open("faults-space.txt", "w") as stream:
    stream.write("x" * 4_000_000)
    stream.flush()
    os.fsync(stream.fileno())
print("written")
"""
FILL = "dd if=/dev/zero of=/tmp/fill bs=1M count=400 status=none"


@contextmanager
def full(lab, node: str, folder: str) -> Iterator[None]:
    """A file takes all the room of a file system, root's reserve as well."""
    path = f"{folder}/{NAME}"
    free = f"$(stat --file-system --format='%f*%S' {folder})"
    try:
        lab.run(
            node,
            f"free=$(({free})); for less in 1 4 16 64; do fallocate --length $((free - (less << 20))) {path} && exit; "
            f"rm -f {path}; done; exit 1",
        )
        yield
    finally:
        wait_until(lambda: lab.ssh(node, f"rm -f {path}").returncode == 0, 120, f"{node} without the file")


def condition(lab, node: str, kind: str = "DiskPressure") -> str:
    (found,) = lab.get("node", MACHINES[node].fqdn)
    return next(item["status"] for item in found["status"]["conditions"] if item["type"] == kind)


@pytest.fixture(autouse=True)
def tidy(lab):
    """Other tests take the remains of evicted pods for failures."""
    yield
    wait_until_sound(lab, LIMIT)
    for namespace in (HUB, "kube-system", "kube-flannel", "monitoring", "edge"):
        lab.kubectl("delete", "pods", "-n", namespace, "--field-selector=status.phase=Failed")


@pytest.fixture
def at_work(member, kept) -> Iterator[Kernel]:
    """A member's kernel; the member has stored a file."""
    yield Kernel(member)
    member.start(timeout=LIMIT)


def test_homes(lab, at_work, kept):
    with full(lab, "nfs", "/srv/homes"):
        with pytest.raises(AssertionError, match="No space left on device"):
            at_work.run(WRITE, timeout=60)
        assert at_work.run("print('still there')") == "still there\n"
    started = time.monotonic()
    wait_until(lambda: at_work.run(WRITE, timeout=30) == "written\n", 60, "a file")
    seconds = time.monotonic() - started
    record("full disk of the homes", seconds, '"No space left on device" where they saved', kept())


def test_root_disk_of_the_nfs_server(lab, at_work, kept):
    with full(lab, "nfs", "/var/tmp"):
        # The homes have a disk of their own.
        assert at_work.run(WRITE, timeout=30) == "written\n"
    record("full root disk of the NFS server", 0, "nothing", kept())


def test_edge(lab, at_work, kept):
    with full(lab, "edge", "/var/tmp"):
        wait_until(lambda: condition(lab, "edge") == "True", 180, "DiskPressure of the edge")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert edge_answers(lab)
            time.sleep(2)
        assert at_work.run("print('works')") == "works\n"
    started = time.monotonic()
    wait_until(lambda: condition(lab, "edge") == "False", LIMIT, "room on the edge", pause=3)
    seconds = time.monotonic() - started
    record("full disk of the edge", seconds, "nothing (time: until the node takes pods again)", kept())


def test_a_user_who_fills_the_worker_ends_the_own_server_alone(lab, member, member2):
    member.stop()
    member2.start()
    assert len(deploy(jupyterhub_user_ephemeral_storage_limit="256Mi").changes) == 1
    try:
        member.start()
        other, kernel = Kernel(member2), Kernel(member)
        started = time.monotonic()
        kernel.run(f"import subprocess; process = subprocess.Popen({FILL!r}, shell=True)")
        wait_until(lambda: not member.server_answers(), 180, "the end of the server that is too large")
        seconds = time.monotonic() - started
        assert other.run("print('works')") == "works\n"
        assert condition(lab, "worker") == "False"
    finally:
        assert len(deploy().changes) == 1
    member.start()
    assert Kernel(member).run("import os; print(os.path.exists('/tmp/fill'))") == "False\n"
    record("a user fills the worker's disk", seconds, "that server ends (time: until it does), no other one", "none")


@pytest.mark.usefixtures("at_work")
def test_worker(lab, member, kept):
    """The hub runs there, too: kubelet ends it and the users' servers, since room is what it has to make."""
    with full(lab, "worker", "/var/tmp"):
        wait_until(lambda: condition(lab, "worker") == "True", 180, "DiskPressure of the worker")
        wait_until(lambda: not member.server_answers(), 180, "the end of the member's server")
        time.sleep(60)
        # Users get an answer, and at once: the hub's own pages, or that the service is not available.
        started = time.monotonic()
        answer = browser().get(f"{lab.url}/hub/login", timeout=15)
        assert answer.status_code in (200, 503), answer.status_code
        assert time.monotonic() - started < 10
        assert not member.server_answers()
    started = time.monotonic()
    member.start(timeout=LIMIT)
    record(
        "full disk of the worker",
        time.monotonic() - started,
        f"status {answer.status_code} at once; servers ended (time: from the moment there is room)",
        kept(),
    )
    assert member.read("faults-before.txt") == "before the fault"


def harm_to_master(lab) -> str:
    """What its full disk does to the control plane: kubelet tells of it, or the API is away as nothing is stored."""
    try:
        return "DiskPressure" if condition(lab, "master") == "True" else ""
    except (AssertionError, subprocess.TimeoutExpired):
        path = f"/var/lib/{NAME}"
        refusal = "No space left on device"
        return refusal if refusal in lab.ssh("master", f"echo full >{path}; rm -f {path}").stderr else ""


def test_master(lab, at_work, member2, kept):
    harm: set[str] = set()
    with full(lab, "master", "/var/tmp"):
        # What needs the control plane may fail, what runs goes on.
        end = time.monotonic() + 90
        while time.monotonic() < end:
            assert edge_answers(lab)
            assert at_work.run("print('works')", timeout=20) == "works\n"
            harm.add(harm_to_master(lab))
            time.sleep(3)
    assert harm - {""}, "the full disk did nothing to the control plane"
    started = time.monotonic()
    wait_until(lambda: lab.get("nodes"), LIMIT, "the API")
    member2.start(timeout=LIMIT)
    seconds = time.monotonic() - started
    saw = f"kernels went on; master has {' and '.join(sorted(harm - {''}))}; no new server at times"
    record("full disk of the master", seconds, saw, kept())
    wait_until(lambda: all(condition(lab, node) == "False" for node in CLUSTER), LIMIT, "room on all nodes")
