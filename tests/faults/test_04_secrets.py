# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets stand where they belong and nowhere else, also while one is changed."""

from __future__ import annotations

import os
import secrets
import time

import pytest
from access import STATE
from checkin_client import BASE_URL, TIMEOUT, admin_session
from faults import HUB, extra, wait_until
from killed import LOG
from leaks import found_on_control, found_on_nodes, printed, process_lists, secrets_of_the_run, shown, spellings
from runs import playbook
from user import User

from lab.checkin import CLIENT_ID


@pytest.fixture
def new_secret():
    """A file with another client secret, in the folder where the lab keeps such files."""
    path = STATE / "secrets/client_secret.faults"
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(secrets.token_urlsafe(32))
    yield path
    path.unlink()


def tell_checkin(secret: str) -> None:
    session = admin_session()
    clients = f"{BASE_URL}/admin/realms/egi/clients"
    (client,) = session.get(clients, params={"clientId": CLIENT_ID}, timeout=TIMEOUT).json()
    answer = session.put(f"{clients}/{client['id']}", json=client | {"secret": secret}, timeout=TIMEOUT)
    assert answer.status_code == 204, answer.text


def test_a_changed_client_secret_is_seen_to_change_and_never_seen(lab, new_secret):
    """Case 34."""
    old, new = lab.secret("client_secret"), new_secret.read_text()
    wanted = secrets_of_the_run(lab) | spellings({new})
    changed = extra(jupyterhub_oauth_client_secret_file=str(new_secret))
    started = time.time()
    before = lab.revision()
    try:
        with process_lists() as seen:
            dry = playbook("service", "--check", "--diff", "-vv", *changed)
            assert dry.status == 0, dry.failures
            assert lab.revision() == before
            tell_checkin(new)
            real = playbook("service", "--diff", "-vv", *changed)
        assert real.status == 0, real.failures
        for result in (dry, real):
            # One sees that it changes.
            assert any("the hub's secrets and rights" in change for change in result.changes), result.changes
            assert printed(result.output, wanted) == []
        assert shown(seen, wanted) == []
        # It is the new one that the hub uses.
        assert lab.revision() == before + 1
        wait_until(lambda: User(lab, "member").log_in(), 60, "a login with the new secret")
    finally:
        tell_checkin(old)
        back = playbook("service", "--diff", "-vv")
        assert back.status == 0, back.failures
    assert printed(back.output, wanted) == []
    wait_until(lambda: User(lab, "member").log_in(), 60, "a login with the old secret")
    assert found_on_control(wanted, started) == []
    assert found_on_nodes(lab, wanted) == []


def test_no_secret_of_the_run_lies_about(lab, member):
    """Case 34. Logs, journals and temporary files, whatever ran so far; bootstrap tokens are gone or short-lived.

    The run that makes the secrets is in test_10_interrupted.py.
    """
    member.start()
    tokens = lab.get("secrets", "-n", HUB, "-l", "component=singleuser-access-token")
    assert all(token["data"]["access_token"] for token in tokens), "the access token of a user with a server"
    assert tokens
    wanted = secrets_of_the_run(lab)
    assert found_on_nodes(lab, wanted) == []
    if LOG.exists():
        assert printed(LOG.read_text(errors="replace"), wanted) == []
    documents = lab.kubectl("get", "configmaps,pods,events", "--all-namespaces", "--output=yaml")
    assert not [number for number, text in enumerate(sorted(wanted)) if text in documents]
    tokens = lab.get("secrets", "-n", "kube-system", "--field-selector=type=bootstrap.kubernetes.io/token")
    assert [token["metadata"]["name"] for token in tokens if "expiration" not in token["data"]] == []
