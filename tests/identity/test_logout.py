# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logout ends the session at Check-in too (case 7)."""

from __future__ import annotations

from checkin_client import BASE_URL, CALLBACK, TIMEOUT, Client, follow, login
from people import VO, asks_for_a_password, client_attributes, urn


def test_after_logout_check_in_asks_who_it_is(lab, person):
    member = person(urn(VO))
    # First at another service: Keycloak keeps no session that begins with a request for offline access.
    login(member.http, Client().authorization("openid")[0], member.login_name, member.password, until=CALLBACK)
    assert not asks_for_a_password(lab, member.http)
    page = follow(member.http, member.http.get(f"{lab.url}/hub/logout", allow_redirects=False, timeout=TIMEOUT))
    # Nobody was asked whether it is meant, and the way leads back.
    assert page.url.startswith(f"{lab.url}/hub/login"), page.url
    assert page.status_code == 200
    assert asks_for_a_password(lab, member.http)
    member.log_in()


def test_an_address_that_check_in_does_not_know_is_its_own_page_and_the_hub_s_session_is_over(lab, person):
    """The other half of case 7: the site has set post_logout_redirect_url, but nobody registered it."""
    with client_attributes(**{"post.logout.redirect.uris": "https://elsewhere.lab.test/"}):
        member = person(urn(VO)).log_in()
        page = follow(member.http, member.http.get(f"{lab.url}/hub/logout", allow_redirects=False, timeout=TIMEOUT))
        assert page.url.startswith(BASE_URL), page.url
        assert page.status_code == 400
        assert "Invalid redirect uri" in page.text
        assert member.is_sent_to_login()
