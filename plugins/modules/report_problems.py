# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report_problems
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Reports the problems of all hosts of a play at once
description:
  - Fails with one line for each problem that M(egi.notebooks.role_problems) has returned on the hosts of the play, and
    for each host that returned no facts or was lost in the run.
  - Reports a problem of several hosts once, with their names in front.
options:
  facts:
    description:
      - Name of the variable in which M(egi.notebooks.node_facts) was registered.
    type: str
    required: true
  checks:
    description:
      - Name of the variable in which M(egi.notebooks.role_problems) was registered.
    type: str
    required: true
  inventory:
    description:
      - Whether to report problems of the groups as well.
    type: bool
    default: false
  success:
    description:
      - The message if there are no problems.
    type: str
    default: No problems were found.
attributes:
  check_mode:
    description: Runs the same in check mode, as it changes nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
"""

EXAMPLES = r"""
- name: Report all problems of all hosts
  egi.notebooks.report_problems:
    facts: gathered
    checks: checked
  run_once: true
"""

RETURN = r"""
msg:
  description: One line for each problem.
  type: str
  returned: always
  sample: "worker1, worker2: memory is 800 MB; must be at least 900 MB (kube_node_minimum_memory)."
"""
