# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node's part of report_problems, which is all of it."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.egi.notebooks.plugins.plugin_utils import inventory
from ansible_collections.egi.notebooks.plugins.plugin_utils.roles import read_run


class ActionModule(ActionBase):
    """Report the problems of all hosts of a play."""

    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Fail with one line for each problem."""
        result = super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            argument_spec={
                "facts": {"type": "str", "required": True},
                "checks": {"type": "str", "required": True},
                "inventory": {"type": "bool", "default": False},
            }
        )
        hosts = task_vars["ansible_play_hosts_all"]
        hostvars = task_vars["hostvars"]
        problems = {"": []}
        if arguments["inventory"]:
            problems[""] += inventory.inventory_problems(read_run(task_vars), hosts, "nfs_volumes_server" in task_vars)
        for host in hosts:
            problems[host] = [
                *inventory.connection_problems(hostvars[host].get(arguments["facts"])),
                *(hostvars[host].get(arguments["checks"]) or {}).get("problems", ()),
            ]
        lines = inventory.problem_lines(problems)
        result.update(changed=False, failed=bool(lines), msg="\n".join(lines) or "No problems were found.")
        return result
