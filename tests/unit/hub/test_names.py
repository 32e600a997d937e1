# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain user names, and the migration from them to short ones."""

from __future__ import annotations

import asyncio

import hub_world
import pytest
from hub_world import SHORT, VO, error, logged_in, person, ready


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
        api = users.Hub(f"{browser.base}/hub/api", hub_world.SERVICE_TOKEN)
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
        api = users.Hub(f"{browser.base}/hub/api", hub_world.SERVICE_TOKEN)
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
