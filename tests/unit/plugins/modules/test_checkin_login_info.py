# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that checks whether users can log in by a client."""

from __future__ import annotations

import pytest
from issuer import OTHER

from ansible_collections.egi.notebooks.plugins.modules import (
    checkin_login_info,
)


def test_a_login_that_will_work_is_no_problem(login, issuer):
    assert login(check=True) == []
    assert len(issuer.calls) == 2


def test_the_authority_may_come_as_text(login, certificate):
    assert login(ca_path=None, ca_content=certificate.read_text()) == []
    (problem,) = login(ca_path=None)
    assert "certificate" in problem.lower()
    assert problem.endswith("Configure its CA if that is private, else report it to the Check-in team.")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"client_id": "unknown"}, "whether this client is registered there and enabled"),
        ({"redirect_uri": OTHER}, f"redirect URI {OTHER} is not registered for client notebooks at "),
        ({"scopes": ["openid", "offline_access"]}, "scope offline_access is not granted to client notebooks at "),
        ({"scopes": ["openid", "profile", "x", "y"]}, "scopes x, y are not granted to client notebooks at "),
        ({"pkce": False}, "is refused: invalid_request (Missing parameter: code_challenge_method); ask the Check-in"),
        ({"issuer": "https://127.0.0.1:9/auth/realms/egi"}, "Open the firewall for it, or correct"),
    ],
)
def test_each_flaw_is_one_sentence(login, options, sentence):
    (problem,) = login(**options)
    assert sentence in problem
    assert "\n" not in problem


def test_scopes_that_are_refused_together_only_are_told(login, issuer, monkeypatch):
    authorize = issuer.authorize

    def at_most_two(query):
        many = len(query["scope"].split()) > 2
        return authorize(query | {"scope": "openid unknown"} if many else query)

    monkeypatch.setattr(issuer, "authorize", at_most_two)
    (problem,) = login(scopes=["openid", "profile", "email"])
    assert "scopes openid profile email are not granted together to client notebooks at " in problem
    assert problem.endswith("ask the Check-in team why")


def test_several_flaws_are_told_at_once(login, issuer):
    issuer.clock = 90
    problems = login(scopes=["openid", "x", "offline_access"])
    assert len(problems) == 3
    assert problems[0].startswith("clock of this host is ")
    assert " s behind that of https://" in problems[0]


def test_another_issuer_and_a_wrong_page_are_told(login, issuer):
    issuer.document = {"issuer": "https://aai.egi.eu/auth/realms/egi"}
    (problem,) = login()
    assert "Correct environment or issuer, or ask the Check-in team" in problem
    (problem,) = login(issuer=f"{issuer.url}/auth/realms/none/x")
    assert problem.startswith("issuer ")


def test_a_certificate_that_ends_soon_is_told(login, monkeypatch):
    monkeypatch.setattr(checkin_login_info, "certificate_days_left", lambda *_: 0.5)
    (problem,) = login()
    assert "expires within a day" in problem


def test_a_login_page_elsewhere_and_one_at_once_are_no_problem(login, issuer, monkeypatch):
    for answer in ((302, b"", {"Location": "https://discovery.example.org/"}), (200, b"<form>")):
        monkeypatch.setattr(issuer, "authorize", lambda _, answer=answer: answer)
        assert login() == []
    monkeypatch.setattr(issuer, "authorize", lambda _: (503, b"busy"))
    (problem,) = login()
    assert "cannot be checked: GET" in problem
    assert "answered 503. Ask the Check-in team" in problem
