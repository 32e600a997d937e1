# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a list of VOs to who may log in and what their servers have, as the hub module takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import SettingsError
from ansible_collections.egi.notebooks.plugins.module_utils.entitlement import DEFAULT_NAMESPACES
from ansible_collections.egi.notebooks.plugins.module_utils.vos import check_vos


def checkin_vo_profiles(vos: object, namespaces: Sequence[str] = DEFAULT_NAMESPACES) -> list[dict[str, Any]]:
    """Return each VO with its groups in the hub and its profiles."""
    try:
        return [vo.for_hub() for vo in check_vos("vos", vos, namespaces)]
    except SettingsError as error:
        raise AnsibleFilterError(f"checkin_vo_profiles: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"checkin_vo_profiles": checkin_vo_profiles}
