# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logout ends the session at Check-in too (case 7)."""

from __future__ import annotations

from checkin_client import CALLBACK, TIMEOUT, Client, follow, login
from people import VO, asks_for_a_password, urn


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
