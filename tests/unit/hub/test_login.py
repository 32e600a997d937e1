# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Login, in a real hub with a Check-in that behaves well or badly."""

from __future__ import annotations

from hub_world import SHORT, URN, VO, error, person


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
