# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long users stay: checks, outages, tokens, and what ends when."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

import aiohttp
import hub_world
import jwt
import pytest
from hub_world import OUTAGES, SHORT, VO, error, is_sent_to_login, logged_in, person, ready, restarted, stale, until
from tornado.httpclient import AsyncHTTPClient


def test_who_lost_the_vo_loses_the_session_at_once_and_the_server_after_the_grace_time(play):
    @play(grace_seconds=600)
    async def scenario(hub):
        browser = await logged_in(hub, server=True)
        user = stale(hub)
        token = user.new_api_token()
        hub.checkin.people["m"] = person("other")
        assert is_sent_to_login(await browser.get("/hub/home"))
        # Not only once: the hub does not fall back to what it believed before.
        assert is_sent_to_login(await browser.get("/hub/home"))
        asked = await hub.browser().get("/hub/api/user", Authorization=f"token {token}")
        assert asked.code == 403
        await hub.authenticator.check_server_owner(hub.app, user)
        assert user.spawner.ready
        hub.authenticator.no_vo_since[user.name] -= 601
        await hub.authenticator.check_server_owner(hub.app, user)
        assert not user.active
        assert user.api_tokens == []
        assert not hub.authenticator.no_vo_since
        assert (await browser.log_in("m")).code == 403


@pytest.mark.parametrize("outage", OUTAGES)
def test_who_lost_the_vo_is_not_let_in_during_an_outage(play, outage):
    @play(grace_seconds=0)
    async def scenario(hub):
        browser = await logged_in(hub, f"{VO}:role=vm_operator")
        user = stale(hub)
        assert user.admin
        hub.checkin.people["m"] = person("other")
        assert is_sent_to_login(await browser.get("/hub/home"))
        assert not user.admin
        assert {role.name for role in user.roles} == {"user"}
        assert user.groups == []
        # Also when nothing of theirs runs any more.
        await hub.authenticator.check_server_owner(hub.app, user)
        assert not hub.authenticator.no_vo_since
        hub.checkin.broken = outage
        assert is_sent_to_login(await browser.get("/hub/home"))
        assert is_sent_to_login(await browser.get("/hub/spawn"))
        assert not user.active
        hub.checkin.broken = {}
        hub.checkin.people["m"] = person(f"{VO}:role=vm_operator")
        assert (await browser.get("/hub/home")).code == 200
        assert user.admin
        hub.checkin.broken = outage
        stale(hub)
        assert (await browser.get("/hub/home")).code == 200


def test_a_hub_that_restarts_in_an_outage_admits_nobody_who_lost_the_vo(play):
    @play(grace_seconds=600)
    async def scenario(hub):
        browser = await logged_in(hub, server=True)
        stale(hub)
        hub.checkin.people["m"] = person("other")
        assert is_sent_to_login(await browser.get("/hub/home"))
        hub.checkin.broken = OUTAGES[0]
        user = restarted(hub)
        assert is_sent_to_login(await browser.get("/hub/home"))
        await hub.authenticator.check_server_owner(hub.app, user)
        assert user.spawner.ready
        hub.authenticator.no_vo_since[user.name] -= 601
        await hub.authenticator.check_server_owner(hub.app, user)
        assert not user.active


def test_who_must_log_in_again_must_do_so_in_an_outage_too(play):
    @play()
    async def scenario(hub):
        browser = await logged_in(hub)
        stale(hub)
        hub.checkin.tokens.clear()
        hub.checkin.broken = {"token": 400}
        assert is_sent_to_login(await browser.get("/hub/home"))
        hub.checkin.broken = OUTAGES[0]
        assert is_sent_to_login(await browser.get("/hub/home"))


def test_a_closed_account_stays_outside_when_the_hub_restarts_in_an_outage(play):
    @play(absence_seconds=3600)
    async def scenario(hub):
        hub.checkin.people["m"] = person(f"{VO}:role=vm_operator")
        browser = hub.browser()
        await browser.log_in("m")
        stale(hub)
        hub.checkin.tokens.clear()
        hub.checkin.broken = {"token": 400}
        assert is_sent_to_login(await browser.get("/hub/home"))
        for outage in OUTAGES:
            hub.checkin.broken = outage | {"token": 503}
            user = restarted(hub)
            for page in ("/hub/home", "/hub/admin", "/hub/spawn"):
                assert is_sent_to_login(await browser.get(page))
            assert user.name in hub.authenticator.no_tokens_since
        # One login makes up for it, in an outage too.
        hub.checkin.broken = {}
        assert (await browser.log_in("m")).code == 302
        hub.checkin.broken = OUTAGES[0]
        restarted(hub)
        assert (await browser.get("/hub/admin")).code == 200


def test_whom_a_site_blocks_is_outside_at_the_next_check(play):
    @play(grace_seconds=0)
    async def scenario(hub):
        browser = await logged_in(hub, server=True)
        user = stale(hub)
        hub.authenticator.blocked_users = {SHORT}
        assert is_sent_to_login(await browser.get("/hub/home"))
        await hub.authenticator.check_server_owner(hub.app, user)
        assert not user.active
        assert (await browser.log_in("m")).code == 403
        hub.checkin.broken = OUTAGES[0]
        restarted(hub)
        assert is_sent_to_login(await browser.get("/hub/home"))


def test_who_is_back_in_the_grace_time_goes_on_working(play):
    @play()
    async def scenario(hub):
        browser = await logged_in(hub, server=True)
        user = stale(hub)
        hub.checkin.people["m"] = person("other")
        assert is_sent_to_login(await browser.get("/hub/home"))
        hub.checkin.people["m"] = person(VO)
        assert (await browser.get("/hub/home")).code == 200
        assert not hub.authenticator.no_vo_since
        await hub.authenticator.check_server_owner(hub.app, user)
        assert user.spawner.ready


def test_a_server_that_nobody_uses_is_checked_too(play):
    @play(grace_seconds=0)
    async def scenario(hub):
        await logged_in(hub, server=True)
        user = stale(hub)
        await hub.authenticator.check_server_owner(hub.app, user)
        assert user.spawner.ready
        hub.authenticator._checked_at.clear()
        hub.checkin.people["m"] = person()
        await hub.authenticator.check_server_owner(hub.app, user)
        assert not user.active


def test_a_server_that_does_not_stop_holds_up_nobody_else_s_loss(play, hub, monkeypatch):
    monkeypatch.setattr(hub.sessions, "ROUND_SECONDS", 0.05)
    stopping, goes_on = [], asyncio.Event()

    async def stop(spawner, now=False):
        stopping.append(spawner.user.name)
        if len(stopping) <= 6:
            await goes_on.wait()
        spawner.runs = False

    @play(grace_seconds=0)
    async def scenario(hub):
        logins = "abcdefgh"
        hub.checkin.people |= {login: person(VO, voperson_id=f"{login}@egi.eu") for login in logins}
        for login in logins:
            browser = hub.browser()
            await browser.log_in(login)
            await browser.get("/hub/spawn")
        users = list(hub.app.users.values())
        for user in users:
            await ready(user)
        monkeypatch.setattr(hub_world.NoServer, "stop", stop)
        hub.checkin.people |= {login: person("other", voperson_id=f"{login}@egi.eu") for login in logins}
        hub.authenticator._checked_at.clear()
        # Six servers hang, more than are asked about at once.
        await until(lambda: [user.active for user in users].count(False) == 2)
        assert len(stopping) == 8
        goes_on.set()
        await until(lambda: not any(user.active for user in users))
        # Nobody's was stopped twice.
        assert len(stopping) == 8


def test_nobody_starts_a_server_after_they_lost_the_vo(play):
    @play()
    async def scenario(hub):
        browser = await logged_in(hub)
        (user,) = hub.app.users.values()
        hub.checkin.people["m"] = person("other")
        answer = await browser.get("/hub/spawn")
        assert answer.code in (302, 403)
        assert not user.active
        assert is_sent_to_login(await browser.get("/hub/home"))


def test_a_provider_in_trouble_changes_nothing_for_those_inside(play):
    """Case 6."""

    @play()
    async def scenario(hub):
        hub.checkin.lifetime = 0
        browser = await logged_in(hub, server=True)
        for endpoint in ("userinfo", "token"):
            for status in (503, 500, 429, 404, 405):
                user = stale(hub)
                hub.checkin.broken = {endpoint: status}
                assert (await browser.get("/hub/home")).code == 200
                hub.authenticator._checked_at.clear()
                await hub.authenticator.check_server_owner(hub.app, user)
                assert user.spawner.ready
                assert not hub.authenticator.no_vo_since


@pytest.mark.parametrize(
    ("status", "said"), [(401, "unauthorized_client"), (400, "unauthorized_client"), (400, "invalid_client")]
)
def test_a_provider_that_does_not_know_the_hub_sends_nobody_away(play, status, said):
    @play()
    async def scenario(hub):
        hub.checkin.lifetime = 0
        browser = await logged_in(hub, server=True)
        user = stale(hub)
        hub.checkin.broken, hub.checkin.error = {"token": status}, said
        assert (await browser.get("/hub/home")).code == 200
        assert user.spawner.ready
        assert not hub.authenticator.no_tokens_since
        page = await hub.browser().log_in("m")
        assert page.code == 503


def test_no_provider_at_all_changes_nothing_for_those_inside_and_is_told_to_others(play):
    """Case 6."""

    @play()
    async def scenario(hub):
        browser = await logged_in(hub, server=True)
        user = stale(hub)
        hub.checkin.close()
        assert (await browser.get("/hub/home")).code == 200
        assert user.spawner.ready
        page = await hub.browser().log_in("m")
        assert page.code == 503
        assert "EGI Check-in does not answer at the moment" in error(page)


def test_many_logins_at_once_are_one_request_for_discovery(play):
    @play()
    async def scenario(hub):
        asked = []

        async def ask(*arguments, **_):
            asked.append(arguments)
            await asyncio.sleep(0.2)

        hub.authenticator.httpfetch = ask
        for _ in range(2):
            pages = await asyncio.gather(*(hub.browser().get("/hub/oauth_login") for _ in range(8)))
            assert {page.code for page in pages} == {302}
        assert len(asked) == 1
        hub.authenticator._availability_since -= 3
        await hub.browser().get("/hub/oauth_login")
        assert len(asked) == 2


def test_a_provider_in_trouble_in_the_midst_of_a_login_is_told(play):
    @play()
    async def scenario(hub):
        hub.checkin.people["m"] = person(VO)
        for endpoint in ("userinfo", "token"):
            for status, told in ((503, "EGI Check-in does not answer"), (400, "Please log in once more")):
                hub.checkin.broken = {endpoint: status}
                page = await hub.browser().log_in("m")
                assert page.code == status
                assert told in error(page)


def test_an_expired_refresh_token_means_one_login_and_no_harm_to_the_server(play):
    """Case 6."""

    @play()
    async def scenario(hub):
        browser = await logged_in(hub, server=True)
        user = stale(hub)
        hub.checkin.tokens.clear()
        hub.checkin.broken = {"token": 400}
        assert is_sent_to_login(await browser.get("/hub/home"))
        hub.authenticator._checked_at.clear()
        await hub.authenticator.check_server_owner(hub.app, user)
        assert user.spawner.ready
        assert not hub.authenticator.no_vo_since
        hub.checkin.broken = {}
        assert (await browser.log_in("m")).code == 302
        assert (await browser.get("/hub/home")).code == 200


async def without_tokens(hub, **broken):
    """Somebody with a server whose tokens Check-in refuses since now."""
    browser = await logged_in(hub, server=True)
    user = stale(hub)
    hub.checkin.tokens.clear()
    hub.checkin.broken = {"token": 400}
    await hub.authenticator.check_server_owner(hub.app, user)
    assert user.spawner.ready
    hub.checkin.broken = broken
    return browser, user


def test_a_refused_login_is_news_of_somebody_whose_tokens_are_dead(play):
    @play(grace_seconds=600)
    async def scenario(hub):
        browser, user = await without_tokens(hub)
        hub.checkin.people["m"] = person("other")
        assert (await browser.log_in("m")).code == 403
        assert user.name in hub.authenticator.no_vo_since
        # The new tokens know it too, after a restart at the latest.
        user = restarted(hub)
        await hub.authenticator.check_server_owner(hub.app, user)
        hub.authenticator.no_vo_since[user.name] -= 601
        await hub.authenticator.check_server_owner(hub.app, user)
        assert not user.active


def test_a_refused_login_is_no_news_of_somebody_else_with_that_name(play):
    @play(user_names="preferred_username", grace_seconds=0)
    async def scenario(hub):
        await logged_in(hub, server=True)
        (user,) = hub.app.users.values()
        state = await user.get_auth_state()
        # A user of a hub that did not ask for identifiers.
        del state["oauth_user"]["voperson_id"]
        await user.save_auth_state(state)
        hub.checkin.people["n"] = person("other", voperson_id="n@egi.eu")
        assert (await hub.browser().log_in("n")).code == 403
        assert not hub.authenticator.no_vo_since
        assert user.spawner.ready


def test_a_server_does_not_outlive_its_owner_s_absence_for_ever(play):
    @play(absence_seconds=3600)
    async def scenario(hub):
        browser, user = await without_tokens(hub)
        hub.authenticator.no_tokens_since[user.name] -= 3000
        assert (await browser.log_in("m")).code == 302
        stale(hub)
        await hub.authenticator.check_server_owner(hub.app, user)
        assert not hub.authenticator.no_tokens_since
        hub.checkin.tokens.clear()
        hub.checkin.broken = {"token": 400}
        stale(hub)
        token = user.new_api_token()
        await hub.authenticator.check_server_owner(hub.app, user)
        assert user.spawner.ready
        hub.authenticator.no_tokens_since[user.name] -= 3601
        await hub.authenticator.check_server_owner(hub.app, user)
        assert not user.active
        # They are not known to have lost anything.
        hub.checkin.broken = {}
        await browser.log_in("m")
        assert (await hub.browser().get("/hub/api/user", Authorization=f"token {token}")).code == 200


def test_a_busy_server_is_not_idle_because_its_owner_is_absent(play):
    @play(grace_seconds=600)
    async def scenario(hub):
        browser, user = await without_tokens(hub)
        token = {"Authorization": f"token {user.spawner.api_token}"}

        async def report(day: str) -> tuple[int, str]:
            body = json.dumps({"servers": {"": {"last_activity": f"{day}T00:00:00Z"}}})
            url = f"{browser.base}/hub/api/users/{user.name}/activity"
            answer = await AsyncHTTPClient().fetch(url, method="POST", headers=token, body=body, raise_error=False)
            hub.app.db.refresh(user.spawner.orm_spawner)
            return answer.code, user.spawner.orm_spawner.last_activity.strftime("%F")

        user.spawner.orm_spawner.last_activity = datetime(2020, 1, 1)
        hub.app.db.commit()
        hub.checkin.broken = {"token": 400}
        assert await report("2020-01-02") == (200, "2020-01-02")
        # It opens nothing else, not even for a moment.
        assert (await hub.browser().get("/hub/api/user", **token)).code == 403
        assert is_sent_to_login(await browser.get("/hub/home"))
        hub.checkin.broken = {}
        hub.checkin.people["m"] = person("other")
        assert (await browser.log_in("m")).code == 403
        assert await report("2020-01-03") == (403, "2020-01-02")


def test_a_token_is_renewed_at_half_its_time_for_the_same_scopes(play):
    @play(offline_access=True)
    async def scenario(hub):
        browser = await logged_in(hub)
        user = stale(hub)
        await browser.get("/hub/home")
        assert [grant for grant, _ in hub.checkin.asked] == ["authorization_code"]
        state = await user.get_auth_state()
        state["token_response"]["obtained_at"] -= 2000
        await user.save_auth_state(state)
        stale(hub)
        await browser.get("/hub/home")
        grant, form = hub.checkin.asked[-1]
        assert grant == "refresh_token"
        assert form["scope"].split()[0] == "openid"
        assert form["scope"].split()[-1] == "offline_access"
        renewed = await user.get_auth_state()
        assert renewed["access_token"] != state["access_token"]
        assert renewed["refresh_token"] == "refresh-m"
        assert jwt.decode(renewed["id_token"], options={"verify_signature": False})["sub"] == "sub-m"


def test_a_renewed_token_reaches_the_running_server(play, hub, monkeypatch):
    stored = []

    async def store(spawner, token):
        stored.append((spawner.user.name, token))

    monkeypatch.setattr(hub.servers, "store_access_token", store)

    @play(offline_access=True, access_token_file=True)
    async def scenario(hub):
        hub.checkin.lifetime = 1
        await logged_in(hub, server=True)
        user = stale(hub)
        await asyncio.sleep(0.6)
        await hub.authenticator.check_server_owner(hub.app, user)
        assert stored[-1] == (SHORT, (await user.get_auth_state())["access_token"])
        # The server's own environment has none.
        assert "access-" not in str(user.spawner.get_env())


@pytest.fixture
def written(hub, monkeypatch):
    """The access tokens in users' files; a write fails as long as there is something in ``written.broken``."""

    class Api:
        broken = False
        file = None

        async def patch_namespaced_secret(self, name, namespace, body):
            if self.broken:
                raise OSError("no route to the cluster")
            self.file = body["stringData"]["access_token"]
            return body

    api = Api()
    for name, value in {"api": api, "namespace": "x", "pod_name": "y"}.items():
        monkeypatch.setattr(hub_world.NoServer, name, value, raising=False)
    return api


def test_a_new_login_reaches_the_running_server(play, written):
    @play(offline_access=True, access_token_file=True)
    async def scenario(hub):
        browser = await logged_in(hub, server=True)
        await browser.log_in("m")
        user = stale(hub)
        await hub.authenticator.check_server_owner(hub.app, user)
        assert written.file == (await user.get_auth_state())["access_token"]
        # What is in the file already is not written again.
        written.file = None
        hub.authenticator._checked_at.clear()
        await hub.authenticator.check_server_owner(hub.app, user)
        assert written.file is None


def test_a_token_that_could_not_be_written_is_written_at_the_next_check(play, written):
    @play(offline_access=True, access_token_file=True)
    async def scenario(hub):
        browser = await logged_in(hub, server=True)
        user = stale(hub)
        written.broken = True
        assert (await browser.get("/hub/home")).code == 200
        assert written.file is None
        written.broken = False
        stale(hub)
        await hub.authenticator.check_server_owner(hub.app, user)
        assert written.file == (await user.get_auth_state())["access_token"]


@pytest.mark.parametrize("trouble", ["hangs", "hangs up"])
def test_a_cluster_that_does_not_answer_keeps_nobody_out(play, hub, written, monkeypatch, trouble):
    async def call(self, name, namespace, body):
        if trouble == "hangs up":
            raise aiohttp.ServerDisconnectedError
        await asyncio.sleep(60)

    monkeypatch.setattr(hub.servers, "API_SECONDS", 0.2)

    @play(offline_access=True, access_token_file=True)
    async def scenario(hub):
        browser = await logged_in(hub, server=True)
        user = stale(hub)
        monkeypatch.setattr(type(written), "patch_namespaced_secret", call)
        user.spawner.token_in_file = None
        async with asyncio.timeout(5):
            assert (await browser.get("/hub/home")).code == 200


def test_a_refresh_token_for_one_use_outlives_a_userinfo_that_fails(play):
    @play()
    async def scenario(hub):
        hub.checkin.unspent = set()
        hub.checkin.lifetime = 0
        browser = await logged_in(hub)
        stale(hub)
        hub.checkin.broken = {"userinfo": 503}
        assert (await browser.get("/hub/home")).code == 200
        hub.checkin.broken = {}
        user = stale(hub)
        assert (await browser.get("/hub/home")).code == 200
        assert (await user.get_auth_state())["refresh_token"] in hub.checkin.unspent


def test_a_refresh_token_for_one_use_is_used_once(play):
    @play()
    async def scenario(hub):
        hub.checkin.lifetime = 0
        browser = await logged_in(hub)
        stale(hub)
        hub.checkin.asked.clear()
        hub.checkin.lifetime = 3600
        await asyncio.gather(*(browser.get("/hub/home") for _ in range(5)))
        assert [grant for grant, _ in hub.checkin.asked] == ["refresh_token"]
