# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that starts and stops a user's server, against a small hub."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("name", ["", "second"])
def test_a_server_is_started_and_stopped_once(server, hub, name):
    which = "servers/second" if name else "server"
    path = f"/hub/api/users/a%40b%2Fc/{which}"
    # Start: told, done, told to be there, left alone.
    answer = server(server=name, options={"profile": "small"}, check=True)
    assert (answer["changed"], answer["diff"]) == (True, {"before": "absent\n", "after": "started\n"})
    assert hub.changes() == []
    answer = server(server=name, options={"profile": "small"})
    assert (answer["changed"], answer["server"]["ready"]) == (True, True)
    assert answer["server"]["user_options"] == {"profile": "small"}
    assert "state" not in answer["server"]
    assert hub.changes() == [("POST", path)]
    assert not server(server=name, check=True)["changed"]
    assert not server(server=name)["changed"]
    assert hub.changes() == [("POST", path)]
    # Stop.
    assert server(server=name, state="stopped", check=True)["changed"]
    assert hub.changes() == [("POST", path)]
    answer = server(server=name, state="stopped")
    assert (answer["changed"], answer["server"]["stopped"]) == (True, True)
    assert not server(server=name, state="stopped", check=True)["changed"]
    assert not server(server=name, state="stopped")["changed"]
    assert hub.changes() == [("POST", path), ("DELETE", path)]


def test_a_named_server_is_removed_once(server, hub):
    server(server="x")
    assert server(server="x", state="absent", check=True)["changed"]
    answer = server(server="x", state="absent")
    assert (answer["changed"], answer["server"]) == (True, None)
    assert not server(server="x", state="absent", check=True)["changed"]
    assert not server(server="x", state="absent")["changed"]
    assert [method for method, _ in hub.changes()] == ["POST", "DELETE"]
    assert "Stop the default server instead" in server(state="absent")["msg"]


def test_a_server_on_its_way_is_waited_for(server, hub):
    hub.looks_to_start = hub.looks_to_stop = 3
    assert server(wait=False)["server"]["pending"] == "spawn"
    answer = server()
    assert (answer["changed"], answer["server"]["ready"]) == (False, True)
    server(state="stopped", wait=False)
    answer = server()
    assert (answer["changed"], answer["server"]["ready"]) == (True, True)
    assert [method for method, _ in hub.changes()] == ["POST", "DELETE", "POST"]


def test_one_that_takes_too_long_or_breaks_is_an_error(server, hub):
    hub.looks_to_start = 10_000
    answer = server(wait_timeout=1)
    assert answer["msg"] == "The server of a@b/c did not start within wait_timeout; it is starting."
    hub.users["a@b/c"].clear()
    hub.looks_to_start, hub.breaks = 2, True
    assert "did not start. See the hub's log" in server()["msg"]


def test_an_unknown_user_and_a_wrong_token_are_told(server):
    assert "must be a user who has logged in once; got 'nobody'" in server(user="nobody")["msg"]
    answer = server(token="another-token")
    assert "/hub/api/users/a%40b%2Fc answered 403 (Missing or invalid credentials.)" in answer["msg"]
    assert "another-token" not in str(answer)
