# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real hub and odd, wrong or missing answers of Check-in; and pages of logins that end without one."""

from __future__ import annotations

import asyncio
import itertools
import json
from urllib.parse import urlencode

import pytest
from hub_world import SHORT, URN, VO, error, is_sent_to_login, logged_in, person, stale

SECRET = "s3cret-of-the-answer"


async def state_of(hub):
    (user,) = hub.app.users.values()
    return await user.get_auth_state()


ODD_LOGINS = [
    b"null",
    b"[]",
    b'"x"',
    b"",
    b"<html>" + SECRET.encode(),
    json.dumps({"token": SECRET}).encode(),
    json.dumps({"access_token": [SECRET]}).encode(),
    json.dumps({"access_token": None, "x": SECRET}).encode(),
    json.dumps({"access_token": f"{SECRET}\n"}).encode(),
    json.dumps({"access_token": SECRET, "error_description": SECRET, "error": "server_error"}).encode(),
    # No ID token, which a login must have.
    json.dumps({"access_token": SECRET}).encode(),
]


def test_an_odd_answer_to_a_login_is_no_error_of_the_hub_and_on_no_page(play):
    @play()
    async def scenario(hub):
        hub.checkin.people["m"] = person(VO)
        for body in ODD_LOGINS:
            hub.checkin.token_body = body
            page = await hub.browser().log_in("m")
            assert page.code in (502, 503), body
            assert SECRET not in error(page)
            assert "EGI Check-in" in error(page)
        assert not hub.app.users


ODD_VALUES = [
    {"expires_in": "3600"},
    {"expires_in": None},
    {"expires_in": {"x": 1}},
    {"expires_in": ...},
    {"token_type": None},
    {"token_type": ...},
    {"scope": None},
    {"scope": {"x": 1}},
    {"refresh_token": None},
    {"refresh_token": ["x"]},
]


def test_odd_values_beside_a_good_access_token_keep_nobody_out(play):
    @play()
    async def scenario(hub):
        for changes in ODD_VALUES:
            hub.checkin.token_changes = changes
            browser = await logged_in(hub)
            stale(hub)
            assert (await browser.get("/hub/home")).code == 200, changes


def test_a_stored_answer_of_an_earlier_release_may_be_odd_too(play):
    @play()
    async def scenario(hub):
        browser = await logged_in(hub)
        user = stale(hub)
        state = await user.get_auth_state()
        state["token_response"] |= {"expires_in": "soon", "obtained_at": None}
        del state["token_response"]["token_type"]
        state["id_token"] = state["token_response"]["id_token"] = "not a JWT"
        await user.save_auth_state(state)
        assert (await browser.get("/hub/home")).code == 200


REFRESH_ANSWERS = [
    *(json.dumps({"error": name}).encode() for name in ("invalid_scope", "temporarily_unavailable", "server_error")),
    *ODD_LOGINS[:-1],
]


def test_a_kept_refresh_token_is_not_overwritten_by_none(play):
    @play()
    async def scenario(hub):
        hub.checkin.lifetime = 0
        browser = await logged_in(hub)
        for token in (None, "", ["x"]):
            hub.checkin.token_changes = {"refresh_token": token, "id_token": ...}
            stale(hub)
            assert (await browser.get("/hub/home")).code == 200
            state = await state_of(hub)
            assert state["refresh_token"] == state["token_response"]["refresh_token"] == "refresh-m"
            assert hub.checkin.asked[-1][0] == "refresh_token"


def test_an_odd_answer_to_a_refresh_changes_nothing(play):
    @play(grace_seconds=0, absence_seconds=0)
    async def scenario(hub):
        hub.checkin.lifetime = 0
        browser = await logged_in(hub, server=True)
        for body in REFRESH_ANSWERS:
            hub.checkin.token_body = body
            user = stale(hub)
            page = await browser.get("/hub/home")
            assert page.code == 200, body
            assert SECRET not in error(page)
            hub.authenticator._checked_at.clear()
            await hub.authenticator.check_server_owner(hub.app, user)
            assert user.spawner.ready
        hub.checkin.token_body = None
        stale(hub)
        assert (await browser.get("/hub/home")).code == 200


def test_only_invalid_grant_is_news_about_a_user(play):
    names = ["invalid_scope", "temporarily_unavailable", "invalid_request", "unsupported_grant_type", "", "slow_down"]

    @play(absence_seconds=0)
    async def scenario(hub):
        hub.checkin.lifetime = 0
        browser = await logged_in(hub, server=True)
        for status, name in itertools.product((400, 401, 403), names):
            user = stale(hub)
            hub.checkin.broken, hub.checkin.error = {"token": status}, name
            assert (await browser.get("/hub/home")).code == 200, (status, name)
            hub.authenticator._checked_at.clear()
            await hub.authenticator.check_server_owner(hub.app, user)
            assert user.spawner.ready
            assert not hub.authenticator.no_tokens_since
        hub.checkin.error = "invalid_grant"
        stale(hub)
        assert is_sent_to_login(await browser.get("/hub/home"))


def test_invalid_grant_with_status_200_is_news_too(play):
    @play()
    async def scenario(hub):
        hub.checkin.lifetime = 0
        browser = await logged_in(hub)
        stale(hub)
        hub.checkin.token_body = b'{"error": "invalid_grant"}'
        assert is_sent_to_login(await browser.get("/hub/home"))


def test_a_withdrawn_scope_ends_no_session(play):
    @play(scopes=["openid", "entitlements", "eduperson_entitlement"])
    async def scenario(hub):
        hub.checkin.lifetime = 0
        browser = await logged_in(hub)
        hub.checkin.withdrawn = {"eduperson_entitlement"}
        before = (await state_of(hub))["access_token"]
        stale(hub)
        assert (await browser.get("/hub/home")).code == 200
        assert (await state_of(hub))["access_token"] != before
        assert "scope" not in hub.checkin.asked[-1][1]


def test_userinfo_of_another_subject_logs_nobody_in(play):
    @play()
    async def scenario(hub):
        for subject in ("somebody-else", None, ["sub-m"], ""):
            hub.checkin.people["m"] = person(VO, sub=subject)
            page = await hub.browser().log_in("m")
            assert page.code == 502
            assert "cannot use" in error(page)
        assert not hub.app.users


def test_userinfo_of_another_subject_changes_nothing_later(play):
    @play()
    async def scenario(hub):
        browser = await logged_in(hub)
        before = await state_of(hub)
        hub.checkin.people["m"] = person("other", sub="somebody-else")
        stale(hub)
        assert (await browser.get("/hub/home")).code == 200
        assert (await state_of(hub))["oauth_user"] == before["oauth_user"]


BAD_ID_TOKENS = [
    {"iss": "https://aai.example.org"},
    {"aud": "another-client"},
    {"aud": ["egi-notebooks", "x"], "azp": "x"},
    {"exp": 1},
    {"exp": ...},
    {"sub": ...},
    {"sub": 3},
]


def test_a_login_needs_a_valid_id_token(play):
    @play()
    async def scenario(hub):
        hub.checkin.people["m"] = person(VO)
        for changes in BAD_ID_TOKENS:
            hub.checkin.id_changes = changes
            page = await hub.browser().log_in("m")
            assert page.code == 502, changes
        assert not hub.app.users
        hub.checkin.id_changes = {"aud": ["egi-notebooks", "x"], "azp": "egi-notebooks"}
        assert (await hub.browser().log_in("m")).code == 302


def test_a_bad_id_token_of_a_refresh_changes_nothing(play):
    @play()
    async def scenario(hub):
        hub.checkin.lifetime = 0
        browser = await logged_in(hub)
        before = await state_of(hub)
        for changes in [*BAD_ID_TOKENS, {"sub": "somebody-else"}]:
            hub.checkin.id_changes = changes
            stale(hub)
            assert (await browser.get("/hub/home")).code == 200
            assert await state_of(hub) == before


def test_a_check_in_that_accepts_connections_and_sends_nothing_is_given_up(play, hub, monkeypatch):
    monkeypatch.setattr(hub.provider, "REQUEST_SECONDS", 0.2)

    @play()
    async def scenario(hub):
        browser = await logged_in(hub)
        stale(hub)

        class Client:
            async def fetch(self, *_arguments, **_options):
                await asyncio.sleep(60)

        hub.authenticator.http_client = Client()
        async with asyncio.timeout(5):
            assert (await browser.get("/hub/home")).code == 200
            assert (await hub.browser().log_in("m")).code == 503


# --- Refresh tokens that nobody needs any more ---


def test_the_refresh_token_of_somebody_who_lost_the_vo_is_revoked_and_deleted(play):
    @play(grace_seconds=600)
    async def scenario(hub):
        browser = await logged_in(hub, server=True)
        user = stale(hub)
        hub.checkin.people["m"] = person("other")
        assert is_sent_to_login(await browser.get("/hub/home"))
        await hub.authenticator.check_server_owner(hub.app, user)
        # Whoever is back in the grace time has lost nothing.
        assert hub.checkin.revoked == []
        hub.authenticator.no_vo_since[user.name] -= 601
        await hub.authenticator.check_server_owner(hub.app, user)
        assert hub.checkin.revoked == ["refresh-m"]
        (form,) = [form for kind, form in hub.checkin.asked if kind == "revoke"]
        assert (form["client_id"], form["token_type_hint"]) == ("egi-notebooks", "refresh_token")
        state = await state_of(hub)
        assert "refresh-m" not in str(state)
        assert state["oauth_user"]


def test_a_refresh_token_is_deleted_even_if_check_in_does_not_revoke_it(play):
    @play(grace_seconds=0)
    async def scenario(hub):
        for status in (503, 404):
            await logged_in(hub)
            user = stale(hub)
            hub.checkin.people["m"] = person("other")
            hub.checkin.broken = {"revoke": status}
            await hub.authenticator.refresh_user(user)
            await hub.authenticator.check_server_owner(hub.app, user)
            assert "refresh-m" not in str(await state_of(hub))
            hub.checkin.broken = {}


def test_the_refresh_token_of_an_outsider_is_revoked_at_once(play):
    @play()
    async def scenario(hub):
        hub.checkin.people["o"] = person("other")
        assert (await hub.browser().log_in("o")).code == 403
        assert hub.checkin.revoked == ["refresh-o"]


# --- Logins that end without a user ---


async def callback(hub, **query):
    browser = hub.browser()
    await browser.get("/hub/oauth_login")
    return await browser.get("/hub/oauth_callback?" + urlencode(query))


ENDINGS = [
    ({"error": "access_denied", "error_description": "<b>evil"}, 400, "The login was cancelled at EGI Check-in"),
    ({"error": "invalid_scope"}, 400, "did not accept the request of this service"),
    ({"error": "temporarily_unavailable"}, 503, "EGI Check-in does not answer"),
    ({"error": "x" * 2000}, 400, "did not accept the request of this service"),
    ({"code": "m"}, 400, "This login has expired"),
    ({"code": "m", "state": "x"}, 400, "This login has expired"),
    ({"code": "m", "state": "WzFd"}, 400, "This login has expired"),
    ({"state": "x"}, 400, "This login has expired"),
    ({}, 400, "This login has expired"),
]


def test_a_login_that_ends_without_a_code_leads_to_a_page_with_a_way_to_try_again(play):
    @play()
    async def scenario(hub):
        for query, status, text in ENDINGS:
            page = await callback(hub, **query)
            assert page.code == status
            assert text in error(page)
            assert 'href="/hub/login"' in error(page)
            assert "evil" not in error(page)


def test_a_login_without_the_cookie_of_its_state_leads_there_too(play):
    @play()
    async def scenario(hub):
        page = await hub.browser().get("/hub/oauth_callback?code=m&state=x")
        assert page.code == 400
        assert "This login has expired" in error(page)


def test_a_blocked_user_is_told_so_and_not_to_join_a_vo(play):
    @play()
    async def scenario(hub):
        hub.authenticator.blocked_users = {SHORT}
        hub.checkin.people["m"] = person(VO)
        page = await hub.browser().log_in("m")
        assert page.code == 403
        assert "blocked your account" in error(page)
        assert "groupPath" not in error(page)


# --- Claims ---


@pytest.mark.parametrize("claim", ["entitlements", "eduperson_entitlement"])
def test_a_claim_of_one_bare_text_admits(play, claim):
    high = "https://aai.egi.eu/LoA#High"

    @play(vos=[{"name": VO, "assurance": [high]}])
    async def scenario(hub):
        hub.checkin.people["m"] = person(eduperson_assurance=high) | {claim: URN.format(VO)}
        assert (await hub.browser().log_in("m")).code == 302


def test_a_vo_of_another_namespace_makes_no_admin(play):
    @play(
        namespaces=["urn:mace:egi.eu", "urn:geant:example.org"],
        vos=[{"name": VO, "admin": ["boss"]}, {"name": VO, "namespace": "urn:geant:example.org"}],
    )
    async def scenario(hub):
        foreign = f"urn:geant:example.org:group:{VO}:role=boss"
        hub.checkin.people["m"] = person(entitlements=[foreign])
        assert (await hub.browser().log_in("m")).code == 302
        (user,) = hub.app.users.values()
        assert not user.admin
        assert {group.name for group in user.groups} == {
            f"urn:geant:example.org:{VO}",
            f"urn:geant:example.org:{VO}:role=boss",
        }


def test_a_namespace_without_a_vo_of_its_own_admits_nobody(play):
    @play(namespaces=["urn:mace:egi.eu", "urn:geant:example.org"], vos=[{"name": VO, "admin": ["boss"]}])
    async def scenario(hub):
        hub.checkin.people["m"] = person(entitlements=[f"urn:geant:example.org:group:{VO}:role=boss"])
        assert (await hub.browser().log_in("m")).code == 403


def test_only_groups_of_configured_vos_are_stored(play):
    @play(vos=[VO, {"name": "vo.first", "groups": ["staff"]}])
    async def scenario(hub):
        await logged_in(
            hub,
            f"{VO}:role=member",
            "vo.first:guests",
            "vo.secret:a:role=boss",
            f"{VO}.org",
            *(f"x{n}" for n in range(300)),
        )
        (user,) = hub.app.users.values()
        assert {group.name for group in user.groups} == {VO, f"{VO}:role=member", "vo.first", "vo.first/guests"}
