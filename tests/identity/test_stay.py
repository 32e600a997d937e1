# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long somebody stays: the VO lost while a server runs, and the access token that stays fresh."""

from __future__ import annotations

import time

import pytest
from checkin_client import TIMEOUT, Client
from faults import wait_until
from people import VO, client_attributes, record, urn

#: The lab's settings, see inventories/lab.
RECHECK, GRACE = 30, 30
#: How often the hub looks after everybody, and how long a pod takes to go.
WATCH, STOP = 10, 60
TOKEN = "/var/run/secrets/egi.eu/access_token"
ENVIRONMENT = "import os; print(any(open('" + TOKEN + "').read() in value for value in os.environ.values()))"


@pytest.mark.harsh
def test_who_loses_the_vo_loses_session_server_and_tokens_but_no_file(lab, person):
    member = person(urn(VO)).log_in()
    member.start()
    member.write("kept.txt", "mine")
    assert member.become(entitlements=[urn("vo.other")])
    removed = time.monotonic()
    # Nothing but the hub's own watch asks in this time.
    wait_until(lambda: not any(map(member.owns, lab.user_pods())), RECHECK + GRACE + 2 * WATCH + STOP, "the end", 0.5)
    server = time.monotonic() - removed
    assert server > GRACE
    assert member.is_sent_to_login()
    assert member.api.get(f"{lab.url}/hub/api/user", timeout=TIMEOUT).status_code == 403
    assert member.visit().status_code == 403
    assert lab.run("nfs", f"cat /srv/homes/{member.name}/kept.txt") == "mine"
    record(lost_vo_until_server_is_gone=server)
    assert member.become(entitlements=[urn(VO)])
    member.log_in()
    member.start()
    assert member.read("kept.txt") == "mine"


@pytest.mark.harsh
def test_the_session_ends_at_the_next_check(lab, person):
    member = person(urn(VO)).log_in()
    assert not member.is_sent_to_login()
    assert member.become(entitlements=[])
    record(lost_vo_until_session_is_gone=wait_until(member.is_sent_to_login, RECHECK + 15, "the end of the session"))
    assert member.is_sent_to_login()
    assert member.become(entitlements=[urn(VO)])
    assert not member.is_sent_to_login()


def test_nobody_starts_a_server_after_they_lost_the_vo(lab, person):
    member = person(urn(VO)).log_in()
    assert member.become(entitlements=[])
    assert member.hub("POST", "/server").status_code == 403
    assert not any(map(member.owns, lab.user_pods()))


@pytest.mark.harsh
def test_the_access_token_is_in_a_file_that_stays_fresh(person):
    with client_attributes(**{"access.token.lifespan": "120"}):
        member = person(urn(VO)).log_in()
        member.start()
        with member.kernel() as kernel:
            first = kernel.run(f"print(open('{TOKEN}').read())").strip()
            assert Client().userinfo(first)["voperson_id"] == member.identifier
            assert kernel.run(ENVIRONMENT) == "False\n"
            # Half of its life, the hub's check, and what kubelet takes to exchange a file.
            wait_until(
                lambda: kernel.run(f"print(open('{TOKEN}').read())").strip() != first,
                60 + RECHECK + WATCH + 120,
                "a new one",
            )
            second = kernel.run(f"print(open('{TOKEN}').read())").strip()
            assert Client().userinfo(second)["voperson_id"] == member.identifier
