# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who moves to a short name."""

from __future__ import annotations

import io
import urllib.error
from email.message import Message

import pytest


def user(name, identifier=None, **keys):
    return {"name": name, "auth_state": identifier and {"oauth_user": {"voperson_id": identifier}}} | keys


def test_only_those_move_whom_nothing_holds_back(hub):
    short = hub.rules.short_name
    users = [
        user("marta", "m@egi.eu"),
        user("Žofía".lower(), "z@egi.eu"),
        user(short("moved@egi.eu"), "moved@egi.eu"),
        user("silent"),
        user("hostile", ["x"]),
        user("busy", "b@egi.eu", server="/user/busy/"),
        user("late", "moved@egi.eu"),
        user("twin", "t@egi.eu"),
        user("twin2", "t@egi.eu"),
    ]
    found = hub.users.report(users)
    assert found["moves"] == [
        {
            "name": name,
            "new_name": short(identifier),
            "home": home,
            "new_home": short(identifier),
            "person": "no name, no e-mail address",
        }
        for name, identifier, home in (("marta", "m@egi.eu", "marta"), ("žofía", "z@egi.eu", "-c5-beof-c3-ada"))
    ]
    reasons = {stay["name"]: stay["why"] for stay in found["stays"]}
    assert list(reasons) == ["silent", "hostile", "busy", "late", "twin", "twin2"]
    assert "logged in" in reasons["silent"]
    assert "server" in reasons["busy"]
    assert "already" in reasons["late"]
    assert "same person" in reasons["twin"]


@pytest.mark.parametrize(
    ("claims", "person"),
    [
        ({"name": "Žofía Č.", "email": "z@x.eu"}, "Žofía Č., z@x.eu"),
        ({"name": "a\nb", "email": ["x"]}, "no name, no e-mail address"),
    ],
)
def test_an_operator_sees_who_would_get_the_files(hub, claims, person):
    someone = user("marta", "m@egi.eu")
    someone["auth_state"]["oauth_user"] |= claims
    (move,) = hub.users.report([someone])["moves"]
    assert move["person"] == person


@pytest.fixture
def api(hub):
    """A hub whose users are a dictionary, and which may lose an answer."""

    class Api(hub.users.Hub):
        loses = False

        def request(self, method, path, body=None):
            name = path.removeprefix("users/")
            if name not in self.users:
                raise urllib.error.HTTPError(path, 404, "Not Found", Message(), io.BytesIO())
            if method == "PATCH":
                self.users[body["name"]] = self.users.pop(name) | body
                if self.loses:
                    raise TimeoutError
            return self.users[body["name"] if body else name]

    made = Api("http://hub", "token")
    made.users = {"marta": user("marta", "m@egi.eu")}
    return made


def test_a_rename_whose_answer_got_lost_may_be_repeated(api):
    assert api.which("marta", "egim") == "marta"
    api.loses = True
    with pytest.raises(TimeoutError):
        api.rename("marta", "egim")
    assert api.which("marta", "egim") == "egim"
    api.rename("marta", "egim")
    assert list(api.users) == ["egim"]


@pytest.mark.parametrize("busy", [{"server": "/user/marta/"}, {"servers": {"": {"pending": "spawn"}}}])
def test_nobody_is_renamed_under_their_server(api, busy):
    api.users["marta"] |= busy
    for command in (api.check, api.rename):
        with pytest.raises(SystemExit, match="marta has a server"):
            command("marta", "egim")
    assert list(api.users) == ["marta"]


def test_a_user_who_is_not_there_is_not_renamed(api):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        api.rename("nobody", "egin")
