# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a person is to this hub, from what Check-in's userinfo endpoint says. Anything in there may be hostile.

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
#: What short names look like; 26 letters of base32 are 130 bits.
SHORT_NAME = re.compile(r"egi[a-z2-7]{26}")
#: In bytes: a name becomes a directory, each of its bytes up to three of the 255 characters of that.
MAX_PLAIN_NAME = 80
#: What is longer is no name at all.
LONGEST = 1024


class Refused(Exception):
    """Why somebody can't log in, as a sentence for them."""


def groups(userinfo: Any, settings: dict[str, Any]) -> list[str]:
    """Return the short names of the groups and roles that both entitlement claims prove."""
    return entitlement.group_names(userinfo, settings["namespaces"])


def admitting_vos(userinfo: Any, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the VOs that admit a person, in the configured order."""
    return [vo for vo in _matching(userinfo, settings, "groups") if _is_assured(userinfo, vo)]


def unassured_vos(userinfo: Any, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the VOs that would admit a person whose identity were assured better."""
    return [vo for vo in _matching(userinfo, settings, "groups") if not _is_assured(userinfo, vo)]


def is_admin(userinfo: Any, settings: dict[str, Any]) -> bool:
    """Whether a role makes the person an admin."""
    return any(_is_assured(userinfo, vo) for vo in _matching(userinfo, settings, "admin_groups"))


def _matching(userinfo: Any, settings: dict[str, Any], key: str) -> list[dict[str, Any]]:
    names = set(groups(userinfo, settings))
    return [vo for vo in settings["vos"] if names.intersection(vo[key])]


def _is_assured(userinfo: Any, vo: dict[str, Any]) -> bool:
    values = userinfo.get("eduperson_assurance")
    return not vo["assurance"] or (isinstance(values, list) and any(value in vo["assurance"] for value in values))


def identifier(userinfo: Any) -> str:
    """Return the identifier that Check-in gives to one person for ever."""
    return _name(userinfo, IDENTIFIER)


def plain_name(userinfo: Any) -> str:
    """Return the name that a person chose, of which nobody knows whether it is theirs alone."""
    name = _name(userinfo, PLAIN_NAME).lower()
    why = None
    if "/" in name or SHORT_NAME.fullmatch(name):
        why = "it has a slash or looks like one of our own"
    elif name != name.strip():
        why = "it begins or ends with a blank"
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
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > LONGEST:
        raise Refused(
            f"EGI Check-in says nothing usable about you in {claim!r}, so this service can't tell who you are. Please "
            "show this to its operators."
        )
    return value


def short_name(identifier: str) -> str:
    """Return the user name for an identifier: always the same, valid as a label, and nobody else's."""
    digest = base64.b32encode(hashlib.sha256(identifier.encode()).digest()).decode()
    return f"egi{digest[:26].lower()}"


def display_name(userinfo: Any) -> str:
    """Return what to call a person on a page, nothing if they have no usable name."""
    return line(userinfo, "name")


def line(userinfo: Any, claim: str) -> str:
    """Return a claim as one short line, nothing if it is of another shape."""
    value = userinfo.get(claim) if isinstance(userinfo, dict) else None
    return value[:100] if isinstance(value, str) and value.isprintable() else ""
