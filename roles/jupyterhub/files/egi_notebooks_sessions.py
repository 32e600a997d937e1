# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long users stay: checks of everybody with a session or a server, and what ends when.

Upstream checks who may log in at login alone. Here the same rules are checked at each refresh, before each spawn and,
by the hub itself, for everyone with a running server. A user who lost their last VO loses the session at once, and
after the grace time servers, API tokens and refresh token. Without an answer from Check-in the last one holds, a
rejection too.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar

import egi_notebooks_rules as rules
import egi_notebooks_servers as servers
import egi_notebooks_tokens as tokens
import egi_notebooks_upstream as upstream
from egi_notebooks_access import LoginRules
from egi_notebooks_errors import PageError, TokensRejected, Trouble
from tornado.ioloop import IOLoop

ROUND_SECONDS = 10
#: How many users are checked at the same time, so that the hub's pages still get a connection.
CHECKS_AT_ONCE = 5
#: In the stored state of a user whose tokens Check-in has rejected, so that a hub that restarts knows it too.
REJECTED = "egi_notebooks_refused"


class SessionChecks(LoginRules):
    """Checks of users who are logged in or have a server."""

    #: Names of persons for pages, by user name.
    display_names: ClassVar[dict[str, str]] = {}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._checked_at: dict[str, float] = {}
        self._checking = asyncio.Semaphore(CHECKS_AT_ONCE)
        #: Since when users have been in no VO.
        self.no_vo_since: dict[str, float] = {}
        #: Since when Check-in has rejected the tokens of users, so that nobody knows about their VOs.
        self.no_tokens_since: dict[str, float] = {}
        #: Users whom the last check did not admit.
        self.rejected: set[str] = set()

    # --- Check of one user ---

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> dict[str, Any] | bool:
        """Return what is new about a user, or False if they must log in again."""
        upstream.set_server_address(user)
        # A refresh token may be for one use.
        async with self._locks[user.name]:
            self._checked_at[user.name] = time.monotonic()
            return await self._check(user)

    async def _check(self, user: Any) -> dict[str, Any] | bool:
        auth_state = await user.get_auth_state()
        try:
            model = await self._fresh_auth_model(user, auth_state) if auth_state else None
        except Trouble as error:
            self.log.warning("No news about %s: %s", user.name, error)
            return user.name not in self.rejected and self._was_admitted(user, auth_state)
        except PageError:
            model = None
        if model is None or model["name"] != user.name:
            if auth_state:
                await user.save_auth_state((await user.get_auth_state()) | {REJECTED: True})
            self._note_no_tokens(user)
            return False
        await user.save_auth_state(model["auth_state"])
        self.display_names[user.name] = rules.display_name(model["auth_state"][self.user_auth_state_key])
        self.no_tokens_since.pop(user.name, None)
        if not self.may_stay(user, model):
            self.note_no_vo(user)
            return False
        self.note_admitted(user.name)
        if self.settings["access_token_file"]:
            await servers.renew_access_token(user, model["auth_state"]["access_token"])
        return model

    async def _fresh_auth_model(self, user: Any, auth_state: dict[str, Any]) -> dict[str, Any]:
        """Return what Check-in says about a user now, with a new access token once the old one is half spent."""
        token_info, refresh_token = auth_state["token_response"], auth_state.get("refresh_token")
        if not refresh_token or not tokens.is_half_spent(token_info):
            try:
                return await upstream.auth_model(self, token_info)
            except TokensRejected:
                if not refresh_token:
                    raise
        fresh = await self.refreshed_tokens(auth_state)
        # The old refresh token may be spent, so the new one is stored before anything else can fail.
        await user.save_auth_state(auth_state | self.build_auth_state_dict(fresh, auth_state[self.user_auth_state_key]))
        return await upstream.auth_model(self, fresh)

    def _was_admitted(self, user: Any, auth_state: dict[str, Any]) -> bool:
        """Return whether the rules admit a user by Check-in's last answer, which may have come to an earlier hub."""
        if auth_state.get(REJECTED):
            self._note_no_tokens(user)
            return False
        userinfo = auth_state[self.user_auth_state_key]
        admin = user.name in self.admin_users or rules.is_admin(userinfo, self.settings)
        if self.may_stay(user, {"admin": admin, "auth_state": auth_state}):
            return True
        self.note_no_vo(user)
        return False

    # --- Results of checks ---

    def note_admitted(self, username: str) -> None:
        """Note that the rules admit a user."""
        self.no_vo_since.pop(username, None)
        self.no_tokens_since.pop(username, None)
        self.rejected.discard(username)

    def _note_no_tokens(self, user: Any) -> None:
        """Note that Check-in rejects the tokens of a user, and end the session."""
        self.no_tokens_since.setdefault(user.name, time.monotonic())
        self._end_session(user)

    def note_no_vo(self, user: Any) -> None:
        """Note that a user is in no VO any more, or blocked, and end session and privileges."""
        self.log.warning("User %s may not use this service any more", user.name)
        self.no_vo_since.setdefault(user.name, time.monotonic())
        self._end_session(user)
        upstream.set_privileges(user, admin=False, groups=[])

    def _end_session(self, user: Any) -> None:
        self.rejected.add(user.name)
        # The hub would reuse the result of its last check until that is old enough.
        upstream.set_refreshed(user, None)

    # --- Checks of all users with a server ---

    def get_handlers(self, app: Any) -> list[Any]:
        """Return the pages of the login, and start the checks."""
        IOLoop.current().spawn_callback(self.check_regularly, app)
        return super().get_handlers(app)

    async def check_regularly(self, app: Any) -> None:
        """Check all users with a running server, whether or not they request a page.

        Each user has one check at a time, different users have theirs side by side: a server may take minutes to stop.
        """
        running: dict[int, asyncio.Task[None]] = {}
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            running = {number: task for number, task in running.items() if not task.done()}
            for user in [user for user in app.users.values() if user.active or user.name in self.no_vo_since]:
                if user.id not in running:
                    running[user.id] = asyncio.create_task(self._check_or_log(app, user))

    async def _check_or_log(self, app: Any, user: Any) -> None:
        try:
            await self.check_server_owner(app, user)
        except Exception:
            self.log.exception("Could not check user %s", user.name)

    async def check_server_owner(self, app: Any, user: Any) -> None:
        """Check one user if it is time to, and stop the servers of one who may not stay any longer."""
        due = time.monotonic() - self.auth_refresh_age
        if due >= self._checked_at.get(user.name, float("-inf")):
            async with self._checking:
                model = await self.refresh_user(user)
            if isinstance(model, dict):
                upstream.set_refreshed(user, time.monotonic())
                upstream.set_privileges(user, admin=model["admin"], groups=model["groups"])
        if self._has_stayed_too_long(user.name):
            await self.stop_servers(app, user)

    def _has_stayed_too_long(self, username: str) -> bool:
        now, never = time.monotonic(), float("inf")
        return (
            now - self.no_vo_since.get(username, never) >= self.settings["grace_seconds"]
            or now - self.no_tokens_since.get(username, never) >= self.settings["absence_seconds"]
        )

    async def stop_servers(self, app: Any, user: Any) -> None:
        """Stop a user's servers, and delete the tokens of one who lost the VO. Files and the user's entry stay."""
        for name, spawner in list(user.spawners.items()):
            if spawner.active and not spawner.pending:
                self.log.warning("Stopping the server %s of a user who may not stay", upstream.log_name(spawner))
                await upstream.stop_server(app, user, name, spawner)
        if not user.active:
            if user.name in self.no_vo_since:
                upstream.delete_api_tokens(user)
                await self._delete_refresh_token(user)
            self.no_vo_since.pop(user.name, None)
            self.no_tokens_since.pop(user.name, None)

    async def _delete_refresh_token(self, user: Any) -> None:
        """Revoke the refresh token of a user at Check-in, and delete it here."""
        async with self._locks[user.name]:
            auth_state = await user.get_auth_state()
            # A login in the meantime has brought a new one.
            if auth_state and auth_state.get("refresh_token") and user.name in self.rejected:
                await self.revoke(auth_state["refresh_token"])
                await user.save_auth_state(tokens.without_refresh_token(auth_state))
