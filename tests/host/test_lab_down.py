# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab leaves on the machine that it runs on: nothing but its folder in the cache.

Starts over with fresh nodes, so it runs before the tests that need the service: ``make test-host``.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.settings import CACHE, NAMESPACE, NODES

COMMANDS = {
    "interfaces": ["ip", "-oneline", "link"],
    "addresses": ["ip", "-oneline", "address"],
    "routes": ["ip", "route", "show", "table", "all"],
    "namespaces": ["ip", "netns", "list"],
    "loop devices": ["losetup", "--list"],
    "HTTPS listeners": ["ss", "--no-header", "--tcp", "--listening", "--numeric", "sport = :443"],
}
FILES = {"mounts": "/proc/self/mounts", "hosts": "/etc/hosts", "resolver": "/etc/resolv.conf"}
#: What changes by itself: dates, counters and lifetimes.
NOISE = re.compile(r"^#.*$|\[\d+:\d+\]|packets \d+ bytes \d+|(valid_lft|preferred_lft|expires) \S+", re.MULTILINE)
#: Where `lab open` publishes the edge and Check-in's stand-in.
DOORS = ("127.0.0.1", "127.0.0.2")
PACKET_FILTERS = (["nft", "list", "ruleset"], ["iptables-save"])


def lab(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "lab", *arguments], check=True)


def host() -> dict[str, str]:
    """What stands on the machine outside of any file of ours."""
    state = {
        name: subprocess.run(argv, check=True, capture_output=True, text=True).stdout for name, argv in COMMANDS.items()
    }
    state |= {name: Path(path).read_text() for name, path in FILES.items()}
    for argv in PACKET_FILTERS:
        try:
            state[argv[0]] = subprocess.run(argv, check=False, capture_output=True, text=True).stdout
        except FileNotFoundError:
            state[argv[0]] = ""
    return {name: NOISE.sub("", text) for name, text in state.items()}


def processes(networks: set[str]) -> list[str]:
    """Command lines of what names the lab's parts or state, or runs inside one of the networks."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            network = os.readlink(path / "ns/net")
        # It has ended, or is the machine's own and not to be looked into.
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if network in networks or any(f"{CACHE}/{folder}" in line for folder in ("parts", "lab")):
            found.append(line)
    return found


def wait_until_open(opening: subprocess.Popen[str]) -> None:
    assert any("Ctrl-C" in line for line in opening.stdout), "`lab open` ended at once"
    for address in DOORS:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((address, 443), timeout=5).close()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, f"nothing listens at {address}"
                time.sleep(0.1)


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    lab("down")
    return host()


def test_nodes_boot_and_everything_of_theirs_is_gone_when_they_are_down(before):
    lab("nodes", "--fresh")
    try:
        networks = {f"net:[{Path('/run/netns', NAMESPACE).stat().st_ino}]"}
        # Ansible keeps its connections for a while.
        lab("exec", "--", "ansible", "-i", "inventories/lab", "all", "-m", "ansible.builtin.raw", "-a", "true")
        inside = processes(networks)
        for word, least in (("umid=", len(NODES)), ("dnsmasq", 1), ("nginx", 1), ("[mux]", len(NODES))):
            assert len([line for line in inside if word in line]) >= least, inside
        # While it runs the host has the namespace's name, and that alone.
        during = host()
        assert NAMESPACE in during["namespaces"]
        assert {key: during[key] for key in ("interfaces", "routes", "hosts")} == {
            key: before[key] for key in ("interfaces", "routes", "hosts")
        }
        opening = subprocess.Popen([sys.executable, "-m", "lab", "open"], stdout=subprocess.PIPE, text=True)
        wait_until_open(opening)
        browser = socket.create_connection(("127.0.0.2", 443), timeout=10)
    finally:
        lab("down")
    # It ends by itself, and with it what a browser still holds.
    assert opening.wait(timeout=10) == 0
    with browser, contextlib.suppress(ConnectionResetError):
        assert browser.recv(1) == b""
    assert processes(networks) == []
    assert host() == before
    assert not Path("/etc/netns", NAMESPACE).exists()
