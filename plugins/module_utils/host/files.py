# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the host, by absolute names."""

from __future__ import annotations

import os

#: Tests put a tree of their own in place of the host's.
ROOT = ""


def read(name: str) -> str:
    """Return a file's content, or nothing if the file does not exist."""
    try:
        with open(ROOT + name, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def exists(name: str) -> bool:
    """Tell whether a file or directory exists."""
    return os.path.exists(ROOT + name)


def names(folder: str) -> list[str]:
    """Return the names in a directory, sorted, or none if it does not exist."""
    # glob takes several times as long.
    try:
        return sorted(os.listdir(ROOT + folder))
    except OSError:
        return []


def link(name: str) -> str:
    """Return where a symbolic link points, or nothing if there is no such link."""
    try:
        return os.readlink(ROOT + name)
    except OSError:
        return ""
