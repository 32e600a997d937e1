# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why checkin_oauth refuses settings, as a sentence beside the others of a report."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.egi.notebooks.plugins.filter.checkin_oauth import checkin_oauth


def checkin_oauth_problems(settings: Any) -> list[str]:
    """Return the one sentence that checkin_oauth says about bad settings, or nothing."""
    try:
        checkin_oauth(settings)
    except AnsibleFilterError as error:
        return [f"jupyterhub_oauth is refused: {error}"]
    return []


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict:
        """Return the filters by name."""
        return {"checkin_oauth_problems": checkin_oauth_problems}
