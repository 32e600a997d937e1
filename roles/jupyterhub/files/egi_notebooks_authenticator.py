# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub's authenticator and the pages of login and logout."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import egi_notebooks_protected as protected
import egi_notebooks_rules as rules
from egi_notebooks_errors import PageError, Trouble
from egi_notebooks_provider import LOGOUT
from egi_notebooks_sessions import SessionChecks
from jupyterhub.apihandlers import APIHandler
from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthLoginHandler, OAuthLogoutHandler
from tornado import web

CANCELLED = "The login was cancelled at EGI Check-in, so you are not logged in."
EXPIRED = "This login has expired, or was begun in another browser. Please log in again."
REJECTED = (
    "EGI Check-in did not accept the request of this service to log you in. Please try again. If it happens again, "
    "please tell the operators of this service."
)


async def refresh_activity_report(handler: Any, user: Any, force: bool = False) -> Any:
    """Accept reports of activity from servers whose owner's tokens Check-in rejects.

    Without that a long computation would count as idle from the moment when its owner's session ended.
    """
    authenticator, name = handler.authenticator, user.name
    found = await APIHandler.refresh_auth(handler, user, force)
    may_report = name in authenticator.no_tokens_since and name not in authenticator.no_vo_since
    return found or (user if may_report else None)


class LoginHandler(OAuthLoginHandler):
    """The redirect to Check-in."""

    async def get(self) -> None:
        """Redirect to Check-in, or tell the user that it does not answer."""
        if not await self.authenticator.is_available():
            raise Trouble
        super().get()


class CallbackHandler(OAuthCallbackHandler):
    """The redirect back from Check-in."""

    def check_error(self) -> None:
        """Tell the user why Check-in ended the login, in our own words: anybody can make up a link to this page."""
        error = self.get_argument("error", "")
        if error:
            self.log.warning("Check-in ended a login with the error %r", error[:100])
            if error in ("temporarily_unavailable", "server_error"):
                raise Trouble
            raise PageError(400, CANCELLED if error == "access_denied" else REJECTED)

    def check_code(self) -> None:
        """Tell the user that a login without a code is none."""
        try:
            super().check_code()
        except web.HTTPError as error:
            raise PageError(400, EXPIRED) from error

    def check_state(self) -> None:
        """Tell the user that this browser has begun no such login."""
        try:
            super().check_state()
        except (web.HTTPError, AttributeError, ValueError) as error:
            self.log.warning("A login has no valid state: %s", error)
            raise PageError(400, EXPIRED) from error

    async def auth_to_user(self, authenticated: dict[str, Any], user: Any = None) -> Any:
        """Store the user. If two persons with one plain name log in at once, the second one is refused here."""
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
    """Logout here and at Check-in. With a session left at Check-in the next login would need no password."""

    id_token = None

    async def handle_logout(self) -> None:
        """Remember the ID token, which shows Check-in whose session is to end."""
        await super().handle_logout()
        auth_state = await self.current_user.get_auth_state() if self.current_user else None
        self.id_token = (auth_state or {}).get("id_token")

    async def render_logout_page(self) -> None:
        """Redirect to Check-in's logout. Without the ID token Check-in asks the user whether to log out.

        The ID token is for Check-in alone: another page that the site has set does not get it.
        """
        url = urlsplit(self.authenticator.logout_redirect_url)
        if self.id_token and url._replace(query="").geturl() == self.authenticator.issuer + LOGOUT:
            query = [*parse_qsl(url.query), ("id_token_hint", self.id_token)]
            self.redirect(url._replace(query=urlencode(query)).geturl())
        else:
            await super().render_logout_page()


class CheckinAuthenticator(SessionChecks):
    """EGI Check-in, with the rules of this service."""

    login_handler = LoginHandler
    callback_handler = CallbackHandler
    logout_handler = LogoutHandler

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        protected.check_authenticator(self)
