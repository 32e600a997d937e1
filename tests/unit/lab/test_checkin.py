# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for Check-in: its realm document and its home. tests/lab asks the running Keycloak."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from lab import checkin


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    (folder / "secrets").mkdir(parents=True)
    for name in ("client_secret", "keycloak_admin", *(f"password-{user}" for user in checkin.USERS)):
        (folder / "secrets" / name).write_text(f"the {name}")
    return folder


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """What prepare touches of Keycloak's distribution."""
    folder = tmp_path / "part"
    for file in ("bin/kc.sh", "conf/keycloak.conf", "lib/quarkus/built", "lib/quarkus-run.jar", "lib/app/a",
                 "lib/lib/l", "providers/p", "themes/t"):  # fmt: skip
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file)
    return folder


def test_every_user_has_the_attributes_of_check_in(state):
    users = {user["username"]: user for user in checkin.render_realm(state)["users"]}
    assert set(users) == {"member", "member2", "admin", "outsider"}
    for name, user in users.items():
        (identifier,) = user["attributes"]["voperson_id"]
        assert re.fullmatch(r"[0-9a-f]{64}@egi\.eu", identifier)
        assert user["credentials"] == [{"type": "password", "value": f"the password-{name}", "temporary": False}]
    assert len({user["attributes"]["voperson_id"][0] for user in users.values()}) == len(users)
    assert users["member"]["attributes"]["entitlements"] == [
        "urn:mace:egi.eu:group:vo.notebooks.egi.eu:role=member#aai.egi.eu"
    ]
    assert len(users["admin"]["attributes"]["entitlements"]) == 2
    assert users["outsider"]["attributes"]["entitlements"] == []
    assert not users["member2"]["firstName"].isascii()


def test_no_claim_about_the_user_is_in_a_token(state):
    scopes = {scope["name"]: scope for scope in checkin.render_realm(state)["clientScopes"]}
    for name in set(scopes) - {"basic", "acr", "offline_access"}:
        for mapper in scopes[name]["protocolMappers"]:
            config = mapper["config"]
            assert config["id.token.claim"] == config["access.token.claim"] == "false"
            assert config["userinfo.token.claim"] == config["introspection.token.claim"] == "true"
    for name in ("entitlements", "eduperson_entitlement"):
        (mapper,) = scopes[name]["protocolMappers"]
        assert mapper["config"] | {"claim.name": name, "multivalued": "true"} == mapper["config"]


def test_every_scope_that_is_named_exists(state):
    realm = checkin.render_realm(state)
    named = realm["defaultDefaultClientScopes"] + realm["defaultOptionalClientScopes"]
    assert sorted(named) == sorted(scope["name"] for scope in realm["clientScopes"])


def test_the_client_is_strict(state):
    (client,) = checkin.render_realm(state)["clients"]
    assert client["secret"] == "the client_secret"
    assert client["redirectUris"] == ["https://notebooks.lab.test/hub/oauth_callback"]
    assert client["attributes"]["pkce.code.challenge.method"] == "S256"
    assert not any(client[way] for way in ("publicClient", "directAccessGrantsEnabled", "implicitFlowEnabled"))


def test_the_document_keeps_secrets_from_others_and_is_plain_json(part, state):
    checkin.prepare(part, state)
    document = state / "keycloak/data/import/egi-realm.json"
    assert stat.S_IMODE(document.stat().st_mode) == 0o600
    assert stat.S_IMODE((state / "keycloak").stat().st_mode) == 0o700
    assert json.loads(document.read_text()) == checkin.render_realm(state)
    # Keycloak would put variables in their place.
    assert "${" not in document.read_text()


def test_the_database_is_kept_until_something_changes(part, state):
    checkin.prepare(part, state)
    database = state / "keycloak/data/h2/keycloakdb.mv.db"
    database.parent.mkdir()
    database.write_text("rows")
    checkin.prepare(part, state)
    assert database.exists()
    (state / "secrets/password-member").write_text("another")
    checkin.prepare(part, state)
    assert not database.exists()


def test_the_distribution_is_not_written_to(part, state):
    checkin.prepare(part, state)
    home = state / "keycloak"
    for file in ("bin/kc.sh", "lib/quarkus-run.jar", "lib/quarkus/built", "conf/keycloak.conf"):
        assert (home / file).resolve().is_relative_to(home)
        assert (home / file).read_text() == file
    assert (home / "lib/lib").resolve() == part / "lib/lib"


def test_no_secret_is_on_the_command_line(state):
    argv, env = checkin.command(state)
    assert not any("the " in word for word in argv)
    assert env["KC_BOOTSTRAP_ADMIN_PASSWORD"] == "the keycloak_admin"
    assert env["KC_HOSTNAME"] == "https://aai.lab.test/auth"
