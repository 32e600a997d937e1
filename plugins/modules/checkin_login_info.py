#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check without a login whether users can log in with a client of EGI Check-in."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checkin_login_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Check without a login whether users can log in with a client of EGI Check-in
description:
  - Checks that the issuer answers, that its document names the same issuer, and that its certificate and clock are
    valid. Then sends an authorization request with C(prompt=none), which shows no form and starts no session. Its
    answer shows whether the client and its redirect URI are registered and the scopes are granted.
  - The client secret and the claims of users cannot be checked this way.
  - The module sends two requests. If a scope is refused, it sends one more for each scope, in parallel.
extends_documentation_fragment:
  - egi.notebooks.info_module
  - egi.notebooks.web
options:
  issuer:
    description:
      - URL of the issuer, such as V(https://aai.egi.eu/auth/realms/egi).
    type: str
    required: true
  client_id:
    description:
      - Identifier of the client.
    type: str
    required: true
  redirect_uri:
    description:
      - Redirect URI of logins.
    type: str
    required: true
  scopes:
    description:
      - Scopes that logins request.
    type: list
    elements: str
    default: [openid]
  pkce:
    description:
      - Whether logins use PKCE with S256.
    type: bool
    default: true
  maximum_clock_skew:
    description:
      - Maximum difference between the clocks of the issuer and the host, in seconds.
    type: int
    default: 60
  ca_content:
    description:
      - CA certificates in PEM format, as an alternative to a file on the host. Takes precedence over O(ca_path).
    type: str
    default: ""
seealso:
  - module: egi.notebooks.checkin_discovery_info
"""

EXAMPLES = r"""
- name: Check whether users can log in
  egi.notebooks.checkin_login_info:
    issuer: https://aai-demo.egi.eu/auth/realms/egi
    client_id: 0b1a6d0c-5d3c-4b7e-8d55-1f2f3f3a9d10
    redirect_uri: https://notebooks.example.org/hub/oauth_callback
    scopes: [openid, profile, email, voperson_id, entitlements, offline_access]
  register: login
"""

RETURN = r"""
problems:
  description: One message for each problem, with what to request from the Check-in team.
  type: list
  elements: str
  returned: always
  sample:
    - redirect URI https://notebooks.example.org/hub/oauth_callback is not registered for client egi-notebooks at
      https://aai.egi.eu/auth/realms/egi; ask the Check-in team to add exactly this one
clock_skew:
  description: As M(egi.notebooks.checkin_discovery_info) returns it, in seconds.
  type: float
  returned: always
  sample: 0.0
certificate_days_left:
  description: As M(egi.notebooks.checkin_discovery_info) returns it, in days.
  type: float
  returned: always
  sample: 71.3
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils import web
from ansible_collections.egi.notebooks.plugins.module_utils.oidc import (
    Login,
    LoginCheck,
    certificate_days_left,
    discover,
)
from ansible_collections.egi.notebooks.plugins.module_utils.web import Web, WebError


def check(parameters: dict[str, Any], client: Web) -> dict[str, Any]:
    """Return what the module returns."""
    issuer, most = parameters["issuer"].rstrip("/"), parameters["maximum_clock_skew"]
    result: dict[str, Any] = {"problems": [], "clock_skew": None, "certificate_days_left": None}
    try:
        found = discover(client, issuer)
    except WebError as error:
        result["problems"].append(f"issuer {issuer} cannot be used from this host: {error}. {remedy(str(error))}")
        return result
    skew = result["clock_skew"] = found.clock_skew
    if skew is not None and abs(skew) > most:
        result["problems"].append(
            f"clock of this host is {abs(skew)} s {'behind' if skew > 0 else 'ahead of'} that of {issuer}; must be at "
            f"most {most} s. Synchronise it with chrony or systemd-timesyncd. If it is right, report it to Check-in."
        )
    days = result["certificate_days_left"] = certificate_days_left(client, issuer)
    if days is not None and days < 1:
        result["problems"].append(
            f"certificate of {issuer} expires within a day, then logins fail. Ask the Check-in team to renew it."
        )
    login = Login(parameters["client_id"], parameters["redirect_uri"], tuple(parameters["scopes"]), parameters["pkce"])
    try:
        result["problems"] += LoginCheck(client, issuer, found.endpoint("authorization"), login).problems()
    except WebError as error:
        result["problems"].append(
            f"login of client {login.client_id} cannot be checked: {error}. Ask the Check-in team."
        )
    return result


def remedy(why: str) -> str:
    """Return what to do about an issuer that cannot be used."""
    if "certificate" in why.lower():
        return "Configure its CA if that is private, else report it to the Check-in team."
    if "got no answer" in why:
        return "Open the firewall for it, or correct environment or issuer."
    return "Correct environment or issuer, or ask the Check-in team."


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=web.OPTIONS
        | {
            "issuer": {"type": "str", "required": True},
            "client_id": {"type": "str", "required": True},
            "redirect_uri": {"type": "str", "required": True},
            "scopes": {"type": "list", "elements": "str", "default": ["openid"]},
            "pkce": {"type": "bool", "default": True},
            "maximum_clock_skew": {"type": "int", "default": 60},
            "ca_content": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    ca_path = module.params["ca_path"]
    if module.params["ca_content"]:
        # open_url takes a file; the temporary directory is deleted after the module.
        ca_path = os.path.join(module.tmpdir, "ca.pem")
        with open(ca_path, "w", encoding="utf-8") as stream:
            stream.write(module.params["ca_content"])
    module.exit_json(changed=False, **check(module.params, Web(ca_path, module.params["timeout"])))


if __name__ == "__main__":
    main()
