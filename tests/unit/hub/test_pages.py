# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub's pages, rendered by a real hub."""

from __future__ import annotations

import re

import pytest
from hub_world import SHORT, VO, error, logged_in, person

JOIN = "https://aai-demo.egi.eu/auth/realms/id/account/#/enroll?groupPath=/"
HIGH = "https://aai.egi.eu/LoA#High"
SITE = {
    "name": "Notebooks & <More>",
    "logo": "data:image/svg+xml;base64,PHN2Zy8+",
    "welcome": "Jupyter for <everybody>.\n\nSecond paragraph.",
    "links": [{"title": "Terms <of> use", "url": "https://example.org/terms?a=1&b=2"}],
    "support": "help@example.org",
}
VOS = [
    {"name": "vo.first", "groups": ["staff", "guests"], "roles": ["pilot"]},
    VO,
    {"name": "vo.assured", "assurance": [HIGH]},
]


def main(page) -> str:
    """Return an error page without what all pages have."""
    return error(page).partition('class="error egi-page"')[2].partition("<footer")[0]


def test_an_outsider_sees_what_is_missing_and_where_to_join(play):
    @play(vos=VOS, site=SITE)
    async def scenario(hub):
        hub.checkin.people["o"] = person("vo.first:guests", "vo.assured")
        page = await hub.browser().log_in("o")
        assert page.code == 403
        text = main(page)
        assert "<h1>You cannot use Notebooks &amp; &lt;More&gt; yet</h1>" in text
        rows = re.findall(r"<li>(.*?)</li>", text, re.DOTALL)
        assert [re.search("<strong>(.*?)</strong>(.*?)</div>", row, re.DOTALL).groups() for row in rows] == [
            ("vo.first", "You are a member, but you need group staff or guests and role pilot."),
            (VO, "You are not a member."),
            ("vo.assured", f"You are a member, but your identity must be assured by {HIGH}."),
        ]
        # One button for each VO that one can join.
        links = re.findall(r'<a class="btn btn-jupyter" href="(.*?)" rel="noopener">(.*?)</a>', text)
        assert links == [(JOIN + vo, f"Join {vo}") for vo in ("vo.first", VO)]
        assert 'id="log-in-as-other" href="/hub/logout"' in text
        assert '<a href="mailto:help@example.org" rel="noopener">help@example.org</a>' in text
        assert "403 : Forbidden" in text


def test_one_button_joins_a_vo_with_several_rules(play):
    @play(vos=[{"name": VO, "groups": ["a"]}, {"name": VO, "groups": ["b"]}])
    async def scenario(hub):
        hub.checkin.people["o"] = person()
        text = main(await hub.browser().log_in("o"))
        assert text.count(f"Join {VO}") == 1
        assert "You need group a." in text
        assert "You need group b." in text
        assert "contact" not in text


def test_somebody_else_logs_in_by_way_of_check_in_s_logout(play):
    @play()
    async def scenario(hub):
        hub.checkin.people["o"] = person()
        browser = hub.browser()
        await browser.log_in("o")
        answer = await browser.get("/hub/logout")
        assert answer.headers["Location"].startswith(
            f"http://127.0.0.1:{hub.checkin.port}/protocol/openid-connect/logout"
        )


@pytest.mark.parametrize("site", [SITE, {}])
def test_login_and_other_pages_have_the_texts_of_the_site(play, site):
    @play(site=site)
    async def scenario(hub):
        login = error(await hub.browser().get("/hub/login"))
        browser = await logged_in(hub)
        pages = [login, error(await browser.get("/hub/home")), error(await browser.get("/hub/gone"))]
        for page in pages:
            assert f"<title>{'Notebooks &amp; &lt;More&gt;' if site else 'EGI Notebooks'}</title>" in page
            assert "<More>" not in page
            terms = '<a href="https://example.org/terms?a=1&amp;b=2" rel="noopener">Terms &lt;of&gt; use</a>'
            assert (terms in page) is bool(site)
            assert ('href="mailto:help@example.org"' in page) is bool(site)
            assert ('src="data:image/svg+xml;base64,PHN2Zy8+"' in page) is bool(site)
            # Nothing comes from elsewhere.
            assert not re.search(r'(?:src|<link[^>]* href)="(?:https?:)?//', page)
        assert "Sign in with EGI Check-in" in login
        assert ("<p>Jupyter for &lt;everybody&gt;.</p>" in login) is bool(site)
        assert ("<p>Second paragraph.</p>" in login) is bool(site)
        assert SHORT in pages[1]


def test_the_form_of_profiles_is_in_a_page_of_the_site(play):
    @play(site=SITE)
    async def scenario(hub):
        template = hub.app.tornado_settings["jinja2_env_sync"].get_template("spawn.html")
        page = template.render(
            site=hub.app.config.EgiNotebooks.site, static_url=lambda path, **_: path, spawner_options_form="<b>form</b>"
        )
        assert '<h1 class="h3">Start your server</h1>' in page
        assert "<b>form</b>" in page
