# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's nodes: User-Mode Linux kernels, each over a copy-on-write file of the one root image.

A node's seed folder (keys, network, trust) is what cloud-init's data is elsewhere: the node reads it at boot.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lab import network
from lab.settings import DNS_ADDRESS, DOMAIN, NODES, PREFIX_LENGTH, STATE, Node


def _folder(node: Node) -> Path:
    return STATE / "nodes" / node.name


def ensure_keys() -> None:
    """Make the key that opens the nodes, a host key a node, and the known_hosts file that belongs to them."""
    ssh = STATE / "ssh"
    ssh.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = []
    for name in ("id_ed25519", *(f"host-{node.name}" for node in NODES)):
        if not (ssh / name).exists():
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {name}", "-f", str(ssh / name)], check=True
            )
    for node in NODES:
        kind, key = (ssh / f"host-{node.name}.pub").read_text().split()[:2]
        known.append(f"{node.fqdn},{node.address} {kind} {key}\n")
    (ssh / "known_hosts").write_text("".join(known))


def _write_seed(node: Node) -> Path:
    seed = _folder(node) / "seed"
    shutil.rmtree(seed, ignore_errors=True)
    seed.mkdir(parents=True, mode=0o700)
    ssh = STATE / "ssh"
    shutil.copy(ssh / "id_ed25519.pub", seed / "authorized_keys")
    shutil.copy(ssh / f"host-{node.name}", seed / "ssh_host_ed25519_key")
    shutil.copy(ssh / f"host-{node.name}.pub", seed / "ssh_host_ed25519_key.pub")
    shutil.copy(STATE / "ca/ca.crt", seed / "ca.crt")
    (seed / "hostname").write_text(f"{node.fqdn}\n")
    (seed / "resolv.conf").write_text(f"search {DOMAIN}\nnameserver {DNS_ADDRESS}\n")
    (seed / "10-lab.network").write_text(
        f"[Match]\nMACAddress={node.mac}\n\n[Network]\nAddress={node.address}/{PREFIX_LENGTH}\n"
        f"Gateway={DNS_ADDRESS}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    )
    return seed


def start(node: Node, kernel: Path, image: Path) -> None:
    """Boot the node, unless it runs. Its disks are kept from boot to boot."""
    if network.pid(node.name):
        return
    folder = _folder(node)
    seed = _write_seed(node)
    disks = [f"ubd0={folder / 'root.cow'},{image}"]
    if node.data_disk:
        data = folder / "data.img"
        if not data.exists():
            with data.open("wb") as stream:
                stream.truncate(node.data_disk << 30)
        disks.append(f"ubd1={data}")
    network.spawn(
        node.name,
        [
            "taskset",
            "-c",
            str(node.core % (os.cpu_count() or 1)),
            str(kernel),
            f"mem={node.memory}M",
            f"umid={node.name}",
            f"uml_dir={STATE / 'uml'}",
            *disks,
            "root=/dev/ubda",
            "rw",
            "con=null",
            "con0=null,fd:1",
            "console=tty0",
            "seccomp=on",
            f"vec0:transport=raw,ifname=uml-{node.name},depth=128,gro=1,mac={node.mac}",
            "quiet",
            f"lab.seed={seed}",
        ],
        env={"TMPDIR": "/dev/shm"},
    )


def wait(nodes: tuple[Node, ...] = NODES, timeout: float = 120) -> None:
    """Return when every node's ssh port answers."""
    deadline = time.monotonic() + timeout
    for node in nodes:
        while True:
            answer = subprocess.run(
                network.inside(
                    [
                        "ssh",
                        *ssh_options(),
                        "-o",
                        "ConnectTimeout=3",
                        "-o",
                        "BatchMode=yes",
                        f"root@{node.fqdn}",
                        "true",
                    ]
                ),
                capture_output=True,
                text=True,
                check=False,
            )
            if answer.returncode == 0:
                break
            if not network.pid(node.name):
                raise SystemExit(f"node {node.name} ended while it booted; see {STATE / 'logs'}/{node.name}.log")
            if time.monotonic() > deadline:
                raise SystemExit(f"node {node.name} did not answer ssh within {timeout:.0f} s: {answer.stderr.strip()}")
            time.sleep(1)


def ssh_options() -> list[str]:
    ssh = STATE / "ssh"
    return [
        "-i",
        str(ssh / "id_ed25519"),
        "-o",
        f"UserKnownHostsFile={ssh / 'known_hosts'}",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "LogLevel=ERROR",
    ]


def stop_all(timeout: float = 30) -> None:
    """Shut all nodes down by their own means, at the same time; cut the power of those that take over `timeout` s."""
    up = [node for node in NODES if network.pid(node.name)]
    # Not `reboot` by the console's Ctrl-Alt-Del: this kernel would start anew in the same process.
    for node in up:
        subprocess.run(
            network.inside(
                ["ssh", *ssh_options(), "-o", "ConnectTimeout=3", f"root@{node.fqdn}", "systemctl poweroff --no-block"]
            ),
            capture_output=True,
            check=False,
        )
    deadline = time.monotonic() + timeout
    while any(network.pid(node.name) for node in up) and time.monotonic() < deadline:
        time.sleep(0.2)
    for node in up:
        power_off(node)


def power_off(node: Node) -> None:
    """Cut the node's power: what it had not written is gone."""
    network.stop(node.name, signal.SIGKILL)


def erase() -> None:
    """Throw the nodes' disks away (all nodes must be down)."""
    shutil.rmtree(STATE / "nodes", ignore_errors=True)
