# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration of users from plain to short names, in the hub.

    python3 egi_notebooks_users.py report           print who can be renamed, and who cannot and why
    python3 egi_notebooks_users.py check OLD NEW    fail while the user has a server
    python3 egi_notebooks_users.py rename OLD NEW   rename, and succeed again if that is done
    python3 egi_notebooks_users.py which OLD NEW    print the name that the user has now

The playbook egi.notebooks.migrate_users runs it in the hub's pod. It uses the API of the running hub, which holds its
users in memory, so nobody else may write to its database. The token is that of a service which the hub has as long as
``user_names`` is ``preferred_username``.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import egi_notebooks_rules as rules
from kubespawner.slugs import escape_slug

API = "http://localhost:8081/hub/api"
TOKEN = Path(__file__).parent / "secret/hub.services.migrate-users.apiToken"


class Hub:
    """The hub's API."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        # Without the proxy of the pod's environment.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Return the hub's answer."""
        request = urllib.request.Request(  # noqa: S310 (http, inside of the pod)
            f"{self.url}/{path}",
            method=method,
            headers={"Authorization": f"token {self.token}"},
            data=None if body is None else json.dumps(body).encode(),
        )
        with self.opener.open(request, timeout=60) as answer:
            return json.load(answer)

    def users(self) -> list[dict[str, Any]]:
        """Return all users with the state of their last login."""
        found: list[dict[str, Any]] = []
        while page := self.request("GET", f"users?limit=100&offset={len(found)}"):
            found += page
        return [self.request("GET", path_of(user["name"])) for user in found]

    def user(self, name: str) -> dict[str, Any] | None:
        """Return the user of a name, or nothing."""
        try:
            return self.request("GET", path_of(name))
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def which(self, old: str, new: str) -> str:
        """Return the name that a user has now. Nobody else ever has the new name."""
        return new if self.user(new) else old

    def check(self, old: str, new: str) -> None:
        """Fail if a user has started a server since the report: it would lose its home."""
        if has_server(self.user(old) or {}):
            sys.exit(f"{old} has a server, which must be stopped first")

    def rename(self, old: str, new: str) -> None:
        """Rename a user, unless that is done already."""
        if self.which(old, new) == old:
            self.check(old, new)
            self.request("PATCH", path_of(old), {"name": new})


def path_of(name: str) -> str:
    """Return the path of a user in the API."""
    return f"users/{quote(name, safe='')}"


def has_server(user: dict[str, Any]) -> bool:
    """Return whether a user has a server that runs, starts or stops."""
    return bool(user.get("server") or user.get("servers") or user.get("pending"))


def report(users: list[dict[str, Any]]) -> dict[str, list[dict[str, str]]]:
    """Return who can be renamed and to what, and who cannot and why."""
    plain = [user for user in users if not rules.SHORT_NAME.fullmatch(user["name"])]
    names = {user["name"] for user in users}
    targets = {user["name"]: _target(user) for user in plain}
    shared = Counter(targets.values())
    moves, stays = [], []
    for user in plain:
        name, target = user["name"], targets[user["name"]]
        if target is None:
            why = "has not logged in since the hub requests identifiers"
        elif has_server(user):
            why = "has a server, which must be stopped first"
        elif target in names:
            why = f"would become {target}, who is a user already"
        elif shared[target] > 1:
            why = "is the same person as another user of this hub"
        else:
            moves.append(
                {
                    "name": name,
                    "new_name": target,
                    "home": escape_slug(name),
                    "new_home": escape_slug(target),
                    "person": _person(user),
                }
            )
            continue
        stays.append({"name": name, "why": why})
    return {"moves": moves, "stays": stays}


def _target(user: dict[str, Any]) -> str | None:
    try:
        return rules.short_name(rules.identifier((user.get("auth_state") or {}).get("oauth_user")))
    except rules.Refused:
        return None


def _person(user: dict[str, Any]) -> str:
    """Return who logged in by this name, for an operator to judge."""
    userinfo = user["auth_state"]["oauth_user"]
    return f"{rules.display_name(userinfo) or 'no name'}, {rules.line(userinfo, 'email') or 'no e-mail address'}"


def main(command: str, *names: str) -> None:
    """Run a command."""
    if not TOKEN.exists():
        sys.exit("jupyterhub_oauth.user_names must be preferred_username; the hub gives its users short names already.")
    hub = Hub(API, TOKEN.read_text().strip())
    if command == "report":
        print(json.dumps(report(hub.users())))
    elif command == "check":
        hub.check(*names)
    elif command == "rename":
        hub.rename(*names)
    elif command == "which":
        print(hub.which(*names))
    else:
        sys.exit(f"The command must be one of report, check, rename, which; got {command!r}.")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except urllib.error.HTTPError as error:
        sys.exit(f"The hub's API answers {error.code}: {error.read().decode(errors='replace')[:500]}")
