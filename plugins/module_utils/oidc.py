# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public facts of an OpenID provider: discovery document, clock, certificate, and whether a client could log in."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import SettingsError, check_issuer
from ansible_collections.egi.notebooks.plugins.module_utils.web import Answer, Web, WebError, check_told_url

#: A PKCE challenge whose verifier nobody needs: no code is ever exchanged.
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(b"egi.notebooks preflight check").digest()).rstrip(b"=")


@dataclass(frozen=True)
class Discovery:
    """An issuer's discovery document, and the seconds by which its clock is ahead of ours."""

    document: Mapping[str, Any]
    clock_skew: float | None

    def endpoint(self, name: str) -> str:
        """Return the URL of an endpoint, such as ``registration``."""
        url = self.document.get(f"{name}_endpoint")
        if not isinstance(url, str):
            raise WebError(f"The discovery document of {self.document['issuer']} has no {name}_endpoint")
        return check_told_url(f"The {name}_endpoint of {self.document['issuer']}", url)

    def texts(self, name: str) -> list[str]:
        """Return a list of the document, sorted."""
        value = self.document.get(name)
        return sorted(map(str, value)) if isinstance(value, list) else []


def discover(web: Web, issuer: str) -> Discovery:
    """Return the discovery document of an issuer, which must name exactly this issuer."""
    try:
        issuer = check_issuer("issuer", issuer)
    except SettingsError as error:
        raise WebError(str(error)) from error
    before = time.time()
    answer = web.ask("GET", f"{issuer}/.well-known/openid-configuration").expect(200)
    after = time.time()
    document = answer.mapping()
    if document.get("issuer") != issuer:
        raise WebError(f"{answer} with issuer {document.get('issuer')!r}; must be exactly {issuer!r}")
    return Discovery(document, clock_skew(answer.headers.get("Date"), before, after))


def clock_skew(date: str | None, before: float, after: float) -> float | None:
    """Return the seconds by which a Date header lies outside the interval in which it was written; none without one."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):
        return None
    # The header has whole seconds.
    return round(max(theirs - after, 0.0) + min(theirs + 1 - before, 0.0), 1)


def certificate_days_left(web: Web, url: str) -> float | None:
    """Return the days until the server's certificate expires; none where a proxy is the only way to it."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=web.ca_path)
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or 443), timeout=web.timeout) as connection,
            context.wrap_socket(connection, server_hostname=parts.hostname) as secured,
        ):
            end = ssl.cert_time_to_seconds(str(secured.getpeercert()["notAfter"]))
    except (OSError, KeyError, ValueError):
        return None
    return round((end - time.time()) / 86400, 1)


@dataclass(frozen=True)
class Login:
    """A login as a client requests it."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    pkce: bool = True


class LoginCheck:
    """Finds out whether a login would work, without one: ``prompt=none`` shows no form and begins no session.

    A provider must not redirect to a URL that is not registered for the client. It answers such a request, and one of
    an unknown client, with a page. Otherwise it redirects back, with ``error=login_required`` if the login would work.
    """

    def __init__(self, web: Web, issuer: str, authorization_endpoint: str, login: Login) -> None:
        """Send no request yet."""
        self._web = web
        self._issuer = issuer
        self._endpoint = authorization_endpoint
        self._login = login

    def problems(self) -> list[str]:
        """Return one line for each problem."""
        login = self._login
        error, description = self._request(login.scopes)
        if error == "invalid_scope":
            return self._scope_problems()
        who = f"client {login.client_id} at {self._issuer}"
        problems = {
            "page": f"login of {who} is refused ({description}); ask the Check-in team whether this client is "
            "registered there and enabled, and compare client_id and environment or issuer",
            "redirect": f"redirect URI {login.redirect_uri} is not registered for {who}; ask the Check-in team to add "
            "exactly this one",
            "unauthorized_client": f"{who} may not use the authorization code flow ({description}); ask the Check-in "
            "team to allow it",
        }
        if error in ("login_required", "interaction_required", "consent_required", "account_selection_required", ""):
            return []
        return [problems.get(error) or f"login of {who} is refused: {error} ({description}); ask the Check-in team why"]

    def _scope_problems(self) -> list[str]:
        """Request each scope by itself, all at the same time."""
        others = [scope for scope in self._login.scopes if scope != "openid"]
        with ThreadPoolExecutor(max_workers=8) as pool:
            answers = list(pool.map(lambda scope: self._request(("openid", scope))[0], others))
        refused = [scope for scope, error in zip(others, answers, strict=True) if error == "invalid_scope"]
        client = f"client {self._login.client_id} at {self._issuer}"
        problems = []
        if "offline_access" in refused:
            problems.append(
                f"scope offline_access is not granted to {client}; ask the Check-in team to allow refresh tokens, or "
                "set offline_access to false"
            )
        if missing := [scope for scope in refused if scope != "offline_access"]:
            problems.append(
                f"scopes {', '.join(missing)} are not granted to {client}; ask the Check-in team to add them, or leave "
                "them out of scopes"
            )
        return problems or [
            f"scopes {' '.join(self._login.scopes)} are not granted together to {client}, though each is by itself; "
            "ask the Check-in team why"
        ]

    def _request(self, scopes: tuple[str, ...]) -> tuple[str, str]:
        """Return the error of the answer and its description; the errors "page" and "redirect" are not of OAuth."""
        query = {
            "response_type": "code",
            "client_id": self._login.client_id,
            "redirect_uri": self._login.redirect_uri,
            "scope": " ".join(scopes),
            "state": "preflight",
            "prompt": "none",
        }
        if self._login.pkce:
            query |= {"code_challenge": CHALLENGE.decode(), "code_challenge_method": "S256"}
        answer = self._web.ask("GET", f"{self._endpoint}?{urlencode(query)}", accept="text/html")
        if answer.status in (302, 303):
            return self._error_in(answer)
        if answer.status == 200:
            # A provider that ignores prompt=none and shows its form.
            return "", ""
        if answer.status not in (400, 401, 403, 404):
            answer.expect(302)
        # A page in any language has the name of the parameter. Links to other languages of the page may have it too.
        named = re.search(rb"redirect_uri(?![=%&])", answer.body)
        return ("redirect" if named else "page"), f"status {answer.status}"

    def _error_in(self, answer: Answer) -> tuple[str, str]:
        """Return error and description from the URL of a redirect."""
        target = answer.headers.get("Location") or ""
        if not target.startswith(self._login.redirect_uri):
            # The login goes on elsewhere, so client and redirect URI are known.
            return "", ""
        found = parse_qs(urlsplit(target).query)
        return found.get("error", [""])[0], found.get("error_description", ["no reason given"])[0]
