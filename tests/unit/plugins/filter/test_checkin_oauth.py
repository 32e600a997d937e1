# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that makes the hub's login settings."""

from __future__ import annotations

import copy
import json
import pathlib

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from oauthenticator.generic import GenericOAuthenticator
from traitlets.config import Config

from ansible_collections.egi.notebooks.plugins.filter import checkin_oauth as plugin
from ansible_collections.egi.notebooks.plugins.filter.checkin_oauth import checkin_oauth

LEAST = {
    "environment": "production",
    "client_id": "egi-notebooks",
    "domain": "notebooks.example.org",
    "vos": ["vo.notebooks.egi.eu"],
}


def settings(**changes) -> dict:
    return {key: value for key, value in (LEAST | changes).items() if value is not ...}


def authenticator(**changes) -> dict:
    return checkin_oauth(settings(**changes))["GenericOAuthenticator"]


def test_the_least_settings_make_a_whole_login():
    assert checkin_oauth(LEAST) == {
        "JupyterHub": {"authenticator_class": "generic-oauth"},
        "GenericOAuthenticator": {
            "login_service": "EGI Check-in",
            "client_id": "egi-notebooks",
            "oauth_callback_url": "https://notebooks.example.org/hub/oauth_callback",
            "authorize_url": "https://aai.egi.eu/auth/realms/egi/protocol/openid-connect/auth",
            "token_url": "https://aai.egi.eu/auth/realms/egi/protocol/openid-connect/token",
            "userdata_url": "https://aai.egi.eu/auth/realms/egi/protocol/openid-connect/userinfo",
            "logout_redirect_url": "https://aai.egi.eu/auth/realms/egi/protocol/openid-connect/logout?client_id=egi-notebooks",
            "scope": ["openid", "profile", "email", "voperson_id", "entitlements", "eduperson_entitlement"],
            "manage_groups": True,
            "any_allow_config": True,
            "enable_auth_state": True,
            "enable_pkce": True,
            "auth_refresh_age": 300,
            "refresh_pre_spawn": True,
            "custom_403_message": "You are logged in at EGI Check-in, but you are in no virtual organisation (VO) "
            "that may use this service. Please join vo.notebooks.egi.eu at https://aai.egi.eu/auth/realms/id/account/#/enroll"
            "?groupPath=/vo.notebooks.egi.eu and then log in here again.",
            "http_request_kwargs": {"connect_timeout": 5, "request_timeout": 10},
        },
        "EgiNotebooks": {
            "namespaces": ["urn:mace:egi.eu"],
            "vos": [
                {
                    "name": "vo.notebooks.egi.eu",
                    "groups": ["vo.notebooks.egi.eu"],
                    "admin_groups": [],
                    "assurance": [],
                    "profiles": [],
                }
            ],
            "user_names": "voperson_id",
            "grace_seconds": 600,
            "absence_seconds": 43200,
            "access_token_file": False,
        },
    }


@pytest.mark.parametrize(("environment", "host"), [("demo", "aai-demo.egi.eu"), ("development", "aai-dev.egi.eu")])
def test_an_environment_names_its_host_everywhere(environment, host):
    made = authenticator(environment=environment)
    for key in ("authorize_url", "token_url", "userdata_url", "logout_redirect_url"):
        assert made[key].startswith(f"https://{host}/auth/realms/egi/")
    assert f"https://{host}/auth/realms/id/account/" in made["custom_403_message"]


def test_another_issuer_may_have_a_private_ca():
    made = authenticator(environment=..., issuer="https://aai.lab.test/auth/realms/egi/", ca_file="/etc/ca.crt")
    assert made["token_url"] == "https://aai.lab.test/auth/realms/egi/protocol/openid-connect/token"
    assert made["http_request_kwargs"]["ca_certs"] == "/etc/ca.crt"


def test_an_issuer_that_is_no_check_in_has_no_enrolment_page_unless_given():
    plain = authenticator(environment=..., issuer="https://sso.example.org/realms/site")["custom_403_message"]
    assert "Please join vo.notebooks.egi.eu and then" in plain
    linked = authenticator(enrolment_url="https://join.example.org/?vo={vo}")["custom_403_message"]
    assert "https://join.example.org/?vo=vo.notebooks.egi.eu and" in linked


def test_groups_and_roles_narrow_a_vo_and_the_order_is_kept():
    made = checkin_oauth(
        settings(
            vos=[
                {"name": "vo.b", "groups": ["training/2026", "staff"], "roles": ["a", "b"]},
                {"name": "vo.a", "roles": ["member"], "admin": ["vm_operator", "boss"]},
                {"name": "ops", "groups": ["notebooks"], "roles": ["x"], "admin": ["member"]},
                "vo.c",
            ],
        )
    )
    vos = [(vo["name"], vo["groups"], vo["admin_groups"]) for vo in made["EgiNotebooks"]["vos"]]
    assert vos == [
        (
            "vo.b",
            [
                "vo.b/training/2026:role=a",
                "vo.b/training/2026:role=b",
                "vo.b/staff:role=a",
                "vo.b/staff:role=b",
            ],
            [],
        ),
        (
            "vo.a",
            ["vo.a:role=member", "vo.a:role=vm_operator", "vo.a:role=boss"],
            ["vo.a:role=vm_operator", "vo.a:role=boss"],
        ),
        ("ops", ["ops/notebooks:role=x", "ops/notebooks:role=member"], ["ops/notebooks:role=member"]),
        ("vo.c", ["vo.c"], []),
    ]
    refusal = made["GenericOAuthenticator"]["custom_403_message"]
    assert "vo.b (group training/2026 or staff, role a or b) at https://" in refusal


def test_an_assurance_is_asked_for_by_its_scope():
    vos = [{"name": "vo", "assurance": ["https://aai.egi.eu/LoA#High"]}]
    assert "eduperson_assurance" not in authenticator()["scope"]
    assert authenticator(vos=vos)["scope"][-1] == "eduperson_assurance"
    assert authenticator(vos=vos, scopes=["openid", "eduperson_assurance"])["scope"] == [
        "openid",
        "eduperson_assurance",
    ]


def test_optional_settings():
    made = authenticator(
        scopes=["openid", "entitlements", "openid"],
        offline_access=True,
        pkce=False,
        user_names="preferred_username",
        recheck_seconds=60,
        post_logout_redirect_url="https://notebooks.example.org/",
        domain=...,
        callback_url="https://notebooks.example.org:8443/x/hub/oauth_callback",
        namespaces=["urn:geant:example.org"],
    )
    assert made["scope"] == ["openid", "entitlements", "offline_access"]
    assert made["enable_pkce"] is False
    assert made["auth_refresh_age"] == 60
    assert made["oauth_callback_url"] == "https://notebooks.example.org:8443/x/hub/oauth_callback"
    assert made["logout_redirect_url"].endswith(
        "?client_id=egi-notebooks&post_logout_redirect_uri=https%3A%2F%2Fnotebooks.example.org%2F"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"isuer": "x"}, "settings: unknown key 'isuer'; did you mean 'issuer'?"),
        ({"colour": "x"}, "settings: unknown key 'colour'; known are environment, issuer, client_id"),
        ({"client_secret": "hush"}, "settings: unknown key 'client_secret'; the secret never stands in"),
        ({"vos": ...}, "vos is None; allowed is a list of one VO or more"),
        ({"vos": []}, "vos is []; allowed is a list of one VO or more"),
        ({"vos": "vo.notebooks.egi.eu"}, "vos is 'vo.notebooks.egi.eu'; allowed is a list"),
        ({"vos": [""]}, "vos[0].name is ''; allowed is the VO's own name"),
        ({"vos": ["a", "urn:mace:egi.eu:group:vo"]}, "vos[1].name is 'urn:mace:egi.eu:group:vo'; allowed is the VO's"),
        ({"vos": [3]}, "vos[0] is 3; allowed is a VO's name or a mapping of name, groups, roles"),
        ({"admin": []}, "settings: unknown key 'admin'; the roles that make an admin are a VO's own now"),
        (
            {"username_claim": "sub"},
            "settings: unknown key 'username_claim'; what users are called after is user_names",
        ),
        ({"user_names": "sub"}, "user_names is 'sub'; allowed are voperson_id, preferred_username"),
        ({"recheck_seconds": 5}, "recheck_seconds is 5; allowed is a whole number of seconds, at least 10"),
        ({"grace_seconds": True}, "grace_seconds is True; allowed is a whole number of seconds, at least 0"),
        ({"absence_seconds": "12h"}, "absence_seconds is '12h'; allowed is a whole number of seconds, at least 0"),
        ({"access_token_file": True}, "access_token_file is True and offline_access is False; allowed is both"),
        ({"vos": [{"name": "vo", "role": ["x"]}]}, "vos[0]: unknown key 'role'; did you mean 'roles'?"),
        ({"vos": [{"name": "vo", "roles": "x"}]}, "vos[0].roles is 'x'; allowed is a list of texts"),
        ({"vos": [{"name": "vo", "groups": ["a//b"]}]}, "vos[0] is"),
        ({"vos": [{"name": "v" * 300}]}, "allowed are at most 255 characters"),
        ({"environment": "prod"}, "environment is 'prod'; allowed are production, demo, development"),
        ({"environment": ...}, "environment is None and issuer is None; allowed is one of them"),
        (
            {"issuer": "https://x.org/realms/egi"},
            "environment is 'production' and issuer is 'https://x.org/realms/egi'",
        ),
        ({"environment": ..., "issuer": "http://x.org/realms/egi"}, "issuer is 'http://x.org/realms/egi'; allowed"),
        ({"environment": ..., "issuer": "https://x.org/?a"}, "issuer is 'https://x.org/?a'; allowed is an address"),
        ({"environment": ..., "issuer": "https://u:p@x.org/"}, "issuer is 'https://u:p@x.org/'; allowed is an https"),
        ({"environment": ..., "issuer": "https://[x"}, "issuer is 'https://[x'; allowed is an https"),
        ({"client_id": ""}, "client_id is ''; allowed is a text of one line"),
        ({"client_id": "a\nb"}, "client_id is 'a\\nb'; allowed is a text of one line"),
        ({"domain": "https://n.example.org"}, "domain is 'https://n.example.org'; allowed is a full host name"),
        ({"domain": "localhost"}, "domain is 'localhost'; allowed is a full host name"),
        ({"domain": ...}, "domain is None and callback_url is None; allowed is one of them"),
        (
            {"domain": ..., "callback_url": "http://n.example.org/hub/oauth_callback"},
            "callback_url is 'http://n.example.org/hub/oauth_callback'; allowed is an https:// address",
        ),
        ({"domain": ..., "callback_url": "https://n.example.org/"}, "allowed is an address that ends in /hub/oauth"),
        ({"scopes": ["profile"]}, "scopes is ['profile']; allowed is a list of words with openid among them"),
        ({"scopes": "openid"}, "scopes is 'openid'; allowed is a list of texts"),
        ({"pkce": "no"}, "pkce is 'no'; allowed is true or false"),
        ({"ca_file": "ca.crt"}, "ca_file is 'ca.crt'; allowed is an absolute path"),
        ({"namespaces": ["egi.eu"]}, "namespaces has 'egi.eu'; allowed are URNs"),
        ({"enrolment_url": "http://x.org"}, "enrolment_url is 'http://x.org'; allowed is an https:// address"),
        ({"post_logout_redirect_url": "/"}, "post_logout_redirect_url is '/'; allowed is an https:// address"),
    ],
)
def test_bad_settings_are_refused_with_one_line(changes, message):
    with pytest.raises(AnsibleFilterError) as refused:
        checkin_oauth(settings(**changes))
    assert message in str(refused.value)
    assert str(refused.value).startswith("checkin_oauth: ")
    assert "\n" not in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("given", [None, [], "production", 3])
def test_settings_must_be_a_mapping(given):
    with pytest.raises(AnsibleFilterError, match="allowed is a mapping"):
        checkin_oauth(given)


def test_the_filter_changes_nothing_and_gives_plain_data():
    given = settings(vos=[{"name": "vo", "admin": ["r"], "images": {"I": "i:1"}, "limits": {"gpu": 1}}])
    before = copy.deepcopy(given)
    made = checkin_oauth(given)
    assert given == before
    assert json.loads(json.dumps(made)) == made == checkin_oauth(given)


def test_the_hub_s_own_class_takes_every_setting():
    made = authenticator(ca_file="/ca.crt")
    assert set(made) <= set(GenericOAuthenticator.class_trait_names(config=True))
    real = GenericOAuthenticator(config=Config(GenericOAuthenticator=made))
    assert real.any_allow_config is True
    assert real.http_request_kwargs["ca_certs"] == "/ca.crt"
    assert real.allow_all is False


def test_every_key_is_documented():
    path = pathlib.Path(plugin.__file__).with_suffix(".yml")
    documented = yaml.safe_load(path.read_text())["DOCUMENTATION"]["options"]["_input"]["suboptions"]
    assert tuple(documented) == plugin.KEYS
