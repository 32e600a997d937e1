#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Register a client at Check-in, keep it as wanted, change its secret, delete it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checkin_client
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Register a client at Check-in, keep it as wanted, change its secret, delete it
description:
  - Registers an OpenID Connect client for logins by dynamic client registration (RFC 7591) with an initial access
    token, and updates and deletes it (RFC 7592) with the registration access token that belongs to it.
  - Client secret and registration access token are kept in O(credentials_file), of mode 0600, on the host where the
    module runs, and are never returned. Whoever has that file can change the client; who has lost it cannot.
notes:
  - Keycloak, which Check-in is, makes a new registration access token at each update and the old one is void then. The
    disk space for it is taken before the request, and signals wait until it is written. If the answer itself is lost on
    its way, the client goes on working, but a new token must come from an administrator of Keycloak
    (C(Clients > Credentials > Registration access token)). Of a registration whose answer is lost, the client remains,
    unused.
  - RFC 7592 has no request for another secret, and Keycloak keeps the secret at an update. O(rotate_secret) therefore
    speaks to Keycloak's own API (C(clients-registrations/default)), which takes the same token. The new secret is in
    O(credentials_file), as C(pending_client_secret), before Keycloak learns it. The old one is void at once.
  - Clients that were registered in the Federation Registry have no registration access token and are managed there.
extends_documentation_fragment:
  - egi.notebooks.web
attributes:
  check_mode:
    support: full
    description:
      - Tells what would be done. A client that exists is read, and a new token that its server answers with is kept.
  diff_mode:
    support: full
    description: Shows the fields before and after, secrets never.
  idempotent:
    support: partial
    description: But for O(rotate_secret), which makes a new secret in each run.
options:
  issuer:
    description:
      - Address of the issuer, such as V(https://aai-demo.egi.eu/auth/realms/egi).
    type: str
    required: true
  credentials_file:
    description:
      - File for all that is to be known of the client, JSON of mode 0600, in a directory that exists.
    type: path
    required: true
  client_secret_file:
    description:
      - File for the client secret alone, of mode 0600, as the variable C(jupyterhub_oauth_client_secret_file) of role
        P(egi.notebooks.jupyterhub#role) takes it.
    type: path
  initial_access_token:
    description:
      - Token with which a client may be registered, from the Check-in team. Needed only where there is no client yet.
    type: str
  state:
    description:
      - V(absent) deletes client and files.
    type: str
    choices: [present, absent]
    default: present
  client_name:
    description:
      - Name that people see on the login page. Without it, it is left as it is.
    type: str
  redirect_uris:
    description:
      - Addresses that a login may lead back to, exact. Required for V(present).
    type: list
    elements: str
  post_logout_redirect_uris:
    description:
      - Addresses that a logout may lead back to. Without it they are left as they are.
    type: list
    elements: str
  scopes:
    description:
      - Scopes that the client may ask for. Without it they are left as they are; a new client has the default ones.
      - V(openid) need not be named.
    type: list
    elements: str
  timeout:
    description:
      - Seconds without an answer after which a request fails. Long, for an answer that is not waited for may be the one
        with the new token.
    type: int
    default: 60
  rotate_secret:
    description:
      - Whether to change the client secret. Logins fail until the hub knows the new one.
    type: bool
    default: false
seealso:
  - module: egi.notebooks.checkin_client_info
  - module: egi.notebooks.checkin_discovery_info
"""

EXAMPLES = r"""
- name: Register the client at the demo environment of Check-in
  egi.notebooks.checkin_client:
    issuer: https://aai-demo.egi.eu/auth/realms/egi
    initial_access_token: "{{ lookup('ansible.builtin.env', 'CHECKIN_TOKEN') }}"
    credentials_file: ~/.config/egi-notebooks/client.json
    client_secret_file: ~/.config/egi-notebooks/client_secret
    client_name: Notebooks of Example
    redirect_uris: [https://notebooks.example.org/hub/oauth_callback]
    scopes: [profile, email, voperson_id, entitlements, eduperson_entitlement, offline_access]
  delegate_to: localhost

- name: Change its secret
  egi.notebooks.checkin_client:
    issuer: https://aai-demo.egi.eu/auth/realms/egi
    credentials_file: ~/.config/egi-notebooks/client.json
    client_secret_file: ~/.config/egi-notebooks/client_secret
    redirect_uris: [https://notebooks.example.org/hub/oauth_callback]
    rotate_secret: true
  delegate_to: localhost
"""

RETURN = r"""
client_id:
  description: The client's identifier, empty where there is none.
  type: str
  returned: always
  sample: 0b1a6d0c-5d3c-4b7e-8d55-1f2f3f3a9d10
client:
  description:
    - What the issuer says of the client, by the names of RFC 7591, without its secrets. Empty where nobody was asked.
  type: dict
  returned: always
  sample:
    client_id: 0b1a6d0c-5d3c-4b7e-8d55-1f2f3f3a9d10
    client_name: Notebooks of Example
    redirect_uris: [https://notebooks.example.org/hub/oauth_callback]
    scope: profile email voperson_id entitlements
done:
  description: What was done, or would be in check mode, in this order. Also what the issuer did before a failure.
  type: list
  elements: str
  returned: always
  choices: [created, updated, secret rotated, deleted, credentials_file made private, client_secret_file written]
  sample: [created, client_secret_file written]
"""

import os
import stat
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils import web
from ansible_collections.egi.notebooks.plugins.module_utils.oidc import discover
from ansible_collections.egi.notebooks.plugins.module_utils.registration import (
    Registration,
    comparable,
    keep_text,
    public,
)
from ansible_collections.egi.notebooks.plugins.module_utils.web import Web, WebError


def wanted_fields(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that are given, in the form in which they are compared."""
    given = {
        "client_name": parameters["client_name"],
        "redirect_uris": parameters["redirect_uris"],
        "post_logout_redirect_uris": parameters["post_logout_redirect_uris"],
        "scope": None if parameters["scopes"] is None else " ".join(parameters["scopes"]),
    }
    every = comparable(given)
    return {name: every[name] for name, value in given.items() if value is not None}


def lines(fields: dict[str, Any]) -> str:
    """Return fields for a diff, a value a line."""
    texts = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    return "".join(f"{name}: {text}\n" for name, value in texts.items() for text in value)


class Task:
    """One run of the module: what is wanted, what was done."""

    def __init__(self, module: AnsibleModule) -> None:
        """Read the credentials; no server is asked."""
        self.module = module
        self.parameters = module.params
        self.issuer = module.params["issuer"].rstrip("/")
        self.web = Web(module.params["ca_path"], module.params["timeout"])
        self.result: dict[str, Any] = {"client_id": "", "client": {}, "done": []}
        self.registration = Registration(self.web, module.params["credentials_file"], self.issuer)

    def do(self, what: str, action: Callable[[], Any]) -> Any:
        """Do it, or just tell it in check mode. What the issuer did counts, whatever fails after that."""
        self.registration.accepted = False
        try:
            answer = None if self.module.check_mode else action()
        except (WebError, OSError):
            if self.registration.accepted:
                self.result["done"].append(what)
            raise
        self.result["done"].append(what)
        return answer

    def run(self) -> None:
        """Bring client and files to the wanted state."""
        if self.parameters["state"] == "absent":
            self._absent()
            return
        self._present()
        self._keep_secret()

    def _present(self) -> None:
        registration, wanted = self.registration, wanted_fields(self.parameters)
        metadata = registration.read() if registration.exists else {}
        before = comparable(metadata)
        after = before
        if not metadata:
            if not self.parameters["initial_access_token"]:
                raise WebError(
                    f"{registration.path} knows no client and initial_access_token is not given; ask the Check-in team "
                    "for a token to register a client with"
                )
            metadata = self.do("created", lambda: self._create(wanted)) or {}
            before, after = {}, wanted
        else:
            self._make_private()
            if registration.differing(metadata, wanted):
                metadata = self.do("updated", lambda: registration.update(metadata, wanted)) or metadata
                after = before | wanted
            if self.parameters["rotate_secret"]:
                self.do("secret rotated", registration.rotate_secret)
                after = after | {"client_secret": "another one"}
        self.result["client"], self.result["client_id"] = public(metadata), metadata.get("client_id", "")
        self.result["diff"] = {"before": lines(before), "after": lines(after)}
        self._warn(metadata, wanted)

    def _create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        endpoint = discover(self.web, self.issuer).endpoint("registration")
        return self.registration.create(endpoint, self.parameters["initial_access_token"], self.issuer, wanted)

    def _warn(self, metadata: dict[str, Any], wanted: dict[str, Any]) -> None:
        """Tell what the issuer made of a wish if it is something else."""
        now = comparable(metadata)
        if {"created", "updated"} & set(self.result["done"]) and not self.module.check_mode:
            for name in (name for name in wanted if now[name] != wanted[name]):
                self.module.warn(f"{self.issuer} was asked for {name} {wanted[name]} and made it {now[name]}")

    def _make_private(self) -> None:
        path = self.registration.path
        if stat.S_IMODE(os.stat(path).st_mode) != 0o600:
            self.do("credentials_file made private", lambda: os.chmod(path, 0o600))

    def _keep_secret(self) -> None:
        path, done = self.parameters["client_secret_file"], self.result["done"]
        secret = self.registration.content.get("client_secret", "")
        unknown = self.module.check_mode and {"created", "secret rotated"} & set(done)
        if path and (unknown or (secret and keep_text(path, secret, write=not self.module.check_mode))):
            done.append("client_secret_file written")

    def _absent(self) -> None:
        registration, secret_file = self.registration, self.parameters["client_secret_file"]
        if not registration.exists:
            return
        client_id = self.result["client_id"] = registration.content["client_id"]
        self.result["diff"] = {"before": f"client_id: {client_id}\n", "after": ""}
        self.do("deleted", lambda: registration.delete(secret_file))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=web.OPTIONS
        | {
            "timeout": {"type": "int", "default": 60},
            "issuer": {"type": "str", "required": True},
            "credentials_file": {"type": "path", "required": True, "no_log": False},
            "client_secret_file": {"type": "path", "no_log": False},
            "initial_access_token": {"type": "str", "no_log": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "client_name": {"type": "str"},
            "redirect_uris": {"type": "list", "elements": "str"},
            "post_logout_redirect_uris": {"type": "list", "elements": "str"},
            "scopes": {"type": "list", "elements": "str"},
            "rotate_secret": {"type": "bool", "default": False, "no_log": False},
        },
        required_if=[("state", "present", ("redirect_uris",))],
        supports_check_mode=True,
    )
    try:
        task = Task(module)
    except WebError as error:
        module.fail_json(msg=str(error))
    try:
        task.run()
    except (WebError, OSError) as error:
        task.result |= {"failed": True, "msg": str(error)}
    # Whatever happened, they are in no answer.
    module.no_log_values |= task.registration.secrets
    task.result["changed"] = bool(task.result["done"])
    if task.result.pop("failed", False):
        module.fail_json(**task.result)
    module.exit_json(**task.result)


if __name__ == "__main__":
    main()
