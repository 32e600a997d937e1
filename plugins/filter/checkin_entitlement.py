# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entitlement that EGI Check-in gives for a VO, a group and a role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.egi.notebooks.plugins.module_utils.entitlement import (
    DEFAULT_NAMESPACES,
    Entitlement,
    EntitlementError,
    group_name,
    parse,
)


def checkin_entitlement(
    vo: object,
    group: str | list[str] = "",
    role: str | None = None,
    namespace: str = DEFAULT_NAMESPACES[0],
    authority: str = "aai.egi.eu",
) -> str:
    """Return the URN of membership in a VO, in a group of it, or of a role in that."""
    inner = (group.split("/") if group else []) if isinstance(group, str) else list(group)
    entitlement = Entitlement(namespace.lower(), (vo, *inner), role, authority or None)  # type: ignore[arg-type]
    try:
        group_name(entitlement.path, role)
        # A namespace with whitespace or a URN that is too long is read as something else, or not at all.
        if parse(str(entitlement)) != entitlement:
            raise EntitlementError(f"An entitlement must be read as it was meant; got {str(entitlement)!r}.")
    except EntitlementError as error:
        raise AnsibleFilterError(f"checkin_entitlement: {error}") from error
    return str(entitlement)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"checkin_entitlement": checkin_entitlement}
