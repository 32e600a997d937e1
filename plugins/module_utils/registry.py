# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to file servers and image registries without a login. No message contains a token."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import NamedTuple

from ansible.module_utils.common.text.converters import to_text

MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
#: Largest answer with a token that is read, in bytes.
MAX_TOKEN = 1 << 20


class NoAnswer(Exception):
    """A server does not answer; the message names it."""


class Answer(NamedTuple):
    """An answer with any status, and the URL that it came from after redirects."""

    url: str
    status: int
    reason: str
    headers: Message
    body: bytes


def send(opener: urllib.request.OpenerDirector, method: str, url: str, end: float, token: str = "") -> Answer:
    """Return the answer, with the body if the method is GET, or raise NoAnswer."""
    request = urllib.request.Request(  # noqa: S310 - a URL that the site chose, or one that may_follow accepts
        url, method=method, headers={"User-Agent": "egi.notebooks.artifact_info"}
    )
    if "/manifests/" in url:
        request.add_header("Accept", MANIFESTS)
    if token:
        # A redirect must not carry it to another server.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        try:
            answer = opener.open(request, timeout=max(end - time.monotonic(), 0.1))
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            body = answer.read(MAX_TOKEN) if method == "GET" else b""
            return Answer(answer.url, answer.status, answer.reason, answer.headers, body)
    except Exception as error:  # whatever the layers below raise
        server, why = "/".join(url.split("/")[:3]), to_text(getattr(error, "reason", error))
        raise NoAnswer(f"{server} does not answer ({why})") from error


def bearer_challenge(headers: Message) -> dict[str, str]:
    """Return the parameters of the first Bearer challenge, or an empty dictionary."""
    for header in headers.get_all("WWW-Authenticate") or []:
        scheme, _space, parameters = header.strip().partition(" ")
        if scheme.lower() == "bearer":
            pairs = [part.partition("=") for part in urllib.request.parse_http_list(parameters)]
            return {name.strip().lower(): value.strip().strip('"') for name, _sign, value in pairs}
    return {}


def may_follow(url: str, registry: str) -> bool:
    """Return whether a URL from a registry's answer may be requested: no files, and no http from an https registry."""
    scheme = "https?" if registry.startswith("http://") else "https"
    return bool(re.fullmatch(scheme + r"://[\w.:\[\]-]+(/[!-~]*)?", url, re.ASCII))


def anonymous_token(
    opener: urllib.request.OpenerDirector, challenge: Mapping[str, str], registry: str, end: float
) -> str:
    """Return the token that a registry gives without a login, or an empty text."""
    realm = challenge.get("realm", "")
    if not may_follow(realm, registry):
        return ""
    query = [("scope", scope) for scope in challenge.get("scope", "").split()]
    if challenge.get("service"):
        query.append(("service", challenge["service"]))
    answer = send(opener, "GET", f"{realm}{'&' if '?' in realm else '?'}{urllib.parse.urlencode(query)}", end)
    if answer.status != 200 or not may_follow(answer.url, registry):
        return ""
    try:
        document = json.loads(answer.body)
        token = document.get("token") or document.get("access_token")
    except (AttributeError, ValueError):
        return ""
    # urllib would show any other text in its error message.
    return token if isinstance(token, str) and re.fullmatch("[!-~]+", token) else ""


def query(opener: urllib.request.OpenerDirector, url: str, timeout: int) -> Answer | NoAnswer:
    """Return the answer for a file or a manifest, or the error if the server does not answer."""
    end = time.monotonic() + timeout
    try:
        answer = send(opener, "HEAD", url, end)
        if answer.status == 401 and "/manifests/" in url and may_follow(answer.url, url):
            token = anonymous_token(opener, bearer_challenge(answer.headers), url, end)
            if token:
                answer = send(opener, "HEAD", answer.url, end, token)
    except NoAnswer as error:
        return error
    return answer
