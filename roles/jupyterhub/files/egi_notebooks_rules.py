# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the VOs and of user names, from the answer of Check-in's userinfo endpoint. Anything in it may be hostile.

``settings`` is ``hub.config.EgiNotebooks``, see egi_notebooks_hub. Needs the standard library and our parser alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import egi_notebooks_entitlement as entitlement

IDENTIFIER = "voperson_id"
PLAIN_NAME = "preferred_username"
#: Short names; 26 letters of base32 are 130 bits.
SHORT_NAME = re.compile(r"egi[a-z2-7]{26}")
#: In bytes. A name becomes a directory of at most 255 characters, each byte up to three of them.
MAX_PLAIN_NAME = 80
#: A longer text is no name at all.
MAX_CLAIM = 1024


class Refused(Exception):
    """Why somebody cannot log in, as a sentence for them."""


def groups(userinfo: Any, settings: dict[str, Any]) -> list[str]:
    """Return the names of the groups and roles that both entitlement claims prove."""
    return entitlement.group_names(userinfo, settings["namespaces"])


def stored_groups(userinfo: Any, settings: dict[str, Any]) -> list[str]:
    """Return those groups and roles that are of a configured VO."""
    return [name for name in groups(userinfo, settings) if any(_is_of(name, vo) for vo in settings["vos"])]


def _is_of(name: str, vo: dict[str, Any]) -> bool:
    return name == vo["group"] or name.startswith((f"{vo['group']}/", f"{vo['group']}:role="))


def admitting_vos(userinfo: Any, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the VOs that admit a person, in the configured order."""
    return [vo for vo in _matching(userinfo, settings, "groups") if _is_assured(userinfo, vo)]


def unassured_vos(userinfo: Any, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the VOs that would admit a person with a better assured identity."""
    return [vo for vo in _matching(userinfo, settings, "groups") if not _is_assured(userinfo, vo)]


def missing_for_all(userinfo: Any, settings: dict[str, Any]) -> list[dict[str, str]]:
    """Return why each VO does not admit a person: name, sentence, and the URL where to join if that would help."""
    names, found = set(groups(userinfo, settings)), []
    for vo in settings["vos"]:
        needed, why, join_url = vo["requirement"], "You are not a member.", vo["enrolment_url"]
        if names.intersection(vo["groups"]):
            why, join_url = (
                f"You are a member, but your identity must be assured by {' or '.join(vo['assurance'])}.",
                "",
            )
        elif vo["group"] in names:
            why = f"You are a member, but you need {needed}."
        elif needed:
            why = f"You are not a member. You need {needed}."
        # A VO may have several rules, and one button.
        if any(each["name"] == vo["name"] and each["join_url"] for each in found):
            join_url = ""
        found.append({"name": vo["name"], "why": why, "join_url": join_url})
    return found


def is_admin(userinfo: Any, settings: dict[str, Any]) -> bool:
    """Return whether a role makes the person an admin."""
    return any(_is_assured(userinfo, vo) for vo in _matching(userinfo, settings, "admin_groups"))


def _matching(userinfo: Any, settings: dict[str, Any], key: str) -> list[dict[str, Any]]:
    names = set(groups(userinfo, settings))
    return [vo for vo in settings["vos"] if names.intersection(vo[key])]


def _is_assured(userinfo: Any, vo: dict[str, Any]) -> bool:
    values = entitlement.claim_values(userinfo, "eduperson_assurance")
    return not vo["assurance"] or any(value in vo["assurance"] for value in values)


def identifier(userinfo: Any) -> str:
    """Return the permanent identifier that Check-in gives to one person."""
    return _name(userinfo, IDENTIFIER)


def plain_name(userinfo: Any) -> str:
    """Return the name that a person chose, which others may have chosen too."""
    name = _name(userinfo, PLAIN_NAME).lower()
    why = None
    if "/" in name or SHORT_NAME.fullmatch(name):
        why = "it has a slash or looks like one of our own"
    elif name in (".", ".."):
        # Browsers and proxies would resolve the path /user/.. of the server.
        why = "it is not more than dots"
    elif name != name.strip():
        why = "it begins or ends with whitespace"
    elif len(name.encode()) > MAX_PLAIN_NAME:
        why = f"it is longer than {MAX_PLAIN_NAME} bytes"
    if why:
        raise Refused(
            f"EGI Check-in calls you {name!r}, which can't be a user name here: {why}. Please ask the operators of "
            "this service to give names by identifier instead."
        )
    return name


def _name(userinfo: Any, claim: str) -> str:
    value = userinfo.get(claim) if isinstance(userinfo, dict) else None
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > MAX_CLAIM:
        raise Refused(
            f"EGI Check-in says nothing usable about you in {claim!r}, so this service does not know who you are. "
            "Please show this to its operators."
        )
    return value


def short_name(identifier: str) -> str:
    """Return the user name for an identifier: always the same, valid as a label, different for each identifier."""
    digest = base64.b32encode(hashlib.sha256(identifier.encode()).digest()).decode()
    return f"egi{digest[:26].lower()}"


def display_name(userinfo: Any) -> str:
    """Return the name of a person for pages, empty if there is no usable one."""
    return line(userinfo, "name")


def line(userinfo: Any, claim: str) -> str:
    """Return a claim as one short line, empty if it has another shape."""
    value = userinfo.get(claim) if isinstance(userinfo, dict) else None
    return value[:100] if isinstance(value, str) and value.isprintable() else ""
