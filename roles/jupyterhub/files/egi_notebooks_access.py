# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may log in, and under which user name."""

from __future__ import annotations

import asyncio
import collections
from typing import Any

import egi_notebooks_rules as rules
import egi_notebooks_upstream as upstream
from egi_notebooks_errors import NotAdmitted, Trouble
from egi_notebooks_provider import ProviderClient
from traitlets import Dict


class LoginRules(ProviderClient):
    """The rules of the VOs, of user names and of blocked users."""

    settings = Dict(help="hub.config.EgiNotebooks").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        chosen = sorted(name for name in self.admin_users if not rules.SHORT_NAME.fullmatch(name))
        if chosen:
            raise ValueError(
                f"admin_users must be names of egi and 26 letters and digits; got {', '.join(chosen)}. Others may "
                "choose such a name at Check-in. Give admin roles to a VO instead."
            )
        #: One lock for each user name.
        self._locks: dict[str, asyncio.Lock] = collections.defaultdict(asyncio.Lock)

    # --- User names ---

    def user_info_to_username(self, user_info: Any) -> str:
        """Return the user name, or tell the user why there is none."""
        try:
            name = rules.short_name(rules.identifier(user_info))
            return name if self.settings["user_names"] == rules.IDENTIFIER else rules.plain_name(user_info)
        except rules.Refused as error:
            raise NotAdmitted(str(error)) from error

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        """Return the hub groups of a user: those of the configured VOs."""
        return set(rules.stored_groups(auth_state[self.user_auth_state_key], self.settings))

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """Set user name and admin status by the rules, so that nobody gets the files of somebody else."""
        userinfo = auth_model["auth_state"][self.user_auth_state_key]
        auth_model["name"] = name = await self._current_name(auth_model["name"], userinfo)
        # Upstream has looked up the name that the user chose.
        auth_model["admin"] = name in self.admin_users or rules.is_admin(userinfo, self.settings)
        return auth_model

    async def _current_name(self, name: str, userinfo: dict[str, Any]) -> str:
        """Return the name under which the user has their files, while users move from one kind of name to another."""
        identifier = rules.identifier(userinfo)
        short = rules.short_name(identifier)
        if self.known_user(short):
            return short
        if name != short:
            await self.check_owner(name, identifier)
            return name
        try:
            old = rules.plain_name(userinfo)
        except rules.Refused:
            return name
        # A user without an identifier may be anybody.
        if self.known_user(old) and await self.identifier_of(old) in (None, identifier):
            raise NotAdmitted(
                f"There are files under your former name {old!r}. If they are yours, please ask the operators of this "
                "service to move them (playbook egi.notebooks.migrate_users), else to remove that user."
            )
        return name

    async def check_owner(self, name: str, identifier: str) -> None:
        """Refuse a plain name of somebody else."""
        if name != rules.short_name(identifier) and await self.identifier_of(name) not in (None, identifier):
            raise NotAdmitted(f"The user name {name!r} is somebody else's here. Please tell the operators.")

    def known_user(self, name: str) -> Any:
        """Return the user of the hub who has this name, or nothing."""
        return upstream.find_user(self.parent, name)

    async def identifier_of(self, name: str) -> str | None:
        """Return the identifier of a user of the hub, as of their last login; none if nobody knows it.

        A state that cannot be decrypted may be anybody's, so it is nobody's name until the key is back.
        """
        user = self.known_user(name)
        auth_state = await user.get_auth_state() if user else None
        if user and upstream.is_unreadable(user, auth_state):
            self.log.error("The stored state of user %s cannot be decrypted by any key of CryptKeeper.keys", name)
            raise Trouble(
                f"This service cannot find out to whom the user name {name!r} belongs. Please tell the operators that "
                "an encryption key is missing."
            )
        return auth_state[self.user_auth_state_key].get(rules.IDENTIFIER) if auth_state else None

    # --- Admission ---

    async def check_blocked_users(self, username: str, auth_model: Any = None) -> bool:
        """Tell a blocked user so."""
        if username in self.blocked_users:
            self.log.warning("User %s is blocked", username)
            raise NotAdmitted("The operators of this service have blocked your account. Please ask them why.")
        return True

    async def check_allowed(self, username: str, auth_model: dict[str, Any]) -> bool:
        """Let a user log in, or tell them what is missing for each VO."""
        if self.is_admitted(auth_model):
            self.note_admitted(username)
            return True
        auth_state = auth_model["auth_state"]
        userinfo = auth_state[self.user_auth_state_key]
        if not await self._is_rejected_user(username, auth_state) and auth_state.get("refresh_token"):
            await self.revoke(auth_state["refresh_token"])
        missing = rules.missing_for_all(userinfo, self.settings)
        advice = "Once a VO has accepted you, log in here again." if any(vo["join_url"] for vo in missing) else ""
        if rules.unassured_vos(userinfo, self.settings):
            advice += " Another identity provider may assure your identity: log in as somebody else and choose it."
        raise NotAdmitted(self.custom_403_message, missing, advice.strip())

    def is_admitted(self, auth_model: dict[str, Any]) -> bool:
        """Return whether the rules admit a user."""
        userinfo = auth_model["auth_state"][self.user_auth_state_key]
        return auth_model["admin"] or bool(rules.admitting_vos(userinfo, self.settings))

    def may_stay(self, user: Any, auth_model: dict[str, Any]) -> bool:
        """Return whether a user who is logged in may stay so."""
        return user.name not in self.blocked_users and self.is_admitted(auth_model)

    async def _is_rejected_user(self, username: str, auth_state: dict[str, Any]) -> bool:
        """Return whether the hub has this user. If so the login is news about them, whose old tokens may be dead."""
        identifier = auth_state[self.user_auth_state_key][rules.IDENTIFIER]
        async with self._locks[username]:
            # Somebody else may have chosen the same plain name.
            if await self.identifier_of(username) != identifier:
                return False
            user = self.known_user(username)
            await user.save_auth_state(auth_state)
            self.note_no_vo(user)
            return True

    def note_admitted(self, username: str) -> None:
        """Note that the rules admit a user."""
        raise NotImplementedError

    def note_no_vo(self, user: Any) -> None:
        """Note that a user is in no VO any more, or blocked."""
        raise NotImplementedError
