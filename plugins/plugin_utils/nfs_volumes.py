# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the role nfs_volumes, and how the volume of the homes compares with the cluster's."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.egi.notebooks.plugins.plugin_utils import rules
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check, must

Object = Mapping[str, Any]
SERVER = re.compile(r"[A-Za-z0-9.:_-]+")
SIZE = re.compile(r"[1-9][0-9]*[KMGTP]i")
#: Binary units of quantities.
UNITS = {unit: 1024**power for power, unit in enumerate(("", "Ki", "Mi", "Gi", "Ti", "Pi"))}
MOVE_ADVICE = "Kubernetes never changes it. How homes move is described in docs/operations.md."


def problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings."""
    wrong = list(input_problems(check))
    yield from wrong
    name = server(check)
    if not wrong and is_address(name):
        yield from server_problems(check, [name])
    elif not wrong and check.query:
        found = check.query("egi.notebooks.nfs_info", names=[name])
        yield from server_problems(check, found.get("addresses", {}).get(name, []))


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def input_problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings by themselves."""
    if not SERVER.fullmatch(server(check)):
        yield _server_must(
            check,
            "the NFS server's name or address as the nodes know it, by default the first host of the group nfs_servers",
        )
    if not rules.is_path(check["path"]):
        yield check.must("path", "the absolute path that the server exports, such as /srv/homes")
    if not SIZE.fullmatch(check["size"]):
        yield check.must("size", "a number with Ki, Mi, Gi, Ti or Pi, such as 1Ti")


def server_problems(check: Check, addresses: list[str]) -> Iterator[str]:
    """Yield a message unless the server's name has addresses, and only the NFS server's own ones if they are known."""
    if not addresses:
        yield _server_must(check, "a name that this host and the nodes can resolve, or an address")
    servers = check.run.groups.get("nfs_servers", [])
    own = [item["address"] for node in check.run.known(servers).values() for item in node["addresses"]]
    foreign = [address for address in addresses if ":" not in address and not address.startswith("127.")]
    foreign = [address for address in foreign if own and address not in own]
    if foreign:
        yield _server_must(
            check,
            f"a name of {servers[0]}'s own addresses ({', '.join(foreign)} is none of them)",
            "Set egi_notebooks_node_address for a host with a floating address.",
        )


def _server_must(check: Check, rule: str, advice: str = "") -> str:
    return must(check.name("server"), rule, server(check), advice)


def server(check: Check) -> str:
    """Return the NFS server as nodes reach it: the site's, or the first of the group; empty if there is none."""
    first = next(iter(check.run.groups.get("nfs_servers", ())), "")
    host = check.run.hosts.get(first)
    return check["server"] or (host.address if host else "") or first


def plan(check: Check, objects: list[Object]) -> dict[str, Any]:
    """Compare the cluster's objects with the settings.

    Return `problems`, whether to `release` the volume from a claim that was deleted, and whether to `wait` until the
    claim is bound.
    """
    by_kind = {item["kind"]: item for item in objects}
    volume, claim = by_kind.get("PersistentVolume", {}), by_kind.get("PersistentVolumeClaim", {})
    phases = [item.get("status", {}).get("phase", "") for item in (volume, claim)]
    return {
        "problems": list(object_problems(check, volume, claim)),
        "release": phases[0] == "Released",
        "wait": phases != ["Bound", "Bound"],
    }


def object_problems(check: Check, volume: Object, claim: Object) -> Iterator[str]:
    """Yield what Kubernetes would not change in the volume and the claim that exist."""
    export = volume.get("spec", {}).get("nfs")
    if export and export["server"] != server(check):
        yield _server_must(check, f'"{export["server"]}", the server of the volume {check["name"]}', MOVE_ADVICE)
    if export and export["path"] != check["path"]:
        yield check.must("path", f'"{export["path"]}", the path of the volume {check["name"]}', MOVE_ADVICE)
    owner = volume.get("spec", {}).get("claimRef", {}).get("namespace", "")
    is_bound = volume.get("status", {}).get("phase") == "Bound"
    if is_bound and owner != check["namespace"]:
        yield check.must(
            "namespace",
            f'"{owner}", whose claim has the volume {check["name"]}',
            "For another service, set nfs_volumes_name and nfs_volumes_path.",
        )
    size = claim and claim["spec"]["resources"]["requests"]["storage"]
    if size and parse_quantity(size) != parse_quantity(check["size"]):
        yield check.must("size", f'"{size}", the size of the claim {check["name"]}', MOVE_ADVICE)


def parse_quantity(text: str) -> int | str:
    """Return a quantity in bytes, so that 1Ti equals 1024Gi, or the text if it has no binary unit."""
    match = re.fullmatch(r"([0-9]+)([KMGTP]i)?", text)
    return int(match[1]) * UNITS[match[2] or ""] if match else text


def faults(check: Check, objects: list[Object]) -> list[str]:
    """Return a sentence unless the claim exists and is bound."""
    name = f"PersistentVolumeClaim {check['namespace']}/{check['name']}"
    claims = [item for item in objects if item["kind"] == "PersistentVolumeClaim"]
    phases = [item.get("status", {}).get("phase", "") for item in claims]
    if not phases:
        return [f"{name} does not exist. Run service.yml."]
    return [] if phases == ["Bound"] else [f"{name} is {phases[0]}, not bound."]
