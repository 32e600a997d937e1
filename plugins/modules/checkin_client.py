#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage an OpenID Connect client at EGI Check-in."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checkin_client
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Manage an OpenID Connect client at EGI Check-in
description:
  - Registers a client with dynamic client registration (RFC 7591) and an initial access token. Updates and deletes the
    client (RFC 7592) with its registration access token.
  - The client secret and the registration access token are stored in O(credentials_file) with mode 0600, on the host
    where the module runs. They are never returned. The client can only be changed with this file, so back it up.
notes:
  - Check-in runs Keycloak, which issues a new registration access token with each update and revokes the old one. The
    module reserves disk space before the request and blocks signals until the new token is written. If the answer is
    lost in the network, the client still works, but an administrator of Keycloak has to issue a new token
    (C(Clients > Credentials > Registration access token)). If the answer to a registration is lost, an unused client
    remains.
  - RFC 7592 has no request to change the secret. O(rotate_secret) uses Keycloak's own API
    (C(clients-registrations/default)), which accepts the same token. The new secret is written to O(credentials_file)
    as C(pending_client_secret) before the request. The old secret is revoked immediately.
  - Clients from the Federation Registry have no registration access token. Manage them in the Federation Registry.
extends_documentation_fragment:
  - egi.notebooks.web
attributes:
  check_mode:
    support: full
    description:
      - Reports what would be done. An existing client is read. If the answer has a new token, it is stored.
  diff_mode:
    support: full
    description: Shows the fields before and after, without secrets.
  idempotent:
    support: partial
    description: O(rotate_secret) creates a new secret in each run.
options:
  issuer:
    description:
      - URL of the issuer, such as V(https://aai-demo.egi.eu/auth/realms/egi).
    type: str
    required: true
  credentials_file:
    description:
      - JSON file for the credentials of the client, with mode 0600. The directory must exist.
    type: path
    required: true
  client_secret_file:
    description:
      - File for the client secret alone, with mode 0600, for the variable C(jupyterhub_oauth_client_secret_file) of the
        role P(egi.notebooks.jupyterhub#role).
    type: path
  initial_access_token:
    description:
      - Token from the Check-in team that permits a registration. Required only if there is no client yet.
    type: str
  state:
    description:
      - V(absent) deletes the client and its files.
    type: str
    choices: [present, absent]
    default: present
  client_name:
    description:
      - Name that users see on the login page. By default the name is not changed.
    type: str
  redirect_uris:
    description:
      - Exact redirect URIs for logins. Required for O(state=present).
    type: list
    elements: str
  post_logout_redirect_uris:
    description:
      - Redirect URIs for logouts. By default they are not changed.
    type: list
    elements: str
  scopes:
    description:
      - Scopes that the client may request. By default they are not changed, and a new client has the default scopes of
        the issuer.
      - V(openid) can be omitted.
    type: list
    elements: str
  timeout:
    description:
      - Timeout of a request in seconds. It is long because a missed answer may contain the new token.
    type: int
    default: 60
  rotate_secret:
    description:
      - Whether to change the client secret. Logins fail until the hub has the new secret.
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

- name: Change the client secret
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
  description: Identifier of the client. Empty if there is no client.
  type: str
  returned: always
  sample: 0b1a6d0c-5d3c-4b7e-8d55-1f2f3f3a9d10
client:
  description:
    - Client metadata from the issuer with the names of RFC 7591, without secrets. Empty if no request was sent.
  type: dict
  returned: always
  sample:
    client_id: 0b1a6d0c-5d3c-4b7e-8d55-1f2f3f3a9d10
    client_name: Notebooks of Example
    redirect_uris: [https://notebooks.example.org/hub/oauth_callback]
    scope: profile email voperson_id entitlements
done:
  description: Changes in the order they were made, or would be in check mode. Also returned on failure.
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
    """Return the given fields in comparable form."""
    given = {
        "client_name": parameters["client_name"],
        "redirect_uris": parameters["redirect_uris"],
        "post_logout_redirect_uris": parameters["post_logout_redirect_uris"],
        "scope": None if parameters["scopes"] is None else " ".join(parameters["scopes"]),
    }
    every = comparable(given)
    return {name: every[name] for name, value in given.items() if value is not None}


def lines(fields: dict[str, Any]) -> str:
    """Return the fields as text for a diff, one value per line."""
    texts = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    return "".join(f"{name}: {text}\n" for name, value in texts.items() for text in value)


class Task:
    """One run of the module: the parameters and the result."""

    def __init__(self, module: AnsibleModule) -> None:
        """Read the credentials file; no request is sent."""
        self.module = module
        self.parameters = module.params
        self.issuer = module.params["issuer"].rstrip("/")
        self.web = Web(module.params["ca_path"], module.params["timeout"])
        self.result: dict[str, Any] = {"client_id": "", "client": {}, "done": []}
        self.registration = Registration(self.web, module.params["credentials_file"], self.issuer)

    def do(self, what: str, action: Callable[[], Any]) -> Any:
        """Make a change and record it; in check mode only record it. A change at the issuer counts even on failure."""
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
        """Bring the client and its files to the requested state."""
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
                    f"initial_access_token must be set to register a client; {registration.path} has no client. "
                    "Request a token from the Check-in team."
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
                after = after | {"client_secret": "(new)"}
        self.result["client"], self.result["client_id"] = public(metadata), metadata.get("client_id", "")
        self.result["diff"] = {"before": lines(before), "after": lines(after)}
        self._warn(metadata, wanted)

    def _create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        endpoint = discover(self.web, self.issuer).endpoint("registration")
        return self.registration.create(endpoint, self.parameters["initial_access_token"], self.issuer, wanted)

    def _warn(self, metadata: dict[str, Any], wanted: dict[str, Any]) -> None:
        """Warn about fields that the issuer set to other values than requested."""
        now = comparable(metadata)
        if {"created", "updated"} & set(self.result["done"]) and not self.module.check_mode:
            for name in (name for name in wanted if now[name] != wanted[name]):
                self.module.warn(f"{self.issuer} set {name} to {now[name]}; requested was {wanted[name]}")

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
    # Secrets must not be in the result, whatever happened.
    module.no_log_values |= task.registration.secrets
    task.result["changed"] = bool(task.result["done"])
    if task.result.pop("failed", False):
        module.fail_json(**task.result)
    module.exit_json(**task.result)


if __name__ == "__main__":
    main()
