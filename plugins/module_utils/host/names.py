# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of host names, as the host's own resolver has them."""

from __future__ import annotations

import socket


def resolve(name: str) -> list[str]:
    """Return the addresses of a name, or none if it can't be resolved."""
    try:
        # As getent(1) does it: no IPv6 address where the host has none itself.
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))
