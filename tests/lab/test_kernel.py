# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes' kernel under disk and network load at once, where one without lab/kernel's patch hangs for good."""

from __future__ import annotations

import subprocess
import time

import pytest

from lab.nodes import ssh_options

MEGABYTES = 30
ROUND_TIMEOUT = 60
WRITE = "dd if=/dev/zero of=/var/tmp/stress bs=1M count=16 conv=fsync status=none"


def on_nfs(command: str) -> list[str]:
    return ["ssh", *ssh_options(), "root@nfs.lab.test", command]


def stress(seconds: int = 30) -> tuple[int, int]:
    """How often the NFS server's node took 30 MB from the network meanwhile, and how often it wrote 16 MB to disk."""
    load = MEGABYTES << 20
    disk = subprocess.Popen(
        on_nfs(f"end=$(($(date +%s) + {seconds})); while [ $(date +%s) -lt $end ]; do {WRITE} && echo; done"),
        stdout=subprocess.PIPE,
    )
    rounds, started = 0, time.monotonic()
    try:
        while time.monotonic() - started < seconds:
            answer = subprocess.run(
                on_nfs("wc -c"), input=bytes(load), capture_output=True, timeout=ROUND_TIMEOUT, check=True
            )
            assert int(answer.stdout) == load
            rounds += 1
        writes = disk.communicate(timeout=ROUND_TIMEOUT)[0].count(b"\n")
    finally:
        disk.kill()
        subprocess.run(on_nfs("rm -f /var/tmp/stress"), timeout=ROUND_TIMEOUT, check=True)
    assert disk.returncode == 0
    return rounds, writes


@pytest.mark.harsh
def test_disk_and_network_load_at_once_stall_nothing():
    """tests/faults/test_11_kernel.py shows the same on a kernel without the change."""
    rounds, writes = stress()
    assert rounds >= 1
    assert writes >= 2
