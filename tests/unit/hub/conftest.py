# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the hub's modules, imported as the hub imports them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import kubespawner.spawner
import pytest
from jupyterhub.apihandlers.users import ActivityAPIHandler
from jupyterhub.handlers.metrics import MetricsHandler
from kubespawner.reflector import ResourceReflector
from traitlets.config import Config

from ansible_collections.egi.notebooks.plugins.filter.checkin_oauth import checkin_oauth

# For the files of this folder.
sys.path.insert(0, str(Path(__file__).parent))
import hub_world  # noqa: E402

VO = "vo.notebooks.egi.eu"
URN = "urn:mace:egi.eu:group:{}#aai.egi.eu"
IDENTIFIER = f"{'0123456789abcdef' * 4}@egi.eu"
SETTINGS = {
    "environment": "demo",
    "client_id": "egi-notebooks",
    "domain": "notebooks.example.org",
    "vos": [
        {"name": "vo.first", "groups": ["staff"]},
        {"name": VO, "admin": ["vm_operator"]},
        {"name": "ops", "roles": ["admin"], "admin": ["admin"]},
    ],
}


@pytest.fixture(scope="session")
def hub(root, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """All modules, by the names without egi_notebooks_, from one folder with the names that the role mounts."""
    folder = tmp_path_factory.mktemp("hub")
    for name in ("entitlement", "traits"):
        (folder / f"egi_notebooks_{name}.py").symlink_to(root / f"plugins/module_utils/{name}.py")
    for path in (root / "roles/jupyterhub/files").glob("*.py"):
        (folder / path.name).symlink_to(path)
    sys.path.insert(0, str(folder))
    names = [path.stem.removeprefix("egi_notebooks_") for path in folder.iterdir()]
    modules: dict[str, ModuleType] = {name: importlib.import_module(f"egi_notebooks_{name}") for name in names}
    yield SimpleNamespace(**modules)
    sys.path.remove(str(folder))


@pytest.fixture
def configured(hub, monkeypatch):
    """A function that configures a hub as the chart does, with changed login settings."""
    monkeypatch.setattr(kubespawner.spawner, "load_config", lambda **_: None)
    # Configuring changes these for the whole process.
    monkeypatch.setattr(MetricsHandler, "authenticate_prometheus", MetricsHandler.authenticate_prometheus)
    monkeypatch.setattr(ActivityAPIHandler, "refresh_auth", ActivityAPIHandler.refresh_auth)
    monkeypatch.setattr(ResourceReflector, "_watch_and_update", ResourceReflector._watch_and_update)

    def configure(**changes) -> Config:
        c = Config(checkin_oauth(SETTINGS | changes))
        hub.hub.configure(c)
        return c

    return configure


@pytest.fixture
def config(configured):
    return configured()


@pytest.fixture
def play(configured, root, tmp_path):
    """A decorator that plays a scenario at once, in a hub with changed settings."""

    def with_settings(**changes):
        config = configured(**changes)

        def played(scenario):
            hub_world.play(config, str(root / "roles/jupyterhub/files"), str(tmp_path), scenario)

        return played

    return with_settings
