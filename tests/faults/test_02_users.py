# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users of such systems met: a private CA, a first login, databases on NFS, the cluster's own addresses."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from contextlib import contextmanager

import pytest
from access import PROJECT
from faults import CLUSTER, HELM, HUB, MACHINES, deploy, pick_home, wait_until
from user import Kernel, Terminal, User

from lab.nodes import ssh_options

UNVERIFIED = re.compile(
    r"insecure[-_]?skip[-_]?(tls[-_]?)?verify|skip[-_]?verify\s*[:=]\s*true|"
    r"(validate_certs?|validate_server_cert|tls_verify|verify_ssl|verify)[\"']?\s*[:=]\s*[\"']?(false|no)\b|"
    r"--insecure\b|\bcurl\b.*\s-k\b|no-check-certificate|NODE_TLS_REJECT_UNAUTHORIZED|GIT_SSL_NO_VERIFY|CERT_NONE|"
    r"_create_unverified_context|check_hostname\s*=\s*False",
    re.IGNORECASE,
)


def unverified(text: str) -> list[str]:
    return [line.strip()[:200] for line in text.splitlines() if UNVERIFIED.search(line)]


@pytest.mark.quick
def test_verification_is_switched_off_nowhere(lab):
    """Case 8."""
    sources = [
        path
        for folder in ("roles", "playbooks", "plugins", "inventories", "lab")
        for path in (PROJECT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert {str(path): found for path in sources if (found := unverified(path.read_text(errors="replace")))} == {}
    assert unverified(lab.kubectl("get", "configmaps,deployments,daemonsets", "-A", "--output=yaml")) == []
    assert unverified(lab.run("master", f"{HELM} get values jupyterhub --namespace {HUB}")) == []
    for node in CLUSTER:
        assert unverified(lab.run(node, "cat /etc/containerd/config.toml /etc/containerd/certs.d/*/hosts.toml")) == []


def test_a_private_ca_is_trusted_by_a_new_hub_as_well(lab):
    """Case 8. The one variable is egi_notebooks_ca_file of the lab's inventory."""
    User(lab, "member").log_in()
    (pod,) = lab.get("pods", "-n", HUB, "-l", "component=hub")
    lab.kubectl("delete", "pod", "-n", HUB, pod["metadata"]["name"], "--wait=true")
    lab.kubectl("rollout", "status", "-n", HUB, "deployment/hub", "--timeout=120s")
    wait_until(lambda: User(lab, "member").log_in(), 60, "a login at the new hub")


def test_a_user_never_seen_before_can_write_at_once(lab, newcomer):
    """Case 10. The lab's export squashes everybody, root among them."""
    newcomer.log_in()
    newcomer.start()
    home = pick_home(lab, newcomer)
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    answer = newcomer.server("PUT", "contents/first.ipynb", json={"type": "notebook", "content": notebook})
    assert answer.status_code == 201, answer.text
    terminal = Terminal(newcomer)
    try:
        terminal.run("cd && mkdir from-terminal && echo mine >from-terminal/file")
    finally:
        terminal.close()
    owners = lab.run("nfs", f"cd {home} && stat --format '%u:%g' . first.ipynb from-terminal from-terminal/file")
    assert owners.splitlines() == ["1000:100"] * 4


#: Where Jupyter and IPython keep their databases if nobody tells them otherwise.
DATABASES = (
    ".ipython/profile_default/history.sqlite",
    ".local/share/jupyter/nbsignatures.db",
    ".local/share/jupyter/file_id_manager.db",
    ".jupyter_ystore.db",
)
#: Runs on the NFS server until its input ends: makes the files as the user would, and locks them for good.
HOLD_LOCKS = """
import fcntl, os, sys
home, *names = sys.argv[1:]
held = []
for name in names:
    path = home
    for part in name.split("/")[:-1]:
        path = os.path.join(path, part)
        if not os.path.isdir(path):
            os.mkdir(path)
            os.chown(path, 1000, 100)
    path = os.path.join(home, name)
    stream = open(path, "a+b")
    os.chown(path, 1000, 100)
    fcntl.lockf(stream, fcntl.LOCK_EX)
    held.append((path, stream))
print("held", flush=True)
sys.stdin.read()
for path, stream in held:
    os.unlink(path)
"""
TRY_LOCK = f"""
import fcntl, os, time
# The client may have seen that there is none, and believe it for a while.
for _ in range(90):
    if os.path.exists(os.path.expanduser("~/{DATABASES[0]}")):
        break
    time.sleep(1)
with open(os.path.expanduser("~/{DATABASES[0]}"), "r+b") as stream:
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("free")
    except OSError:
        print("held")
"""


@contextmanager
def locked(home: str):
    """The databases' usual places, locked on the server: whoever uses one of them over NFS waits in vain."""
    command = shlex.join(["python3", "-c", HOLD_LOCKS, home, *DATABASES])
    process = subprocess.Popen(
        ["ssh", *ssh_options(), "-o", "ControlPath=none", f"root@{MACHINES['nfs'].fqdn}", command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "held\n"
        yield
    finally:
        process.stdin.close()
        process.wait(timeout=30)


def ten_cells(user, locks: str = "") -> float:
    """Start a kernel, wait until it is idle, and use it; seconds until it was idle."""
    started = time.monotonic()
    kernel = Kernel(user)
    try:
        assert kernel.run("print('idle')", timeout=60) == "idle\n"
        seconds = time.monotonic() - started
        for number in range(10):
            assert kernel.run(f"print({number} * 2)") == f"{number * 2}\n"
        if locks:
            assert kernel.run(TRY_LOCK, timeout=120) == f"{locks}\n"
    finally:
        kernel.close()
    return seconds


def test_kernels_need_no_lock_on_nfs(lab, member):
    """Case 11. NFSv4 locks by its one port, so what blocks here is a lock that somebody else holds."""
    member.start()
    home = pick_home(lab, member)
    for _ in range(2):
        ten_cells(member)
    databases = f"grep -rlaF 'SQLite format 3' {home} || true"
    assert lab.run("nfs", databases) == ""
    member.stop()
    with locked(home):
        member.start(timeout=60)
        for _ in range(2):
            assert ten_cells(member, locks="held") < 15
        member.stop()
    assert lab.run("nfs", databases) == ""


PUBLIC = "203.0.113.14"
KNOCK = f"""
import socket
with socket.socket() as door:
    door.settimeout(3)
    print("open" if door.connect_ex(("{PUBLIC}", 2049)) == 0 else "closed")
"""


@pytest.fixture
def public_homes(lab):
    """The NFS server has a public address as well, and the worker knows the way to it."""
    way = f"{PUBLIC}/32 via {MACHINES['nfs'].address}"
    lab.run("nfs", f"ip address add {PUBLIC}/32 dev lo")
    lab.run("worker", f"ip route add {way}")
    yield
    lab.run("worker", f"ip route delete {way}")
    lab.run("nfs", f"ip address delete {PUBLIC}/32 dev lo")


@pytest.mark.usefixtures("public_homes")
def test_a_public_address_of_the_homes_can_be_closed_to_users_at_work(lab, member):
    member.start()
    with member.kernel() as kernel:
        assert kernel.run(KNOCK) == "open\n"
        try:
            assert deploy(jupyterhub_user_closed_networks=["203.0.113.0/24"]).changes != []
            wait_until(lambda: kernel.run(KNOCK) == "closed\n", 30, "a closed network")
        finally:
            deploy()
        wait_until(lambda: kernel.run(KNOCK) == "open\n", 30, "an open network")
