# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real hub in this process, without cluster and proxy, and a Check-in with the answers that a test wants."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import jwt
from jupyterhub import crypto
from jupyterhub.app import JupyterHub
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import Spawner
from jupyterhub.utils import random_port
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from traitlets.config import Config

PROTOCOL = "/protocol/openid-connect"
#: Of the service that the role gives to the hub for the migration.
SERVICE_TOKEN = "secret-token-of-a-service"


class Checkin:
    """The provider: people by their login, tokens, and the state it is in."""

    def __init__(self) -> None:
        self.people: dict[str, Any] = {}
        self.tokens: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.lifetime = 3600
        #: What each endpoint answers in place of its own answer.
        self.broken: dict[str, int] = {}
        self.error = "invalid_grant"
        #: The refresh tokens that can be used once more, if they are for one use.
        self.unspent: set[str] | None = None
        #: Other values in the answer of the token endpoint, or another body; ``...`` leaves a value out.
        self.token_changes: dict[str, Any] = {}
        self.token_body: bytes | None = None
        #: Other claims in ID tokens.
        self.id_changes: dict[str, Any] = {}
        #: Scopes that are not granted.
        self.withdrawn: set[str] = set()
        self.port = random_port()
        self.server: HTTPServer | None = None

    def open(self) -> None:
        self.server = web.Application([("/.*", Answer, {"checkin": self})]).listen(self.port, "127.0.0.1")

    def close(self) -> None:
        self.server.stop()
        # A connection that is kept alive would go on.
        asyncio.ensure_future(self.server.close_all_connections())

    def grant(self, login: str) -> dict[str, Any]:
        token = f"access-{login}-{len(self.tokens)}"
        self.tokens[token] = login
        refresh_token = f"refresh-{login}"
        if self.unspent is not None:
            refresh_token += f"-{len(self.tokens)}"
            self.unspent.add(refresh_token)
        answer = {
            "access_token": token,
            "token_type": "Bearer",
            "refresh_token": refresh_token,
            "id_token": self.id_token(login),
            "expires_in": self.lifetime,
        } | self.token_changes
        return {name: value for name, value in answer.items() if value is not ...}

    def id_token(self, login: str) -> str:
        claims = {
            "iss": f"http://127.0.0.1:{self.port}",
            "sub": f"sub-{login}",
            "aud": "egi-notebooks",
            "exp": int(time.time()) + 300,
        } | self.id_changes
        return jwt.encode({name: value for name, value in claims.items() if value is not ...}, "k" * 32)

    def userinfo(self, token: str) -> Any:
        person, login = self.people[self.tokens[token]], self.tokens[token]
        # People may be anything, not only a mapping.
        return {"sub": f"sub-{login}"} | person if isinstance(person, dict) else person

    @property
    def revoked(self) -> list[str]:
        return [form["token"] for kind, form in self.asked if kind == "revoke"]


class Answer(web.RequestHandler):
    """Token and userinfo endpoint, and any other address, such as that of a user's server."""

    def initialize(self, checkin: Checkin) -> None:
        self.checkin = checkin

    def prepare(self) -> None:
        status = self.checkin.broken.get(self.request.path.rpartition("/")[2])
        if status:
            self.set_status(status)
            self.finish({"error": self.checkin.error})

    def get(self) -> None:
        if self.request.path == f"{PROTOCOL}/userinfo":
            token = self.request.headers["Authorization"].removeprefix("Bearer ")
            if token not in self.checkin.tokens:
                raise web.HTTPError(401)
            self.finish(json.dumps(self.checkin.userinfo(token)).encode())
        else:
            self.finish({})

    def post(self) -> None:
        form = {key: values[0].decode() for key, values in self.request.body_arguments.items()}
        if self.request.path == f"{PROTOCOL}/revoke":
            self.checkin.asked.append(("revoke", form))
            return
        self.checkin.asked.append((form["grant_type"], form))
        if self.checkin.withdrawn & set(form.get("scope", "").split()):
            self.set_status(400)
            self.finish({"error": "invalid_scope"})
            return
        if self.checkin.token_body is not None:
            self.finish(self.checkin.token_body)
            return
        spent = form.get("refresh_token")
        if spent and self.checkin.unspent is not None:
            if spent not in self.checkin.unspent:
                self.set_status(400)
                self.finish({"error": "invalid_grant"})
                return
            self.checkin.unspent.remove(spent)
        self.finish(self.checkin.grant(spent.split("-")[1] if spent else form["code"]))


class NoProxy(Proxy):
    """Remembers routes."""

    async def start(self) -> None: ...

    async def add_route(self, routespec, target, data) -> None:
        self.routes = {
            **getattr(self, "routes", {}),
            routespec: {"routespec": routespec, "target": target, "data": data},
        }

    async def delete_route(self, routespec) -> None:
        self.routes.pop(routespec, None)

    async def get_all_routes(self) -> dict:
        return getattr(self, "routes", {})


class NoServer(Spawner):
    """A user's server that runs when it is started; Check-in answers in its place."""

    port_of_all = 0
    runs = False

    async def start(self):
        self.runs = True
        return "127.0.0.1", self.port_of_all

    async def stop(self, now=False) -> None:
        self.runs = False

    async def poll(self):
        return None if self.runs else 0


class Browser:
    """A person's browser, which follows no redirect by itself."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.cookies: dict[str, str] = {}

    async def get(self, path: str, **headers: str) -> HTTPResponse:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = await AsyncHTTPClient().fetch(
            urljoin(self.base, path), follow_redirects=False, raise_error=False, headers={"Cookie": cookies} | headers
        )
        for line in response.headers.get_list("Set-Cookie"):
            name, value = re.match(r"([^=]+)=([^;]*)", line).groups()
            self.cookies[name] = value
            if value in ("", '""'):
                del self.cookies[name]
        return response

    async def log_in(self, login: str) -> HTTPResponse:
        """Go to Check-in and come back as this person."""
        to_checkin = await self.get("/hub/oauth_login?next=%2Fhub%2Fhome")
        if to_checkin.code != 302:
            return to_checkin
        query = parse_qs(urlsplit(to_checkin.headers["Location"]).query)
        assert query["code_challenge_method"] == ["S256"]
        return await self.get("/hub/oauth_callback?" + urlencode({"code": login, "state": query["state"][0]}))


# --- What scenarios do ---

VO = "vo.notebooks.egi.eu"
URN = "urn:mace:egi.eu:group:{}#aai.egi.eu"
SHORT = "egiw4ndreq74crpqgzjlvxozperlf"


def person(*groups, **claims):
    return {
        "voperson_id": f"{'0123456789abcdef' * 4}@egi.eu",
        "preferred_username": "marta",
        "name": "Marta Member",
        "entitlements": [URN.format(group) for group in groups],
    } | claims


def error(response) -> str:
    """What an error page says."""
    return response.body.decode()


def stale(hub):
    """Let the hub's last answers about everybody be too old."""
    (user,) = hub.app.users.values()
    user._auth_refreshed = None
    hub.authenticator._checked_at.clear()
    return user


async def logged_in(hub, *groups, server=False):
    hub.checkin.people["m"] = person(*(groups or (VO,)))
    browser = hub.browser()
    await browser.log_in("m")
    if server:
        answer = await browser.get("/hub/spawn")
        assert answer.code == 302, error(answer)
        (user,) = hub.app.users.values()
        await ready(user)
    return browser


async def ready(user):
    """Wait for the user's server."""
    await until(lambda: user.spawner.ready)


async def until(true):
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.05)


def is_sent_to_login(response) -> bool:
    return response.code == 302 and response.headers["Location"].startswith("/hub/login")


OUTAGES = [{"userinfo": 503}, {"userinfo": 404}, {"userinfo": 405}]


def restarted(hub):
    """Let the hub know no more than its database does."""
    for memory in (hub.authenticator.no_vo_since, hub.authenticator.no_tokens_since, hub.authenticator.rejected):
        memory.clear()
    return stale(hub)


async def stored_id_token(hub) -> str:
    (user,) = hub.app.users.values()
    return (await user.get_auth_state())["id_token"]


Scenario = Callable[[SimpleNamespace], Awaitable[None]]


def play(config: Config, templates: str, folder: str, scenario: Scenario) -> None:
    """Run a scenario with a hub and a Check-in."""

    async def run() -> None:
        checkin = Checkin()
        issuer, port = f"http://127.0.0.1:{checkin.port}", random_port()
        config.GenericOAuthenticator.update(
            authorize_url=f"{issuer}{PROTOCOL}/auth",
            token_url=f"{issuer}{PROTOCOL}/token",
            userdata_url=f"{issuer}{PROTOCOL}/userinfo",
            logout_redirect_url=f"{issuer}{PROTOCOL}/logout?"
            + urlsplit(config.GenericOAuthenticator.logout_redirect_url).query,
            client_secret="s",
        )
        config.CryptKeeper.setdefault("keys", ["ab" * 32])
        NoServer.port_of_all = checkin.port
        config.JupyterHub.update(
            bind_url=f"http://127.0.0.1:{port}",
            hub_bind_url=f"http://127.0.0.1:{port}",
            db_url="sqlite:///:memory:",
            cookie_secret_file=f"{folder}/cookie_secret",
            services=[{"name": "migrate-users", "admin": True, "api_token": SERVICE_TOKEN}],
            proxy_class=NoProxy,
            spawner_class=NoServer,
            template_paths=[templates],
            cleanup_servers=False,
            log_level=50,
        )
        checkin.open()
        app = JupyterHub.instance(config=config)
        await app.initialize([])
        await app.start()
        try:
            browser = lambda: Browser(f"http://127.0.0.1:{port}")  # noqa: E731 (a person opens a browser)
            await scenario(SimpleNamespace(app=app, checkin=checkin, authenticator=app.authenticator, browser=browser))
        finally:
            checkin.close()
            app.http_server.stop()
            # Nothing is left to be cleaned up when this process ends.
            app._atexit_ran = True

    try:
        asyncio.run(run())
    finally:
        JupyterHub.clear_instance()
        crypto.CryptKeeper.clear_instance()
