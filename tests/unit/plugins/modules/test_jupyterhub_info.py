# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that queries a hub, against a small one."""

from __future__ import annotations

import pytest
from hub import TOKEN

from ansible_collections.egi.notebooks.plugins.modules import jupyterhub_info, jupyterhub_server


def test_a_token_of_two_lines_is_refused_unseen(info):
    assert info(token=f"{TOKEN}\n", users=[])["version"] == "5.5.0"
    answer = info(token=f"{TOKEN}\nanother-line")
    assert "must be one line of printable ASCII" in answer["msg"]
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
        ((200, b"<html>maintenance</html>"), "with 24 bytes (no content type) that are not JSON"),
        ((200, []), "with a JSON document that is not an object"),
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
    assert "with a document that is not a page of users" in run(jupyterhub_info, hub_url=url, token=TOKEN)["msg"]


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
    assert "must be an https:// URL such as" in run(jupyterhub_info, hub_url=url, token=TOKEN)["msg"]


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
