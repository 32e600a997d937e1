# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of the token endpoint and ID tokens, as pure functions."""

from __future__ import annotations

import time

import jwt
import pytest

ISSUER, CLIENT = "https://aai.egi.eu/auth/realms/egi", "egi-notebooks"


def id_token(**changes) -> str:
    claims = {"iss": ISSUER, "sub": "s", "aud": CLIENT, "exp": int(time.time()) + 300} | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not ...}, "k" * 32)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "x",
        3,
        {},
        {"access_token": None},
        {"access_token": ["t"]},
        {"access_token": ""},
        {"access_token": "a b"},
        {"access_token": "a\nb"},
        {"access_token": "\u017e"},
        {"access_token": 7},
    ],
)
def test_an_answer_without_a_usable_access_token_is_rejected(hub, answer):
    with pytest.raises(hub.tokens.BadTokens, match="^the answer has no access token$"):
        hub.tokens.read_answer(answer)


@pytest.mark.parametrize("odd", [None, "", 3, ["x"], {"x": 1}, True, "a b"])
def test_odd_parts_of_an_answer_are_left_out(hub, odd):
    names = ("token_type", "refresh_token", "id_token", "expires_in")
    read = hub.tokens.read_answer({"access_token": "t", "unknown": 1} | dict.fromkeys(names, odd))
    assert read["token_type"] == "Bearer"
    assert set(read) - {"expires_in"} == {"access_token", "token_type", "obtained_at"}
    assert read.get("expires_in") == (3.0 if odd == 3 else None)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (300, 300.0),
        ("300", 300.0),
        (" 5.5 ", 5.5),
        (-1, 0.0),
        (float("nan"), None),
        ("inf", None),
        ("soon", None),
        (None, None),
        (True, None),
        ([3], None),
        (10**400, None),
    ],
)
def test_a_lifetime_is_a_number_or_a_text(hub, given, read):
    assert hub.tokens.seconds(given) == read


def test_an_access_token_of_unknown_lifetime_is_used_as_long_as_it_works(hub):
    assert not hub.tokens.is_half_spent({"expires_in": None})
    assert not hub.tokens.is_half_spent({"expires_in": "soon", "obtained_at": 0})
    assert not hub.tokens.is_half_spent({"expires_in": "600", "obtained_at": time.time() - 200})
    assert hub.tokens.is_half_spent({"expires_in": "600", "obtained_at": time.time() - 400})
    assert hub.tokens.is_half_spent({"expires_in": 600, "obtained_at": "never"})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error": "invalid_grant"}', "invalid_grant"),
        (b'{"error": {"x": 1}}', ""),
        (b"[]", ""),
        (b"null", ""),
        (b"<html>", ""),
        (b"\xff", ""),
        (None, ""),
    ],
)
def test_an_oauth_error_is_read(hub, body, error):
    assert hub.tokens.error_of(body) == error


@pytest.mark.parametrize("changes", [{}, {"aud": [CLIENT, "x"]}, {"aud": [CLIENT, "x"], "azp": CLIENT}])
def test_an_id_token_for_this_client_is_valid(hub, changes):
    hub.tokens.check_id_token(id_token(**changes), ISSUER, CLIENT)
    # Clocks differ.
    hub.tokens.check_id_token(id_token(exp=int(time.time()) - 30), ISSUER, CLIENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://aai.egi.eu/auth/realms/other"},
        {"iss": f"{ISSUER}/"},
        {"iss": ...},
        {"aud": "other"},
        {"aud": []},
        {"aud": ...},
        {"azp": "other"},
        {"exp": int(time.time()) - 3600},
        {"exp": "x"},
        {"exp": ...},
        {"sub": ...},
        {"sub": ""},
    ],
)
def test_another_id_token_is_rejected(hub, changes):
    with pytest.raises(hub.tokens.BadTokens, match="the ID token"):
        hub.tokens.check_id_token(id_token(**changes), ISSUER, CLIENT)


@pytest.mark.parametrize("text", ["x", "a.b.c", id_token().rpartition(".")[0]])
def test_text_that_is_no_id_token_is_rejected(hub, text):
    with pytest.raises(hub.tokens.BadTokens, match="the ID token is not valid"):
        hub.tokens.check_id_token(text, ISSUER, CLIENT)


@pytest.mark.parametrize(
    ("token", "subject"),
    [(id_token(), "s"), (id_token(exp=1), "s"), (id_token(sub=...), None), ("x", None), (None, None), (3, None)],
)
def test_the_subject_of_a_stored_id_token_is_read(hub, token, subject):
    assert hub.tokens.subject_of(token) == subject
