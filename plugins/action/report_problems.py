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
                "success": {"type": "str", "default": "No problems were found."},
                "checks": {"type": "str", "required": True},
                "inventory": {"type": "bool", "default": False},
            }
        )
        hosts, hostvars = task_vars["ansible_play_hosts_all"], task_vars["hostvars"]
        run = read_run(task_vars, self._templar.template)
        problems = {"": list(self._inventory_problems(run, hosts, hostvars)) if arguments["inventory"] else []}
        for host in hosts:
            facts, checks = (hostvars[host].get(arguments[name]) for name in ("facts", "checks"))
            problems[host] = [*inventory.connection_problems(facts), *(checks or {}).get("problems", ())]
            # A task of the play may have failed on the host, or the connection after the facts.
            if host not in task_vars["ansible_play_hosts"] and not problems[host]:
                problems[host] = ["host was lost in this run; see the message above."]
        lines = inventory.problem_lines(problems)
        result.update(changed=False, failed=bool(lines), msg="\n".join(lines) or arguments["success"])
        return result

    def _inventory_problems(self, run, hosts, hostvars):
        """Return what is wrong with the groups."""
        kube_host = inventory.kube_host(run)
        server_is_set = kube_host in hostvars and "nfs_volumes_server" in hostvars[kube_host]
        return inventory.inventory_problems(run, hosts, server_is_set)
