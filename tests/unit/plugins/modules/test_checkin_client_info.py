# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that reads a client's registration."""

from __future__ import annotations

import json
import time

from issuer import kept

from ansible_collections.egi.notebooks.plugins.modules import (
    checkin_client_info,
)


def test_a_client_is_looked_at(client, run, issuer, files):
    path = files["credentials_file"]
    assert run(checkin_client_info, credentials_file=path)["exists"] is False
    client()
    before = kept(files)
    for check in (True, False):
        answer = run(checkin_client_info, check, credentials_file=path)
        assert answer["client"]["client_name"] == "Notebooks"
        assert (answer["changed"], answer["exists"], answer["issuer"]) == (False, True, issuer.issuer)
        assert answer["client_secret_expires_at"] == 0
        assert not [secret for secret in issuer.secrets if secret in json.dumps(answer)]
    assert kept(files) == before
    # A signing key was changed.
    (known,) = issuer.clients.values()
    new = issuer.secret()
    real = issuer.manage
    issuer.manage = lambda *arguments: (200, real(*arguments)[1] | {"registration_access_token": new})
    run(checkin_client_info, check=True, credentials_file=path)
    assert kept(files)["registration_access_token"] == new
    known["registration_access_token"] = "another"
    assert "is revoked" in run(checkin_client_info, credentials_file=path)["msg"]


def test_a_silent_issuer_is_not_waited_for(client, run, issuer, files, monkeypatch):
    client()
    before = kept(files)
    real = issuer.manage

    def slow(method, *arguments):
        if method == "GET":
            time.sleep(2)
        return real(method, *arguments)

    monkeypatch.setattr(issuer, "manage", slow)
    for answer in (client(timeout=1), run(checkin_client_info, credentials_file=files["credentials_file"], timeout=1)):
        assert "got no answer (" in answer["msg"]
        assert "timed out" in answer["msg"]
    assert kept(files) == before
