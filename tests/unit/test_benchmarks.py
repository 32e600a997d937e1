# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures measure what they say."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def test_the_steps_by_hand_write_the_files_that_the_role_writes():
    script = (PROJECT / "benchmarks/by_hand_cluster.sh").read_text()
    tasks = "".join(path.read_text() for path in (PROJECT / "roles/kube_node/tasks").glob("*.yml"))
    files = re.findall(r"^(\S+) (/etc/\S+)$", script, re.MULTILINE)
    assert len(files) == 7
    for template, path in files:
        written = rf"path: {re.escape(path)}\n +content: .*'{re.escape(template)}[.]j2'"
        assert re.search(written, tasks), (template, path)
