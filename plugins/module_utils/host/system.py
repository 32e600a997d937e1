# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name, identity and kind of the host."""

from __future__ import annotations

import os

from ansible_collections.egi.notebooks.plugins.module_utils.host.files import exists, names, read

UNITS = "/etc/systemd/system"


def system() -> dict:
    """Return name, identity and kind of the host."""
    release = dict(line.split("=", 1) for line in read("/etc/os-release").splitlines() if "=" in line)
    return {
        "nodename": read("/proc/sys/kernel/hostname").strip(),
        "machine_id": read("/etc/machine-id").strip(),
        "distribution": release.get("ID", "").strip("\"'"),
        "distribution_version": release.get("VERSION_ID", "").strip("\"'"),
        "architecture": os.uname().machine,
        "service_manager": "systemd" if exists("/run/systemd/system") else read("/proc/1/comm").strip(),
        "memory_mb": int((read("/proc/meminfo").split() + ["MemTotal:", "0"])[1]) // 1024,
        "processors": os.cpu_count(),
        # An empty unit, which the module masked_units writes, and a link to /dev/null both mask a unit.
        "masked_units": [
            name
            for name in names(UNITS)
            if name.endswith((".service", ".socket", ".target")) and not read(f"{UNITS}/{name}").strip()
        ],
    }


def disk(path: str) -> dict:
    """Return the space in MiB of the file system that holds the path, or will hold it."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    space = os.statvfs(path)
    return {
        "total_mb": space.f_blocks * space.f_frsize >> 20,
        "free_mb": space.f_bavail * space.f_frsize >> 20,
    }
