#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a set of configuration files in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_files
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Write a set of configuration files in one call
description:
  - Writes several configuration files with the given content and mode in one module call. A loop over
    M(ansible.builtin.template) needs several calls for each file.
  - Missing directories are created. Each file is replaced atomically.
attributes:
  check_mode:
    support: full
    description: Reports which files would be written. Nothing is written.
  diff_mode:
    support: full
    description: Shows the content of each file before and after, unless the file is marked as sensitive.
  idempotent:
    support: full
    description: Files that already have the content and mode are not touched.
options:
  files:
    description:
      - Files to write or remove, in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Absolute path of the file.
        type: path
        required: true
      content:
        description:
          - Complete content of the file.
        type: str
        default: ""
      state:
        description:
          - Whether the file must exist.
        type: str
        choices: [present, absent]
        default: present
      mode:
        description:
          - Permissions of the file as a quoted octal number.
        type: str
        default: "0644"
      sensitive:
        description:
          - Whether to hide the content in diffs.
        type: bool
        default: false
"""

EXAMPLES = r"""
- name: Configure the container runtime
  egi.notebooks.config_files:
    files:
      - path: /etc/containerd/config.toml
        content: "{{ lookup('ansible.builtin.template', 'config.toml.j2') }}"
      - path: /etc/systemd/system/containerd.service.d/proxy.conf
        state: absent
  notify: Restart containerd
"""

RETURN = r"""
changed_paths:
  description: The files that were written or removed.
  type: list
  elements: str
  returned: always
  sample: [/etc/containerd/config.toml]
"""

import os
import stat
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes, to_text


def current_state(path: str) -> tuple[str | None, int | None]:
    """Return content and mode of a file, or None and None if it does not exist."""
    try:
        with open(path, "rb") as stream:
            return to_text(stream.read(), errors="surrogate_or_strict"), stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
    except FileNotFoundError:
        return None, None


def write(module: AnsibleModule, path: str, content: str, mode: int) -> None:
    """Replace a file atomically; it never has another mode than the final one."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".config_files-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(to_bytes(content))
            os.fchmod(stream.fileno(), mode)
        # Not atomic_move, which gives a new file the default mode first. Owner and group are the same either way.
        module.set_context_if_different(temporary, module.selinux_default_context(path), False)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str", "default": ""},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                    "mode": {"type": "str", "default": "0644"},
                    "sensitive": {"type": "bool", "default": False},
                },
            }
        },
        supports_check_mode=True,
    )
    changed, differences = [], []
    for file in module.params["files"]:
        path = file["path"]
        content = file["content"] if file["state"] == "present" else None
        try:
            mode = int(file["mode"], 8)
        except ValueError:
            module.fail_json(msg=f"The mode of {path} must be an octal number such as '0644'; got {file['mode']!r}.")
        if not os.path.isabs(path):
            module.fail_json(msg=f"path must be an absolute path; got {path!r}.")
        try:
            old_content, old_mode = current_state(path)
            if content == old_content and (content is None or mode == old_mode):
                continue
            if not module.check_mode:
                if content is None:
                    os.unlink(path)
                else:
                    write(module, path, content, mode)
        except (OSError, UnicodeError) as error:
            module.fail_json(msg=f"Cannot write {path}: {error}", changed_paths=changed, changed=bool(changed))
        changed.append(path)
        hidden = file["sensitive"]
        differences.append(
            {
                "before_header": f"{path} ({'absent' if old_mode is None else f'{old_mode:04o}'})",
                "after_header": f"{path} ({'absent' if content is None else f'{mode:04o}'})",
                "before": "" if hidden else old_content or "",
                "after": "(not shown)\n" if hidden else content or "",
            }
        )
    module.exit_json(changed=bool(changed), changed_paths=changed, diff=differences)


if __name__ == "__main__":
    main()
