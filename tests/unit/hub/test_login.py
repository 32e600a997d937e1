# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Login, stay and logout, in a real hub with a Check-in that behaves well, badly, or not at all."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest
from tornado.httpclient import AsyncHTTPClient

spec = importlib.util.spec_from_file_location("world", Path(__file__).with_name("world.py"))
world = importlib.util.module_from_spec(spec)
spec.loader.exec_module(world)

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


@pytest.fixture
def play(configured, root, tmp_path):
    """A decorator that plays a scenario at once, in a hub with changed settings."""

    def with_settings(**changes):
        config = configured(**changes)

        def played(scenario):
            world.play(config, str(root / "roles/jupyterhub/files"), str(tmp_path), scenario)

        return played

    return with_settings


def error(response) -> str:
    """What an error page says."""
    return response.body.decode()


def test_a_member_comes_in_by_a_short_name_and_sees_their_own(play):
    @play()
    async def scenario(hub):
        hub.checkin.people["m"] = person(VO, name="Žofía <b>")
        browser = hub.browser()
        assert (await browser.log_in("m")).headers["Location"] == "/hub/home"
        page = (await browser.get("/hub/home")).body.decode()
        assert SHORT in page
        assert 'id="display-name">Žofía &lt;b&gt;</span>' in page
        (user,) = hub.app.users.values()
        assert user.name == SHORT
        assert not user.admin


def test_a_role_makes_an_admin_and_its_loss_an_ordinary_user(play):
    @play()
    async def scenario(hub):
        hub.checkin.people["m"] = person(f"{VO}:role=vm_operator")
        browser = hub.browser()
        await browser.log_in("m")
        (user,) = hub.app.users.values()
        assert user.admin
        hub.checkin.people["m"] = person(VO)
        user._auth_refreshed = None
        await browser.get("/hub/home")
        assert not user.admin
        assert {role.name for role in user.roles} == {"user"}


def test_an_outsider_is_told_which_vos_to_join(play):
    @play()
    async def scenario(hub):
        hub.checkin.people["o"] = person("other")
        page = await hub.browser().log_in("o")
        assert page.code == 403
        assert f"groupPath=/{VO}" in error(page)
        assert "groupPath=/vo.first" in error(page)
        assert not hub.app.users


def test_who_lacks_the_assurance_is_told_so(play):
    high = "https://aai.egi.eu/LoA#High"

    @play(vos=[{"name": VO, "assurance": [high]}])
    async def scenario(hub):
        hub.checkin.people["m"] = person(VO, eduperson_assurance=["https://aai.egi.eu/LoA#Low"])
        page = await hub.browser().log_in("m")
        assert page.code == 403
        assert VO in error(page)
        assert "LoA#High" in error(page)
        assert "groupPath" not in error(page)
        hub.checkin.people["m"]["eduperson_assurance"].append(high)
        assert (await hub.browser().log_in("m")).code == 302


HOSTILE = [
    {"entitlements": [URN.format(VO) + "\n"]},
    {"entitlements": [URN.format(f'{VO}"')]},
    {"entitlements": URN.format(f"other {VO}")},
    {"entitlements": {URN.format(VO): True}},
    {"entitlements": [[URN.format(VO)], None, 3]},
    {"entitlements": [URN.format(VO.replace("o", "\u043e"))]},
    {"entitlements": [URN.format("v" * 1_000_000)]},
    {"voperson_id": None},
    {"voperson_id": ["a"]},
    {"voperson_id": "a\nb"},
    {"voperson_id": {"a": "b"}},
    {"voperson_id": "x" * 100_000},
]


def test_hostile_claims_are_refused_with_a_page(play):
    @play()
    async def scenario(hub):
        for claims in [*(person(VO) | claims for claims in HOSTILE), None, [], "x", 3]:
            hub.checkin.people["m"] = claims
            page = await hub.browser().log_in("m")
            assert page.code == 403, str(claims)[:500]
            assert "Forbidden" in error(page)
        assert not hub.app.users


def test_hostile_claims_that_are_no_one_s_business_are_borne(play):
    @play()
    async def scenario(hub):
        hub.checkin.people["m"] = person(
            VO, name=["<script>"], preferred_username={"a": 1}, eduperson_assurance="x" * 10_000, email="a\nb"
        )
        hub.checkin.people["n"] = person(VO, voperson_id="\"';--<script>@egi.eu", name="<script>alert(1)</script>")
        for login in "mn":
            browser = hub.browser()
            assert (await browser.log_in(login)).code == 302
            page = await browser.get("/hub/home")
            assert page.code == 200
            assert "<script>alert" not in error(page)


def test_two_people_who_chose_one_name_have_a_server_each(play):
    @play()
    async def scenario(hub):
        hub.checkin.people |= {"m": person(VO), "n": person(VO, voperson_id="n@egi.eu")}
        for login in "mn":
            await hub.browser().log_in(login)
        assert len({user.name for user in hub.app.users.values()}) == 2


# --- Plain names, and the way from them to short ones ---


def test_a_plain_name_works_or_is_refused_with_a_page(play):
    """Case 4."""

    @play(user_names="preferred_username")
    async def scenario(hub):
        for given in ("Žofía.Ω", "a@b.eu"):
            hub.checkin.people["m"] = person(VO, preferred_username=given, voperson_id=given)
            assert (await hub.browser().log_in("m")).code == 302
        assert {user.name for user in hub.app.users.values()} == {"žofía.ω", "a@b.eu"}
        for given in ("https://id.example.org/0000-1", "a" * 200):
            hub.checkin.people["m"] = person(VO, preferred_username=given)
            page = await hub.browser().log_in("m")
            assert page.code == 403
            assert "operators" in error(page)


def test_a_plain_name_that_is_somebody_else_s_is_refused(play):
    @play(user_names="preferred_username")
    async def scenario(hub):
        hub.checkin.people |= {"m": person(VO), "n": person(VO, voperson_id="n@egi.eu")}
        assert (await hub.browser().log_in("m")).code == 302
        page = await hub.browser().log_in("n")
        assert page.code == 403
        assert "somebody else" in error(page)
        assert (await hub.browser().log_in("m")).code == 302


async def at_once(hub, logins):
    """Log in several people, each of whom is looked up before any of them is kept."""
    arrived, real = asyncio.Barrier(len(logins)), hub.authenticator.check_allowed

    async def check_allowed(*arguments):
        await arrived.wait()
        return await real(*arguments)

    hub.authenticator.check_allowed = check_allowed
    pages = await asyncio.gather(*(hub.browser().log_in(login) for login in logins))
    del hub.authenticator.check_allowed
    return pages


def test_of_two_who_come_at_once_with_one_plain_name_one_has_it(play):
    @play(user_names="preferred_username")
    async def scenario(hub):
        hub.checkin.people |= {"m": person(VO), "n": person(VO, voperson_id="n@egi.eu", name="Nina")}
        pages = dict(zip("mn", await at_once(hub, "mn"), strict=True))
        first, second = sorted("mn", key=lambda login: pages[login].code)
        assert (pages[first].code, pages[second].code) == (302, 403)
        assert "somebody else" in error(pages[second])
        (user,) = hub.app.users.values()
        identifier = hub.checkin.people[first]["voperson_id"]
        assert (await user.get_auth_state())["oauth_user"]["voperson_id"] == identifier
        assert hub.authenticator.display_names[user.name] == hub.checkin.people[first]["name"]
        # Nor later.
        assert (await hub.browser().log_in(second)).code == 403
        assert (await hub.browser().log_in(first)).code == 302


def test_a_login_that_fails_keeps_the_name_from_nobody(play):
    @play(user_names="preferred_username")
    async def scenario(hub):
        hub.checkin.people |= {"m": person("other"), "n": person(VO, voperson_id="n@egi.eu")}
        assert [page.code for page in await at_once(hub, "mn")] == [403, 302]


def test_one_person_may_come_twice_at_once(play):
    @play(user_names="preferred_username")
    async def scenario(hub):
        hub.checkin.people["m"] = person(VO)
        assert [page.code for page in await at_once(hub, "mm")] == [302, 302]


def test_who_has_moved_to_a_short_name_keeps_it_while_others_have_not(play):
    @play(user_names="preferred_username")
    async def scenario(hub):
        hub.checkin.people["m"] = person(VO)
        await hub.browser().log_in("m")
        (user,) = hub.app.users.values()
        assert user.name == "marta"
        user.name = SHORT
        hub.app.db.commit()
        assert (await hub.browser().log_in("m")).code == 302
        assert [user.name for user in hub.app.users.values()] == [SHORT]


def test_nobody_is_an_admin_by_the_name_that_they_chose(play, hub):
    @play(user_names="preferred_username")
    async def scenario(hub):
        hub.checkin.people["m"] = person(VO)
        await hub.browser().log_in("m")
        (user,) = hub.app.users.values()
        user.name = SHORT
        hub.app.db.commit()
        for admin, expected in (("marta", False), (SHORT, True)):
            hub.authenticator.admin_users = {admin}
            assert (await hub.browser().log_in("m")).code == 302
            assert user.admin is expected

    with pytest.raises(ValueError, match=r"admin_users must be names of egi .*; got marta\. Others may choose"):
        hub.authenticator.CheckinAuthenticator(admin_users={"marta", SHORT})


def test_users_are_reported_and_renamed_in_the_running_hub(play, hub):
    users = hub.users

    @play(user_names="preferred_username")
    async def scenario(hub):
        hub.checkin.people |= {
            "m": person(f"{VO}:role=vm_operator"),
            "n": person(VO, voperson_id="n@egi.eu", preferred_username="a@b.eu"),
        }
        browser = hub.browser()
        for login in "mn":
            await browser.log_in(login)
        api = users.Hub(f"{browser.base}/hub/api", world.SERVICE_TOKEN)
        report = users.report(await asyncio.to_thread(api.users))
        assert {move["name"]: move["new_name"] for move in report["moves"]}["marta"] == SHORT
        assert {move["home"] for move in report["moves"]} == {"marta", "a-40b-2eeu"}
        assert report["stays"] == []
        for _ in range(2):
            await asyncio.to_thread(api.rename, "marta", SHORT)
            assert await asyncio.to_thread(api.which, "marta", SHORT) == SHORT
        await browser.log_in("m")
        (again,) = users.report(await asyncio.to_thread(api.users))["moves"]
        assert again["name"] == "a@b.eu"
        assert SHORT in {user.name for user in hub.app.users.values()}


@pytest.mark.parametrize("logs_in", [True, False])
def test_who_was_renamed_has_servers_at_the_new_address(play, hub, logs_in):
    users = hub.users

    @play(user_names="preferred_username")
    async def scenario(hub):
        browser = await logged_in(hub, server=True)
        (user,) = hub.app.users.values()
        assert user.spawner.server.base_url == "/user/marta/"
        api = users.Hub(f"{browser.base}/hub/api", world.SERVICE_TOKEN)
        with pytest.raises(SystemExit, match="marta has a server"):
            await asyncio.to_thread(api.rename, "marta", SHORT)
        await user.stop()
        await asyncio.to_thread(api.rename, "marta", SHORT)
        # Not even if Check-in says nothing in between.
        hub.checkin.broken = {} if logs_in else {"userinfo": 503}
        if logs_in:
            await browser.log_in("m")
            assert user.url == f"/user/{SHORT}/"
        assert (await browser.get("/hub/spawn")).code == 302
        await ready(user)
        assert user.spawner.server.base_url == f"/user/{SHORT}/"
        assert f"/user/{SHORT}/" in hub.app.proxy.routes


def test_nobody_meets_an_empty_home_because_theirs_was_not_moved(play):
    @play()
    async def scenario(hub):
        hub.checkin.people["m"] = person(VO)
        # As before the change of names.
        hub.authenticator.settings = hub.authenticator.settings | {"user_names": "preferred_username"}
        await hub.browser().log_in("m")
        hub.authenticator.settings = hub.authenticator.settings | {"user_names": "voperson_id"}
        page = await hub.browser().log_in("m")
        assert page.code == 403
        assert "migrate_users" in error(page)
        # Somebody else of that name has nothing to do with it.
        hub.checkin.people["n"] = person(VO, voperson_id="n@egi.eu")
        assert (await hub.browser().log_in("n")).code == 302
        # Unless nobody knows whose it is.
        (marta,) = (user for user in hub.app.users.values() if user.name == "marta")
        await marta.save_auth_state(None)
        assert (await hub.browser().log_in("m")).code == 403


# --- Staying ---


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


SILENCES = [{"userinfo": 503}, {"userinfo": 404}, {"userinfo": 405}]


@pytest.mark.parametrize("silence", SILENCES)
def test_who_lost_the_vo_is_not_let_in_because_check_in_fell_silent(play, silence):
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
        hub.checkin.broken = silence
        assert is_sent_to_login(await browser.get("/hub/home"))
        assert is_sent_to_login(await browser.get("/hub/spawn"))
        assert not user.active
        hub.checkin.broken = {}
        hub.checkin.people["m"] = person(f"{VO}:role=vm_operator")
        assert (await browser.get("/hub/home")).code == 200
        assert user.admin
        hub.checkin.broken = silence
        stale(hub)
        assert (await browser.get("/hub/home")).code == 200


def restarted(hub):
    """Let the hub know no more than its database does."""
    for memory in (hub.authenticator.no_vo_since, hub.authenticator.no_tokens_since, hub.authenticator.rejected):
        memory.clear()
    return stale(hub)


def test_a_hub_that_starts_anew_in_a_silence_lets_nobody_in_who_lost_the_vo(play):
    @play(grace_seconds=600)
    async def scenario(hub):
        browser = await logged_in(hub, server=True)
        stale(hub)
        hub.checkin.people["m"] = person("other")
        assert is_sent_to_login(await browser.get("/hub/home"))
        hub.checkin.broken = SILENCES[0]
        user = restarted(hub)
        assert is_sent_to_login(await browser.get("/hub/home"))
        await hub.authenticator.check_server_owner(hub.app, user)
        assert user.spawner.ready
        hub.authenticator.no_vo_since[user.name] -= 601
        await hub.authenticator.check_server_owner(hub.app, user)
        assert not user.active


def test_who_must_log_in_anew_must_do_so_in_a_silence_too(play):
    @play()
    async def scenario(hub):
        browser = await logged_in(hub)
        stale(hub)
        hub.checkin.tokens.clear()
        hub.checkin.broken = {"token": 400}
        assert is_sent_to_login(await browser.get("/hub/home"))
        hub.checkin.broken = SILENCES[0]
        assert is_sent_to_login(await browser.get("/hub/home"))


def test_a_closed_account_stays_outside_when_the_hub_starts_anew_in_a_silence(play):
    @play(absence_seconds=3600)
    async def scenario(hub):
        hub.checkin.people["m"] = person(f"{VO}:role=vm_operator")
        browser = hub.browser()
        await browser.log_in("m")
        stale(hub)
        hub.checkin.tokens.clear()
        hub.checkin.broken = {"token": 400}
        assert is_sent_to_login(await browser.get("/hub/home"))
        for silence in SILENCES:
            hub.checkin.broken = silence | {"token": 503}
            user = restarted(hub)
            for page in ("/hub/home", "/hub/admin", "/hub/spawn"):
                assert is_sent_to_login(await browser.get(page))
            assert user.name in hub.authenticator.no_tokens_since
        # One login makes up for it, in a silence too.
        hub.checkin.broken = {}
        assert (await browser.log_in("m")).code == 302
        hub.checkin.broken = SILENCES[0]
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
        hub.checkin.broken = SILENCES[0]
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


def test_a_server_that_nobody_looks_at_is_found_too(play):
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
        monkeypatch.setattr(world.NoServer, "stop", stop)
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


def test_many_who_want_to_log_in_are_one_question(play):
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
        monkeypatch.setattr(world.NoServer, name, value, raising=False)
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


# --- Logout ---


async def stored_id_token(hub) -> str:
    (user,) = hub.app.users.values()
    return (await user.get_auth_state())["id_token"]


def test_logout_leads_to_check_in_with_a_proof_of_who_leaves(play):
    """Case 7."""

    @play(post_logout_redirect_url="https://notebooks.example.org/hub/login")
    async def scenario(hub):
        browser = await logged_in(hub)
        id_token = await stored_id_token(hub)
        answer = await browser.get("/hub/logout")
        target = urlsplit(answer.headers["Location"])
        assert f"{target.scheme}://{target.netloc}{target.path}" == (
            f"http://127.0.0.1:{hub.checkin.port}/protocol/openid-connect/logout"
        )
        assert parse_qs(target.query) == {
            "client_id": ["egi-notebooks"],
            "post_logout_redirect_uri": ["https://notebooks.example.org/hub/login"],
            "id_token_hint": [id_token],
        }
        assert is_sent_to_login(await browser.get("/hub/home"))
        # Nobody is logged in any more: there is nothing to prove.
        again = await browser.get("/hub/logout")
        assert "id_token_hint" not in again.headers["Location"]


@pytest.mark.parametrize(
    "url",
    [
        "https://site.example.org/bye",
        "https://site.example.org/bye?from=hub",
        "https://site.example.org/protocol/openid-connect/logout?client_id=egi-notebooks",
    ],
)
def test_a_page_of_the_site_s_own_gets_no_proof_of_who_leaves(play, url):
    @play()
    async def scenario(hub):
        browser = await logged_in(hub)
        hub.authenticator.logout_redirect_url = url
        answer = await browser.get("/hub/logout")
        assert (answer.code, answer.headers["Location"]) == (302, url)
        assert is_sent_to_login(await browser.get("/hub/home"))


def test_without_a_page_to_lead_to_logout_ends_on_the_hub_s_own(play):
    @play()
    async def scenario(hub):
        browser = await logged_in(hub)
        hub.authenticator.logout_redirect_url = ""
        answer = await browser.get("/hub/logout")
        assert is_sent_to_login(answer)
        assert "id_token" not in answer.headers["Location"]


def test_a_proof_is_added_to_a_bare_address_of_check_in_too(play):
    @play()
    async def scenario(hub):
        browser = await logged_in(hub)
        id_token = await stored_id_token(hub)
        hub.authenticator.logout_redirect_url = hub.authenticator.logout_redirect_url.partition("?")[0]
        answer = await browser.get("/hub/logout")
        assert answer.headers["Location"] == f"{hub.authenticator.logout_redirect_url}?id_token_hint={id_token}"


def test_state_of_logins_does_not_pile_up(play):
    """Case 9: a stale tab begins a login every few seconds."""

    @play()
    async def scenario(hub):
        hub.checkin.people["m"] = person(VO, *(f"vo{number}:role=member" for number in range(120)))
        browser = hub.browser()
        for _ in range(30):
            await browser.get("/hub/oauth_login?next=%2Fhub%2Fuser%2Fx%2Flab%2Ftree%2Fnotebook.ipynb")
        assert (await browser.log_in("m")).code == 302
        page = await browser.get("/hub/home")
        assert page.code == 200
        assert "oauthenticator-state" not in browser.cookies
        assert len(str(browser.cookies)) < 2000
