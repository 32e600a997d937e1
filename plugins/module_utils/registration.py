# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registration of a client (RFC 7591, RFC 7592) and the file with its credentials.

Keycloak issues a new registration access token with each update and revokes the old one. A lost answer is a lost token.
Therefore disk space for the new file is reserved before the request, and signals are blocked until it is written.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from ansible_collections.egi.notebooks.plugins.module_utils.web import Answer, Web, WebError, check_told_url

#: Secret fields of an answer.
SECRETS = ("client_secret", "registration_access_token")
#: Fields of an answer that are stored in the file.
KEPT = (*SECRETS, "client_id", "client_secret_expires_at", "registration_client_uri")
#: Fields of an answer that an update must not send (RFC 7592, section 2.2), and the secret, which it can omit.
NOT_SENT = (*SECRETS, "client_id_issued_at", "client_secret_expires_at", "registration_client_uri")
#: Metadata of a client for logins with the authorization code flow.
KIND = {
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "client_secret_basic",
}
#: Paths of Keycloak's RFC 7592 API and of its own API, which accepts the same token.
KEYCLOAK_STANDARD, KEYCLOAK_OWN = "/clients-registrations/openid-connect/", "/clients-registrations/default/"
#: Disk space that is reserved for the file, in bytes.
RESERVED = 64 * 1024


class Unauthorized(WebError):
    """The registration access token is revoked or the client was deleted; the answer does not show which."""


def comparable(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the managed fields in a form in which equivalent values are equal."""
    found: dict[str, Any] = {"client_name": metadata.get("client_name") or ""}
    for name in ("redirect_uris", "post_logout_redirect_uris"):
        found[name] = sorted(map(str, metadata.get(name) or []))
    # Keycloak does not list openid among the scopes of a client.
    found["scope"] = sorted(set(str(metadata.get("scope") or "").split()) - {"openid"})
    return found


def public(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata without secrets."""
    return {key: value for key, value in metadata.items() if key not in SECRETS}


@contextmanager
def replacing(path: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that replaces a file with mode 0600, to be called once. Signals are blocked inside the block."""
    temporary = ""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".checkin_client-")
        with os.fdopen(handle, "wb") as stream:

            def fill(content: bytes) -> None:
                stream.seek(0)
                stream.write(content)
                stream.truncate()
                stream.flush()
                os.fsync(stream.fileno())

            def replace(content: str) -> None:
                fill(content.encode())
                os.replace(temporary, path)

            fill(b" " * RESERVED)
            yield replace
    except OSError as error:
        raise WebError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def keep_text(path: str, text: str, write: bool) -> bool:
    """Write a text to a file with mode 0600; return whether content or mode differed."""
    try:
        with open(path, encoding="utf-8") as stream:
            if stream.read() == text and stat.S_IMODE(os.fstat(stream.fileno()).st_mode) == 0o600:
                return False
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise WebError(f"{path} cannot be read: {error}") from error
    if write:
        with replacing(path) as replace:
            replace(text)
    return True


class Registration:
    """A client and its credentials file."""

    def __init__(self, web: Web, path: str, issuer: str = "") -> None:
        """Read the file if it exists; no request is sent."""
        self._web = web
        self.path = path
        self.content: dict[str, Any] = {}
        #: Whether the server accepted the last change, even if a later step failed.
        self.accepted = False
        try:
            with open(path, encoding="utf-8") as stream:
                found = json.load(stream)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            # The message omits the error's text, which may quote the file.
            raise WebError(
                f"{path} cannot be read ({type(error).__name__}). Choose a file that this module wrote."
            ) from error
        wanted = ("client_id", "registration_access_token", "registration_client_uri")
        if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in wanted):
            raise WebError(f"{path} must have the keys {', '.join(wanted)}. Choose a file that this module wrote.")
        if issuer and found.get("issuer", issuer) != issuer:
            raise WebError(f"{path} belongs to a client at {found['issuer']}. Choose another file for each client.")
        self.content = found

    @property
    def exists(self) -> bool:
        """Return whether the file exists."""
        return bool(self.content)

    @property
    def secrets(self) -> set[str]:
        """Return the secrets, which must never be shown."""
        names = (*SECRETS, "pending_client_secret")
        return {self.content[name] for name in names if self.content.get(name)}

    def read(self) -> dict[str, Any]:
        """Return the metadata of the client, empty if an interrupted run deleted it.

        New secrets in the answer are stored, because the old ones are revoked.
        """
        with replacing(self.path) as replace:
            before = dict(self.content)
            try:
                metadata = self._take(self._ask("GET").expect(200))
            except Unauthorized:
                if not self.content.get("deleting"):
                    raise
                return {}
            if "client_secret" in metadata:
                self.content.pop("pending_client_secret", None)
            self.content.pop("deleting", None)
            if self.content != before:
                self._save(replace)
        return metadata

    def create(self, endpoint: str, token: str, issuer: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Register the client."""
        body = KIND | {key: value for key, value in _as_sent(wanted).items() if value}
        with replacing(self.path) as replace:
            answer = self._web.ask("POST", endpoint, f"Bearer {token.strip()}", body)
            self.content = {"issuer": issuer}
            metadata = self._take(self._accept(answer, 200, 201))
            missing = [key for key in (*SECRETS, "client_id", "registration_client_uri") if not metadata.get(key)]
            self._remember(metadata, wanted)
            self._save(replace)
        if missing:
            raise WebError(f"{answer} without {', '.join(missing)}. The answer is in {self.path}.")
        self._uri()
        return metadata

    def differing(self, metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
        """Return the fields to update, without those that the server already set to other values than requested."""
        current = comparable(metadata)
        requested, registered = self.content.get("requested", {}), self.content.get("registered", {})
        return [
            name
            for name, value in wanted.items()
            if current[name] != value and not (requested.get(name) == value and registered.get(name) == current[name])
        ]

    def update(self, metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Update the client; all other fields keep the server's values."""
        body = {key: value for key, value in metadata.items() if key not in NOT_SENT}
        now = comparable(metadata)
        if now["post_logout_redirect_uris"] == now["redirect_uris"]:
            # Keycloak returns the redirect URIs if no separate ones are set.
            body.pop("post_logout_redirect_uris", None)
        body |= _as_sent(wanted)
        with replacing(self.path) as replace:
            metadata = self._take(self._accept(self._ask("PUT", body), 200))
            self._remember(metadata, wanted)
            self._save(replace)
        return metadata

    def rotate_secret(self) -> None:
        """Set a new client secret.

        RFC 7592 has no request for that. Keycloak's own API accepts a secret, so it is stored before it is sent.
        """
        uri = self._uri()
        if KEYCLOAK_STANDARD not in uri:
            raise WebError(
                f"rotate_secret must be false for {uri}: RFC 7592 cannot change a secret, and this is not Keycloak."
            )
        secret = secrets.token_urlsafe(32)
        self._mark(pending_client_secret=secret)
        body = {"clientId": self.content["client_id"], "secret": secret}
        with replacing(self.path) as replace:
            answer = self._accept(self._ask("PUT", body, uri.replace(KEYCLOAK_STANDARD, KEYCLOAK_OWN)), 200)
            token = answer.mapping().get("registrationAccessToken")
            if token:
                self.content["registration_access_token"] = token
            self.content["client_secret"] = self.content.pop("pending_client_secret")
            self._save(replace)

    def delete(self, secret_file: str | None) -> None:
        """Delete the client, then its files."""
        begun, uri = self.content.get("deleting", False), self._uri()
        self._mark(deleting=True)
        try:
            self._accept(self._ask("DELETE", uri=uri), 200, 204, 404, 410)
        except Unauthorized:
            # After an interrupted run the client and its token do not exist. Otherwise the client still exists.
            if not begun:
                self._mark(deleting=False)
                raise
        if secret_file:
            with suppress(FileNotFoundError):
                os.unlink(secret_file)
        os.unlink(self.path)

    def _uri(self) -> str:
        """Return the URL of the client at the server."""
        return check_told_url(f"The registration_client_uri in {self.path}", self.content["registration_client_uri"])

    def _ask(self, method: str, data: Any = None, uri: str = "") -> Answer:
        uri = uri or self._uri()
        answer = self._web.ask(method, uri, f"Bearer {self.content['registration_access_token']}", data)
        if answer.status == 401:
            pending = "pending_client_secret" in self.content
            raise Unauthorized(
                f"{answer}{answer.reason()}: the registration access token in {self.path} is revoked or the client is "
                "deleted. Request a new token from the Check-in team and put it there, or remove the file to register "
                "a new client."
                + (" The current secret is probably pending_client_secret in that file." if pending else "")
            )
        return answer

    def _accept(self, answer: Answer, *allowed: int) -> Answer:
        """Return the answer to a change if it has one of the statuses, and record that the server accepted it."""
        answer.expect(*allowed)
        self.accepted = True
        return answer

    def _take(self, answer: Answer) -> dict[str, Any]:
        """Return the metadata of an answer after storing its secrets in the content."""
        metadata = answer.mapping()
        self.content.update({key: metadata[key] for key in KEPT if metadata.get(key) is not None})
        return metadata

    def _remember(self, metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        self.content |= {"requested": dict(wanted), "registered": comparable(metadata)}

    def _mark(self, **content: Any) -> None:
        """Write fields to the file before a request."""
        self.content |= content
        with replacing(self.path) as replace:
            self._save(replace)

    def _save(self, replace: Callable[[str], None]) -> None:
        replace(json.dumps(self.content, indent=1, sort_keys=True) + "\n")


def _as_sent(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return comparable fields in the form of RFC 7591."""
    return {name: " ".join(value) if name == "scope" else value for name, value in wanted.items()}
