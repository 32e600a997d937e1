# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's HTTP proxy in small: tunnels (CONNECT) only, and a list of what it was asked for."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

from lab.settings import NODES


class _Tunnel(socketserver.StreamRequestHandler):
    timeout = 60

    def handle(self) -> None:
        words = self.rfile.readline(4096).decode(errors="replace").split()
        while self.rfile.readline(4096).strip():
            pass
        self.server.seen.append(" ".join(words[:2]))
        if len(words) < 2 or words[0] != "CONNECT":
            self.wfile.write(b"HTTP/1.1 405 Only tunnels\r\nConnection: close\r\n\r\n")
            return
        host, _, port = words[1].rpartition(":")
        try:
            far = socket.create_connection((host.strip("[]"), int(port)), timeout=10)
        except OSError:
            self.wfile.write(b"HTTP/1.1 502 No way\r\nConnection: close\r\n\r\n")
            return
        with far:
            far.settimeout(60)
            self.wfile.write(b"HTTP/1.1 200 Go ahead\r\n\r\n")
            back = threading.Thread(target=_pass_on, args=(far, self.connection), daemon=True)
            back.start()
            _pass_on(self.connection, far)
            back.join(timeout=60)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while block := source.recv(1 << 16):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _Tunnel)
        self.seen: list[str] = []


@contextmanager
def site_proxy(address: str, port: int = 3128) -> Iterator[list[str]]:
    """A proxy at this address of the lab's network; yields the growing list of requests.

    Each is as ``CONNECT HOST:PORT`` or, refused, as ``GET URL``.
    """
    with _Server((address, port)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.seen
        finally:
            server.shutdown()


def leads_into_the_cluster(request: str) -> bool:
    """Whether a request is for the cluster itself, by address or by name; the mirror is the Internet here."""
    target = request.split()[-1]
    host = urlsplit(target if "://" in target else f"//{target}").hostname or ""
    try:
        return ip_address(host).is_private
    except ValueError:
        return host.endswith((".svc", ".cluster.local")) or host.split(".")[0] in {node.name for node in NODES}
