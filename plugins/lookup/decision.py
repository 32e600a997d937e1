# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role's Python derives from the role's settings."""

from __future__ import annotations

DOCUMENTATION = r"""
name: decision
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: What a role's Python derives from the role's settings
description:
  - Evaluates a role's variables, as its argument specification names them, and calls a function of the role's Python
    (C(plugins/plugin_utils/ROLE.py)) with them. For the roles and playbooks of this collection.
options:
  _terms:
    description:
      - Names of functions, as C(ROLE.FUNCTION) or C(PLAYBOOK.FUNCTION).
    type: list
    elements: str
    required: true
notes:
  - Further named arguments are passed to the function.
"""

EXAMPLES = r"""
- name: Show what a node downloads
  ansible.builtin.debug:
    msg: "{{ lookup('egi.notebooks.decision', 'kube_node.artifacts') | map(attribute='url') }}"
"""

RETURN = r"""
_raw:
  description: What each function returns.
  type: list
  elements: raw
"""

from ansible.plugins.lookup import LookupBase

from ansible_collections.egi.notebooks.plugins.plugin_utils.roles import Reader, decide


class LookupModule(LookupBase):
    """Call functions of roles."""

    def run(self, terms, variables=None, **kwargs):
        """Return what each function returns."""
        reader = Reader(variables or {}, self._templar, self._loader)
        return [decide(reader, str(term), **kwargs) for term in terms]
