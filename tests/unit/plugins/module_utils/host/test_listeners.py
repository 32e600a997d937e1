# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that programs of a host listen on."""

from __future__ import annotations

import os

from ansible_collections.egi.notebooks.plugins.module_utils.host.listeners import listeners

#: Port 10250 (280A) of process 7, 2049 (0801) of the kernel, a connection, and UDP port 53.
SOCKETS = {
    "tcp": "  sl local rem st\n"
    "   0: 00000000:0801 00000000:0000 0A 0:0 0:0 0 0 0 20 1\n"
    "   1: 0100007F:BEEF 0100007F:280A 01 0:0 0:0 0 0 0 21 1\n",
    "tcp6": "  sl local rem st\n   0: 00000000000000000000000000000000:280A 0:0 0A 0:0 0:0 0 0 0 22 1\n",
    "udp": "  sl local rem st\n   0: 3500007F:0035 00000000:0000 07 0:0 0:0 0 0 0 23 1\n",
}


def test_listeners(host):
    root = host({f"proc/net/{name}": text for name, text in SOCKETS.items()} | {"proc/7/comm": "kubelet\n"})
    (root / "proc/7/fd").mkdir()
    for number, target in enumerate(("/dev/null", "socket:[21]", "socket:[22]")):
        os.symlink(target, root / f"proc/7/fd/{number}")
    assert listeners() == [
        {"protocol": "tcp", "port": 2049, "process": ""},
        {"protocol": "tcp", "port": 10250, "process": "kubelet"},
        {"protocol": "udp", "port": 53, "process": ""},
    ]


def test_a_socket_that_programs_share_has_them_all(host):
    root = host({"proc/net/tcp": SOCKETS["tcp6"], "proc/1/comm": "systemd\n", "proc/7/comm": "kubelet\n"})
    for process in (1, 7):
        (root / f"proc/{process}/fd").mkdir()
        os.symlink("socket:[22]", root / f"proc/{process}/fd/3")
    # A file that was closed meanwhile does not hide the others.
    (root / "proc/7/fd/2").touch()
    assert [item["process"] for item in listeners()] == ["kubelet", "systemd"]
