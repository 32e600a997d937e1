# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles of a host."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.egi.notebooks.plugins.plugin_utils import inventory
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Run


def host_roles(groups: Mapping[str, list[str]], host: str, kube_host: str = "", part: str = "all") -> list[str]:
    """Return the roles that a host of these groups gets."""
    return inventory.host_roles(Run(host, groups, kube_host=kube_host), part)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict:
        """Return the filters by name."""
        return {"host_roles": host_roles}
