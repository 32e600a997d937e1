#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mask units of systemd, and stop them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: masked_units
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Masks units of systemd before or after their packages are installed
description:
  - Writes an empty file in place of each unit, which masks it, and stops the unit if it runs. Unlike
    M(ansible.builtin.systemd_service), it also masks units whose package comes later, so that they never start.
extends_documentation_fragment:
  - egi.notebooks.changing
options:
  name:
    description:
      - Names of units, with their type.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(absent) removes the empty files that this module has written.
    type: str
    choices: [masked, absent]
    default: masked
"""

EXAMPLES = r"""
- name: Keep the port mapper off, which NFSv4 does not need
  egi.notebooks.masked_units:
    name: [rpcbind.socket, rpcbind.service]
"""

RETURN = r"""
changed_units:
  description: Units that were masked, stopped or unmasked.
  type: list
  elements: str
  returned: success
  sample: [rpcbind.socket]
"""

import os

from ansible.module_utils.basic import AnsibleModule

FOLDER = "/etc/systemd/system"


def is_masked(path: str) -> bool:
    """Tell whether systemd takes the file for a masked unit: an empty one, or a link to nothing."""
    return os.path.exists(path) and (os.path.realpath(path) == "/dev/null" or os.path.getsize(path) == 0)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["masked", "absent"], "default": "masked"},
        },
        supports_check_mode=True,
    )
    units = module.params["name"]
    systemctl = module.get_bin_path("systemctl", required=True)
    wants_mask = module.params["state"] == "masked"
    # A link is the site's own mask, and stays.
    rewritten = [
        unit
        for unit in units
        if (is_masked(f"{FOLDER}/{unit}") != wants_mask) and not os.path.islink(f"{FOLDER}/{unit}")
    ]
    running = []
    if wants_mask:
        _code, states, _error = module.run_command([systemctl, "is-active", *units])
        running = [unit for unit, state in zip(units, states.split(), strict=False) if state == "active"]
    if not module.check_mode:
        for unit in rewritten:
            path = f"{FOLDER}/{unit}"
            if wants_mask:
                with open(path, "w", encoding="utf-8"):
                    pass
                os.chmod(path, 0o644)
            elif os.path.exists(path) and os.path.getsize(path) == 0:
                os.unlink(path)
        if rewritten:
            module.run_command([systemctl, "daemon-reload"], check_rc=True)
        if running:
            module.run_command([systemctl, "stop", *running], check_rc=True)
    changed = sorted({*rewritten, *running})
    module.exit_json(changed=bool(changed), changed_units=changed)


if __name__ == "__main__":
    main()
