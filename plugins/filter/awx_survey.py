# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions of an AWX survey about shared variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader

from ansible_collections.egi.notebooks.plugins.plugin_utils import awx


def awx_survey(names: list[str], site: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the questions of a survey about these shared variables, answered with the site's values."""
    loader = DataLoader()
    try:
        return awx.survey(names, awx.shared_options(lambda path: loader.load_from_file(str(path))), site)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict:
        """Return the filters by name."""
        return {"awx_survey": awx_survey}
