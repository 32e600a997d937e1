# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an action plugin of the collection is run on a host that is not there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import action_loader
from ansible.template import Templar


@pytest.fixture
def act(monkeypatch):
    """Return a function that runs an action plugin with these arguments and variables, and gives its result.

    `modules` are the answers of modules by name. What they were run with is in the result's `ran`.
    """

    def call(
        name: str, arguments: dict, variables: dict, modules: dict[str, Any] | None = None, check_mode=False
    ) -> dict:
        task = SimpleNamespace(
            action=f"egi.notebooks.{name}", args=arguments, async_val=0, check_mode=check_mode, environment=None,
            no_log=False, diff=False, delegate_to=None,
        )  # fmt: skip
        loader = DataLoader()
        plugin = action_loader.get(
            f"egi.notebooks.{name}",
            task=task,
            connection=SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)),
            play_context=SimpleNamespace(no_log=False),
            loader=loader,
            templar=Templar(loader=loader, variables=variables),
            shared_loader_obj=None,
        )
        ran: list[tuple] = []

        def execute(module_name, module_args, task_vars=None):
            ran.append((module_name, module_args, task.environment, task.no_log))
            return (modules or {})[module_name]

        monkeypatch.setattr(plugin, "_execute_module", execute)
        return plugin.run(task_vars=variables) | {"ran": ran}

    return call
