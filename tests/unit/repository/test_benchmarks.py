# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures measure what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import fuzz_entitlement, run
from lab import lab
from lab.settings import SERVICE_URL

PROJECT = Path(__file__).parents[3]


def test_the_steps_by_hand_write_the_files_that_the_role_writes():
    script = (PROJECT / "benchmarks/by_hand_cluster.sh").read_text()
    variables = (PROJECT / "roles/kube_node/vars/main.yml").read_text()
    files = re.findall(r"^(\S+) (/etc/\S+)$", script, re.MULTILINE)
    assert len(files) == 7
    for template, path in files:
        written = rf"path: {re.escape(path)}\n +content: .*'{re.escape(template)}[.]j2'"
        assert re.search(written, variables), (template, path)


def test_the_fuzz_run_finds_another_exception(monkeypatch, capsys):
    fuzz_entitlement.main(count=20_000)
    assert "20000 inputs (seed 1)" in capsys.readouterr().out

    def parse(text: str) -> None:
        if "\0" in text:
            raise ValueError("planted")

    monkeypatch.setattr(fuzz_entitlement, "parse_any", parse)
    with pytest.raises(SystemExit, match="FAILED: ValueError for .* planted"):
        fuzz_entitlement.main(count=20_000)


@pytest.fixture
def printed(monkeypatch, tmp_path, capfd) -> str:
    """What `lab up` prints when site.yml has changed two tasks."""
    (tmp_path / "secrets").mkdir()
    for user in ("member", "outsider"):
        (tmp_path / f"secrets/password-{user}").write_text("a password")
    monkeypatch.setattr(lab, "STATE", tmp_path)
    monkeypatch.setattr(lab, "start_nodes", lambda: None)
    monkeypatch.setattr(lab, "run", lambda argv: print("edge : ok=9 changed=2 failed=0\nnfs : ok=5 changed=0 failed=0"))
    lab.up()
    return capfd.readouterr().out


def test_what_make_lab_prints_is_read(printed):
    up = run.read_up(400.0, printed)
    assert (up.seconds, up.changed) == (400.0, 2)
    assert 0 <= up.site < 60


@pytest.mark.parametrize("lost", [SERVICE_URL, "outsider,", "member,", "secrets/"])
def test_a_make_lab_that_does_not_tell_how_to_get_in_is_noticed(printed, lost):
    with pytest.raises(SystemExit, match="two logins"):
        run.read_up(400.0, printed.replace(lost, ""))
