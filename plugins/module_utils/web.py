# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of the modules that speak to Check-in and to the hub. What goes wrong is one line without a secret in it."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.common.text.converters import to_text
from ansible.module_utils.urls import open_url

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import SettingsError, check_url

#: Far above any answer that is meant for us.
MAX_ANSWER = 1 << 24
#: Options of every module that asks a server, see the documentation fragment of the same name.
OPTIONS: dict[str, Any] = {"ca_path": {"type": "path"}, "timeout": {"type": "int", "default": 10}}


class WebError(Exception):
    """A server said no, or nothing, or what nobody understands."""


def shown(url: str) -> str:
    """Return an address without what may be a secret in it: name and password, query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def check_told_url(where: str, url: object) -> str:
    """Return an address that a server has told, or refuse one to which a token would go in clear."""
    try:
        return check_url(where, url)
    except SettingsError:
        # Not the address, which may have a secret in it.
        raise WebError(
            f"{where} is no https:// address with a host name, so a token would go there in clear; ask its operator"
        ) from None


@dataclass(frozen=True)
class Answer:
    """What a server answered, whatever its status."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> Any:
        """Return the JSON document."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            # Nothing of the body: half a document may have a secret in it.
            kind = self.headers.get("Content-Type") or "of no type"
            raise WebError(f"{self} with {len(self.body)} bytes ({kind}) that are no JSON") from error

    def mapping(self) -> dict[str, Any]:
        """Return the JSON document, which must be a mapping."""
        document = self.document()
        if not isinstance(document, dict):
            raise WebError(f"{self} with a JSON document that is no mapping")
        return document

    def expect(self, *allowed: int) -> Answer:
        """Return this answer if it has one of these statuses."""
        if self.status not in allowed:
            raise WebError(f"{self}{self.reason()}")
        return self

    def reason(self) -> str:
        """Return what the server says about an error, in brackets: only what is meant to be read by people."""
        try:
            document = json.loads(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            return ""
        words = [str(document[key]) for key in ("error", "error_description", "message") if document.get(key)]
        return f" ({' '.join(': '.join(words).split())[:300]})" if words else ""

    def __str__(self) -> str:
        """What was asked, and the status."""
        return f"{self.method} {shown(self.url)} answered {self.status}"


@dataclass(frozen=True)
class Web:
    """Asks servers over verified TLS; follows no redirect, which would carry a token elsewhere."""

    ca_path: str | None = None
    timeout: int = 10
    #: Whether what goes without TLS may leave the host. No token may be in it.
    public: bool = False

    def ask(
        self, method: str, url: str, authorization: str = "", data: Any = None, accept: str = "application/json"
    ) -> Answer:
        """Return the answer. ``data`` is sent as JSON."""
        headers = {"Accept": accept, "Accept-Language": "en"}
        if authorization:
            if not (authorization.isascii() and authorization.isprintable()):
                # The layers below would show it.
                raise WebError(f"The token for {shown(url)} is not one line of ASCII; allowed is the token alone")
            headers["Authorization"] = authorization
        if data is not None:
            headers["Content-Type"] = "application/json"
        try:
            answer = open_url(
                url,
                method=method,
                data=None if data is None else json.dumps(data),
                headers=headers,
                timeout=self.timeout,
                ca_path=self.ca_path,
                http_agent="egi.notebooks",
                follow_redirects="none",
                # It would replace the token.
                use_netrc=False,
                # What goes without TLS stays on the machine.
                use_proxy=self.public or urlsplit(url).scheme == "https",
            )
        except urllib.error.HTTPError as error:
            return Answer(method, url, error.code, error.headers or {}, _body(error, method, url))
        except Exception as error:  # open_url raises whatever the layers below do
            raise WebError(f"{method} {shown(url)} got no answer ({_why(error)})") from error
        return Answer(method, url, answer.status, answer.headers, _body(answer, method, url))


def _body(answer: Any, method: str, url: str) -> bytes:
    try:
        return answer.read(MAX_ANSWER)
    except Exception as error:
        raise WebError(f"{method} {shown(url)} broke off its answer ({_why(error)})") from error


def _why(error: Exception) -> str:
    """Return the reason of a failed connection in one line."""
    return " ".join(to_text(getattr(error, "reason", None) or error).split()) or type(error).__name__
