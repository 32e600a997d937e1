# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS requests to Check-in and to the hub. Every error is one line without secrets."""

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

#: Largest answer that is read, in bytes.
MAX_ANSWER = 1 << 24
#: Options of every module that sends requests, documented in the fragment `web`.
OPTIONS: dict[str, Any] = {"ca_path": {"type": "path"}, "timeout": {"type": "int", "default": 10}}


class WebError(Exception):
    """A request failed or its answer cannot be used; the message is one line without secrets."""


def shown(url: str) -> str:
    """Return a URL without the parts that may be secret: login, query and fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def check_told_url(where: str, url: object) -> str:
    """Return a URL from a server's answer; reject one that a token would be sent to without TLS."""
    try:
        return check_url(where, url)
    except SettingsError:
        # The message omits the URL, which may contain a secret.
        raise WebError(
            f"{where} must be an https:// URL with a host name, because a token is sent to it. Ask the operator."
        ) from None


@dataclass(frozen=True)
class Answer:
    """An answer with any status."""

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
            # The message omits the body, which may contain a secret.
            kind = self.headers.get("Content-Type") or "no content type"
            raise WebError(f"{self} with {len(self.body)} bytes ({kind}) that are not JSON") from error

    def mapping(self) -> dict[str, Any]:
        """Return the JSON document, which must be an object."""
        document = self.document()
        if not isinstance(document, dict):
            raise WebError(f"{self} with a JSON document that is not an object")
        return document

    def expect(self, *allowed: int) -> Answer:
        """Return this answer if it has one of the statuses, else raise WebError."""
        if self.status not in allowed:
            raise WebError(f"{self}{self.reason()}")
        return self

    def reason(self) -> str:
        """Return the error message of the answer in brackets, from the fields that are meant for users."""
        try:
            document = json.loads(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            return ""
        words = [str(document[key]) for key in ("error", "error_description", "message") if document.get(key)]
        return f" ({' '.join(': '.join(words).split())[:300]})" if words else ""

    def __str__(self) -> str:
        """Return the request and the status for messages."""
        return f"{self.method} {shown(self.url)} answered {self.status}"


@dataclass(frozen=True)
class Web:
    """Sends requests over verified TLS. Redirects are not followed, because they would forward a token."""

    ca_path: str | None = None
    timeout: int = 10
    #: Whether what goes without TLS may leave the host. No token may be in it.
    public: bool = False

    def ask(
        self, method: str, url: str, authorization: str = "", data: Any = None, accept: str = "application/json"
    ) -> Answer:
        """Send a request, with ``data`` as JSON; return the answer."""
        headers = {"Accept": accept, "Accept-Language": "en"}
        if authorization:
            if not (authorization.isascii() and authorization.isprintable()):
                # The HTTP library would include it in its error message.
                raise WebError(f"The token for {shown(url)} must be one line of printable ASCII.")
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
                # A netrc entry would replace the token.
                use_netrc=False,
                # Requests without TLS must not leave this host, but for those of public pages.
                use_proxy=self.public or urlsplit(url).scheme == "https",
            )
        except urllib.error.HTTPError as error:
            return Answer(method, url, error.code, error.headers or {}, _body(error, method, url))
        except Exception as error:  # open_url raises exceptions of many libraries
            raise WebError(f"{method} {shown(url)} got no answer ({_why(error)})") from error
        return Answer(method, url, answer.status, answer.headers, _body(answer, method, url))


def _body(answer: Any, method: str, url: str) -> bytes:
    try:
        return answer.read(MAX_ANSWER)
    except Exception as error:
        raise WebError(f"{method} {shown(url)} got an incomplete answer ({_why(error)})") from error


def _why(error: Exception) -> str:
    """Return the reason of a failed connection in one line."""
    return " ".join(to_text(getattr(error, "reason", None) or error).split()) or type(error).__name__
