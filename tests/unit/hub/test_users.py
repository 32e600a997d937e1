# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who moves to a short name."""

from __future__ import annotations


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
        {"name": "marta", "new_name": short("m@egi.eu"), "home": "marta", "new_home": short("m@egi.eu")},
        {"name": "žofía", "new_name": short("z@egi.eu"), "home": "-c5-beof-c3-ada", "new_home": short("z@egi.eu")},
    ]
    reasons = {stay["name"]: stay["why"] for stay in found["stays"]}
    assert list(reasons) == ["silent", "hostile", "busy", "late", "twin", "twin2"]
    assert "logged in" in reasons["silent"]
    assert "server" in reasons["busy"]
    assert "already" in reasons["late"]
    assert "same person" in reasons["twin"]
