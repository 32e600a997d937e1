# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of the hub."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import kubespawner.reflector
import pytest
from jupyterhub.handlers.metrics import MetricsHandler
from kubespawner.spawner import PodReflector
from tornado import web
from traitlets.config import Config

VO = "vo.notebooks.egi.eu"


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


@pytest.mark.parametrize("changes", [{"vos": []}, {"namespaces": []}, {"user_names": ...}, {"other": 1}])
def test_the_hub_does_not_start_without_its_settings(hub, config, changes):
    settings = {key: value for key, value in (dict(config.EgiNotebooks) | changes).items() if value is not ...}
    with pytest.raises(ValueError, match=r"hub\.config\.EgiNotebooks must have"):
        hub.hub.configure(Config(EgiNotebooks=settings))


@pytest.mark.usefixtures("config")
def test_the_hub_watches_its_pods_however_long_the_api_is_away(monkeypatch):
    waited = []

    async def wait(seconds):
        waited.append(seconds)

    async def lists(reflector, _version):
        if sum(waited) < 120:
            raise ConnectionError("refused")
        reflector._stopping = True
        reflector.resources = {"back": {}}
        raise ConnectionError("gone again")

    monkeypatch.setattr(kubespawner.reflector.asyncio, "sleep", wait)
    monkeypatch.setattr(kubespawner.reflector, "shared_client", lambda _: None)
    monkeypatch.setattr(PodReflector, "_list_and_update", lists)

    async def play() -> PodReflector:
        reflector = PodReflector(namespace="jupyterhub")
        await reflector._watch_and_update()
        return reflector

    assert asyncio.run(play()).resources == {"back": {}}


def test_what_a_site_shows_on_pages_is_kept(hub, config):
    site = Config(EgiNotebooks=config.EgiNotebooks, JupyterHub={"template_vars": {"announcement": "x"}})
    hub.hub.configure(site)
    assert site.JupyterHub.template_vars == {
        "announcement": "x",
        "display_name": hub.hub.display_name,
        "site": config.EgiNotebooks.site,
    }


def test_profiles_of_two_places_are_refused(hub, configured):
    site = Config(EgiNotebooks=configured(vos=[{"name": VO, "limits": {"cpu": 1}}]).EgiNotebooks)
    site.KubeSpawner.profile_list = [{"display_name": "x"}]
    with pytest.raises(ValueError, match=r"singleuser\.profileList"):
        hub.hub.configure(site)
