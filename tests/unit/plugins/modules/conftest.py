# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of modules: servers, an issuer with a client, and how a module is run."""

from __future__ import annotations

import json

import pytest
from hub import TOKEN, Hub
from issuer import CALLBACK, INITIAL, Issuer
from servers import certificate, run, serve

from ansible_collections.egi.notebooks.plugins.modules import (
    checkin_client,
    checkin_login_info,
    jupyterhub_info,
    jupyterhub_server,
)


@pytest.fixture
def issuer(serve):
    found = Issuer()
    found.url = serve(found)
    return found


@pytest.fixture
def files(tmp_path):
    """Where the module keeps things."""
    return {"credentials_file": str(tmp_path / "client.json"), "client_secret_file": str(tmp_path / "client_secret")}


@pytest.fixture
def client(run, issuer, files, tmp_path):
    """Return a function that runs checkin_client; whatever it answers, no secret is in it, and no file left over."""

    def call(check=False, **options):
        wanted = {
            "issuer": issuer.issuer,
            "initial_access_token": INITIAL,
            "client_name": "Notebooks",
            "redirect_uris": [CALLBACK],
            "scopes": ["openid", "profile", "entitlements"],
            **files,
        }
        answer = run(checkin_client, check, **(wanted | options))
        text = json.dumps({key: value for key, value in answer.items() if key != "invocation"})
        assert not [secret for secret in issuer.secrets if secret in text]
        assert {path.name for path in tmp_path.iterdir()} <= {"client.json", "client_secret"}
        for path in tmp_path.iterdir():
            assert path.stat().st_mode & 0o777 == 0o600
        return answer

    return call


@pytest.fixture
def login(run, issuer):
    """Return a function that gives what checkin_login_info says of a client that is registered for CALLBACK."""
    issuer.clients["notebooks"] = {"redirect_uris": [CALLBACK]}

    def call(**options):
        wanted = {
            "issuer": issuer.issuer,
            "client_id": "notebooks",
            "redirect_uri": CALLBACK,
            "scopes": ["openid", "profile", "entitlements"],
        }
        answer = run(checkin_login_info, **(wanted | options))
        assert not answer["changed"]
        return answer["problems"]

    return call


@pytest.fixture
def hub():
    return Hub()


@pytest.fixture
def info(run, serve, hub):
    url = serve(hub)
    return lambda **options: run(jupyterhub_info, **({"hub_url": url, "token": TOKEN} | options))


@pytest.fixture
def server(run, serve, hub):
    url = serve(hub)
    return lambda **options: run(
        jupyterhub_server, **({"hub_url": f"{url}/", "token": TOKEN, "user": "a@b/c"} | options)
    )
