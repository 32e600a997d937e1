#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask Check-in for its endpoints, scopes and claims, its clock and its certificate."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checkin_discovery_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Ask Check-in for its endpoints, scopes and claims, its clock and its certificate
description:
  - Reads the discovery document of an OpenID Connect issuer, which must say that it is of just that issuer.
extends_documentation_fragment:
  - egi.notebooks.asking
  - egi.notebooks.web
options:
  issuer:
    description:
      - Address of the issuer, such as V(https://aai.egi.eu/auth/realms/egi).
    type: str
    required: true
seealso:
  - module: egi.notebooks.checkin_login_info
"""

EXAMPLES = r"""
- name: Ask the demo environment of Check-in
  egi.notebooks.checkin_discovery_info:
    issuer: https://aai-demo.egi.eu/auth/realms/egi
  register: checkin

- name: See to it that groups can be asked for
  ansible.builtin.assert:
    that: "'entitlements' in checkin.scopes"
"""

RETURN = r"""
issuer:
  description: Address of the issuer.
  type: str
  returned: always
  sample: https://aai-demo.egi.eu/auth/realms/egi
endpoints:
  description: Addresses by their names in the document, less C(_endpoint).
  type: dict
  returned: always
  sample:
    authorization: https://aai-demo.egi.eu/auth/realms/egi/protocol/openid-connect/auth
    token: https://aai-demo.egi.eu/auth/realms/egi/protocol/openid-connect/token
    userinfo: https://aai-demo.egi.eu/auth/realms/egi/protocol/openid-connect/userinfo
scopes:
  description: Scopes that the issuer knows (C(scopes_supported)). Which of them a client is granted, is another matter.
  type: list
  elements: str
  returned: always
  sample: [email, entitlements, offline_access, openid, profile, voperson_id]
claims:
  description: Claims that the issuer names (C(claims_supported)). Check-in's own ones need not be among them.
  type: list
  elements: str
  returned: always
  sample: [email, name, preferred_username, sub]
clock_skew:
  description:
    - Seconds that the issuer's clock is ahead of the host's, negative if it is behind, from the header C(Date), which
      has whole seconds. What the answer's way took is not counted. Nothing if there is no such header; a
      Keycloak sends none, the proxy before it does.
  type: float
  returned: always
  sample: 0.0
certificate_days_left:
  description: Days until the issuer's certificate ends. Nothing if the issuer is reached by a proxy only.
  type: float
  returned: always
  sample: 71.3
document:
  description: The whole discovery document.
  type: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils import web
from ansible_collections.egi.notebooks.plugins.module_utils.oidc import certificate_days_left, discover
from ansible_collections.egi.notebooks.plugins.module_utils.web import Web, WebError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=web.OPTIONS | {"issuer": {"type": "str", "required": True}}, supports_check_mode=True
    )
    asking = Web(module.params["ca_path"], module.params["timeout"])
    try:
        found = discover(asking, module.params["issuer"])
    except WebError as error:
        module.fail_json(msg=str(error))
    endpoints = {key.removesuffix("_endpoint"): url for key, url in found.document.items() if key.endswith("_endpoint")}
    module.exit_json(
        changed=False,
        issuer=found.document["issuer"],
        endpoints=endpoints,
        scopes=found.texts("scopes_supported"),
        claims=found.texts("claims_supported"),
        clock_skew=found.clock_skew,
        certificate_days_left=certificate_days_left(asking, module.params["issuer"]),
        document=found.document,
    )


if __name__ == "__main__":
    main()
