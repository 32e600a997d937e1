# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: role_problems
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Checks the settings of roles and their host before the first change
description:
  - Evaluates the variables of the collection's roles, as their argument specifications name them, and calls the checks
    of each role with them and with the facts of M(egi.notebooks.node_facts).
  - Fails with one line for each problem, all at once. Changes nothing.
  - Without facts about the host its settings are still checked.
options:
  roles:
    description:
      - Names of roles of this collection.
    type: list
    elements: str
    required: true
  images:
    description:
      - Whether to query the registries, or the mirror, for the images that the roles run. Files are always queried.
    type: bool
    default: false
  fail:
    description:
      - Whether to fail if there are problems.
    type: bool
    default: true
attributes:
  check_mode:
    description: Runs the same in check mode, as it changes nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
"""

EXAMPLES = r"""
- name: Gather facts about the host
  egi.notebooks.node_facts:

- name: Check what a node needs
  egi.notebooks.role_problems:
    roles: [kube_node]
    images: true
"""

RETURN = r"""
problems:
  description: One sentence for each problem.
  type: list
  elements: str
  returned: always
  sample: ["kube_node_version must be a full version from 1.34 on, such as 1.36.3; got \"1.36\"."]
"""
