# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small hub, for tests of modules that talk to its API."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hub-token-of-the-tests"


class Hub:
    """Users with servers, which take some looks to start and to stop."""

    def __init__(self) -> None:
        self.users = {"a@b/c": {}, "monitor": {}, **{f"u{number:03}": {} for number in range(120)}}
        self.looks_to_start = self.looks_to_stop = 2
        self.breaks = False
        self.calls = []

    def changes(self):
        return [(method, path) for method, path, _ in self.calls if method != "GET"]

    def model(self, name):
        for server in list(self.users[name].values()):
            if server["pending"]:
                server["looks"] -= 1
                if server["looks"] <= 0:
                    self._arrive(server)
        keys = ("name", "pending", "ready", "stopped", "user_options")
        servers = {key: {k: server[k] for k in keys} | {"state": "?"} for key, server in self.users[name].items()}
        return {"name": name, "admin": False, "groups": ["vo"], "servers": servers}

    def _arrive(self, server):
        ready = server["pending"] == "spawn" and not self.breaks
        server |= {"pending": None, "ready": ready, "stopped": not ready}

    def __call__(self, method, path, headers, body):
        self.calls.append((method, path, body))
        if headers.get("Authorization") != f"token {TOKEN}":
            return 403, {"status": 403, "message": "Missing or invalid credentials."}
        parts = urlsplit(path)
        words = [unquote(word) for word in parts.path.removeprefix("/hub/api/").split("/")]
        if words == [""]:
            return 200, {"version": "5.5.0"}
        if words == ["users"]:
            query = parse_qs(parts.query)
            limit, offset = int(query["limit"][0]), int(query["offset"][0])
            names = sorted(self.users)
            following = {"offset": offset + limit} if offset + limit < len(names) else None
            page = [self.model(name) for name in names[offset : offset + limit]]
            return 200, {"items": page, "_pagination": {"next": following}}
        if words[1] not in self.users:
            return 404, {"status": 404, "message": "No such user"}
        if len(words) == 2:
            return 200, self.model(words[1])
        servers, name = self.users[words[1]], words[3] if len(words) > 3 else ""
        if method == "POST":
            pending = {"pending": "spawn", "ready": False, "stopped": False, "looks": self.looks_to_start}
            servers[name] = {"name": name, "user_options": body, **pending}
            return 202, b""
        if (body or {}).get("remove"):
            del servers[name]
            return 204, b""
        servers[name] |= {"pending": "stop", "ready": False, "looks": self.looks_to_stop}
        return 202, b""
