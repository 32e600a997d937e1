# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that programs of the host listen on."""

from __future__ import annotations

from ansible_collections.egi.notebooks.plugins.module_utils.host import files

#: State of a listening socket in /proc/net/PROTOCOL.
LISTENING = {"tcp": "0A", "udp": "07"}


def listeners() -> list[dict]:
    """Return the ports that are listened on, with the names of the programs."""
    sockets = _sockets()
    found = {(*socket, "") for socket in sockets.values()}
    for process in files.names("/proc"):
        if not process.isdigit():
            continue
        for socket in {sockets[target] for target in _targets(process) if target in sockets}:
            name = files.read(f"/proc/{process}/comm").strip()
            found = (found - {(*socket, "")}) | {(*socket, name)}
    return [{"protocol": protocol, "port": port, "process": process} for protocol, port, process in sorted(found)]


def _sockets() -> dict[str, tuple[str, int]]:
    """Return protocol and port of each listening socket, by what a file descriptor of it points to."""
    sockets = {}
    for protocol, state in LISTENING.items():
        for line in (files.read(f"/proc/net/{protocol}") + files.read(f"/proc/net/{protocol}6")).splitlines():
            words = line.split()
            if len(words) > 9 and words[3] == state:
                sockets[f"socket:[{words[9]}]"] = (protocol, int(words[1].rsplit(":", 1)[1], 16))
    return sockets


def _targets(process: str) -> list[str]:
    """Return what the file descriptors of a process point to; none if it has ended or belongs to another user."""
    folder = f"/proc/{process}/fd"
    return [files.link(f"{folder}/{descriptor}") for descriptor in files.names(folder)]
