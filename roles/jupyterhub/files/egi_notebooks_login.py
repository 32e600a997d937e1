# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Login by EGI Check-in: who may in, for how long, and where logout leads.

Upstream asks who may in at login alone. Here the same rules are asked again at each refresh, before each spawn and, by
the hub itself, for everyone with a running server. Whoever lost their last VO loses the session at once, and after the
grace time the server and the API tokens. No answer from Check-in is no change: its last one holds, a refusal too.
"""

from __future__ import annotations

import asyncio
import collections
import time
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import egi_notebooks_rules as rules
import egi_notebooks_servers as servers
from jupyterhub import orm, roles
from jupyterhub.apihandlers import APIHandler
from jupyterhub.utils import url_path_join
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthLoginHandler, OAuthLogoutHandler
from tornado import web
from tornado.httpclient import HTTPClientError
from tornado.ioloop import IOLoop
from traitlets import Dict

WATCH_SECONDS = 10
#: Of how many users Check-in is asked at once, so that the hub's pages still find a connection.
WATCH_AT_ONCE = 5
#: For how long one answer to whether Check-in says anything does for all.
ANSWER_SECONDS = 3
SILENT = (
    "EGI Check-in does not answer at the moment, so nobody can log in. Please try again in some minutes. Whoever is "
    "logged in already can go on working."
)
#: In the stored state of somebody whose tokens Check-in has refused: a hub that starts anew must know it too.
REFUSED = "egi_notebooks_refused"
ENDPOINT = "/protocol/openid-connect/auth"
LOGOUT = "/protocol/openid-connect/logout"
DISCOVERY = "/.well-known/openid-configuration"
#: What the token endpoint says of the hub and not of the user, by some releases with status 400.
HUB_ERRORS = (b'"invalid_client"', b'"unauthorized_client"')


def is_silence(error: Exception) -> bool:
    """Whether an error says nothing about the user: no answer, none that makes sense, a provider in trouble."""
    return getattr(error, "code", getattr(error, "status_code", 500)) not in (400, 401, 403)


def is_half_spent(token_info: dict[str, Any]) -> bool:
    """Whether an access token has lived for more than half of its time."""
    lifetime = token_info.get("expires_in", float("inf"))
    return time.time() - token_info.get("obtained_at", 0) >= lifetime / 2


def keep_address(user: Any) -> None:
    """Give a user who was renamed the address of the new name. The hub keeps the old one until it restarts."""
    address = url_path_join(user.settings.get("base_url", "/"), "user", user.escaped_name) + "/"
    if user.base_url != address and not user.active:
        user.base_url = user.prefix = address
        # They have it from the user.
        user.spawners.clear()


async def refresh_report(handler: Any, user: Any, force: bool = False) -> Any:
    """Let servers of those who are just absent go on telling when something was done in them.

    Without that a long computation would count as idle from the moment when its owner's session ended.
    """
    authenticator = handler.authenticator
    found = await APIHandler.refresh_auth(handler, user, force)
    return found or (user if user.name in authenticator.absent and user.name not in authenticator.lost else None)


class LoginHandler(OAuthLoginHandler):
    """The way to Check-in, if there is somebody at its end."""

    async def get(self) -> None:
        """Lead to Check-in, or say that it does not answer."""
        if not await self.authenticator.provider_answers():
            raise web.HTTPError(503, SILENT)
        super().get()


class CallbackHandler(OAuthCallbackHandler):
    """The way back from Check-in."""

    async def auth_to_user(self, authenticated: dict[str, Any], user: Any = None) -> Any:
        """Keep who logs in. Of two who chose one name and come at once, the later one meets the earlier one here."""
        if user is not None:
            return await super().auth_to_user(authenticated, user)
        authenticator, name = self.authenticator, authenticated["name"]
        userinfo = authenticated["auth_state"][authenticator.user_auth_state_key]
        async with authenticator._locks[name]:
            await authenticator.check_owner(name, rules.identifier(userinfo))
            user = await super().auth_to_user(authenticated)
        authenticator.display_names[name] = rules.display_name(userinfo)
        return user


class LogoutHandler(OAuthLogoutHandler):
    """Logout here and at Check-in, or the next login would ask nobody for a password."""

    id_token = None

    async def handle_logout(self) -> None:
        """Keep what proves to Check-in whose session is to end."""
        await super().handle_logout()
        auth_state = await self.current_user.get_auth_state() if self.current_user else None
        self.id_token = (auth_state or {}).get("id_token")

    async def render_logout_page(self) -> None:
        """Lead to Check-in's own logout. Without a proof it asks the person whether that is meant.

        The proof is for Check-in alone: a page that the site has chosen instead gets none.
        """
        url = urlsplit(self.authenticator.logout_redirect_url)
        if self.id_token and url._replace(query="").geturl() == self.authenticator.issuer + LOGOUT:
            query = [*parse_qsl(url.query), ("id_token_hint", self.id_token)]
            self.redirect(url._replace(query=urlencode(query)).geturl())
        else:
            await super().render_logout_page()


class CheckinAuthenticator(GenericOAuthenticator):
    """EGI Check-in, with the rules of this service."""

    login_handler = LoginHandler
    callback_handler = CallbackHandler
    logout_handler = LogoutHandler

    settings = Dict(help="hub.config.EgiNotebooks").tag(config=True)

    #: What to call each user on a page.
    display_names: ClassVar[dict[str, str]] = {}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        chosen = sorted(name for name in self.admin_users if not rules.SHORT_NAME.fullmatch(name))
        if chosen:
            raise ValueError(
                f"admin_users has {', '.join(chosen)}, which others may choose as their name at Check-in; allowed are "
                "names of egi and 26 letters and digits. Roles in a VO make admins as well."
            )
        self._locks: dict[str, asyncio.Lock] = collections.defaultdict(asyncio.Lock)
        self._asked: dict[str, float] = {}
        self._asking = asyncio.Semaphore(WATCH_AT_ONCE)
        self._answer: asyncio.Future[bool] | None = None
        self._answer_since = 0.0
        #: Since when those are in no VO who were in one.
        self.lost: dict[str, float] = {}
        #: Since when nobody can ask about those whose tokens Check-in refuses.
        self.absent: dict[str, float] = {}
        #: Those whom the last answer did not let in, until one does.
        self.refused: set[str] = set()

    @property
    def issuer(self) -> str:
        """The address of Check-in, below which its pages are."""
        return self.authorize_url.removesuffix(ENDPOINT)

    # --- Who somebody is ---

    def user_info_to_username(self, user_info: Any) -> str:
        """Return the user name, or tell the person why there is none."""
        try:
            name = rules.short_name(rules.identifier(user_info))
            return name if self.settings["user_names"] == rules.IDENTIFIER else rules.plain_name(user_info)
        except rules.Refused as error:
            raise web.HTTPError(403, str(error)) from error

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        """Return the hub groups of a user."""
        return set(rules.groups(auth_state[self.user_auth_state_key], self.settings))

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """Add what the rules say, and see to it that nobody meets somebody else's files, or an empty home."""
        userinfo = auth_model["auth_state"][self.user_auth_state_key]
        auth_model["name"] = name = await self._name_here(auth_model["name"], userinfo)
        # Not what upstream has found out by the name that the person chose.
        auth_model["admin"] = name in self.admin_users or rules.is_admin(userinfo, self.settings)
        return auth_model

    async def _name_here(self, name: str, userinfo: dict[str, Any]) -> str:
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
        # Of whom no identifier is known it may be anybody.
        if self.known_user(old) and await self._identifier_of(old) in (None, identifier):
            raise web.HTTPError(
                403,
                f"There are files under your former name {old!r}. If they are yours, please ask the operators of this "
                "service to move them (playbook egi.notebooks.migrate_users), else to remove that user.",
            )
        return name

    async def check_owner(self, name: str, identifier: str) -> None:
        """Refuse a plain name that is somebody else's here."""
        if name != rules.short_name(identifier) and await self._identifier_of(name) not in (None, identifier):
            raise web.HTTPError(403, f"The user name {name!r} is somebody else's here. Please tell the operators.")

    def known_user(self, name: str) -> Any:
        """Return the user of the hub who has this name."""
        found = orm.User.find(self.parent.db, name)
        user = self.parent.users[found] if found else None
        if user:
            keep_address(user)
        return user

    async def _identifier_of(self, name: str) -> str | None:
        """Return the identifier of a user of the hub, as of their last login."""
        user = self.known_user(name)
        auth_state = await user.get_auth_state() if user else None
        return auth_state[self.user_auth_state_key].get(rules.IDENTIFIER) if auth_state else None

    # --- Who may in ---

    async def check_allowed(self, username: str, auth_model: dict[str, Any]) -> bool:
        """Whether a person may log in; if just the assurance is missing they are told so."""
        if self._is_admitted(auth_model):
            self._welcome(username)
            return True
        await self._lose_at_login(username, auth_model["auth_state"])
        unassured = rules.unassured_vos(auth_model["auth_state"][self.user_auth_state_key], self.settings)
        if unassured:
            wanted = " or ".join(f"{vo['name']} ({' or '.join(vo['assurance'])})" for vo in unassured)
            raise web.HTTPError(
                403,
                "You are in a virtual organisation (VO) that may use this service, but your identity is not assured "
                f"well enough for {wanted}. Please log in by another identity provider.",
            )
        return False

    def _is_admitted(self, auth_model: dict[str, Any]) -> bool:
        userinfo = auth_model["auth_state"][self.user_auth_state_key]
        return auth_model["admin"] or bool(rules.admitting_vos(userinfo, self.settings))

    def _may_stay(self, user: Any, auth_model: dict[str, Any]) -> bool:
        return user.name not in self.blocked_users and self._is_admitted(auth_model)

    def _welcome(self, username: str) -> None:
        self.lost.pop(username, None)
        self.absent.pop(username, None)
        self.refused.discard(username)

    async def _lose_at_login(self, username: str, auth_state: dict[str, Any]) -> None:
        """Take a refused login for what it is, news of a user whose old tokens may be dead."""
        identifier = auth_state[self.user_auth_state_key][rules.IDENTIFIER]
        async with self._locks[username]:
            # Somebody else may have chosen the same plain name.
            if await self._identifier_of(username) == identifier:
                user = self.known_user(username)
                await user.save_auth_state(auth_state)
                self._lose(user)

    async def authenticate(self, handler: Any, data: Any = None, **kwargs: Any) -> dict[str, Any] | None:
        """Log somebody in. That Check-in does not answer, or not well, is no error of this hub."""
        try:
            return await super().authenticate(handler, data, **kwargs)
        except (HTTPClientError, OSError, ValueError) as error:
            if is_silence(error):
                raise web.HTTPError(503, SILENT) from error
            raise web.HTTPError(400, "EGI Check-in did not accept this login. Please log in once more.") from error

    async def provider_answers(self) -> bool:
        """Whether Check-in says anything at all. One question does for all, for anybody can send the hub here."""
        now = time.monotonic()
        if self._answer is None or (self._answer.done() and now - self._answer_since >= ANSWER_SECONDS):
            self._answer, self._answer_since = asyncio.ensure_future(self._ask_provider()), now
        return await asyncio.shield(self._answer)

    async def _ask_provider(self) -> bool:
        try:
            await self.httpfetch(
                self.issuer + DISCOVERY, "asking whether Check-in answers", connect_timeout=5, request_timeout=5
            )
        except (HTTPClientError, OSError, ValueError) as error:
            return not is_silence(error)
        return True

    # --- Who may stay ---

    async def get_token_info(self, handler: Any, params: dict[str, str]) -> dict[str, Any]:
        """Fetch tokens and note when. That Check-in does not accept the hub itself says nothing about the user."""
        try:
            token_info = await super().get_token_info(handler, params)
        except HTTPClientError as error:
            said = error.response.body if error.response else b""
            if error.code == 401 or any(word in said for word in HUB_ERRORS):
                self.log.error("Check-in does not accept the client of this hub or its secret: %s", error)
                raise web.HTTPError(503, SILENT) from error
            raise
        return token_info | {"obtained_at": time.time()}

    def build_refresh_token_request_params(self, refresh_token: str) -> dict[str, str]:
        """Ask for the same scopes again, without which Check-in's answer has no ID token."""
        return super().build_refresh_token_request_params(refresh_token) | {"scope": " ".join(self.scope)}

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> dict[str, Any] | bool:
        """Return what is new about a user, or False if they must log in anew."""
        keep_address(user)
        # A refresh token may be good for one use.
        async with self._locks[user.name]:
            self._asked[user.name] = time.monotonic()
            return await self._recheck(user)

    async def _recheck(self, user: Any) -> dict[str, Any] | bool:
        auth_state = await user.get_auth_state()
        try:
            model = await self._fresh_auth_model(user, auth_state) if auth_state else None
        except (HTTPClientError, web.HTTPError, OSError, ValueError) as error:
            if is_silence(error):
                self.log.warning("No news about %s, for Check-in does not answer: %s", user.name, error)
                return user.name not in self.refused and self._was_admitted(user, auth_state)
            model = None
        if model is None or model["name"] != user.name:
            if auth_state:
                await user.save_auth_state((await user.get_auth_state()) | {REFUSED: True})
            self._miss(user)
            return False
        await user.save_auth_state(model["auth_state"])
        self.display_names[user.name] = rules.display_name(model["auth_state"][self.user_auth_state_key])
        self.absent.pop(user.name, None)
        if not self._may_stay(user, model):
            self._lose(user)
            return False
        self._welcome(user.name)
        if self.settings["access_token_file"]:
            await servers.renew_access_token(user, model["auth_state"]["access_token"])
        return model

    def _was_admitted(self, user: Any, auth_state: dict[str, Any]) -> bool:
        """Whether the rules let somebody in by what Check-in said last, maybe to a hub before this one."""
        if auth_state.get(REFUSED):
            self._miss(user)
            return False
        userinfo = auth_state[self.user_auth_state_key]
        admin = user.name in self.admin_users or rules.is_admin(userinfo, self.settings)
        if self._may_stay(user, {"admin": admin, "auth_state": auth_state}):
            return True
        self._lose(user)
        return False

    def _miss(self, user: Any) -> None:
        """Take the session of somebody about whom nobody can ask any more."""
        self.absent.setdefault(user.name, time.monotonic())
        self._end_session(user)

    def _lose(self, user: Any) -> None:
        """Take session and privileges of somebody who is in no VO any more, or blocked."""
        self.log.warning("User %s may not use this service any more", user.name)
        self.lost.setdefault(user.name, time.monotonic())
        self._end_session(user)
        self._set_privileges(user, admin=False, groups=[])

    def _set_privileges(self, user: Any, *, admin: bool, groups: list[str]) -> None:
        user.admin = admin
        roles.assign_default_roles(user.db, entity=user)
        user.sync_groups(groups)
        user.db.commit()

    def _end_session(self, user: Any) -> None:
        self.refused.add(user.name)
        # The hub would believe its last answer until it is old enough.
        user._auth_refreshed = None

    async def _fresh_auth_model(self, user: Any, auth_state: dict[str, Any]) -> dict[str, Any]:
        """Return what Check-in says about a user now, by a new access token once the old one is half spent."""
        token_info, refresh_token = auth_state["token_response"], auth_state.get("refresh_token")
        if not refresh_token or not is_half_spent(token_info):
            try:
                return await self._token_to_auth_model(token_info)
            except HTTPClientError as error:
                if is_silence(error) or not refresh_token:
                    raise
        kept = {"refresh_token": refresh_token, "id_token": auth_state.get("id_token")}
        fresh = kept | await self.get_token_info(None, self.build_refresh_token_request_params(refresh_token))
        # The old refresh token may be spent: whatever comes now, the new one must not get lost.
        await user.save_auth_state(auth_state | self.build_auth_state_dict(fresh, auth_state[self.user_auth_state_key]))
        return await self._token_to_auth_model(fresh)

    # --- Who is still here ---

    def get_handlers(self, app: Any) -> list[Any]:
        """Return the pages of the login, and begin to watch."""
        IOLoop.current().spawn_callback(self.watch, app)
        return super().get_handlers(app)

    async def watch(self, app: Any) -> None:
        """Look after those who have a running server, whether or not they ask for a page.

        One at a time for each user, but side by side: a server may take minutes to stop.
        """
        at_work: dict[int, asyncio.Task[None]] = {}
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            at_work = {number: task for number, task in at_work.items() if not task.done()}
            for user in [user for user in app.users.values() if user.active or user.name in self.lost]:
                if user.id not in at_work:
                    at_work[user.id] = asyncio.create_task(self._watch_user_or_log(app, user))

    async def _watch_user_or_log(self, app: Any, user: Any) -> None:
        try:
            await self.watch_user(app, user)
        except Exception:
            self.log.exception("Could not look after user %s", user.name)

    async def watch_user(self, app: Any, user: Any) -> None:
        """Ask about one user if it is time to, and take the server of one who was lost or absent for too long."""
        due = time.monotonic() - self.auth_refresh_age
        if self.auth_refresh_age and due >= self._asked.get(user.name, float("-inf")):
            async with self._asking:
                model = await self.refresh_user(user)
            if isinstance(model, dict):
                user._auth_refreshed = time.monotonic()
                self._set_privileges(user, admin=model["admin"], groups=model["groups"])
        if self._has_stayed_too_long(user.name):
            await self.dismiss(app, user)

    def _has_stayed_too_long(self, username: str) -> bool:
        now, never = time.monotonic(), float("inf")
        return (
            now - self.lost.get(username, never) >= self.settings["grace_seconds"]
            or now - self.absent.get(username, never) >= self.settings["absence_seconds"]
        )

    async def dismiss(self, app: Any, user: Any) -> None:
        """Stop a user's servers and forget the API tokens of one who is lost. Files and the user's entry stay."""
        for name, spawner in list(user.spawners.items()):
            if spawner.active and not spawner.pending:
                self.log.warning("Stopping the server %s of a user who may not stay", spawner._log_name)
                # As the hub does when a user stops it.
                spawner._stop_pending = True
                try:
                    await app.proxy.delete_user(user, name)
                    await user.stop(name)
                finally:
                    spawner._stop_pending = False
        if not user.active:
            for token in list(user.api_tokens) if user.name in self.lost else []:
                user.db.delete(token)
            user.db.commit()
            self.lost.pop(user.name, None)
            self.absent.pop(user.name, None)
