# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that consists of files."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.module_utils.host import files

FILES = {
    "proc/sys/kernel/hostname": "worker1.example.org\n",
    "etc/machine-id": "0af3c2d1b4e54f6a8c7d9e0f1a2b3c4d\n",
    "etc/os-release": 'PRETTY_NAME="Ubuntu 24.04 LTS"\nID=ubuntu\nVERSION_ID="24.04"\n',
    "proc/1/comm": "sysvinit\n",
    "proc/meminfo": "MemTotal:        4026532 kB\nMemFree:  1 kB\nSwapTotal: 0 kB\n",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n",
}


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A function that adds files to the host."""
    monkeypatch.setattr(files, "ROOT", str(tmp_path))

    def add(content):
        for path, text in content.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path

    add(FILES)
    return add
