# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logout ends the session at Check-in too."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hub_world import is_sent_to_login, logged_in, stored_id_token


def test_logout_redirects_to_check_in_with_the_id_token(play):
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
def test_a_page_of_the_site_does_not_get_the_id_token(play, url):
    @play()
    async def scenario(hub):
        browser = await logged_in(hub)
        hub.authenticator.logout_redirect_url = url
        answer = await browser.get("/hub/logout")
        assert (answer.code, answer.headers["Location"]) == (302, url)
        assert is_sent_to_login(await browser.get("/hub/home"))


def test_without_a_url_logout_ends_at_the_hub_s_login_page(play):
    @play()
    async def scenario(hub):
        browser = await logged_in(hub)
        hub.authenticator.logout_redirect_url = ""
        answer = await browser.get("/hub/logout")
        assert is_sent_to_login(answer)
        assert "id_token" not in answer.headers["Location"]


def test_the_id_token_is_added_to_a_bare_url_of_check_in_too(play):
    @play()
    async def scenario(hub):
        browser = await logged_in(hub)
        id_token = await stored_id_token(hub)
        hub.authenticator.logout_redirect_url = hub.authenticator.logout_redirect_url.partition("?")[0]
        answer = await browser.get("/hub/logout")
        assert answer.headers["Location"] == f"{hub.authenticator.logout_redirect_url}?id_token_hint={id_token}"
