# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the hub that a site may not change, since they would undo the rules of the VOs.

plugins/module_utils/checkin_login.py has the same table for preflight, which sees the values of the chart. This module
sees what the hub really uses, from whatever file or environment variable.
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


def check(values: dict[str, Any], where: str) -> None:
    """Refuse to start with a value that would undo the rules."""
    wrong = [
        f"{where}.{trait} must be {'at least ' * (trait == 'auth_refresh_age')}{PROTECTED[trait]}; got {value!r}."
        for trait, value in values.items()
        if trait in PROTECTED and not _is_protected(trait, value)
    ]
    if wrong:
        raise ValueError(
            f"{' '.join(wrong)} Remove it from the values of the chart: it would undo the rules of the VOs."
        )


def check_config(c: Any, classes: list[str]) -> None:
    """Refuse to start if a section of one of the authenticator's classes has such a value."""
    for name in classes:
        if name in c:
            check(dict(c[name]), name)


def check_authenticator(authenticator: Any) -> None:
    """Refuse to start if the authenticator has such a value in the end."""
    check({trait: getattr(authenticator, trait) for trait in PROTECTED}, type(authenticator).__name__)


def _is_protected(trait: str, value: Any) -> bool:
    needed = PROTECTED[trait]
    if trait == "auth_refresh_age":
        return isinstance(value, int) and not isinstance(value, bool) and value >= needed
    return isinstance(value, bool) and value == needed if isinstance(needed, bool) else not value
