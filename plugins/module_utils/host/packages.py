# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's package manager has installed."""

from __future__ import annotations

import re

from ansible_collections.egi.notebooks.plugins.module_utils.host.files import exists, names, read

#: An entry of dpkg's table whose package is completely installed. Its status is the second line or a later one.
INSTALLED = re.compile(r"Package: (\S+)\n(?:\S.*\n)*?Status: \S+ ok installed$", re.MULTILINE)
#: Where packages put container engines. The collection's own is elsewhere.
CONTAINER_ENGINES = ("/usr/bin/containerd", "/usr/bin/crio", "/usr/bin/dockerd")


def packages() -> dict:
    """Return the packages that are completely installed, whether dpkg was interrupted, and container engines."""
    entries = map(INSTALLED.match, read("/var/lib/dpkg/status").split("\n\n"))
    return {
        "packages": sorted(entry[1] for entry in entries if entry),
        "packages_interrupted": any(name.isdigit() for name in names("/var/lib/dpkg/updates")),
        "container_engines": [path for path in CONTAINER_ENGINES if exists(path)],
    }
