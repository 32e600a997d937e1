# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swap that is on, and what turns it on at each boot."""

from __future__ import annotations

import os
import re

from ansible_collections.egi.notebooks.plugins.module_utils.host import files

UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/run/systemd/generator.early",
    "/run/systemd/generator.late",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)
#: Services that create and use swap by themselves.
SWAP_SERVICES = {"dphys-swapfile", "swapspace", "systemd-swap", "zram-config", "zram-swap", "zramswap"}
#: What the role kube_node puts in front of swap's lines in /etc/fstab.
TURNED_OFF = "# egi.notebooks turned swap off: "
#: What /etc/fstab may name a device by, in place of its path.
DEVICE_TAGS = {"UUID", "LABEL", "PARTUUID", "PARTLABEL"}


def swap() -> dict:
    """Return the swap that is on, and what turns it on at each boot."""
    table = files.read("/etc/fstab")
    active = [line.split()[0] for line in files.read("/proc/swaps").splitlines()[1:]]
    declared, units = swap_units()
    known = declared | set(swap_entries(table.replace(TURNED_OFF, "")))
    # A service may use any file or device.
    if any(unit.endswith(".service") for unit in units):
        known |= set(active)
    devices = {device(name) for name in known}
    return {
        "active": active,
        "fstab": swap_entries(table),
        "units": sorted(units),
        "unknown": [name for name in active if device(name) not in devices],
    }


def swap_entries(table: str) -> list[str]:
    """Return the files and devices of swap in a text like /etc/fstab."""
    entries = [line.split() for line in table.splitlines() if not line.lstrip().startswith("#")]
    return [entry[0] for entry in entries if len(entry) > 2 and entry[2] == "swap"]


def swap_units() -> tuple[set[str], set[str]]:
    """Return the files and devices that units are for, and the units that are started at each boot.

    The first has masked and unwanted units as well, the second none that systemd makes from /etc/fstab.
    """
    declared: set[str] = set()
    wanted: set[str] = set()
    for folder in UNIT_FOLDERS:
        for name in files.names(folder):
            if name.endswith(".swap"):
                declared |= _devices(folder, name)
            elif name.endswith((".wants", ".requires")):
                wanted |= {unit for unit in files.names(f"{folder}/{name}") if brings_swap(folder, unit)}
    return declared, wanted


def _devices(folder: str, unit: str) -> set[str]:
    """Return the file or device of a unit, by its name and by its text."""
    escaped = "/" + unit.removesuffix(".swap").replace("-", "/")
    name = re.sub(r"\\x([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), escaped)
    return {name, *re.findall(r"^What=(.+)$", files.read(f"{folder}/{unit}"), re.MULTILINE)}


def brings_swap(folder: str, unit: str) -> bool:
    """Tell whether a unit turns swap on, is not masked and does not come from /etc/fstab."""
    name, kind = os.path.splitext(unit)
    if kind != ".swap" and not (kind == ".service" and name in SWAP_SERVICES):
        return False
    return not is_masked(unit) and "SourcePath=/etc/fstab" not in files.read(f"{folder}/{unit}")


def is_masked(unit: str) -> bool:
    """Tell whether systemd never starts the unit, or the target that wants all swap."""
    units = [unit, "swap.target"] if unit.endswith(".swap") else [unit]
    return any(files.link(f"/etc/systemd/system/{name}") == "/dev/null" for name in units)


def device(name: str) -> str:
    """Return the file or device that a name in /etc/fstab, /proc/swaps or a unit stands for."""
    kind, _sign, value = name.partition("=")
    if kind in DEVICE_TAGS:
        name = "/dev/disk/by-" + kind.lower() + "/" + value.strip("\"'")
    return os.path.realpath(files.ROOT + name)
