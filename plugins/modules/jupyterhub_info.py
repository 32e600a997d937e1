#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the version, the users and their servers from a hub."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Read the version, the users and their servers from a hub
description:
  - Queries the REST API of JupyterHub. The result has what the token is permitted to read.
extends_documentation_fragment:
  - egi.notebooks.info_module
  - egi.notebooks.hub
  - egi.notebooks.web
options:
  users:
    description:
      - Names of the users to return. By default all users are returned, with an empty list none.
      - A user that the hub does not know is omitted.
    type: list
    elements: str
seealso:
  - module: egi.notebooks.jupyterhub_server
"""

EXAMPLES = r"""
- name: Read the users and their servers
  egi.notebooks.jupyterhub_info:
    hub_url: https://notebooks.example.org
    token: "{{ lookup('ansible.builtin.file', '~/.config/egi-notebooks/hub_token') }}"
  register: hub

- name: Show the users that have a server
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
  description: Users from C(/hub/api/users), sorted by name.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: Name of the user.
      type: str
    admin:
      description: Whether the user is an administrator.
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
      description: Time of the first login, ISO 8601 in UTC.
      type: str
    last_activity:
      description: Time of the last activity, ISO 8601 in UTC, or none.
      type: str
    servers:
      description:
        - Servers of the user, sorted by name. A stopped default server is omitted, stopped named servers are not.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the server, empty for the default server.
          type: str
        ready:
          description: Whether the server answers requests.
          type: bool
        pending:
          description: Pending action of the hub, V(spawn) or V(stop), or none.
          type: str
        stopped:
          description: Whether the server is stopped and no action is pending.
          type: bool
        started:
          description: Time of the start, ISO 8601 in UTC, or none.
          type: str
        last_activity:
          description: Time of the last activity, ISO 8601 in UTC, or none.
          type: str
        url:
          description: URL path of the server.
          type: str
        user_options:
          description: Options that the user chose at the start, such as the profile.
          type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.hub import OPTIONS, Hub, public_user
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
            changed=False, version=version, users=sorted(map(public_user, users), key=lambda user: str(user["name"]))
        )
    except WebError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
