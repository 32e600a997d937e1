# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub's REST API, as the modules use it."""

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
#: Where the token may go without TLS, for it stays on the machine.
LOOPBACK = ("localhost", "127.0.0.1")
#: What the hub tells about a server and about a user; the rest is its own business, or a secret (`state`).
SERVER_KEYS = ("name", "ready", "pending", "stopped", "started", "last_activity", "url", "user_options")
USER_KEYS = ("name", "admin", "groups", "roles", "created", "last_activity")


class Hub:
    """A hub, asked with one token."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Take the options above."""
        parts = urlsplit(parameters["hub_url"])
        # The token is as good as an admin's password.
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        if not secure or not parts.hostname or parts.query or parts.fragment:
            raise WebError(
                f"hub_url is {web.shown(parameters['hub_url'])!r}; allowed is an address such as "
                f"https://notebooks.example.org, and http:// only with {' or '.join(LOOPBACK)}"
            )
        self.api = f"{parameters['hub_url'].rstrip('/')}/hub/api"
        self._authorization = f"token {parameters['token'].strip()}"
        self._web = Web(parameters["ca_path"], parameters["timeout"])

    def ask(self, method: str, path: str, data: Any = None, accept: str = "application/json") -> Answer:
        """Ask for a path below the API."""
        return self._web.ask(method, f"{self.api}{path}", self._authorization, data, accept)

    def user(self, name: str) -> dict[str, Any] | None:
        """Return a user with all servers, stopped ones too, or nothing if there is none."""
        answer = self.ask("GET", f"/users/{quote(name, safe='')}?include_stopped_servers=1").expect(200, 404)
        return None if answer.status == 404 else answer.mapping()

    def users(self) -> list[dict[str, Any]]:
        """Return all users that the token may see, page by page."""
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
                raise WebError(f"{answer} with what is no page of users") from error
        return found


def told(user: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the modules tell about a user. Everybody has a default server that is stopped, so not about that."""
    servers = user.get("servers") or {}
    names = [name for name in sorted(servers) if name or not servers[name].get("stopped")]
    return {key: user.get(key) for key in USER_KEYS} | {"servers": [told_server(servers[name]) for name in names]}


def told_server(server: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the modules tell about a server."""
    return {key: server.get(key) for key in SERVER_KEYS}
