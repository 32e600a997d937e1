# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How migrate_users.yml reaches the hub, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.egi.notebooks.plugins.plugin_utils.check import must
from ansible_collections.egi.notebooks.plugins.plugin_utils.roles import Reader

PROGRAM = "/usr/local/etc/jupyterhub/egi_notebooks_users.py"


def settings(reader: Reader, domain: str = "", confirm: str = "") -> dict[str, Any]:
    """Return whether users are moved, the `command` that calls the hub, and `problems` with which it must not begin."""
    is_confirmed = bool(domain) and confirm == domain
    servers = reader.run.groups.get("nfs_servers", [])
    problems = []
    if is_confirmed and len(servers) != 1:
        problems.append(
            must(
                "nfs_servers",
                "a group of one host, which has the homes",
                servers,
                "Homes are renamed there. Nothing has been changed.",
            )
        )
    return {"is_confirmed": is_confirmed, "command": hub_command(reader), "problems": problems}


def hub_command(reader: Reader) -> list[str]:
    """Return the command that runs the hub's program for user names, without its arguments."""
    check = reader.check("jupyterhub")
    return [
        "kubectl",
        f"--kubeconfig={check['kubeconfig']}",
        f"--namespace={check['namespace']}",
        *("exec", "deployment/hub", "--container=hub", "--", "python3", PROGRAM),
    ]


def homes(reader: Reader) -> str:
    """Return the directory of the homes on the NFS server."""
    return str(reader.check("nfs_server")["path"])


def report_lines(_reader: Reader, report: str) -> list[str]:
    """Return a line for each user of the hub's report: who moves, and who stays and why."""
    plan = json.loads(report)
    moves = [f"{move['name']} -> {move['new_name']}, now of {move['person']}" for move in plan["moves"]]
    return moves + [f"{user['name']} {user['why']}" for user in plan["stays"]]


def home_problems(reader: Reader, moves: Iterable[Mapping[str, str]], directories: Iterable[str]) -> list[str]:
    """Return a message for each home whose new name another one of these directories has already."""
    names = {path.rpartition("/")[2] for path in directories}
    # After a run that was interrupted between its two steps only the new home exists, which is right.
    return [
        f"{homes(reader)} has {move['home']} and also {move['new_home']}, its new name. Keep what is needed in one of "
        "them and remove the other. Nothing has been changed."
        for move in moves
        if move["home"] in names and move["new_home"] in names
    ]
