# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hub that refuses to start: settings that would undo the rules, and packages of another version."""

from __future__ import annotations

import importlib
import sys

import pytest
from traitlets.config import Config

from ansible_collections.egi.notebooks.plugins.module_utils import checkin_login, upstream

UNDONE = [
    ("Authenticator", "allow_all", True),
    ("OAuthenticator", "allow_existing_users", True),
    ("GenericOAuthenticator", "refresh_pre_spawn", False),
    ("CheckinAuthenticator", "auth_refresh_age", 0),
    ("Authenticator", "auth_refresh_age", -1),
    ("GenericOAuthenticator", "enable_auth_state", False),
    ("Authenticator", "manage_groups", False),
    ("OAuthenticator", "validate_server_cert", False),
    ("GenericOAuthenticator", "userdata_from_id_token", True),
    ("GenericOAuthenticator", "admin_groups", {"vo"}),
]


@pytest.mark.parametrize(("section", "trait", "value"), UNDONE)
def test_the_hub_does_not_start_with_a_setting_that_would_undo_the_rules(hub, config, section, trait, value):
    site = Config(EgiNotebooks=config.EgiNotebooks)
    site[section][trait] = value
    with pytest.raises(
        ValueError, match=rf"^{section}\.{trait} must be .*; got .*\. Remove it from the values"
    ) as told:
        hub.hub.configure(site)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("section", "trait", "value"), UNDONE)
def test_nor_with_one_that_comes_after_the_check_of_the_configuration(hub, config, section, trait, value):
    config[section][trait] = value
    # The section of the class itself would win over the one of a class above.
    if section != "GenericOAuthenticator":
        config.GenericOAuthenticator.pop(trait, None)
    with pytest.raises(ValueError, match=f"{trait} must be|requires|Cannot specify both"):
        hub.authenticator.CheckinAuthenticator(config=config)


def test_nor_with_one_from_the_environment(hub, config, monkeypatch):
    hub.authenticator.CheckinAuthenticator(config=config)
    monkeypatch.setenv("OAUTH_TLS_VERIFY", "0")
    with pytest.raises(ValueError, match="validate_server_cert must be True; got False"):
        hub.authenticator.CheckinAuthenticator(config=config)


def test_preflight_and_hub_have_the_same_rules(hub):
    assert hub.protected.PROTECTED == checkin_login.PROTECTED


def test_nothing_is_missing_in_the_tested_packages(hub):
    assert hub.upstream.missing() == []
    hub.upstream.check()


@pytest.mark.parametrize("gone", ["kubespawner.reflector:ResourceReflector.gone", "jupyterhub.gone:X.y"])
def test_the_hub_does_not_start_without_what_it_needs_of_upstream(hub, monkeypatch, gone):
    monkeypatch.setattr(hub.upstream, "NEEDED", (*hub.upstream.NEEDED, gone))
    with pytest.raises(RuntimeError, match=rf"must have {gone}; got jupyterhub [0-9.]+, oauthenticator [0-9.]+, jup"):
        hub.upstream.check()


def test_the_hub_tells_it_before_it_imports_anything_else(hub, monkeypatch):
    monkeypatch.setattr(hub.upstream, "NEEDED", ("jupyterhub.gone:X",))
    monkeypatch.delitem(sys.modules, "egi_notebooks_hub")
    with pytest.raises(RuntimeError, match="The hub image must have jupyterhub.gone:X"):
        importlib.import_module("egi_notebooks_hub")


@pytest.mark.parametrize("version", ["4.2.0", "4.4.0", "4.10.1", "v4.4.0", "4.4.0+lab"])
def test_a_chart_whose_hub_has_all_names_is_no_problem(version):
    assert upstream.upstream_problems(version) == []


@pytest.mark.parametrize(
    ("version", "lacks"),
    [
        ("3.3.8", "lacks OAuthenticator._token_to_auth_model, OAuthenticator.build_refresh_token_request_params, O"),
        ("4.1.0", "lacks OAuthenticator._token_to_auth_model, OAuthenticator.build_refresh_token_request_params."),
        ("2.0.0", "lacks OAuthenticator._token_to_auth_model"),
        ("5.0.0", "have not been tested"),
        ("latest", "have not been tested"),
        (None, "have not been tested"),
    ],
)
def test_another_chart_is_told_with_what_it_lacks(version, lacks):
    (problem,) = upstream.upstream_problems(version)
    assert problem.startswith("jupyterhub_chart_version must be ")
    assert "4.4" in problem
    assert lacks in problem


def test_the_tested_versions_are_those_of_these_tests(hub):
    installed = {name: hub.upstream.version(name) for name in hub.upstream.PACKAGES}
    assert installed in upstream.TESTED.values()


def test_each_name_that_an_old_chart_lacks_is_needed(hub):
    needed = {name.partition(":")[2] for name in hub.upstream.NEEDED}
    for names in upstream.LACKING.values():
        assert set(names) <= needed
