# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entitlements as AARC-G002, G069 (groups) and G027 (capabilities) write them, and the short names of groups.

A group entitlement is ``<NAMESPACE>:group:<GROUP>[:<SUBGROUP>]*[:role=<ROLE>][#<AUTHORITY>]``, for example
``urn:mace:egi.eu:group:vo.notebooks.egi.eu:role=member#aai.egi.eu``. Its short name is
``<group>[/<subgroup>]*[:role=<role>]``, for example ``vo.notebooks.egi.eu``, ``vo.notebooks.egi.eu/training`` or
``vo.notebooks.egi.eu:role=vm_operator``. In a short name everything but letters, digits and ``-._~`` of ASCII is
percent-encoded as UTF-8. Two entitlements of one namespace have the same short name if and only if they mean the same.
Groups of the first trusted namespace have their short name in the hub, those of others ``<NAMESPACE>:<SHORT NAME>``, so
that a VO of one namespace is never taken for a VO of another.

A capability is ``<NAMESPACE>:res:<RESOURCE>[:<CHILD>]*[:act:<ACTION>[,<ACTION>]*][#<AUTHORITY>]``. It says what may be
done with a resource. It proves no membership and has no short name.

The namespace ignores case, the rest does not. Percent-encoding is decoded. The authority is ignored (AARC-G069
deprecates it, and the fragment of a URN takes no part in a comparison). Broken syntax gives no group.

The same file runs in the collection and, as egi_notebooks_entitlement, in the hub. It needs the standard library alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

# The namespace of EGI Check-in.
DEFAULT_NAMESPACES = ("urn:mace:egi.eu",)
# Userinfo claims that hold entitlements: the first replaces the second, which is still in use.
CLAIMS = ("entitlements", "eduperson_entitlement")
# Far longer than any real entitlement.
MAX_ENTITLEMENT = 2048
# Limit of the hub's database.
MAX_NAME = 255

# The first ``:group:`` or ``:res:`` after a namespace decides on the kind.
_FORM = re.compile(r"((?i:urn)(?::[!-9;->@-~]+){2,}?):(group|res):(.*)")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ROLE = "role="


class EntitlementError(ValueError):
    """The text is not an entitlement of the expected kind, or a name that an entitlement cannot hold."""


def normalized_namespace(namespace: str) -> str:
    """Return a namespace in lowercase, without ``:group`` and colons at its end."""
    return re.sub(r"(:group)?:*$", "", namespace.strip().lower())


def is_namespace(text: object) -> bool:
    """Return whether group entitlements can have this namespace, such as ``urn:mace:egi.eu``."""
    try:
        return parse(f"{normalized_namespace(str(text))}:group:vo").namespace == normalized_namespace(str(text))
    except EntitlementError:
        return False


def qualified_name(namespace: str, name: str) -> str:
    """Return the name of a group in the hub; the namespace is empty for the first trusted one."""
    return f"{namespace}:{name}" if namespace else name


@dataclass(frozen=True)
class Entitlement:
    """Membership in a group, with or without a role in it."""

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
        """The short names of all that it proves: each group from the outermost to this one, then the role in it."""
        names = [group_name(self.path[:depth]) for depth in range(1, len(self.path) + 1)]
        return names + ([self.name] if self.role is not None else [])


@dataclass(frozen=True)
class Capability:
    """A resource, or a part of one, and the actions that are allowed on it; without actions all are."""

    namespace: str
    path: tuple[str, ...]
    actions: tuple[str, ...] = ()
    authority: str | None = field(default=None, compare=False)


def group_name(path: tuple[str, ...] | list[str], role: str | None = None) -> str:
    """Return the short name of a group, or of a role in it, from plain text parts."""
    parts = [*path] if role is None else [*path, role]
    if not path or not all(isinstance(part, str) and part and part.isprintable() for part in parts):
        raise EntitlementError(f"Groups and roles must be text without control characters; got {parts!r}.")
    name = "/".join(quote(part, safe="") for part in path)
    return name if role is None else f"{name}:{_ROLE}{quote(role, safe='')}"


def parse(text: object) -> Entitlement:
    """Return the group entitlement that the text is, or raise EntitlementError."""
    found = parse_any(text)
    if not isinstance(found, Entitlement):
        raise EntitlementError("An entitlement must be one of a group; got a capability.")
    return found


def parse_any(text: object) -> Entitlement | Capability:
    """Return the group entitlement or capability that the text is, or raise EntitlementError."""
    if not isinstance(text, str) or len(text) > MAX_ENTITLEMENT or not text.isprintable():
        raise EntitlementError(f"An entitlement must be one line of at most {MAX_ENTITLEMENT} characters.")
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
        raise EntitlementError("Each part of an entitlement must be percent-encoded.")
    try:
        text = unquote(part, errors="strict")
    except UnicodeDecodeError as error:
        raise EntitlementError("Each part of an entitlement must be UTF-8.") from error
    if not text or not text.isprintable():
        raise EntitlementError("Each part of an entitlement must be text without control characters.")
    return text


def claim_values(claims: object, claim: str) -> list[object]:
    """Return the values of a claim. A claim that is one bare text has that one value."""
    values = claims.get(claim) if isinstance(claims, dict) else None
    return [values] if isinstance(values, str) else values if isinstance(values, list) else []


def group_names(claims: object, namespaces: tuple[str, ...] | list[str] = DEFAULT_NAMESPACES) -> list[str]:
    """Return the sorted names of all groups and roles that the claims of one user prove.

    ``claims`` is the answer of the userinfo endpoint. Whatever has another shape gives no group. The first of the
    ``namespaces`` is the one whose groups have short names.
    """
    trusted = [normalized_namespace(namespace) for namespace in namespaces]
    names: set[str] = set()
    for value in (value for claim in CLAIMS for value in claim_values(claims, claim)):
        try:
            found = parse(value)
        except EntitlementError:
            continue
        if found.namespace in trusted:
            prefix = "" if found.namespace == trusted[0] else found.namespace
            names.update(qualified_name(prefix, name) for name in found.implied_names)
    return sorted(name for name in names if len(name) <= MAX_NAME)
