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
  - Brings one server of one user to a state by the REST API of JupyterHub, and waits until it is there.
  - A server that starts or stops already is waited for; nothing counts as changed then.
extends_documentation_fragment:
  - egi.notebooks.hub
  - egi.notebooks.web
attributes:
  check_mode:
    support: full
    description: Tells whether the server would be started, stopped or removed.
  diff_mode:
    support: full
    description: Shows the state before and after.
  idempotent:
    support: full
    description: A server that is as wanted is left alone. Whether it runs with O(options) is not compared.
options:
  user:
    description:
      - Name of the user, who must be known to the hub.
    type: str
    required: true
  server:
    description:
      - Name of the server. Empty is the default one; others need C(allow_named_servers) of the hub.
    type: str
    default: ""
  state:
    description:
      - V(absent) stops a named server and lets the hub forget it. The default server can only be stopped.
    type: str
    choices: [started, stopped, absent]
    default: started
  options:
    description:
      - What the user would choose on the page before the start, such as C(profile).
    type: dict
    default: {}
  wait:
    description:
      - Whether to wait until the server is ready, or gone.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait at most. One that takes longer is an error, and is left as it is.
    type: int
    default: 600
seealso:
  - module: egi.notebooks.jupyterhub_info
"""

EXAMPLES = r"""
- name: Stop the server of a user before the homes are moved
  egi.notebooks.jupyterhub_server:
    hub_url: https://notebooks.example.org
    token: "{{ lookup('ansible.builtin.file', '~/.config/egi-notebooks/hub_token') }}"
    user: monitor
    state: stopped
"""

RETURN = r"""
server:
  description: The server, as M(egi.notebooks.jupyterhub_info) tells it, or nothing if there is none now.
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

from ansible_collections.egi.notebooks.plugins.module_utils.hub import OPTIONS, Hub, told_server
from ansible_collections.egi.notebooks.plugins.module_utils.web import WebError


def state_of(server: dict[str, Any] | None) -> str:
    """Return the state in one word: started, starting, stopping, stopped, absent."""
    if server is None:
        return "absent"
    if server.get("pending"):
        return {"spawn": "starting", "stop": "stopping"}.get(server["pending"], "starting")
    return "started" if server.get("ready") else "stopped"


class Server:
    """One server of one user."""

    def __init__(self, hub: Hub, user: str, name: str) -> None:
        """Ask for nothing yet."""
        self._hub = hub
        self.user = user
        self.name = name
        which = f"servers/{quote(name, safe='')}" if name else "server"
        self.path = f"/users/{quote(user, safe='')}/{which}"

    def __str__(self) -> str:
        """The server in words."""
        return f"server {self.name!r} of {self.user}" if self.name else f"server of {self.user}"

    def look(self) -> dict[str, Any] | None:
        """Return what the hub knows of it."""
        user = self._hub.user(self.user)
        if user is None:
            raise WebError(
                f"user is {self.user!r}, whom the hub does not know; allowed is a user who has logged in once"
            )
        if "servers" not in user:
            raise WebError(f"The token may not see the servers of {self.user}; it needs the scope read:servers")
        return user["servers"].get(self.name)

    def start(self, options: dict[str, Any]) -> None:
        """Ask the hub to start it."""
        answer = self._hub.ask("POST", self.path, data=options)
        # Somebody else was quicker.
        if answer.status != 400 or state_of(self.look()) not in ("started", "starting"):
            answer.expect(201, 202)

    def stop(self, remove: bool) -> None:
        """Ask the hub to stop it, and to forget it."""
        self._hub.ask("DELETE", self.path, data={"remove": True} if remove else None).expect(202, 204, 404)

    def wait(self, *states: str, until: float, action: str) -> dict[str, Any] | None:
        """Return the server once it is in one of the states."""
        pause = 0.2
        while state_of(server := self.look()) not in states:
            if "started" in states and state_of(server) in ("stopped", "absent"):
                raise WebError(f"The {self} did not start; the hub's log and the events of its pod say why")
            if time.monotonic() > until:
                raise WebError(f"The {self} is still {state_of(server)} after wait_timeout; it was told to {action}")
            time.sleep(pause)
            pause = min(2.0, pause * 1.5)
        return server


def bring(module: AnsibleModule, server: Server, result: dict[str, Any]) -> None:
    """Bring the server to the wanted state."""
    wanted, wait = module.params["state"], module.params["wait"]
    until = time.monotonic() + module.params["wait_timeout"]
    found = server.look()
    before = state_of(found)
    gone = ("stopped", "absent") if wanted == "stopped" else ("absent",)
    done = ("started", "starting") if wanted == "started" else ("stopping", *gone) if wanted == "stopped" else gone
    result["changed"] = before not in done
    result["diff"] = {"before": f"{before}\n", "after": f"{wanted if result['changed'] else before}\n"}
    result["server"] = found and told_server(found)
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
        found = server.look()
    result["server"] = found and told_server(found)


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
            msg="state is 'absent' for the default server; allowed is 'stopped', or the name of another one"
        )
    try:
        bring(module, Server(Hub(module.params), module.params["user"], module.params["server"]), result)
    except WebError as error:
        module.fail_json(msg=str(error), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
