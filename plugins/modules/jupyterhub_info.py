#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a hub for its version, its users and their servers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Ask a hub for its version, its users and their servers
description:
  - Asks the REST API of JupyterHub. What comes back is what the token may see.
extends_documentation_fragment:
  - egi.notebooks.asking
  - egi.notebooks.hub
  - egi.notebooks.web
options:
  users:
    description:
      - Names of the users to ask for. Without it all are asked for, with an empty list none.
      - A user whom the hub does not know is left out.
    type: list
    elements: str
seealso:
  - module: egi.notebooks.jupyterhub_server
"""

EXAMPLES = r"""
- name: See who has a server
  egi.notebooks.jupyterhub_info:
    hub_url: https://notebooks.example.org
    token: "{{ lookup('ansible.builtin.file', '~/.config/egi-notebooks/hub_token') }}"
  register: hub

- name: Tell it
  ansible.builtin.debug:
    msg: "{{ hub.users | selectattr('servers') | map(attribute='name') }}"
"""

RETURN = r"""
version:
  description: Version of JupyterHub, from C(/hub/api/).
  type: str
  returned: always
  sample: 5.5.0
users:
  description: The users in the order of their names, from C(/hub/api/users).
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: Name of the user.
      type: str
    admin:
      description: Whether the user is an admin.
      type: bool
    groups:
      description: Names of the groups.
      type: list
      elements: str
    roles:
      description: Names of the roles.
      type: list
      elements: str
    created:
      description: When the hub saw the user first, ISO 8601 in UTC.
      type: str
    last_activity:
      description: When the user did something last, ISO 8601 in UTC, or nothing.
      type: str
    servers:
      description:
        - The user's servers in the order of their names; named ones that are stopped too, a default one that is not.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the server, empty for the default one.
          type: str
        ready:
          description: Whether it answers.
          type: bool
        pending:
          description: What the hub is doing with it, V(spawn) or V(stop), or nothing.
          type: str
        stopped:
          description: Whether it neither runs nor starts nor stops.
          type: bool
        started:
          description: When it was started, ISO 8601 in UTC, or nothing.
          type: str
        last_activity:
          description: When it was used last, ISO 8601 in UTC, or nothing.
          type: str
        url:
          description: Path of the server at the service's address.
          type: str
        user_options:
          description: What the user chose at the start, such as the profile.
          type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.hub import OPTIONS, Hub, told
from ansible_collections.egi.notebooks.plugins.module_utils.web import WebError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=OPTIONS | {"users": {"type": "list", "elements": "str"}}, supports_check_mode=True
    )
    names = module.params["users"]
    try:
        hub = Hub(module.params)
        version = hub.ask("GET", "/").expect(200).mapping().get("version")
        users = hub.users() if names is None else [user for user in map(hub.user, dict.fromkeys(names)) if user]
        module.exit_json(
            changed=False, version=version, users=sorted(map(told, users), key=lambda user: str(user["name"]))
        )
    except WebError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
