# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which targets Prometheus reaches, in sentences."""

from __future__ import annotations

import json

import pytest

from ansible_collections.egi.notebooks.plugins.modules import prometheus_targets_info as module


def target(job: str, health: str = "up", error: str = "") -> dict:
    return {"labels": {"job": job}, "health": health, "scrapeUrl": f"http://{job}/metrics", "lastError": error}


@pytest.fixture
def query(run, tmp_path, monkeypatch):
    """Return a function that gives the module's answer where kubectl prints these answers, one a call."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(module, "PAUSE", 0.01)

    def call(*answers, code=0, **options):
        (tmp_path / "calls").write_text("")
        for number, answer in enumerate(answers):
            (tmp_path / str(number)).write_text(answer if isinstance(answer, str) else json.dumps(answer))
        (tmp_path / "kubectl").write_text(
            f'#!/bin/sh\ncd {tmp_path}\nnumber=$(wc -l <calls)\necho "$*" >>calls\n'
            f"[ -e $number ] || number={len(answers) - 1}\n"
            + (f"cat $number >&2; exit {code}" if code else "exec cat $number")
        )
        (tmp_path / "kubectl").chmod(0o755)
        return run(module, ca_path=None, kubeconfig="/etc/kubernetes/admin.conf", **options)

    return call


def answer(*targets: dict) -> dict:
    return {"data": {"activeTargets": targets}}


def test_targets_that_are_up_are_no_fault(query, tmp_path):
    found = query(answer(target("hub"), target("proxy")), jobs=["hub", "proxy"], namespace="metrics")
    assert found["faults"] == []
    assert found["targets"][0] == {"job": "hub", "url": "http://hub/metrics", "health": "up", "error": ""}
    assert not found["changed"]
    assert (tmp_path / "calls").read_text() == (
        "--kubeconfig=/etc/kubernetes/admin.conf --request-timeout=30s get --raw "
        "/api/v1/namespaces/metrics/services/prometheus:9090/proxy/api/v1/targets?state=active\n"
    )


def test_a_target_that_is_down_or_missing_is_reported(query):
    found = query(answer(target("hub", "down", "403."), target("proxy", "unknown")), jobs=["hub", "traefik"])
    assert found["faults"] == [
        "Prometheus has no target for traefik.",
        "Prometheus target hub at http://hub/metrics is down: 403.",
        "Prometheus target proxy at http://proxy/metrics is unknown.",
    ]


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ('error: services "prometheus" not found', 1, 'error: services "prometheus" not found'),
        ("", 1, "kubectl failed"),
        ("{}", 0, "the answer has no targets"),
    ],
)
def test_a_prometheus_that_does_not_answer_is_reported(query, text, code, reason):
    found = query(text, code=code)
    assert found["faults"] == [f"Prometheus does not answer: {reason}."]
    assert found["targets"] == []
    assert not found.get("failed")


def test_it_waits_until_all_targets_are_up(query, tmp_path):
    found = query(answer(), answer(target("hub", "down")), answer(target("hub")), jobs=["hub"], wait=60)
    assert found["faults"] == []
    assert len((tmp_path / "calls").read_text().splitlines()) == 3


def test_waiting_ends(query):
    assert query(answer(), jobs=["hub"], wait=1)["faults"] == ["Prometheus has no target for hub."]
