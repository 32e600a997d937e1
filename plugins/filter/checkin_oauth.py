# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Login by EGI Check-in: from a few readable settings to the hub's configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import SettingsError
from ansible_collections.egi.notebooks.plugins.module_utils.checkin_login import login_config


def checkin_oauth(settings: object) -> dict[str, Any]:
    """Return the sections of ``hub.config`` for login by EGI Check-in."""
    try:
        return login_config(settings)
    except SettingsError as error:
        raise AnsibleFilterError(f"checkin_oauth: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"checkin_oauth": checkin_oauth}
