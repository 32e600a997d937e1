# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What unit tests share: the collection under its own name, and the variables of a role as Ansible sees them."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The clone is the collection egi.notebooks by the link in .collections, as for `ansible-playbook`.
init_plugin_loader([str(ROOT / ".collections")])


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def render_role() -> Callable[..., Any]:
    """Return a function that templates an expression with a role's defaults and vars, and variables of a site on top.

    ``render_role("jupyterhub", "__jupyterhub_helm_values", egi_notebooks_domain="n.example.org")`` gives plain data.
    """

    def render(role: str, expression: str, **variables: Any) -> Any:
        loader = DataLoader()
        folder = ROOT / "roles" / role
        merged: dict[str, Any] = {}
        for name in ("defaults", "vars"):
            path = folder / name / "main.yml"
            if path.exists():
                merged |= loader.load_from_file(str(path), trusted_as_template=True) or {}
            if name == "defaults":
                merged |= variables
        merged["role_path"] = str(folder)
        templar = Templar(loader=loader, variables=merged)
        return json.loads(templar.template(trust("{{ (" + expression + ") | to_json }}")))

    return render


def trust(template: str) -> str:
    """Mark text of a test as a template."""
    from ansible.template import trust_as_template

    return trust_as_template(template)
