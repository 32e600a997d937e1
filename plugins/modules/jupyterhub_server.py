#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop or remove a user's server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_server
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Start, stop or remove a user's server
description:
  - Starts, stops or removes one server of one user with the REST API of JupyterHub, and waits until this is done.
  - If the server is already starting or stopping, the module only waits and reports no change.
extends_documentation_fragment:
  - egi.notebooks.hub
  - egi.notebooks.web
attributes:
  check_mode:
    support: full
    description: Reports whether the server would be started, stopped or removed.
  diff_mode:
    support: full
    description: Shows the state before and after.
  idempotent:
    support: full
    description: A server that has the state already is not touched. Its options are not compared with O(options).
options:
  user:
    description:
      - Name of the user. The hub must know the user.
    type: str
    required: true
  server:
    description:
      - Name of the server, empty for the default server. Other servers require C(allow_named_servers) of the hub.
    type: str
    default: ""
  state:
    description:
      - V(absent) stops a named server and removes it from the hub. The default server can only be stopped.
    type: str
    choices: [started, stopped, absent]
    default: started
  options:
    description:
      - Options that a user chooses on the start page, such as C(profile).
    type: dict
    default: {}
  wait:
    description:
      - Whether to wait until the server is ready or stopped.
    type: bool
    default: true
  wait_timeout:
    description:
      - Maximum time to wait in seconds. After that the module fails and does not touch the server.
    type: int
    default: 600
seealso:
  - module: egi.notebooks.jupyterhub_info
"""

EXAMPLES = r"""
- name: Stop the server of a user
  egi.notebooks.jupyterhub_server:
    hub_url: https://notebooks.example.org
    token: "{{ lookup('ansible.builtin.file', '~/.config/egi-notebooks/hub_token') }}"
    user: monitor
    state: stopped
"""

RETURN = r"""
server:
  description: The server as M(egi.notebooks.jupyterhub_info) returns it, or none if it does not exist.
  type: dict
  returned: always
  sample:
    name: ""
    ready: true
    pending: null
    stopped: false
    started: "2026-07-01T09:00:00.000000Z"
    last_activity: "2026-07-01T09:00:05.000000Z"
    url: /user/monitor/
    user_options: {}
"""

import time
from typing import Any
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.hub import OPTIONS, Hub, public_server
from ansible_collections.egi.notebooks.plugins.module_utils.web import WebError


def state_of(server: dict[str, Any] | None) -> str:
    """Return the state: started, starting, stopping, stopped or absent."""
    if server is None:
        return "absent"
    if server.get("pending"):
        return {"spawn": "starting", "stop": "stopping"}.get(server["pending"], "starting")
    return "started" if server.get("ready") else "stopped"


class Server:
    """One server of one user."""

    def __init__(self, hub: Hub, user: str, name: str) -> None:
        """Compute the path of the server; no request is sent."""
        self._hub = hub
        self.user = user
        self.name = name
        which = f"servers/{quote(name, safe='')}" if name else "server"
        self.path = f"/users/{quote(user, safe='')}/{which}"

    def __str__(self) -> str:
        """Return the server for messages."""
        return f"server {self.name!r} of {self.user}" if self.name else f"server of {self.user}"

    def read(self) -> dict[str, Any] | None:
        """Return the server as the hub describes it, or None if it does not exist."""
        user = self._hub.user(self.user)
        if user is None:
            raise WebError(f"user must be a user who has logged in once; got {self.user!r}.")
        if "servers" not in user:
            raise WebError(f"The token cannot read the servers of {self.user}. Add the scope read:servers to it.")
        return user["servers"].get(self.name)

    def start(self, options: dict[str, Any]) -> None:
        """Request the start of the server."""
        answer = self._hub.ask("POST", self.path, data=options)
        # The hub answers 400 if another request started it first.
        if answer.status != 400 or state_of(self.read()) not in ("started", "starting"):
            answer.expect(201, 202)

    def stop(self, remove: bool) -> None:
        """Request the stop of the server, and its removal."""
        self._hub.ask("DELETE", self.path, data={"remove": True} if remove else None).expect(202, 204, 404)

    def wait(self, *states: str, until: float, action: str) -> dict[str, Any] | None:
        """Wait until the server has one of the states; return the server."""
        pause = 0.2
        while state_of(server := self.read()) not in states:
            if "started" in states and state_of(server) in ("stopped", "absent"):
                raise WebError(f"The {self} did not start. See the hub's log and the events of the pod.")
            if time.monotonic() > until:
                raise WebError(f"The {self} did not {action} within wait_timeout; it is {state_of(server)}.")
            time.sleep(pause)
            pause = min(2.0, pause * 1.5)
        return server


def apply_state(module: AnsibleModule, server: Server, result: dict[str, Any]) -> None:
    """Bring the server to the requested state."""
    wanted, wait = module.params["state"], module.params["wait"]
    until = time.monotonic() + module.params["wait_timeout"]
    found = server.read()
    before = state_of(found)
    gone = ("stopped", "absent") if wanted == "stopped" else ("absent",)
    done = ("started", "starting") if wanted == "started" else ("stopping", *gone) if wanted == "stopped" else gone
    result["changed"] = before not in done
    result["diff"] = {"before": f"{before}\n", "after": f"{wanted if result['changed'] else before}\n"}
    result["server"] = found and public_server(found)
    if module.check_mode:
        return
    if result["changed"] and wanted == "started":
        if before == "stopping":
            server.wait("stopped", "absent", until=until, action="stop")
        server.start(module.params["options"])
    elif result["changed"]:
        server.stop(remove=wanted == "absent")
    if wait:
        states = ("started",) if wanted == "started" else gone
        found = server.wait(*states, until=until, action="start" if wanted == "started" else "stop")
    else:
        found = server.read()
    result["server"] = found and public_server(found)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=OPTIONS
        | {
            "user": {"type": "str", "required": True},
            "server": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["started", "stopped", "absent"], "default": "started"},
            "options": {"type": "dict", "default": {}},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    result: dict[str, Any] = {"changed": False, "server": None}
    if module.params["state"] == "absent" and not module.params["server"]:
        module.fail_json(
            msg="server must be the name of a server for the state 'absent'. Stop the default server instead."
        )
    try:
        apply_state(module, Server(Hub(module.params), module.params["user"], module.params["server"]), result)
    except WebError as error:
        module.fail_json(msg=str(error), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
