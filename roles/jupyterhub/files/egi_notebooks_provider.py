# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to EGI Check-in: tokens, userinfo, revocation. Errors say whether they are news about the user."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlencode

import egi_notebooks_tokens as tokens
from egi_notebooks_errors import BadAnswer, ScopeRejected, TokensRejected, Trouble
from oauthenticator.generic import GenericOAuthenticator
from tornado.httpclient import HTTPClientError

AUTHORIZE = "/protocol/openid-connect/auth"
LOGOUT = "/protocol/openid-connect/logout"
REVOKE = "/protocol/openid-connect/revoke"
DISCOVERY = "/.well-known/openid-configuration"
#: Limit of each request, whatever http_request_kwargs say.
REQUEST_SECONDS = 20
#: How long the hub believes that Check-in answers, or does not.
AVAILABILITY_SECONDS = 3


class ProviderClient(GenericOAuthenticator):
    """The client of Check-in. Raises TokensRejected for news about the user, Trouble for anything else."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._availability: asyncio.Future[bool] | None = None
        self._availability_since = 0.0

    @property
    def issuer(self) -> str:
        """The issuer, the beginning of the URLs of its endpoints."""
        return self.authorize_url.removesuffix(AUTHORIZE)

    async def httpfetch(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request. An answer with an error status is an HTTPClientError, no usable answer is Trouble."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await super().httpfetch(*args, **kwargs)
        except HTTPClientError as error:
            if error.code >= 599:
                raise Trouble from error
            raise
        except (OSError, ValueError) as error:
            raise Trouble from error

    async def get_token_info(self, handler: Any, params: dict[str, str]) -> dict[str, Any]:
        """Return the tokens for a code or for a refresh token."""
        try:
            answer = await self._post(self.token_url, params)
        except HTTPClientError as error:
            said = tokens.error_of(error.response.body if error.response else None)
            raise self._token_error(said if error.code in (400, 401, 403) else f"status {error.code}") from error
        if isinstance(answer, dict) and isinstance(answer.get("error"), str):
            raise self._token_error(answer["error"])
        try:
            found = tokens.read_answer(answer)
            if "id_token" in found:
                tokens.check_id_token(found["id_token"], self.issuer, self.client_id)
            elif params.get("grant_type") == "authorization_code":
                raise tokens.BadTokens("the answer to a login has no ID token")
        except tokens.BadTokens as error:
            self.log.error("The answer of Check-in's token endpoint cannot be used: %s", error)
            raise BadAnswer from error
        return found

    def _token_error(self, error: str) -> Exception:
        """Return the exception for an OAuth error. Of all of them only invalid_grant is about the user."""
        if error == "invalid_grant":
            return TokensRejected()
        self.log.error("Check-in's token endpoint gives the error %r", error[:100])
        return ScopeRejected() if error == "invalid_scope" else Trouble()

    async def token_to_user(self, token_info: dict[str, Any]) -> Any:
        """Return the userinfo of an access token, which must be about the subject of the ID token."""
        try:
            userinfo = await super().token_to_user({"token_type": "Bearer"} | token_info)
        except HTTPClientError as error:
            raise (TokensRejected if error.code in (400, 401, 403) else Trouble) from error
        subject = tokens.subject_of(token_info.get("id_token"))
        if subject and isinstance(userinfo, dict) and userinfo.get("sub") != subject:
            self.log.error("Check-in's userinfo is about another subject than its ID token")
            raise BadAnswer
        return userinfo

    def build_refresh_token_request_params(self, refresh_token: str) -> dict[str, str]:
        """Request the same scopes again: without them Check-in's answer has no ID token."""
        return super().build_refresh_token_request_params(refresh_token) | {"scope": " ".join(self.scope)}

    async def refreshed_tokens(self, auth_state: dict[str, Any]) -> dict[str, Any]:
        """Return new tokens. What the answer lacks is kept: refresh token and ID token."""
        params = self.build_refresh_token_request_params(auth_state["refresh_token"])
        try:
            answer = await self.get_token_info(None, params)
        except ScopeRejected:
            # Check-in has withdrawn one. Without the parameter the answer has those that are left.
            answer = await self.get_token_info(None, {name: params[name] for name in params if name != "scope"})
        kept = {name: auth_state[name] for name in ("refresh_token", "id_token") if auth_state.get(name)}
        old, new = (tokens.subject_of(found.get("id_token")) for found in (kept, answer))
        if old and new and old != new:
            self.log.error("Check-in's new ID token is about another subject than the one before")
            raise BadAnswer
        return kept | answer

    async def revoke(self, refresh_token: str) -> None:
        """Revoke a refresh token at Check-in. A failure is logged, as the hub forgets the token anyway."""
        params = self.build_refresh_token_request_params(refresh_token)
        del params["grant_type"], params["refresh_token"], params["scope"]
        try:
            await self._post(
                self.issuer + REVOKE, params | {"token": refresh_token, "token_type_hint": "refresh_token"}
            )
        except (HTTPClientError, Trouble) as error:
            self.log.error("A refresh token was not revoked at Check-in: %s", error)

    async def _post(self, url: str, params: dict[str, str]) -> Any:
        return await self.httpfetch(
            url,
            method="POST",
            headers=self.build_token_info_request_headers(),
            body=urlencode(params).encode(),
            validate_cert=self.validate_server_cert,
        )

    async def is_available(self) -> bool:
        """Return whether Check-in answers. One request serves all users, since anybody can make the hub send it."""
        now = time.monotonic()
        if self._availability is None or (
            self._availability.done() and now - self._availability_since >= AVAILABILITY_SECONDS
        ):
            self._availability, self._availability_since = asyncio.ensure_future(self._request_discovery()), now
        return await asyncio.shield(self._availability)

    async def _request_discovery(self) -> bool:
        try:
            await self.httpfetch(
                self.issuer + DISCOVERY, "asking whether Check-in answers", connect_timeout=5, request_timeout=5
            )
        except HTTPClientError as error:
            return error.code in (400, 401, 403)
        except Trouble:
            return False
        return True
