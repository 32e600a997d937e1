# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures measure what they say."""

from __future__ import annotations

import re
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def test_the_steps_by_hand_write_the_files_that_the_role_writes():
    script = (PROJECT / "benchmarks/by_hand_cluster.sh").read_text()
    tasks = "".join(path.read_text() for path in (PROJECT / "roles/kube_node/tasks").glob("*.yml"))
    files = re.findall(r"^(\S+) (/etc/\S+)$", script, re.MULTILINE)
    assert len(files) == 7
    for template, path in files:
        written = rf"path: {re.escape(path)}\n +content: .*'{re.escape(template)}[.]j2'"
        assert re.search(written, tasks), (template, path)


def test_the_fuzz_run_finds_another_exception(monkeypatch, capsys):
    fuzz = SourceFileLoader("fuzz_entitlement", str(PROJECT / "benchmarks/fuzz_entitlement.py")).load_module()
    fuzz.main(count=20_000)
    assert "20000 inputs (seed 1)" in capsys.readouterr().out

    def parse(text: str) -> None:
        if "\0" in text:
            raise ValueError("planted")

    monkeypatch.setattr(fuzz, "parse_any", parse)
    with pytest.raises(SystemExit, match="FAILED: ValueError for .* planted"):
        fuzz.main(count=20_000)
