# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An issuer that treats clients as Keycloak does, for tests of modules that talk to Check-in."""

from __future__ import annotations

import json
import time
import uuid
from email.utils import formatdate
from urllib.parse import parse_qs, urlencode, urlsplit

CALLBACK = "https://notebooks.example.org/hub/oauth_callback"
OTHER = "https://other.example.org/hub/oauth_callback"
INITIAL = "initial-access-token-of-the-tests"
REALM = "/auth/realms/egi"


class Issuer:
    """Keycloak's ways: a new registration token at each update, none at a read; another secret by its own API alone."""

    def __init__(self) -> None:
        self.clients = {}
        self.secrets = {INITIAL}
        self.calls = []
        self.url = ""
        self.known_scopes = {"profile", "email", "entitlements"}
        self.granted = set(self.known_scopes)
        self.default_scopes = set()
        self.document = {}
        self.clock = 0.0
        self.lost_answers = 0
        self.pkce = True

    @property
    def issuer(self):
        return f"{self.url}{REALM}"

    def changes(self):
        return [method for method, _, _ in self.calls if method != "GET"]

    def __call__(self, method, path, headers, body):
        self.calls.append((method, path, body))
        answer = self.answer(method, urlsplit(path), headers, body)
        if method != "GET" and self.lost_answers:
            self.lost_answers -= 1
            return None
        status, content, more = (*answer, {})[:3]
        return status, content, {"Date": formatdate(time.time() + self.clock, usegmt=True)} | more

    def answer(self, method, parts, headers, body):
        path = parts.path.removeprefix(REALM)
        token = (headers.get("Authorization") or "").removeprefix("Bearer ")
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/protocol/openid-connect/auth",
                "token_endpoint": f"{self.issuer}/protocol/openid-connect/token",
                "registration_endpoint": f"{self.issuer}/clients-registrations/openid-connect",
                "scopes_supported": ["openid", *self.known_scopes],
                "claims_supported": ["sub", "email"],
            } | self.document
        if path == "/protocol/openid-connect/auth":
            return self.authorize({key: value[0] for key, value in parse_qs(parts.query).items()})
        if path == "/clients-registrations/openid-connect":
            if token != INITIAL:
                return 401, {"error": "invalid_token", "error_description": "Failed decode token"}
            return self.register(body)
        provider, client = path.removeprefix("/clients-registrations/").split("/")
        if self.clients.get(client, {}).get("registration_access_token") != token:
            return 401, {"error": "invalid_token", "error_description": "Not authorized to view client"}
        return self.manage(method, provider, client, body)

    def register(self, body):
        assert "client_id" not in body
        scopes = set(body.get("scope", " ".join(self.known_scopes)).split())
        if scopes - self.known_scopes:
            return 403, {
                "error": "insufficient_scope",
                "error_description": "Not permitted to use specified clientScope",
            }
        name = str(uuid.uuid4())
        self.clients[name] = body | {
            "client_id": name,
            "client_secret": self.secret(),
            "client_secret_expires_at": 0,
            "registration_client_uri": f"{self.issuer}/clients-registrations/openid-connect/{name}",
            "registration_access_token": self.secret(),
            "scope": " ".join(scopes - self.default_scopes),
            "subject_type": "public",
        }
        return 201, self.shown(name)

    def shown(self, name):
        client = self.clients[name]
        return client | {
            "post_logout_redirect_uris": client.get("post_logout_redirect_uris") or client["redirect_uris"]
        }

    def secret(self):
        secret = f"secret-{uuid.uuid4()}"
        self.secrets.add(secret)
        return secret

    def manage(self, method, provider, name, body):
        client = self.clients[name]
        if method == "DELETE":
            del self.clients[name]
            return 204, b""
        if method == "PUT":
            client["registration_access_token"] = self.secret()
            if provider == "default":
                assert set(body) == {"clientId", "secret"}
                client["client_secret"] = body["secret"]
                self.secrets.add(body["secret"])
                return 200, {"secret": body["secret"], "registrationAccessToken": client["registration_access_token"]}
            assert not {"registration_access_token", "client_secret", "client_secret_expires_at"} & set(body)
            assert body["client_id"] == name
            assert body["subject_type"] == "public", "what nobody wants to change is sent back"
            client |= body
            client["scope"] = " ".join(sorted(set(client["scope"].split()) - self.default_scopes))
        return 200, self.shown(name)

    def authorize(self, query):
        assert query["prompt"] == "none"
        client = self.clients.get(query["client_id"])
        if client is None:
            link = urlencode({"redirect_uri": query["redirect_uri"]})
            return 400, f"<p>Client not found.</p><a href='?{link}'>Deutsch</a>".encode()
        if query["redirect_uri"] not in client["redirect_uris"]:
            return 400, b"<p>Invalid parameter: redirect_uri</p>"
        error = {"error": "login_required"}
        if set(query["scope"].split()) - {"openid"} - self.granted:
            error = {"error": "invalid_scope", "error_description": f"Invalid scopes: {query['scope']}"}
        elif self.pkce and query.get("code_challenge_method") != "S256":
            error = {"error": "invalid_request", "error_description": "Missing parameter: code_challenge_method"}
        return 302, b"", {"Location": f"{query['redirect_uri']}?{urlencode(error)}"}


def kept(files) -> dict:
    """Return what the module keeps of its client."""
    with open(files["credentials_file"]) as stream:
        return json.load(stream)
