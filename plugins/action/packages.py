# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node's part of packages: it installs nothing that the facts say is there, and repairs dpkg first."""

from __future__ import annotations

import time

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Install Debian packages."""

    def run(self, tmp=None, task_vars=None):
        """Return what apt returns, or no change where all packages are installed."""
        result = super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            argument_spec={
                "name": {"type": "list", "elements": "str", "required": True},
                "lock_timeout": {"type": "int", "default": 600},
            }
        )
        node = (task_vars or {}).get("ansible_facts", {}).get("egi_notebooks_node") or {}
        missing = sorted(set(arguments["name"]) - set(node.get("packages", ())))
        if not missing and not node.get("packages_interrupted"):
            return result | {"changed": False, "installed": []}
        check_mode = self._task.check_mode
        if node.get("packages_interrupted"):
            repaired = {"rc": 0} if check_mode else self._repair(arguments["lock_timeout"], task_vars)
            if repaired.get("rc") != 0:
                reason = repaired.get("stderr") or repaired.get("msg", "")
                return result | {"failed": True, "msg": f"dpkg can't finish an interrupted run: {reason}"}
            if not missing:
                return result | {"changed": True, "installed": []}
        installed = self._execute_module(
            module_name="ansible.builtin.apt",
            module_args={
                "name": missing,
                "install_recommends": False,
                "update_cache": True,
                "cache_valid_time": 3600,
                # First-boot jobs of a new image may hold the lock for minutes.
                "lock_timeout": arguments["lock_timeout"],
            },
            task_vars=task_vars,
        )
        # In check mode a new host has no package lists yet.
        if check_mode and "No package matching" in installed.get("msg", ""):
            installed = {"changed": True}
        return result | installed | {"installed": missing}

    def _repair(self, seconds, task_vars):
        """Finish what dpkg was interrupted in, waiting for whoever holds its lock."""
        end = time.monotonic() + seconds
        while True:
            answer = self._execute_module(
                module_name="ansible.builtin.command",
                module_args={
                    "_raw_params": "env DEBIAN_FRONTEND=noninteractive dpkg --configure --pending --force-confold"
                },
                task_vars=task_vars,
            )
            if answer.get("rc") == 0 or time.monotonic() > end:
                return answer
            time.sleep(10)
