# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node's part of role_problems, which is all of it: it evaluates settings and calls the roles' checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check
from ansible_collections.egi.notebooks.plugins.plugin_utils.roles import Reader, role_module


class ActionModule(ActionBase):
    """Check roles' settings, and the host with them."""

    # Without queries nothing is asked of the host, so that settings of an unreachable one are checked too.
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Return the problems of all roles, and fail with them unless they are only to be returned."""
        result = super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            argument_spec={
                "roles": {"type": "list", "elements": "str", "required": True},
                "images": {"type": "bool", "default": False},
                "fail": {"type": "bool", "default": True},
            }
        )
        reader = Reader(task_vars or {}, self._templar, self._loader)
        own = reader.run.hosts[reader.run.host]
        query = self._query if own.node else None
        self._task_vars = task_vars
        problems: list[str] = []
        downloads: list[str] = []
        checks: dict[str, Check] = {}
        for role in arguments["roles"]:
            check = checks[role] = reader.check(role, problems, query)
            module = role_module(role)
            problems += module.problems(check)
            downloads += module.downloads(check) if hasattr(module, "downloads") else []
        # Images come the way that the nodes get theirs, files the way of this host.
        wanted = [item for item in dict.fromkeys(downloads) if arguments["images"] or "://" in item]
        if wanted and query:
            node = checks.get("kube_node") or reader.check("kube_node", query=query)
            problems += role_module("kube_node").download_problems(node, wanted)
        problems = list(dict.fromkeys(problems))
        result.update(changed=False, problems=problems)
        if problems and arguments["fail"]:
            result.update(failed=True, msg="\n".join(problems))
        return result

    def _query(
        self, module: str, environment: Mapping[str, str] | None = None, no_log: bool = False, **arguments: Any
    ) -> Mapping[str, Any]:
        """Run a module on the host, with variables of its environment. `no_log` keeps its answer out of all logs."""
        before = self._task.environment, self._task.no_log, self._play_context.no_log
        try:
            if environment:
                self._task.environment = [*(before[0] or []), dict(environment)]
            if no_log:
                self._task.no_log = self._play_context.no_log = True
            return self._execute_module(module_name=module, module_args=arguments, task_vars=self._task_vars)
        finally:
            self._task.environment, self._task.no_log, self._play_context.no_log = before
