# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of an entitlement's URN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.egi.notebooks.plugins.module_utils.entitlement import (
    Entitlement,
    EntitlementError,
    parse_any,
)


def parse_entitlement(urn: object) -> dict[str, Any]:
    """Return the parts of a group entitlement or of a capability, percent-encoding decoded."""
    try:
        found = parse_any(urn)
    except EntitlementError as error:
        raise AnsibleFilterError(f"parse_entitlement: {error}") from error
    parts: dict[str, Any] = {"namespace": found.namespace, "authority": found.authority}
    if isinstance(found, Entitlement):
        return parts | {"type": "group", "group": list(found.path), "role": found.role, "name": found.name}
    return parts | {"type": "capability", "resource": list(found.path), "actions": list(found.actions)}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"parse_entitlement": parse_entitlement}
