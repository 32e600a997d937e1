# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules against the lab's real Keycloak and hub: create, repeat, modify, delete, with and without check mode."""

from __future__ import annotations

import json
import time

import pytest
from checkin_client import CALLBACK, PROTOCOL, Client, initial_access_token
from people import COURSE, TRAINING, VO, urn
from steps import CA, both, changed, run_steps
from user import User

from ansible_collections.egi.notebooks.plugins.module_utils.web import Web
from ansible_collections.egi.notebooks.plugins.modules import checkin_login_info
from lab.checkin import CLIENT_ID, ISSUER

SCOPES = ["openid", "profile", "email", "voperson_id", "entitlements", "eduperson_entitlement"]
SECOND = "https://second.lab.test/hub/oauth_callback"


@pytest.fixture
def wanted(lab, tmp_path):
    """Arguments of checkin_client for a new client, which is gone afterwards."""
    arguments = {
        "issuer": ISSUER,
        "credentials_file": str(tmp_path / "client.json"),
        "client_secret_file": str(tmp_path / "client_secret"),
        "initial_access_token": initial_access_token(),
        "client_name": "made by a test",
        "redirect_uris": [CALLBACK],
        "scopes": SCOPES,
    }
    yield arguments
    run_steps(tmp_path, "checkin_client", [(arguments | {"state": "absent"}, False)])


def kept(wanted: dict) -> dict:
    with open(wanted["credentials_file"]) as stream:
        return json.load(stream)


def client(wanted: dict) -> Client:
    """The client with the secret in its file."""
    with open(wanted["client_secret_file"]) as stream:
        return Client(kept(wanted)["client_id"], stream.read())


def secrets_in(answers: list[dict], wanted: dict) -> list[str]:
    """Which secrets are in the answers."""
    secrets = {wanted["initial_access_token"]} | {
        kept(wanted)[name] for name in ("client_secret", "registration_access_token")
    }
    text = json.dumps(answers)
    return [secret for secret in secrets if secret in text]


def test_the_twelve_steps_of_a_client(wanted, tmp_path):
    modified = wanted | {"client_name": "changed by a test", "redirect_uris": [SECOND, CALLBACK]}
    answers = run_steps(tmp_path, "checkin_client", [*both(wanted), *both(wanted), *both(modified), *both(modified)])
    assert changed(answers) == [True, True, False, False, True, True, False, False]
    assert not any("warnings" in answer for answer in answers)
    assert secrets_in(answers, wanted) == []
    assert answers[1]["done"] == ["created", "client_secret_file written"]
    assert answers[5]["done"] == ["updated"]
    assert answers[5]["client_id"] == answers[1]["client_id"]
    assert sorted(answers[7]["client"]["redirect_uris"]) == sorted([SECOND, CALLBACK])
    for file in ("client.json", "client_secret"):
        assert (tmp_path / file).stat().st_mode & 0o777 == 0o600
    # People can log in by it, and it gets what it asks for.
    by = client(wanted)
    info = by.userinfo(by.log_in("member", " ".join(SCOPES))["access_token"])
    assert {"voperson_id", "entitlements", "email", "name"} <= set(info)

    gone = wanted | {"state": "absent"}
    answers = run_steps(tmp_path, "checkin_client", [*both(gone), *both(gone)])
    assert changed(answers) == [True, True, False, False]
    assert not (tmp_path / "client.json").exists()
    assert not (tmp_path / "client_secret").exists()
    assert by.post("token/introspect", token="x").status_code == 401


def test_the_secret_is_rotated_and_the_old_one_void(wanted, tmp_path):
    changed(run_steps(tmp_path, "checkin_client", [(wanted, False)]))
    old = client(wanted)
    assert old.post("token/introspect", token="x").status_code == 200
    rotating = wanted | {"rotate_secret": True}
    answers = run_steps(tmp_path, "checkin_client", [*both(rotating), *both(wanted)])
    assert changed(answers) == [True, True, False, False]
    assert secrets_in(answers, wanted) == []
    new = client(wanted)
    assert new.client_secret != old.client_secret
    assert old.post("token/introspect", token="x").status_code == 401
    assert new.post("token/introspect", token="x").status_code == 200
    # What else the client is has stayed.
    info = new.userinfo(new.log_in("member", " ".join(SCOPES))["access_token"])
    assert {"voperson_id", "entitlements", "email", "name"} <= set(info)


def test_a_client_and_its_issuer_are_looked_at(wanted, tmp_path):
    credentials = {"credentials_file": wanted["credentials_file"]}
    (before,) = run_steps(tmp_path, "checkin_client_info", [(credentials, False)])
    assert (before["exists"], before["client"]) == (False, {})
    changed(run_steps(tmp_path, "checkin_client", [(wanted, False)]))
    known = kept(wanted)
    answers = run_steps(tmp_path, "checkin_client_info", both(credentials))
    assert changed(answers) == [False, False]
    assert secrets_in(answers, wanted) == []
    assert answers[0]["client"]["client_name"] == "made by a test"
    # Keycloak gives no new token at a read.
    assert kept(wanted) == known
    void = tmp_path / "void.json"
    void.touch(mode=0o600)
    void.write_text(json.dumps(known | {"registration_access_token": "void-token-of-a-test"}))
    (answer,) = run_steps(tmp_path, "checkin_client_info", [({"credentials_file": str(void)}, False)])
    assert answer["failed"]
    assert "answered 401" in answer["msg"]
    assert "void-token-of-a-test" not in json.dumps(answer)

    *answers, failed = run_steps(
        tmp_path, "checkin_discovery_info", [*both({"issuer": ISSUER}), ({"issuer": f"{ISSUER}-of-nobody"}, False)]
    )
    assert changed(answers) == [False, False]
    assert "answered 404" in failed["msg"]
    found = answers[0]
    assert found["endpoints"]["userinfo"] == f"{PROTOCOL}/userinfo"
    assert {"openid", "entitlements", "offline_access"} <= set(found["scopes"])
    # Without a proxy before it, Keycloak does not tell the time.
    assert found["clock_skew"] is None
    assert found["certificate_days_left"] > 1


def test_a_wrong_token_is_one_line_without_it(wanted, tmp_path):
    wrong = wanted | {"initial_access_token": "wrong-token-of-a-test"}
    (answer,) = run_steps(tmp_path, "checkin_client", [(wrong, False)])
    assert answer["failed"]
    assert "answered 401" in answer["msg"]
    assert "\n" not in answer["msg"]
    assert "wrong-token-of-a-test" not in json.dumps(answer)


@pytest.mark.usefixtures("lab")
def test_the_check_of_a_login_is_quick():
    parameters = {
        "issuer": ISSUER,
        "client_id": CLIENT_ID,
        "redirect_uri": CALLBACK,
        "scopes": [*SCOPES, "offline_access"],
        "pkce": True,
        "maximum_clock_skew": 60,
    }
    start = time.monotonic()
    answer = checkin_login_info.check(parameters, Web(CA))
    assert answer["problems"] == []
    assert time.monotonic() - start < 2
    start = time.monotonic()
    answer = checkin_login_info.check(parameters | {"scopes": [*SCOPES, "a", "b"]}, Web(CA))
    assert [problem.split(" are not")[0] for problem in answer["problems"]] == ["scopes a, b"]
    assert time.monotonic() - start < 3


@pytest.fixture(scope="module")
def hub(lab):
    """Address and token of an admin, and the name of a member whom the hub knows."""
    token = User(lab, "admin").log_in().api.headers["Authorization"].removeprefix("token ")
    member = User(lab, "member").log_in()
    member.stop()
    yield {"hub_url": lab.url, "token": token}, member.name
    member.stop()


def test_the_steps_of_a_server(hub, tmp_path):
    login, name = hub
    start = login | {"user": name}
    stop = start | {"state": "stopped"}
    answers = run_steps(tmp_path, "jupyterhub_server", [*both(start), *both(start), *both(stop), *both(stop)])
    assert changed(answers) == [True, True, False, False, True, True, False, False]
    assert answers[1]["server"]["ready"]
    assert answers[0]["diff"]["after"] == "started\n"
    assert login["token"] not in json.dumps(answers)
    # The role does not allow named servers.
    (answer,) = run_steps(tmp_path, "jupyterhub_server", [(start | {"server": "second"}, False)])
    assert "answered 400 (Named servers are not enabled.)" in answer["msg"]


@pytest.mark.harsh
def test_a_server_is_started_with_options(lab, person, hub, tmp_path):
    login, _ = hub
    both_vos = person(urn(VO), urn(COURSE, "student")).log_in()
    start = login | {"user": both_vos.name, "options": {"profile": "vo-training-lab-test"}}
    stop = login | {"user": both_vos.name, "state": "stopped"}
    answers = run_steps(tmp_path, "jupyterhub_server", [*both(start), *both(start)])
    assert changed(answers) == [True, True, False, False]
    assert both_vos.pod()["metadata"]["annotations"]["egi.eu/primary_group"] == TRAINING
    answers = run_steps(tmp_path, "jupyterhub_server", [*both(stop), *both(stop)])
    assert changed(answers) == [True, True, False, False]
    assert not any(map(both_vos.owns, lab.user_pods()))


def test_users_and_servers_are_told(hub, tmp_path):
    login, name = hub
    answers = run_steps(
        tmp_path,
        "jupyterhub_info",
        [(login, True), (login | {"users": [name, "nobody"]}, False), (login | {"token": "wrong"}, False)],
    )
    assert changed(answers[:2]) == [False, False]
    assert answers[0]["version"].startswith("5.")
    assert name in [user["name"] for user in answers[0]["users"]]
    assert [user["name"] for user in answers[1]["users"]] == [name]
    assert login["token"] not in json.dumps(answers)
    assert "answered 403" in answers[2]["msg"]
