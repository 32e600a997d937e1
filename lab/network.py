# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network: a namespace with a bridge, no uplink, and the lab's daemons, most of which run inside it.

The host keeps nothing but the namespace's name and its ``/etc/netns`` folder; both go with :func:`remove`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lab.settings import (
    BRIDGE,
    CHECKIN_ADDRESS,
    DNS_ADDRESS,
    DOMAIN,
    MIRROR_ADDRESS,
    NAMESPACE,
    NODES,
    PREFIX_LENGTH,
    STATE,
)

_NETNS_ETC = Path("/etc/netns") / NAMESPACE
#: Names the state folder of the lab that is up.
_OWNER = Path("/run/egi-notebooks-lab")


def inside(argv: list[str]) -> list[str]:
    """The command line that runs `argv` inside the lab's namespace."""
    return ["ip", "netns", "exec", NAMESPACE, *argv]


def exists() -> bool:
    return Path("/run/netns", NAMESPACE).exists()


def require_own() -> None:
    """Refuse the network of a lab whose state is elsewhere: there is one name for it on a machine."""
    owner = _OWNER.read_text().strip() if exists() and _OWNER.exists() else str(STATE)
    if owner != str(STATE):
        raise SystemExit(
            f"EGI_NOTEBOOKS_LAB is {STATE} and a lab with its state in {owner} is up; end that one first: "
            f"make lab-down EGI_NOTEBOOKS_LAB={owner}"
        )


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", "-n", NAMESPACE, *arguments], check=True)


def create() -> None:
    """Make namespace, bridge and one veth pair a node: all of it, or nothing."""
    if exists():
        require_own()
        return
    try:
        _make()
    except BaseException:
        remove()
        raise


def _make() -> None:
    _OWNER.write_text(f"{STATE}\n")
    _NETNS_ETC.mkdir(parents=True, exist_ok=True)
    (_NETNS_ETC / "resolv.conf").write_text(f"search {DOMAIN}\nnameserver {DNS_ADDRESS}\n")
    (_NETNS_ETC / "hosts").write_text("127.0.0.1 localhost\n")
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    # The node's frames are bridged, not routed: the bridge must not hand them to the namespace's firewall.
    subprocess.run(
        inside(
            ["sh", "-c", "cd /proc/sys/net/bridge 2>/dev/null && for f in bridge-nf-call-*; do echo 0 >$f; done; true"]
        ),
        check=True,
    )
    _ip("link", "set", "lo", "up")
    _ip("link", "add", BRIDGE, "type", "bridge")
    for address in (DNS_ADDRESS, MIRROR_ADDRESS, CHECKIN_ADDRESS):
        _ip("addr", "add", f"{address}/{PREFIX_LENGTH}", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    for node in NODES:
        _ip("link", "add", f"uml-{node.name}", "type", "veth", "peer", "name", f"br-{node.name}")
        _ip("link", "set", f"br-{node.name}", "master", BRIDGE, "up")
        # The node's kernel reads raw frames at this end: segments must not be merged behind its back.
        subprocess.run(inside(["ethtool", "-K", f"uml-{node.name}", "tx", "off"]), check=True, capture_output=True)
        _ip("link", "set", f"uml-{node.name}", "up", "promisc", "on")


def remove() -> None:
    """Take away the namespace with all that still runs in it, its interfaces, and what belongs to it under /etc."""
    if exists():
        require_own()
        _end_strangers()
        subprocess.run(["ip", "netns", "del", NAMESPACE], check=True)
    shutil.rmtree(_NETNS_ETC, ignore_errors=True)
    _OWNER.unlink(missing_ok=True)


def _end_strangers() -> None:
    """End what is no daemon of the lab's: ssh connections that Ansible keeps, what somebody runs by `lab exec`."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 5
        while pids := subprocess.run(
            ["ip", "netns", "pids", NAMESPACE], check=True, capture_output=True, text=True
        ).stdout.split():
            for number in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(number), sig)
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)


def _pid_file(name: str) -> Path:
    return STATE / "run" / f"{name}.pid"


def pid(name: str) -> int | None:
    """The process id of the daemon `name` if it runs (its start time must be the one noted: ids are used again)."""
    try:
        number, started = _pid_file(name).read_text().split()
        if Path("/proc", number, "stat").read_text().rsplit(")", 1)[1].split()[19] == started:
            return int(number)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        pass
    return None


def spawn(
    name: str, argv: list[str], env: dict[str, str] | None = None, on_host: bool = False
) -> subprocess.Popen[bytes] | None:
    """Start the daemon `name` inside the namespace, or in the host's network, unless it runs.

    Its output goes to STATE/logs/NAME.log.
    """
    if pid(name):
        return None
    log = STATE / "logs" / f"{name}.log"
    for folder in (log.parent, _pid_file(name).parent):
        folder.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        process = subprocess.Popen(
            argv if on_host else inside(argv),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=os.environ | (env or {}),
            start_new_session=True,
            cwd="/",
        )
    started = Path("/proc", str(process.pid), "stat").read_text().rsplit(")", 1)[1].split()[19]
    _pid_file(name).write_text(f"{process.pid} {started}\n")
    return process


def stop(name: str, sig: int = signal.SIGTERM, timeout: float = 10) -> None:
    """End the daemon `name` and its children; after `timeout` seconds, or with SIGKILL, at once."""
    number = pid(name)
    if number:
        # Who started the daemon may end it at the same time.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(number, sig)
        deadline = time.monotonic() + timeout
        while pid(name) and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(number, os.WNOHANG)
            time.sleep(0.1)
        if pid(name):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(number, signal.SIGKILL)
    _pid_file(name).unlink(missing_ok=True)


def running() -> list[str]:
    return sorted(path.stem for path in (STATE / "run").glob("*.pid") if pid(path.stem))
