# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entitlements as AARC-G002, G069 (groups) and G027 (capabilities) write them, and the short names of groups.

A group entitlement is ``<NAMESPACE>:group:<GROUP>[:<SUBGROUP>]*[:role=<ROLE>][#<AUTHORITY>]``, for example
``urn:mace:egi.eu:group:vo.notebooks.egi.eu:role=member#aai.egi.eu``. Its short name is
``<group>[/<subgroup>]*[:role=<role>]``, for example ``vo.notebooks.egi.eu``, ``vo.notebooks.egi.eu/training`` or
``vo.notebooks.egi.eu:role=vm_operator``. In a short name everything but letters, digits and ``-._~`` of ASCII is
percent-encoded as UTF-8, so two entitlements have one short name if and only if they mean the same, and a name that
just looks like another stays another.

A capability is ``<NAMESPACE>:res:<RESOURCE>[:<CHILD>]*[:act:<ACTION>[,<ACTION>]*][#<AUTHORITY>]``. It says what may be
done with a resource, is membership in nothing, and so gives no short name.

The namespace ignores case, the rest does not. Percent-encoding is decoded. The authority is ignored (AARC-G069
deprecates it, and a URN's fragment takes no part in a comparison). What breaks the syntax gives no group.

The same file runs in the collection and, as egi_notebooks_entitlement, in the hub: it needs the standard library alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

# The namespace of EGI Check-in.
DEFAULT_NAMESPACES = ("urn:mace:egi.eu",)
# Userinfo claims that hold entitlements: the first replaces the second, which is still in use.
CLAIMS = ("entitlements", "eduperson_entitlement")
# Far above any real entitlement.
MAX_ENTITLEMENT = 2048
# What the hub's database holds.
MAX_NAME = 255

# The first ``:group:`` or ``:res:`` behind a namespace decides what it is.
_FORM = re.compile(r"((?i:urn)(?::[!-9;->@-~]+){2,}?):(group|res):(.*)")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ROLE = "role="


class EntitlementError(ValueError):
    """The text is no entitlement of the kind that was asked for, or no name that an entitlement can hold."""


def normalized_namespace(namespace: str) -> str:
    """Return a namespace for comparison; with or without ``:group:`` at its end it is the same."""
    return re.sub(r":group:?$", "", namespace.strip().lower())


@dataclass(frozen=True)
class Entitlement:
    """Membership in a group, and the role in it if one is stated."""

    namespace: str
    path: tuple[str, ...]
    role: str | None = None
    authority: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """The entitlement as Check-in would write it."""
        parts = [self.namespace, "group", *(quote(part, safe="") for part in self.path)]
        parts += [] if self.role is None else [_ROLE + quote(self.role, safe="")]
        return ":".join(parts) + (f"#{self.authority}" if self.authority else "")

    @property
    def name(self) -> str:
        """The short name."""
        return group_name(self.path, self.role)

    @property
    def implied_names(self) -> list[str]:
        """The short names of all it proves: each group from the outermost to this one, then the role in this one."""
        names = [group_name(self.path[:depth]) for depth in range(1, len(self.path) + 1)]
        return names + ([self.name] if self.role is not None else [])


@dataclass(frozen=True)
class Capability:
    """A resource, or a part of one, and what may be done with it; nothing stated means everything."""

    namespace: str
    path: tuple[str, ...]
    actions: tuple[str, ...] = ()
    authority: str | None = field(default=None, compare=False)


def group_name(path: tuple[str, ...] | list[str], role: str | None = None) -> str:
    """Return the short name of a group, or of a role in it, from plain text parts."""
    parts = [*path] if role is None else [*path, role]
    if not path or not all(isinstance(part, str) and part and part.isprintable() for part in parts):
        raise EntitlementError(f"A group or role must be text without control characters, got {parts!r}.")
    name = "/".join(quote(part, safe="") for part in path)
    return name if role is None else f"{name}:{_ROLE}{quote(role, safe='')}"


def parse(text: object) -> Entitlement:
    """Return the group entitlement that the text is, or raise EntitlementError."""
    found = parse_any(text)
    if not isinstance(found, Entitlement):
        raise EntitlementError("It is a capability, no group entitlement.")
    return found


def parse_any(text: object) -> Entitlement | Capability:
    """Return the group entitlement or capability that the text is, or raise EntitlementError."""
    if not isinstance(text, str) or len(text) > MAX_ENTITLEMENT or not text.isprintable():
        raise EntitlementError("An entitlement must be one line of text of moderate length.")
    # A URN's r-, q- and f-components (the last is the authority) take no part in a comparison.
    form = _FORM.fullmatch(re.split(r"#|\?\+|\?=", text, maxsplit=1)[0])
    if not form:
        raise EntitlementError(
            "An entitlement must have the form <NAMESPACE>:group:<GROUP> or <NAMESPACE>:res:<RESOURCE>."
        )
    namespace, kind, rest = form.groups()
    authority = text.partition("#")[2] or None
    read = _group if kind == "group" else _capability
    return read(namespace.lower(), rest.split(":"), authority)


def _group(namespace: str, parts: list[str], authority: str | None) -> Entitlement:
    role = parts.pop()[len(_ROLE) :] if len(parts) > 1 and parts[-1].startswith(_ROLE) else None
    if any(part.startswith(_ROLE) for part in parts):
        raise EntitlementError("A role must be the last part of a group entitlement.")
    path = tuple(_decoded(part) for part in parts)
    return Entitlement(namespace, path, None if role is None else _decoded(role), authority)


def _capability(namespace: str, parts: list[str], authority: str | None) -> Capability:
    actions: list[str] = []
    if "act" in parts:
        position = parts.index("act")
        if len(parts) != position + 2:
            raise EntitlementError("The actions must be the last part of a capability, after ':act:'.")
        actions = parts[-1].split(",")
        parts = parts[:position]
    if not parts:
        raise EntitlementError("A capability must name a resource.")
    path = tuple(_decoded(part) for part in parts)
    return Capability(namespace, path, tuple(_decoded(action) for action in actions), authority)


def _decoded(part: str) -> str:
    """Return a part of an entitlement as plain text."""
    if "?" in part or _BAD_PERCENT.search(part):
        raise EntitlementError("A part of an entitlement has a character that must be percent-encoded.")
    try:
        text = unquote(part, errors="strict")
    except UnicodeDecodeError as error:
        raise EntitlementError("A part of an entitlement is no UTF-8.") from error
    if not text or not text.isprintable():
        raise EntitlementError("A part of an entitlement is empty or has control characters.")
    return text


def group_names(claims: object, namespaces: tuple[str, ...] | list[str] = DEFAULT_NAMESPACES) -> list[str]:
    """Return the sorted short names of all groups and roles that the claims of one user prove.

    ``claims`` is what the userinfo endpoint answered. Anything in it that is not as expected gives no group.
    """
    trusted = {normalized_namespace(namespace) for namespace in namespaces}
    names: set[str] = set()
    for claim in CLAIMS:
        values = claims.get(claim) if isinstance(claims, dict) else None
        for value in values if isinstance(values, list) else ():
            try:
                found = parse(value)
            except EntitlementError:
                continue
            if found.namespace in trusted:
                names.update(name for name in found.implied_names if len(name) <= MAX_NAME)
    return sorted(names)
