# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node's part of the module node_facts: how far the host's clock is off."""

from __future__ import annotations

import time

from ansible.plugins.action import ActionBase


def clock_skew(node: float, before: float, after: float) -> float:
    """Return how many seconds a clock lies outside of the interval in which it was read, negative if it is behind."""
    return round(min(node - before, 0.0) + max(node - after, 0.0), 3)


class ActionModule(ActionBase):
    """Run the module between two readings of the control node's clock."""

    def run(self, tmp=None, task_vars=None):
        """Return what the module returns, with `skew` and `uncertainty` of the clock in seconds."""
        result = super().run(tmp, task_vars)
        before = time.time()
        result.update(self._execute_module(task_vars=task_vars))
        after = time.time()
        node = result.get("ansible_facts", {}).get("egi_notebooks_node")
        if node:
            node["clock"]["skew"] = clock_skew(node["clock"]["time"], before, after)
            node["clock"]["uncertainty"] = round(after - before, 3)
        return result
