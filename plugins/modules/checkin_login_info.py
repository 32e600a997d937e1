#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask Check-in whether people will be able to log in by a client, without a login."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checkin_login_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Ask Check-in whether people will be able to log in by a client, without a login
description:
  - Checks that the issuer answers, is the one that was meant, has a valid certificate and the right time, and asks for
    a login with C(prompt=none), which shows no form and begins no session. The answer tells whether the client and its
    redirect URI are registered and the scopes granted.
  - Neither the client secret nor what a user's claims hold can be checked in this way.
  - It takes two requests, and one more for each scope if one of them is refused, those at the same time.
extends_documentation_fragment:
  - egi.notebooks.asking
  - egi.notebooks.web
options:
  issuer:
    description:
      - Address of the issuer, such as V(https://aai.egi.eu/auth/realms/egi).
    type: str
    required: true
  client_id:
    description:
      - Identifier of the client.
    type: str
    required: true
  redirect_uri:
    description:
      - Where a login is to lead back to.
    type: str
    required: true
  scopes:
    description:
      - Scopes that the login will ask for.
    type: list
    elements: str
    default: [openid]
  pkce:
    description:
      - Whether the login will use PKCE, with S256.
    type: bool
    default: true
  maximum_clock_skew:
    description:
      - Seconds that the clocks of issuer and host may differ.
    type: int
    default: 60
  ca_content:
    description:
      - PEM certificates of the authorities, where they are in no file of the host. Wins over O(ca_path).
    type: str
    default: ""
seealso:
  - module: egi.notebooks.checkin_discovery_info
"""

EXAMPLES = r"""
- name: Ask whether people will be able to log in
  egi.notebooks.checkin_login_info:
    issuer: https://aai-demo.egi.eu/auth/realms/egi
    client_id: 0b1a6d0c-5d3c-4b7e-8d55-1f2f3f3a9d10
    redirect_uri: https://notebooks.example.org/hub/oauth_callback
    scopes: [openid, profile, email, voperson_id, entitlements, offline_access]
  register: login
"""

RETURN = r"""
problems:
  description: One sentence for each thing that is wrong, with what to ask the Check-in team for.
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


def check(parameters: dict[str, Any], asking: Web) -> dict[str, Any]:
    """Return what the module returns."""
    issuer, most = parameters["issuer"].rstrip("/"), parameters["maximum_clock_skew"]
    result: dict[str, Any] = {"problems": [], "clock_skew": None, "certificate_days_left": None}
    try:
        found = discover(asking, issuer)
    except WebError as error:
        result["problems"].append(f"issuer {issuer} is of no use to this host: {error}; {remedy(str(error))}")
        return result
    skew = result["clock_skew"] = found.clock_skew
    if skew is not None and abs(skew) > most:
        result["problems"].append(
            f"clock of this host is {abs(skew)} s {'behind' if skew > 0 else 'ahead of'} that of {issuer}; allowed are "
            f"{most} s: set the host's by chrony or systemd-timesyncd, and tell the Check-in team if it is right"
        )
    days = result["certificate_days_left"] = certificate_days_left(asking, issuer)
    if days is not None and days < 1:
        result["problems"].append(
            f"certificate of {issuer} ends within a day, and logins with it; ask the Check-in team to renew it"
        )
    login = Login(parameters["client_id"], parameters["redirect_uri"], tuple(parameters["scopes"]), parameters["pkce"])
    try:
        result["problems"] += LoginCheck(asking, issuer, found.endpoint("authorization"), login).problems()
    except WebError as error:
        result["problems"].append(
            f"login of client {login.client_id} cannot be checked: {error}; ask the Check-in team"
        )
    return result


def remedy(why: str) -> str:
    """Return what to do about an issuer that is of no use."""
    if "certificate" in why.lower():
        return "allowed is a valid certificate: give its authority if that is private, else tell the Check-in team"
    if "got no answer" in why:
        return "open the way to it in the firewall, or correct environment or issuer"
    return "correct environment or issuer, or ask the Check-in team"


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
        # Ansible's function for requests takes a file; this one goes with the module.
        ca_path = os.path.join(module.tmpdir, "ca.pem")
        with open(ca_path, "w", encoding="utf-8") as stream:
            stream.write(module.params["ca_content"])
    module.exit_json(changed=False, **check(module.params, Web(ca_path, module.params["timeout"])))


if __name__ == "__main__":
    main()
