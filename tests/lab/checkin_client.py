# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's and a client's side of Check-in's protocol, for tests without a browser.

Everything is asked over HTTPS with the lab's CA, so it works inside the lab's network only (`python -m lab exec`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import requests

from lab.checkin import ADMIN, BASE_URL, CLIENT_ID, ISSUER
from lab.settings import STATE

CALLBACK = "https://notebooks.lab.test/hub/oauth_callback"
PROTOCOL = f"{ISSUER}/protocol/openid-connect"
TIMEOUT = 60


def secret(name: str) -> str:
    return (STATE / "secrets" / name).read_text().strip()


def browser() -> requests.Session:
    """A session that trusts the lab's CA and nothing else, whatever the environment says."""
    session = requests.Session()
    session.trust_env = False
    session.verify = os.fspath(STATE / "ca/ca.crt")
    return session


class _LoginForm(HTMLParser):
    action: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form" and attributes.get("id") == "kc-form-login":
            self.action = attributes["action"]


def follow(session: requests.Session, response: requests.Response, until: str | None = None) -> requests.Response:
    """Follow redirects; stop before the first that leads to an address beginning with `until`."""
    while response.is_redirect:
        target = urljoin(response.url, response.headers["Location"])
        if until and target.startswith(until):
            break
        response = session.get(target, allow_redirects=False, timeout=TIMEOUT)
    return response


def login(
    session: requests.Session, url: str, username: str, password: str, until: str | None = None
) -> requests.Response:
    """Open `url`, which leads to Check-in's login form, fill that in, and return where it all ends.

    A session that is logged in already is asked nothing. With `until`, what is returned is the redirect to it.
    """
    page = follow(session, session.get(url, allow_redirects=False, timeout=TIMEOUT), until)
    form = _LoginForm()
    form.feed(page.text)
    if page.is_redirect:
        return page
    assert form.action, f"no login form at {page.url} (status {page.status_code})"
    answer = session.post(
        form.action, data={"username": username, "password": password}, allow_redirects=False, timeout=TIMEOUT
    )
    return follow(session, answer, until)


@dataclass
class Client:
    """An OpenID Connect client that logs users in by authorization code with PKCE."""

    client_id: str = CLIENT_ID
    client_secret: str = field(default_factory=lambda: secret("client_secret"))
    redirect_uri: str = CALLBACK
    http: requests.Session = field(default_factory=browser)

    def authorization(self, scope: str, **parameters: str) -> tuple[str, str]:
        """The address to send the user to, and the PKCE verifier that belongs to it."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": scope,
            "state": secrets.token_urlsafe(8),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | parameters
        return f"{PROTOCOL}/auth?{urlencode(query)}", verifier

    def log_in(
        self, username: str, scope: str, session: requests.Session | None = None, password: str | None = None
    ) -> dict:
        """Log somebody in, without a password one of the lab's users, and return the token response."""
        url, verifier = self.authorization(scope)
        password = password or secret(f"password-{username}")
        answer = login(session or browser(), url, username, password, until=self.redirect_uri)
        assert answer.is_redirect, f"the login of {username} ended at {answer.url} (status {answer.status_code})"
        query = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert "code" in query, query
        return self.token(
            grant_type="authorization_code",
            code=query["code"][0],
            code_verifier=verifier,
            redirect_uri=self.redirect_uri,
        ).json()

    def token(self, **data: str) -> requests.Response:
        return self.post("token", **data)

    def post(self, endpoint: str, **data: str) -> requests.Response:
        return self.http.post(
            f"{PROTOCOL}/{endpoint}", data=data, auth=(self.client_id, self.client_secret), timeout=TIMEOUT
        )

    def userinfo(self, access_token: str) -> dict:
        answer = self.http.get(
            f"{PROTOCOL}/userinfo", headers={"Authorization": f"Bearer {access_token}"}, timeout=TIMEOUT
        )
        answer.raise_for_status()
        return answer.json()


def claims(token: str) -> dict:
    """What a JWT says; its signature is not looked at."""
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def admin_session() -> requests.Session:
    """A session that may use Keycloak's admin API (below `BASE_URL/admin/realms/egi`) for a minute."""
    session = browser()
    answer = session.post(
        f"{BASE_URL}/realms/master/protocol/openid-connect/token",
        timeout=TIMEOUT,
        data={
            "grant_type": "password",
            "client_id": "admin-cli",
            "username": ADMIN,
            "password": secret("keycloak_admin"),
        },
    )
    answer.raise_for_status()
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session


def initial_access_token(count: int = 1) -> str:
    """A token with which `count` clients can be registered (RFC 7591)."""
    answer = admin_session().post(
        f"{BASE_URL}/admin/realms/egi/clients-initial-access",
        timeout=TIMEOUT,
        json={"count": count, "expiration": 3600},
    )
    answer.raise_for_status()
    return answer.json()["token"]
