# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of Check-in's token endpoint, which may have any shape, and ID tokens (OpenID Connect Core 3.1.3.7)."""

from __future__ import annotations

import json
import math
import re
import time
from typing import Any

import jwt

#: How far Check-in's clock may be from the hub's.
CLOCK_SKEW_SECONDS = 60
_TOKEN = re.compile(r"[!-~]+")


class BadTokens(ValueError):
    """The answer cannot be used. The message has nothing of it."""


def read_answer(answer: Any) -> dict[str, Any]:
    """Return the usable parts of an answer with tokens, and when they came."""
    if not isinstance(answer, dict) or not is_token(answer.get("access_token")):
        raise BadTokens("the answer has no access token")
    kind, scope = answer.get("token_type"), answer.get("scope")
    tokens = {"access_token": answer["access_token"], "token_type": kind if is_token(kind) else "Bearer"}
    tokens |= {name: answer[name] for name in ("refresh_token", "id_token") if is_token(answer.get(name))}
    if (lifetime := seconds(answer.get("expires_in"))) is not None:
        tokens["expires_in"] = lifetime
    if isinstance(scope, str) or (isinstance(scope, list) and all(isinstance(each, str) for each in scope)):
        tokens["scope"] = scope
    return tokens | {"obtained_at": time.time()}


def error_of(body: bytes | None) -> str:
    """Return the OAuth error in the body of an answer, empty if it has none."""
    try:
        answer = json.loads(body or b"")
    except ValueError:
        return ""
    error = answer.get("error") if isinstance(answer, dict) else None
    return error if isinstance(error, str) else ""


def is_token(value: Any) -> bool:
    """Return whether this can be a token: visible ASCII characters."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def seconds(value: Any) -> float | None:
    """Return a number of seconds that is a number or a text, none if it is anything else."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return max(number, 0.0) if math.isfinite(number) else None


def is_half_spent(token_info: dict[str, Any]) -> bool:
    """Return whether an access token has lived for more than half of its lifetime."""
    lifetime = seconds(token_info.get("expires_in"))
    obtained_at = seconds(token_info.get("obtained_at")) or 0.0
    return lifetime is not None and time.time() - obtained_at >= lifetime / 2


def without_refresh_token(auth_state: dict[str, Any]) -> dict[str, Any]:
    """Return a user's stored state without the refresh token, which it has in two places."""
    kept = {name: value for name, value in (auth_state.get("token_response") or {}).items() if name != "refresh_token"}
    return auth_state | {"refresh_token": None, "token_response": kept}


def check_id_token(id_token: str, issuer: str, client_id: str) -> None:
    """Refuse an ID token of another issuer, for another client, without a subject, or expired.

    It comes from the token endpoint by TLS, which stands for its signature (OpenID Connect Core 3.1.3.7, number 6).
    """
    try:
        claims = jwt.decode(
            id_token,
            audience=client_id,
            issuer=issuer,
            leeway=CLOCK_SKEW_SECONDS,
            options={
                "verify_signature": False,
                "verify_aud": True,
                "verify_exp": True,
                "verify_iss": True,
                "require": ["iss", "sub", "aud", "exp"],
            },
        )
    except jwt.PyJWTError as error:
        raise BadTokens(f"the ID token is not valid: {type(error).__name__}") from error
    if claims.get("azp", client_id) != client_id:
        raise BadTokens("the ID token is for another authorized party")
    if not subject_of(id_token):
        raise BadTokens("the ID token has no subject")


def subject_of(id_token: Any) -> str | None:
    """Return the subject of an ID token that was checked when it came, none if it is not readable."""
    try:
        subject = jwt.decode(id_token, options={"verify_signature": False}).get("sub")
    except (jwt.PyJWTError, TypeError, AttributeError, ValueError):
        return None
    return subject if isinstance(subject, str) and subject else None
