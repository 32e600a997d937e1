# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of JupyterHub's REST API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from ansible_collections.egi.notebooks.plugins.module_utils import web
from ansible_collections.egi.notebooks.plugins.module_utils.web import Answer, Web, WebError

OPTIONS: dict[str, Any] = web.OPTIONS | {
    "hub_url": {"type": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": True},
}
#: Hosts that a token may be sent to without TLS, because it does not leave this host.
LOOPBACK = ("localhost", "127.0.0.1")
#: Fields of a server and of a user that modules return; others are internal or secret (`state`).
SERVER_KEYS = ("name", "ready", "pending", "stopped", "started", "last_activity", "url", "user_options")
USER_KEYS = ("name", "admin", "groups", "roles", "created", "last_activity")


class Hub:
    """A hub and the token for its API."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Check the URL and store the token from a module's parameters."""
        parts = urlsplit(parameters["hub_url"])
        # The token has an administrator's rights.
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        if not secure or not parts.hostname or parts.query or parts.fragment:
            raise WebError(
                "hub_url must be an https:// URL such as https://notebooks.example.org, or an http:// URL with "
                f"{' or '.join(LOOPBACK)}; got {web.shown(parameters['hub_url'])!r}."
            )
        self.api = f"{parameters['hub_url'].rstrip('/')}/hub/api"
        self._authorization = f"token {parameters['token'].strip()}"
        self._web = Web(parameters["ca_path"], parameters["timeout"])

    def ask(self, method: str, path: str, data: Any = None, accept: str = "application/json") -> Answer:
        """Send a request for a path of the API."""
        return self._web.ask(method, f"{self.api}{path}", self._authorization, data, accept)

    def user(self, name: str) -> dict[str, Any] | None:
        """Return a user with all servers, including stopped ones, or None if the hub does not know the user."""
        answer = self.ask("GET", f"/users/{quote(name, safe='')}?include_stopped_servers=1").expect(200, 404)
        return None if answer.status == 404 else answer.mapping()

    def users(self) -> list[dict[str, Any]]:
        """Return all users that the token may read."""
        found: list[dict[str, Any]] = []
        offset: int | None = 0
        while offset is not None:
            answer = self.ask(
                "GET",
                f"/users?include_stopped_servers=1&limit=100&offset={offset}",
                accept="application/jupyterhub-pagination+json",
            ).expect(200)
            page = answer.mapping()
            try:
                found += page["items"]
                following = page["_pagination"]["next"]
                offset = following and int(following["offset"])
            except (KeyError, TypeError, ValueError) as error:
                raise WebError(f"{answer} with a document that is not a page of users") from error
        return found


def public_user(user: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a user that modules return. Every user has a default server; it is omitted if stopped."""
    servers = user.get("servers") or {}
    names = [name for name in sorted(servers) if name or not servers[name].get("stopped")]
    return {key: user.get(key) for key in USER_KEYS} | {"servers": [public_server(servers[name]) for name in names]}


def public_server(server: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a server that modules return."""
    return {key: server.get(key) for key in SERVER_KEYS}
