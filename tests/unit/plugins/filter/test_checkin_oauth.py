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
from ansible_collections.egi.notebooks.plugins.module_utils import checkin, checkin_login, checkin_site
from ansible_collections.egi.notebooks.plugins.module_utils.checkin import SettingsError, is_host_name
from ansible_collections.egi.notebooks.plugins.module_utils.checkin_login import (
    login_problems,
    values_problems,
    vo_problems,
)
from ansible_collections.egi.notebooks.plugins.module_utils.checkin_site import read_logo

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
            "scope": ["openid", "profile", "email", "voperson_id", "entitlements"],
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
                    "group": "vo.notebooks.egi.eu",
                    "groups": ["vo.notebooks.egi.eu"],
                    "admin_groups": [],
                    "assurance": [],
                    "requirement": "",
                    "enrolment_url": "https://aai.egi.eu/auth/realms/id/account/#/enroll?groupPath=/vo.notebooks.egi.eu",
                    "profiles": [],
                }
            ],
            "user_names": "voperson_id",
            "grace_seconds": 600,
            "absence_seconds": 43200,
            "access_token_file": False,
            "site": {"name": "EGI Notebooks", "logo": "", "welcome": [], "links": [], "support": ""},
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
    assert "vo.b (group training/2026 or staff and role a or b) at https://" in refusal


def test_an_assurance_adds_its_scope():
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


BAD_SETTINGS = [
    ({"isuer": "x"}, "settings: each key must be one of environment, issuer", 'got "isuer". Did you mean issuer?'),
    ({"colour": "x"}, "settings: each key must be one of environment, issuer, client_id", 'got "colour".'),
    ({"client_secret": "hush"}, "client_secret must not be given: the hub reads the secret from its environment"),
    ({"vos": ...}, "vos must be a list of at least one VO, such as [vo.notebooks.egi.eu]; got null."),
    ({"vos": []}, "vos must be a list of at least one VO, such as [vo.notebooks.egi.eu]; got []."),
    ({"vos": "vo.notebooks.egi.eu"}, "vos must be a list of at least one VO", 'got "vo.notebooks.egi.eu".'),
    ({"vos": [""]}, 'vos[0].name must be the name of a VO, such as vo.notebooks.egi.eu, and no entitlement; got "".'),
    ({"vos": ["a", "urn:mace:egi.eu:group:vo"]}, "vos[1].name must be", 'got "urn:mace:egi.eu:group:vo".'),
    ({"vos": [3]}, "vos[0] must be the name of a VO or a mapping of name, namespace, groups, roles", "got 3."),
    ({"admin": []}, "settings: each key must be one of", 'got "admin".'),
    ({"username_claim": "sub"}, "settings: each key must be one of", 'got "username_claim".'),
    ({"user_names": "sub"}, 'user_names must be one of voperson_id, preferred_username; got "sub".'),
    ({"recheck_seconds": 5}, "recheck_seconds must be a whole number of seconds, at least 10; got 5."),
    ({"grace_seconds": True}, "grace_seconds must be a whole number of seconds, at least 0; got true."),
    ({"absence_seconds": "12h"}, 'absence_seconds must be a whole number of seconds, at least 0; got "12h".'),
    ({"access_token_file": True}, "offline_access must be true where access_token_file is true; got false."),
    ({"vos": [{"name": "vo", "role": ["x"]}]}, "vos[0]: each key must be one of", 'got "role". Did you mean roles?'),
    ({"vos": [{"name": "vo", "roles": "x"}]}, 'vos[0].roles must be a list of texts; got "x".'),
    ({"vos": [{"name": "vo", "groups": ["a//b"]}]}, "vos[0].groups must be names of groups", 'got ["a//b"].'),
    ({"vos": [{"name": "v" * 300}]}, "vos[0]: names of groups must be at most 255 characters long; got"),
    ({"vos": [{"name": "vo", "namespace": "urn:x:y"}]}, "vos[0].namespace must be one of the trusted namespaces"),
    ({"vos": [{"name": "vo", "roles": ["role=x"]}]}, "vos[0].roles must be the name of a role", "without role=; got"),
    ({"vos": [{"name": "vo", "admin": ["Role=x"]}]}, "vos[0].admin must be the name of a role, such as vm_operator,"),
    ({"vos": [{"name": "vo", "groups": ["a:role=x"]}]}, "vos[0].groups must be", "Write a role to roles."),
    ({"environment": "prod"}, 'environment must be one of production, demo, development; got "prod".'),
    ({"environment": ...}, "Exactly one of environment and issuer must be given", "got null and null."),
    ({"issuer": "https://x.org/realms/egi"}, 'got "production" and "https://x.org/realms/egi".'),
    ({"environment": ..., "issuer": "http://x.org/realms/egi"}, 'got "http://x.org/realms/egi".'),
    ({"environment": ..., "issuer": "https://x.org/?a"}, "issuer must be a URL without '?' and '#'; got"),
    ({"environment": ..., "issuer": "https://u:hush@x.org/"}, "issuer must be an https:// URL", "https://***@x.org/"),
    ({"environment": ..., "issuer": "https://[x"}, "issuer must be an https:// URL"),
    ({"client_id": ""}, 'client_id must be a text of one line; got "".'),
    ({"client_id": "a\nb"}, 'client_id must be a text of one line; got "a\\nb".'),
    ({"domain": "https://n.example.org"}, "domain must be a fully qualified host name in lowercase, such as"),
    ({"domain": "localhost"}, 'got "localhost".'),
    ({"domain": "n.example.org\n"}, "domain must be a fully qualified host name in lowercase"),
    ({"domain": ...}, "Exactly one of domain and callback_url must be given", "got null and null."),
    (
        {"domain": ..., "callback_url": "http://n.example.org/hub/oauth_callback"},
        "callback_url must be an https:// URL",
    ),
    ({"domain": ..., "callback_url": "https://n.example.org/"}, "callback_url must be a URL that ends in /hub/oauth"),
    ({"scopes": ["profile"]}, 'scopes must be a list of words with openid among them; got ["profile"].'),
    ({"scopes": "openid"}, 'scopes must be a list of texts; got "openid".'),
    ({"pkce": "no"}, 'pkce must be true or false; got "no".'),
    ({"ca_file": "ca.crt"}, 'ca_file must be an absolute path in the hub\'s container; got "ca.crt".'),
    ({"namespaces": ["egi.eu"]}, "namespaces must be a list of URNs such as urn:mace:egi.eu", 'got "egi.eu".'),
    ({"namespaces": ["urn:mace:egi.eu:group:vo"]}, "namespaces must be a list of URNs", "without groups; got"),
    ({"enrolment_url": "http://x.org"}, "enrolment_url must be an https:// URL"),
    ({"post_logout_redirect_url": "/"}, "post_logout_redirect_url must be an https:// URL"),
    ({"site": "x"}, 'site must be a mapping of name, logo, welcome, links, support; got "x".'),
    ({"site": {"title": "x"}}, "site: each key must be one of name, logo, welcome, links, support; got"),
    ({"site": {"name": ""}}, "site.name must be a text of one line"),
    ({"site": {"logo": "https://x.org/logo.png"}}, "site.logo must be a data: URL of an SVG, PNG, JPEG or WebP image"),
    ({"site": {"logo": "data:image/png;base64," + "A" * 140_000}}, "of at most 100 kB; got"),
    ({"site": {"welcome": "x" * 2001}}, "site.welcome must be a text of at most 2000 characters"),
    ({"site": {"links": {"a": "b"}}}, "site.links must be a list of mappings of title, url"),
    ({"site": {"links": [{"title": "a", "url": "javascript:alert(1)"}]}}, "site.links[0].url must be an https:// URL"),
    ({"site": {"support": "javascript:alert(1)"}}, "site.support must be an https:// URL or an e-mail address"),
]


@pytest.mark.parametrize(("changes", "messages"), [(changes, messages) for changes, *messages in BAD_SETTINGS])
def test_bad_settings_are_refused_with_one_line(changes, messages):
    with pytest.raises(AnsibleFilterError) as refused:
        checkin_oauth(settings(**changes))
    for message in messages:
        assert message in str(refused.value)
    assert str(refused.value).startswith("checkin_oauth: ")
    assert "\n" not in str(refused.value)
    assert "hush" not in str(refused.value)
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("given", [None, [], "production", 3])
def test_settings_must_be_a_mapping(given):
    with pytest.raises(AnsibleFilterError, match=r"settings must be a mapping of environment, .*; got "):
        checkin_oauth(given)


def test_all_problems_are_reported_at_once_under_the_names_of_their_variables():
    bad = settings(
        environment="prod",
        client_id="",
        pkce=1,
        domain="x",
        vos=["a b", {"name": "vo", "roles": "x", "limits": {"cpu": 0, "gpu": -1}, "storage": 3}, "vo.good"],
    )
    problems = login_problems(bad, "jupyterhub_oauth.", {"vos": "egi_notebooks_vos", "domain": "egi_notebooks_domain"})
    assert [problem.partition(" must be ")[0] for problem in problems] == [
        "jupyterhub_oauth.environment",
        "egi_notebooks_domain",
        "jupyterhub_oauth.client_id",
        "egi_notebooks_vos[0].name",
        "egi_notebooks_vos[1].roles",
        "egi_notebooks_vos[1].limits.cpu",
        "egi_notebooks_vos[1].limits.gpu",
        "egi_notebooks_vos[1].storage",
        "jupyterhub_oauth.pkce",
    ]
    assert vo_problems("egi_notebooks_vos", bad["vos"]) == problems[3:8]
    with pytest.raises(AnsibleFilterError) as refused:
        checkin_oauth(bad)
    assert len(str(refused.value).splitlines()) == len(problems)


def test_good_settings_have_no_problem():
    assert login_problems(LEAST) == vo_problems("vos", ["vo"]) == []
    assert login_problems(3, "jupyterhub_oauth.")[0].startswith("jupyterhub_oauth must be a mapping of")


def test_a_vo_may_be_of_another_namespace_which_its_groups_are_told_by():
    made = checkin_oauth(
        settings(
            namespaces=["urn:mace:egi.eu:", "urn:geant:Example.org:group:"],
            vos=["vo", {"name": "vo", "namespace": "urn:geant:example.org", "groups": ["a"], "admin": ["boss"]}],
        )
    )["EgiNotebooks"]
    assert [(vo["group"], vo["groups"], vo["admin_groups"]) for vo in made["vos"]] == [
        ("vo", ["vo"], []),
        (
            "urn:geant:example.org:vo",
            ["urn:geant:example.org:vo/a", "urn:geant:example.org:vo/a:role=boss"],
            ["urn:geant:example.org:vo/a:role=boss"],
        ),
    ]


def test_pages_have_the_site_s_texts():
    assert checkin_oauth(LEAST)["EgiNotebooks"]["site"]["name"] == "EGI Notebooks"
    given = {
        "name": " Notebooks of Example ",
        "logo": "data:image/png;base64,iVBORw0KGgo=",
        "welcome": "One\nline.\n\n\nTwo <b>.\n",
        "links": [{"title": "Terms of use", "url": "https://example.org/terms"}],
        "support": "help@example.org",
    }
    assert checkin_oauth(settings(site=given))["EgiNotebooks"]["site"] == {
        "name": "Notebooks of Example",
        "logo": "data:image/png;base64,iVBORw0KGgo=",
        "welcome": ["One line.", "Two <b>."],
        "links": given["links"],
        "support": {"text": "help@example.org", "url": "mailto:help@example.org"},
    }
    linked = checkin_oauth(settings(site={"support": "https://example.org/help"}))["EgiNotebooks"]["site"]["support"]
    assert linked == {"text": "https://example.org/help", "url": "https://example.org/help"}


def test_a_logo_is_read_from_the_control_node(tmp_path):
    (tmp_path / "logo.SVG").write_text("<svg/>")
    assert read_logo("jupyterhub_site.logo", str(tmp_path / "logo.SVG")) == "data:image/svg+xml;base64,PHN2Zy8+"
    (tmp_path / "empty.png").touch()
    (tmp_path / "big.png").write_bytes(b"x" * 100_001)
    for name, message in (
        ("gone.png", "No such file"),
        ("logo.gif", r"must be the absolute path of a file with one of the endings \.svg"),
        ("empty.png", "has 0 bytes; must have 1 to 100000 bytes"),
        ("big.png", "has 100001 bytes"),
    ):
        with pytest.raises(SettingsError, match=message):
            read_logo("jupyterhub_site.logo", str(tmp_path / name))


@pytest.mark.parametrize(
    ("section", "traits", "message"),
    [
        ("Authenticator", {"allow_all": True}, "Authenticator.allow_all must be false; got true. Remove it."),
        ("GenericOAuthenticator", {"allow_all": "false"}, 'allow_all must be false; got "false".'),
        ("OAuthenticator", {"allow_existing_users": True}, "allow_existing_users must be false; got true."),
        ("Authenticator", {"refresh_pre_spawn": False}, "refresh_pre_spawn must be true; got false."),
        (
            "CheckinAuthenticator",
            {"auth_refresh_age": 0},
            "auth_refresh_age must be at least 10; got 0. Set recheck_sec",
        ),
        ("Authenticator", {"auth_refresh_age": None}, "auth_refresh_age must be at least 10; got null."),
        ("Authenticator", {"auth_refresh_age": True}, "auth_refresh_age must be at least 10; got true."),
        ("GenericOAuthenticator", {"enable_auth_state": False}, "enable_auth_state must be true; got false."),
        ("GenericOAuthenticator", {"manage_groups": None}, "manage_groups must be true; got null."),
        ("GenericOAuthenticator", {"validate_server_cert": False}, "validate_server_cert must be true; got false."),
        ("GenericOAuthenticator", {"userdata_from_id_token": True}, "userdata_from_id_token must be false; got true."),
        ("GenericOAuthenticator", {"admin_groups": ["vo"]}, 'admin_groups must be []; got ["vo"]. Give admin roles to'),
        ("JupyterHub", {"authenticator_class": "dummy"}, 'authenticator_class must be generic-oauth; got "dummy".'),
        (
            "EgiNotebooks",
            {"namespaces": []},
            "EgiNotebooks must not be given: it comes from the settings of the login.",
        ),
    ],
)
def test_values_that_would_undo_the_rules_are_found(section, traits, message):
    (problem,) = values_problems({"hub": {"config": {section: traits}}})
    assert problem.startswith(f"jupyterhub_values.hub.config.{section}")
    assert message in problem


@pytest.mark.parametrize(
    "values",
    [
        None,
        {},
        {"hub": None},
        {"hub": {"config": None}},
        {"hub": {"config": {"Authenticator": None}}},
        {"hub": {"config": {"Authenticator": {"allow_all": False, "blocked_users": ["x"], "auth_refresh_age": 60}}}},
        {"hub": {"config": {"JupyterHub": {"authenticator_class": "generic-oauth"}, "KubeSpawner": {"allow_all": 1}}}},
    ],
)
def test_other_values_are_the_site_s_own(values):
    assert values_problems(values) == []


@pytest.mark.parametrize("name", ["a.eu", "x--y.a-b.example.org", f"{'a' * 63}.{'b' * 63}.eu", "1.eu"])
def test_a_host_name_is_known(name):
    assert is_host_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "a.eu\n",
        "\na.eu",
        "localhost",
        "A.eu",
        "a..eu",
        ".a.eu",
        "a.eu.",
        "-a.eu",
        "a-.eu",
        "a.e",
        "a.1u",
        "a b.eu",
        f"{'a' * 64}.eu",
        f"a.{'e' * 64}",
        ".".join(["a" * 62] * 4) + ".eu",
        "192.0.2.1",
        "",
        None,
        3,
    ],
)
def test_anything_else_is_no_host_name(name):
    assert not is_host_name(name)


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
    assert tuple(documented) == checkin_login.KEYS
    assert documented["scopes"]["default"] == list(checkin.DEFAULT_SCOPES)
    assert tuple(documented["site"]["suboptions"]) == checkin_site.KEYS
    assert tuple(documented["site"]["suboptions"]["links"]["suboptions"]) == checkin_site.LINK_KEYS
