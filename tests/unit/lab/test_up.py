# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`lab up`: what it refuses before it starts anything."""

from __future__ import annotations

import pytest

from lab import lab


@pytest.fixture
def started(monkeypatch) -> list[str]:
    """What `lab up` has run, with nothing behind it."""
    calls: list[str] = []
    monkeypatch.setattr(lab, "start_nodes", lambda: calls.append("nodes"))
    monkeypatch.setattr(lab, "run", lambda argv: calls.append("site.yml") or 0)
    return calls


@pytest.mark.parametrize(
    ("chart", "words"),
    [("official", ["in no package registry", "CHART=PATH"]), ("no/chart", ["CHART=no/chart has no Chart.yaml"])],
)
def test_a_chart_that_cannot_be_deployed_is_refused_in_one_line(monkeypatch, started, chart, words):
    monkeypatch.setenv("CHART", chart)
    with pytest.raises(SystemExit) as refused:
        lab.up()
    message = str(refused.value)
    assert all(word in message for word in words)
    assert "\n" not in message
    assert started == []


@pytest.mark.parametrize("given", [False, True])
def test_an_unpacked_chart_or_none_is_taken(monkeypatch, started, tmp_path, given):
    (tmp_path / "Chart.yaml").touch()
    monkeypatch.setenv("CHART", str(tmp_path) if given else "")
    lab.up()
    assert started == ["nodes", "site.yml"]
