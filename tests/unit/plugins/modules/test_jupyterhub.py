# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that speak to the hub's API, against a small hub."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from ansible_collections.egi.notebooks.plugins.modules import jupyterhub_info, jupyterhub_server

TOKEN = "hub-token-of-the-tests"


class Hub:
    """Users with servers, which take some looks to start and to stop."""

    def __init__(self) -> None:
        self.users = {"a@b/c": {}, "monitor": {}, **{f"u{number:03}": {} for number in range(120)}}
        self.looks_to_start = self.looks_to_stop = 2
        self.breaks = False
        self.calls = []

    def changes(self):
        return [(method, path) for method, path, _ in self.calls if method != "GET"]

    def model(self, name):
        for server in list(self.users[name].values()):
            if server["pending"]:
                server["looks"] -= 1
                if server["looks"] <= 0:
                    self._arrive(server)
        keys = ("name", "pending", "ready", "stopped", "user_options")
        servers = {key: {k: server[k] for k in keys} | {"state": "?"} for key, server in self.users[name].items()}
        return {"name": name, "admin": False, "groups": ["vo"], "servers": servers}

    def _arrive(self, server):
        ready = server["pending"] == "spawn" and not self.breaks
        server |= {"pending": None, "ready": ready, "stopped": not ready}

    def __call__(self, method, path, headers, body):
        self.calls.append((method, path, body))
        if headers.get("Authorization") != f"token {TOKEN}":
            return 403, {"status": 403, "message": "Missing or invalid credentials."}
        parts = urlsplit(path)
        words = [unquote(word) for word in parts.path.removeprefix("/hub/api/").split("/")]
        if words == [""]:
            return 200, {"version": "5.5.0"}
        if words == ["users"]:
            query = parse_qs(parts.query)
            limit, offset = int(query["limit"][0]), int(query["offset"][0])
            names = sorted(self.users)
            following = {"offset": offset + limit} if offset + limit < len(names) else None
            page = [self.model(name) for name in names[offset : offset + limit]]
            return 200, {"items": page, "_pagination": {"next": following}}
        if words[1] not in self.users:
            return 404, {"status": 404, "message": "No such user"}
        if len(words) == 2:
            return 200, self.model(words[1])
        servers, name = self.users[words[1]], words[3] if len(words) > 3 else ""
        if method == "POST":
            pending = {"pending": "spawn", "ready": False, "stopped": False, "looks": self.looks_to_start}
            servers[name] = {"name": name, "user_options": body, **pending}
            return 202, b""
        if (body or {}).get("remove"):
            del servers[name]
            return 204, b""
        servers[name] |= {"pending": "stop", "ready": False, "looks": self.looks_to_stop}
        return 202, b""


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
    assert "allowed is 'stopped'" in server(state="absent")["msg"]


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
    assert answer["msg"] == "The server of a@b/c is still starting after wait_timeout; it was told to start"
    hub.users["a@b/c"].clear()
    hub.looks_to_start, hub.breaks = 2, True
    assert "did not start; the hub's log" in server()["msg"]


def test_an_unknown_user_and_a_wrong_token_are_told(server):
    assert "user is 'nobody', whom the hub does not know" in server(user="nobody")["msg"]
    answer = server(token="another-token")
    assert "/hub/api/users/a%40b%2Fc answered 403 (Missing or invalid credentials.)" in answer["msg"]
    assert "another-token" not in str(answer)


def test_a_token_of_two_lines_is_refused_unseen(info):
    assert info(token=f"{TOKEN}\n", users=[])["version"] == "5.5.0"
    answer = info(token=f"{TOKEN}\nanother-line")
    assert "is not one line of ASCII" in answer["msg"]
    assert "another-line" not in answer["msg"]


def test_all_users_are_told_page_by_page(info, hub, server):
    server()
    answer = info(check=True)
    assert answer["version"] == "5.5.0"
    assert [user["name"] for user in answer["users"]] == sorted(hub.users)
    (own,) = [user for user in answer["users"] if user["name"] == "a@b/c"]
    assert own["groups"] == ["vo"]
    assert [one["ready"] for one in own["servers"]] == [True]
    server(server="second")
    for name in ("", "second"):
        server(server=name, state="stopped")
    (own,) = info(users=["a@b/c"])["users"]
    assert [(one["name"], one["stopped"]) for one in own["servers"]] == [("second", True)]
    assert not answer["changed"]


def test_users_are_asked_for_by_name(info):
    assert [user["name"] for user in info(users=["u007", "monitor", "nobody"])["users"]] == ["monitor", "u007"]
    assert info(users=[])["users"] == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, b"<html>maintenance</html>"), "with 24 bytes (of no type) that are no JSON"),
        ((200, []), "with a JSON document that is no mapping"),
        ((502, b"<html>bad gateway</html>"), "answered 502"),
        ((302, b"", {"Location": "https://127.0.0.1:9/elsewhere"}), "answered 302"),
        (None, "got no answer"),
    ],
)
def test_a_broken_answer_is_one_line(run, serve, answer, message):
    url = serve(lambda *_: answer)
    assert message in run(jupyterhub_info, hub_url=url, token=TOKEN)["msg"]
    assert message in run(jupyterhub_server, hub_url=url, token=TOKEN, user="x")["msg"]


def test_users_without_pages_are_refused(run, serve):
    url = serve(lambda method, path, *_: (200, {"version": "1"} if path.endswith("/api/") else {"items": 3}))
    assert "with what is no page of users" in run(jupyterhub_info, hub_url=url, token=TOKEN)["msg"]


@pytest.mark.parametrize(
    "url",
    [
        "notebooks.example.org",
        "ftp://n.example.org",
        "https://n.example.org/?x",
        "http://n.example.org",
        "http://localhost.example.org",
        "http://127.0.0.1@n.example.org",
    ],
)
def test_a_wrong_address_is_refused(run, url):
    assert "allowed is an address such as" in run(jupyterhub_info, hub_url=url, token=TOKEN)["msg"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_without_tls_a_token_stays_on_the_machine(run, serve, hub, monkeypatch, host):
    url = serve(hub, tls=False).replace("127.0.0.1", host)
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    answer = run(jupyterhub_info, hub_url=url, token=TOKEN, users=[])
    assert answer.get("version") == "5.5.0", answer


def test_a_certificate_that_nobody_vouches_for_is_refused(run, serve, hub):
    answer = run(jupyterhub_info, hub_url=serve(hub), token=TOKEN, ca_path=None)
    assert "certificate" in answer["msg"].lower()
    assert hub.calls == []
