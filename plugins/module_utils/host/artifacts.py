# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What egi.notebooks.artifact_install has installed on the host."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from ansible_collections.egi.notebooks.plugins.module_utils.host import files

#: Where artifact_install keeps a record of each artifact, by default.
RECORDS = "/var/lib/egi-notebooks/artifacts"


def artifacts(run_command: Callable) -> dict:
    """Return the names of installed artifacts, and the kubelet's version."""
    records = [name.removesuffix(".json") for name in files.names(RECORDS) if name.endswith(".json")]
    return {"artifacts": records, "kubelet_version": kubelet_version(run_command)}


def kubelet_version(run_command: Callable) -> str:
    """Return the version of the kubelet that artifact_install has installed, or of what has replaced it."""
    try:
        record = json.loads(files.read(f"{RECORDS}/kubelet.json"))
        kubelet = files.ROOT + record["path"]
        status = os.lstat(kubelet)
        if record["files"][record["path"]] == [status.st_size, status.st_mtime_ns]:
            return record["version"]
        code, output, _error = run_command([kubelet, "--version"], handle_exceptions=False)
        return "" if code else output.split()[-1].removeprefix("v")
    except (OSError, ValueError, LookupError, TypeError):
        return ""
