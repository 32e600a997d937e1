# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that the role ships to the hub, with the hub's own packages."""

from __future__ import annotations

import asyncio
import importlib.util
import pathlib
import sys
from types import SimpleNamespace

import jinja2
import jupyterhub
import kubespawner.spawner
import pytest
from jupyterhub.handlers.metrics import MetricsHandler
from kubespawner import KubeSpawner
from oauthenticator.generic import GenericOAuthenticator
from tornado import web
from traitlets.config import Config

from ansible_collections.egi.notebooks.plugins.filter.checkin_oauth import checkin_oauth

VO = "vo.notebooks.egi.eu"
URN = "urn:mace:egi.eu:group:{}#aai.egi.eu"
USER = f"{'0123456789abcdef' * 4}@egi.eu"


@pytest.fixture(scope="module")
def hub(root):
    """The module as the hub imports it, under the names that the role mounts."""
    files = {
        "egi_notebooks_entitlement": root / "plugins/module_utils/entitlement.py",
        "egi_notebooks_hub": root / "roles/jupyterhub/files/egi_notebooks_hub.py",
    }
    for name, path in files.items():
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    yield sys.modules["egi_notebooks_hub"]
    for name in files:
        del sys.modules[name]


@pytest.fixture
def config(hub, monkeypatch):
    """A hub's configuration as the chart leaves it to us, configured."""
    monkeypatch.setattr(kubespawner.spawner, "load_config", lambda **_: None)
    monkeypatch.setattr(MetricsHandler, "authenticate_prometheus", MetricsHandler.authenticate_prometheus)
    sections = checkin_oauth(
        {
            "environment": "demo",
            "client_id": "egi-notebooks",
            "domain": "notebooks.example.org",
            "vos": [{"name": "vo.first", "groups": ["staff"]}, VO],
            "admin": [{"name": VO, "roles": ["vm_operator"]}, {"name": "ops", "roles": ["admin"]}],
        }
    )
    c = Config(sections)
    hub.configure(c)
    return c


def login(config, *urns, claim="entitlements", **userinfo):
    """Return what the authenticator makes of a userinfo answer, or None for a user who is refused."""
    authenticator = GenericOAuthenticator(config=config)

    async def answer(_token_info):
        return {"voperson_id": USER, claim: list(urns), **userinfo}

    authenticator.token_to_user = answer
    authenticator.get_token_info = lambda *_: asyncio.sleep(0, {"access_token": "t", "token_type": "Bearer"})
    authenticator.build_access_tokens_request_params = lambda *_: {}
    return asyncio.run(authenticator.get_authenticated_user(None, None))


@pytest.mark.parametrize("claim", ["entitlements", "eduperson_entitlement"])
def test_a_member_is_admitted_by_either_claim(config, claim):
    user = login(config, URN.format(f"{VO}:role=member"), claim=claim)
    assert user["name"] == USER
    assert user["groups"] == [VO, f"{VO}:role=member"]
    assert not user["admin"]


@pytest.mark.parametrize("order", [1, -1])
def test_one_matching_group_among_others_admits(config, order):
    urns = [URN.format(name) for name in ("a:role=member", "b", "c", f"{VO}:role=member", "d")]
    assert login(config, *urns[::order])["name"] == USER


def test_a_role_makes_an_admin_and_an_admin_of_another_vo_gets_in(config):
    assert login(config, URN.format(f"{VO}:role=vm_operator"))["admin"] is True
    assert login(config, URN.format("ops:role=admin"))["admin"] is True


@pytest.mark.parametrize(
    "urns",
    [
        [],
        [URN.format("ops")],
        [URN.format("vo.first")],
        [URN.format("vo.first:guests")],
        [URN.format(f"other:{VO}")],
        ["urn:geant:example.org:group:" + VO],
        [VO],
        [URN.format(VO) + "\n"],
        [URN.format(VO.replace("o", "\u043e"))],
        [URN.format(VO.upper())],
        [None, 3, {}, [URN.format(VO)]],
    ],
)
def test_whoever_is_in_no_vo_is_refused_without_a_crash(config, urns):
    assert login(config, *urns) is None


@pytest.mark.parametrize("claim", [None, "", URN.format(VO), {URN.format(VO): 1}, 5])
def test_a_claim_that_is_no_list_admits_nobody(config, claim):
    assert login(config, entitlements=claim) is None


@pytest.mark.parametrize("auth_state", [None, {}, {"oauth_user": None}, {"oauth_user": []}])
def test_an_auth_state_without_userinfo_gives_no_group(hub, auth_state):
    assert hub.groups(auth_state, ["urn:mace:egi.eu"]) == []


def spawner(config, *groups):
    # What the chart adds to the hook: namespace and home.
    settings = Config(config)
    settings.KubeSpawner.update(
        namespace="jupyterhub",
        image="image:1",
        slug_scheme="safe",
        volumes=[{"name": "home", "persistentVolumeClaim": {"claimName": "homes"}}],
        volume_mounts=[{"name": "home", "mountPath": "/home/jovyan", "subPath": "{escaped_username}"}],
    )
    user = SimpleNamespace(
        name=USER, id=1, url="/user/x", groups=[SimpleNamespace(name=name) for name in groups], escaped_name=USER
    )
    made = KubeSpawner(config=settings, _mock=True, user=user)
    made.get_env = dict
    return made


def pod(config, *groups):
    """Return a user's pod as the spawner would start it."""

    async def make():
        made = spawner(config, *groups)
        return made.modify_pod_hook(made, await made.get_pod_manifest())

    return asyncio.run(make())


@pytest.mark.parametrize(
    ("groups", "vo"),
    [
        ([VO, f"{VO}:role=member"], VO),
        ([VO, "vo.first", "vo.first/staff"], "vo.first"),
        (["vo.first/staff", VO], "vo.first"),
        (["vo.first", VO], VO),
        (["ops", "ops:role=admin"], "ops"),
        (["aaa", VO], VO),
    ],
)
def test_the_pod_is_charged_to_the_first_configured_vo_that_admits_its_user(config, groups, vo):
    annotations = pod(config, *groups).metadata.annotations
    assert annotations["egi.eu/primary_group"] == vo
    assert annotations["hub.jupyter.org/username"] == USER


def test_a_pod_of_nobody_s_is_charged_to_nobody(config):
    assert "egi.eu/primary_group" not in pod(config, "aaa").metadata.annotations


def test_the_home_depends_on_the_user_s_name_alone(config):
    mounts = pod(config, VO).spec.containers[0].volume_mounts
    assert [mount.sub_path for mount in mounts] == [USER.replace("@", "-40").replace(".", "-2e")]


@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-For": "192.0.2.1"}])
def test_only_prometheus_sees_metrics_without_a_token(config, headers):
    handler = MetricsHandler.__new__(MetricsHandler)
    handler.request = SimpleNamespace(headers=headers)
    handler.parsed_scopes = {}
    handler.set_header = handler.write = lambda *_: None
    if headers:
        with pytest.raises(web.HTTPError, match="read:metrics"):
            asyncio.run(handler.get())
    else:
        asyncio.run(handler.get())


@pytest.mark.parametrize("settings", [{}, {"vos": []}, {"vos": [{"name": "x", "groups": ["x"]}]}])
def test_the_hub_does_not_start_without_its_settings(hub, settings):
    with pytest.raises(ValueError, match="hub.config.EgiNotebooks"):
        hub.configure(Config(EgiNotebooks=settings))


def test_the_page_of_a_refusal_links_to_the_enrolment(root, config):
    share = next(
        path
        for path in (pathlib.Path(sys.prefix), pathlib.Path(jupyterhub.__file__).parents[1])
        if (path / "share/jupyterhub/templates").exists()
    )
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.ChoiceLoader(
            [
                jinja2.FileSystemLoader(root / "roles/jupyterhub/files"),
                jinja2.DictLoader(
                    {
                        "page.html": "{% block main %}{% endblock %}{% block script %}{% endblock %}"
                        "{% block login_widget %}{% endblock %}"
                    }
                ),
                jinja2.FileSystemLoader(share / "share/jupyterhub/templates"),
            ]
        ),
    )
    page = environment.get_template("403.html").render(
        status_code=403,
        status_message="Forbidden",
        message=config.GenericOAuthenticator.custom_403_message + " <script>",
    )
    link = f"https://aai-demo.egi.eu/auth/realms/id/account/#/enroll?groupPath=/{VO}"
    assert f'<a href="{link}" rel="noopener">{link}</a>' in page
    assert "&lt;script&gt;" in page
    assert "<h1>403 : Forbidden</h1>" in page
