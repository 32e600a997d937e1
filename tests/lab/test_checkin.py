# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Check-in answers as EGI Check-in does: run inside the lab's network, against the running Keycloak."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkin_client import CALLBACK, PROTOCOL, TIMEOUT, Client, browser, claims, initial_access_token, login, secret

from lab.checkin import ISSUER, READY_URL, USERS, entitlements, voperson_id

SCOPES = (
    "openid profile email voperson_id entitlements eduperson_entitlement eduperson_assurance "
    "eduperson_scoped_affiliation"
)
ABOUT_THE_USER = {
    "voperson_id",
    "entitlements",
    "eduperson_entitlement",
    "eduperson_assurance",
    "eduperson_scoped_affiliation",
    "email",
    "name",
    "preferred_username",
}


@pytest.fixture(scope="module")
def client() -> Client:
    return Client()


def test_discovery_names_the_public_address():
    document = browser().get(READY_URL, timeout=TIMEOUT).json()
    assert document["issuer"] == ISSUER
    assert document["userinfo_endpoint"] == f"{PROTOCOL}/userinfo"
    assert document["registration_endpoint"].startswith(ISSUER)
    assert {"voperson_id", "entitlements", "eduperson_entitlement"} <= set(document["scopes_supported"])


@pytest.mark.parametrize("user", USERS)
def test_claims_are_in_userinfo_and_introspection_only(client, user):
    tokens = client.log_in(user, SCOPES)
    info = client.userinfo(tokens["access_token"])
    assert info["voperson_id"] == voperson_id(user)
    assert info["preferred_username"] == user
    assert info["given_name"] == USERS[user].given_name
    assert info["name"] == f"{USERS[user].given_name} {USERS[user].family_name}"
    assert info["voperson_verified_email"] == [info["email"]]
    assert info["email_verified"] is True
    for claim in ("entitlements", "eduperson_entitlement"):
        assert sorted(info.get(claim, [])) == sorted(entitlements(user))
    introspected = client.post("token/introspect", token=tokens["access_token"]).json()
    assert introspected["active"] is True
    for claim in ("entitlements", "voperson_id"):
        assert introspected.get(claim) == info.get(claim)
    assert 3590 <= tokens["expires_in"] <= 3600
    for token in ("id_token", "access_token"):
        assert not ABOUT_THE_USER & set(claims(tokens[token]))
        assert claims(tokens[token])["sub"] == info["sub"]


def test_a_claim_comes_with_its_scope_only(client):
    info = client.userinfo(client.log_in("member", "openid voperson_id entitlements")["access_token"])
    assert set(info) == {"sub", "voperson_id", "entitlements"}


def test_offline_access_is_refreshed(client):
    tokens = client.log_in("member", f"{SCOPES} offline_access")
    assert claims(tokens["refresh_token"])["typ"] == "Offline"
    answer = client.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"], scope=SCOPES)
    assert answer.ok, answer.text
    assert client.userinfo(answer.json()["access_token"])["entitlements"] == entitlements("member")


def test_a_session_is_asked_once(client):
    session = browser()
    client.log_in("member", "openid", session)
    url, _verifier = client.authorization("openid")
    answer = login(session, url, "member", "not needed", until=CALLBACK)
    assert answer.headers["Location"].startswith(f"{CALLBACK}?")


def test_a_wrong_password_is_refused(client):
    url, _verifier = client.authorization("openid")
    answer = login(browser(), url, "member", "wrong", until=CALLBACK)
    assert answer.status_code == 200
    assert "Invalid username or password" in answer.text


def test_pkce_is_required(client):
    url, _verifier = client.authorization("openid")
    without = url.split("&code_challenge=")[0]
    answer = browser().get(without, allow_redirects=False, timeout=TIMEOUT)
    assert "error=invalid_request" in answer.headers["Location"]


@pytest.mark.parametrize(
    "address",
    ["http://notebooks.lab.test/hub/oauth_callback", f"{CALLBACK}/", "https://nb-alias.lab.test/hub/oauth_callback"],
)
def test_another_redirect_address_is_refused(client, address):
    url, _verifier = client.authorization("openid", redirect_uri=address)
    assert browser().get(url, allow_redirects=False, timeout=TIMEOUT).status_code == 400


@pytest.mark.parametrize(("address", "status"), [("https://notebooks.lab.test/", 302), ("https://evil.lab.test/", 400)])
def test_logout_leads_back_to_a_registered_address_only(client, address, status):
    session = browser()
    tokens = client.log_in("member", "openid", session)
    answer = session.get(
        f"{PROTOCOL}/logout",
        allow_redirects=False,
        timeout=TIMEOUT,
        params={"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": address},
    )
    assert answer.status_code == status


def test_a_client_can_be_registered_dynamically():
    registration = f"{ISSUER}/clients-registrations/openid-connect"
    request = {
        "client_name": "registered by a test",
        "redirect_uris": [CALLBACK],
        "scope": SCOPES.removeprefix("openid "),
    }
    assert browser().post(registration, json=request, timeout=TIMEOUT).status_code in (401, 403)
    answer = browser().post(
        registration, json=request, timeout=TIMEOUT, headers={"Authorization": f"Bearer {initial_access_token()}"}
    )
    assert answer.status_code == 201, answer.text
    registered = answer.json()
    client = Client(registered["client_id"], registered["client_secret"])
    try:
        info = client.userinfo(client.log_in("admin", SCOPES)["access_token"])
        assert sorted(info["entitlements"]) == sorted(entitlements("admin"))
    finally:
        gone = browser().delete(
            registered["registration_client_uri"],
            timeout=TIMEOUT,
            headers={"Authorization": f"Bearer {registered['registration_access_token']}"},
        )
        assert gone.status_code == 204


def test_no_secret_is_on_a_command_line():
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    for name in ("keycloak_admin", "client_secret"):
        assert not any(secret(name).encode() in line for line in lines)
