# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an OpenID provider tells to anybody: its discovery document, its clock, its certificate, and of a client."""

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

#: Answers a PKCE verifier that nobody keeps: no code is ever asked for with it.
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(b"egi.notebooks asks, and does not log in").digest()).rstrip(b"=")


@dataclass(frozen=True)
class Discovery:
    """An issuer's discovery document, and how far its clock is from ours: positive if it is ahead."""

    document: Mapping[str, Any]
    clock_skew: float | None

    def endpoint(self, name: str) -> str:
        """Return the address of an endpoint, such as ``registration``."""
        url = self.document.get(f"{name}_endpoint")
        if not isinstance(url, str):
            raise WebError(f"The discovery document of {self.document['issuer']} has no {name}_endpoint")
        return check_told_url(f"The {name}_endpoint of {self.document['issuer']}", url)

    def texts(self, name: str) -> list[str]:
        """Return a list of the document in the order of the alphabet."""
        value = self.document.get(name)
        return sorted(map(str, value)) if isinstance(value, list) else []


def discover(web: Web, issuer: str) -> Discovery:
    """Return what the issuer says about itself; it must be the issuer that was asked for."""
    try:
        issuer = check_issuer("issuer", issuer)
    except SettingsError as error:
        raise WebError(str(error)) from error
    before = time.time()
    answer = web.ask("GET", f"{issuer}/.well-known/openid-configuration").expect(200)
    after = time.time()
    document = answer.mapping()
    if document.get("issuer") != issuer:
        raise WebError(f"{answer} as issuer {document.get('issuer')!r}; allowed is {issuer!r}, to the letter")
    return Discovery(document, clock_skew(answer.headers.get("Date"), before, after))


def clock_skew(date: str | None, before: float, after: float) -> float | None:
    """Return how far a Date header lies outside of the interval in which it was written, or nothing without one."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):
        return None
    # The header says whole seconds.
    return round(max(theirs - after, 0.0) + min(theirs + 1 - before, 0.0), 1)


def certificate_days_left(web: Web, url: str) -> float | None:
    """Return the days until the server's certificate ends, or nothing where there is no direct way to it."""
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
    """A login as a client will ask for it."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    pkce: bool = True


class LoginCheck:
    """Asks an issuer what would become of a login, without one: ``prompt=none`` shows no form and begins no session.

    A provider must not redirect to an address that it does not know for the client, so it answers such a request, and
    one of an unknown client, by a page. Otherwise it leads back, with ``error=login_required`` if all is well.
    """

    def __init__(self, web: Web, issuer: str, authorization_endpoint: str, login: Login) -> None:
        """Ask for nothing yet."""
        self._web = web
        self._issuer = issuer
        self._endpoint = authorization_endpoint
        self._login = login

    def problems(self) -> list[str]:
        """Return one sentence for each thing that is wrong."""
        login = self._login
        error, description = self._ask(login.scopes)
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
        """Ask for each scope by itself, all at the same time."""
        others = [scope for scope in self._login.scopes if scope != "openid"]
        with ThreadPoolExecutor(max_workers=8) as pool:
            answers = list(pool.map(lambda scope: self._ask(("openid", scope))[0], others))
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

    def _ask(self, scopes: tuple[str, ...]) -> tuple[str, str]:
        """Return the error that comes back, and what is said about it: "page" and "redirect" are no OAuth errors."""
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
            # A provider that shows its form to everybody.
            return "", ""
        if answer.status not in (400, 401, 403, 404):
            answer.expect(302)
        # The parameter's name stands in the page in whatever language it is, and maybe in links to other languages.
        named = re.search(rb"redirect_uri(?![=%&])", answer.body)
        return ("redirect" if named else "page"), f"status {answer.status}"

    def _error_in(self, answer: Answer) -> tuple[str, str]:
        """Return what is said in the address that a redirect leads to."""
        target = answer.headers.get("Location") or ""
        if not target.startswith(self._login.redirect_uri):
            # On to a login elsewhere: client and redirect URI are known.
            return "", ""
        found = parse_qs(urlsplit(target).query)
        return found.get("error", [""])[0], found.get("error_description", ["no reason given"])[0]
