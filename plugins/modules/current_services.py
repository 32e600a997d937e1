#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep services of systemd running with their newest files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: current_services
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Keeps services running with their newest files
description:
  - Enables each service and starts it, or restarts it where it has run since before one of its files was written.
  - The host itself is asked, so a run that was killed before it restarted a service is completed by the next one.
extends_documentation_fragment:
  - egi.notebooks.changing
options:
  services:
    description:
      - The services, in the order in which they are started.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name without C(.service).
        type: str
        required: true
      files:
        description:
          - Absolute paths or patterns of files and directories that the service reads when it starts. Its unit and what
            is below its C(.d) directory always count.
        type: list
        elements: str
        default: []
      started_by:
        description:
          - Path of a file without which the service is enabled and not started.
        type: path
"""

EXAMPLES = r"""
- name: Run containerd with its configuration as it is now
  egi.notebooks.current_services:
    services:
      - name: containerd
        files: [/etc/containerd/config.toml]
"""

RETURN = r"""
restarted:
  description: Services that were started, restarted or enabled.
  type: list
  elements: str
  returned: success
  sample: [containerd]
"""

import glob
import os

from ansible.module_utils.basic import AnsibleModule

UNITS = "/etc/systemd/system"
UNIT_FOLDERS = (UNITS, "/usr/lib/systemd/system")


class Systemd:
    """The service manager of the host."""

    def __init__(self, module: AnsibleModule) -> None:
        """Find systemctl."""
        self._module = module
        self._systemctl = module.get_bin_path("systemctl", required=True)

    def is_true(self, question: str, name: str) -> bool:
        """Tell whether a service is-enabled or is-active."""
        return self._module.run_command([self._systemctl, "--quiet", question, f"{name}.service"])[0] == 0

    def started(self, name: str) -> int:
        """Return the Unix time in seconds at which the service started, 0 where it does not run."""
        show = ["show", "--timestamp=unix", "--property=ExecMainStartTimestamp", "--value", f"{name}.service"]
        _code, output, _error = self._module.run_command([self._systemctl, *show])
        return int(output.strip().removeprefix("@") or 0)

    def run(self, *arguments: str) -> None:
        """Run systemctl, or fail."""
        self._module.run_command([self._systemctl, *arguments], check_rc=True)


def newest(name: str, patterns: list[str]) -> int:
    """Return the Unix time in seconds at which the newest of a service's files changed.

    A directory changes when a file in it is removed.
    """
    found = [f"{UNITS}/{name}.service", f"{UNITS}/{name}.service.d", f"{UNITS}/{name}.service.d/*", *patterns]
    return max((int(os.stat(path).st_ctime) for pattern in found for path in glob.glob(pattern)), default=0)


def is_outdated(systemd: Systemd, service: dict, check_mode: bool) -> bool:
    """Tell whether a service has to be started or restarted. In check mode, files that are missing are yet to come."""
    name, files = service["name"], service["files"]
    if service["started_by"] and not os.path.exists(service["started_by"]):
        return False
    if check_mode and any(not glob.has_magic(path) and not os.path.exists(path) for path in files):
        return True
    return not systemd.is_true("is-active", name) or newest(name, files) > systemd.started(name)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "services": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "files": {"type": "list", "elements": "str", "default": []},
                    "started_by": {"type": "path"},
                },
            }
        },
        supports_check_mode=True,
    )
    systemd, check_mode = Systemd(module), module.check_mode
    # In check mode a new host has no such service yet.
    known = [
        service
        for service in module.params["services"]
        if not check_mode or any(os.path.exists(f"{folder}/{service['name']}.service") for folder in UNIT_FOLDERS)
    ]
    disabled = [service["name"] for service in known if not systemd.is_true("is-enabled", service["name"])]
    outdated = [service["name"] for service in known if is_outdated(systemd, service, check_mode)]
    names = [service["name"] for service in known if service["name"] in {*disabled, *outdated}]
    if names and not check_mode:
        systemd.run("daemon-reload")
        for name in names:
            if name in disabled:
                systemd.run("enable", "--quiet", f"{name}.service")
            if name in outdated:
                systemd.run("restart", f"{name}.service")
    module.exit_json(changed=bool(names), restarted=names)


if __name__ == "__main__":
    main()
