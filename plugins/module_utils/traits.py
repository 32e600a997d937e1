# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the hub that a site may not change, since they would undo the rules of the VOs.

Preflight reads it for the values of the chart, and the hub, which has this file too, for what it really uses.
"""

from __future__ import annotations

from typing import Any

#: Traits of the authenticator with their only values, of auth_refresh_age the least.
PROTECTED: dict[str, Any] = {
    "allow_all": False,
    "allow_existing_users": False,
    "refresh_pre_spawn": True,
    "enable_auth_state": True,
    "manage_groups": True,
    "validate_server_cert": True,
    "userdata_from_id_token": False,
    "admin_groups": [],
    "auth_refresh_age": 10,
}


def is_protected(trait: str, value: object) -> bool:
    """Return whether a value of a protected trait keeps the rules of the VOs."""
    needed = PROTECTED[trait]
    if trait == "auth_refresh_age":
        return isinstance(value, int) and not isinstance(value, bool) and value >= needed
    return isinstance(value, bool) and value == needed if isinstance(needed, bool) else not value
