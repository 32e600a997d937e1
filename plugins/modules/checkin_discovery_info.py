#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read endpoints, scopes and claims of an OpenID Connect issuer, and check its clock and certificate."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checkin_discovery_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Read the discovery document of EGI Check-in
description:
  - Reads the discovery document of an OpenID Connect issuer, its clock and the expiry of its certificate.
  - The document must name the same issuer.
extends_documentation_fragment:
  - egi.notebooks.info_module
  - egi.notebooks.web
options:
  issuer:
    description:
      - URL of the issuer, such as V(https://aai.egi.eu/auth/realms/egi).
    type: str
    required: true
seealso:
  - module: egi.notebooks.checkin_login_info
"""

EXAMPLES = r"""
- name: Read the discovery document of the demo environment
  egi.notebooks.checkin_discovery_info:
    issuer: https://aai-demo.egi.eu/auth/realms/egi
  register: checkin

- name: Check that the issuer supports entitlements
  ansible.builtin.assert:
    that: "'entitlements' in checkin.scopes"
"""

RETURN = r"""
issuer:
  description: URL of the issuer.
  type: str
  returned: always
  sample: https://aai-demo.egi.eu/auth/realms/egi
endpoints:
  description: URLs of the endpoints by name, without the suffix C(_endpoint).
  type: dict
  returned: always
  sample:
    authorization: https://aai-demo.egi.eu/auth/realms/egi/protocol/openid-connect/auth
    token: https://aai-demo.egi.eu/auth/realms/egi/protocol/openid-connect/token
    userinfo: https://aai-demo.egi.eu/auth/realms/egi/protocol/openid-connect/userinfo
scopes:
  description: Scopes that the issuer supports (C(scopes_supported)). A client may be granted fewer.
  type: list
  elements: str
  returned: always
  sample: [email, entitlements, offline_access, openid, profile, voperson_id]
claims:
  description: Claims that the issuer lists (C(claims_supported)). Check-in does not list all of its claims.
  type: list
  elements: str
  returned: always
  sample: [email, name, preferred_username, sub]
clock_skew:
  description:
    - Seconds that the issuer's clock is ahead of the host's clock, negative if it is behind. It comes from the C(Date)
      header, which has a resolution of one second. The duration of the request is not counted.
    - None without such a header. Keycloak sends none, a reverse proxy in front of it does.
  type: float
  returned: always
  sample: 0.0
certificate_days_left:
  description: Days until the issuer's certificate expires. None if the issuer is only reachable through a proxy.
  type: float
  returned: always
  sample: 71.3
document:
  description: Complete discovery document.
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
    client = Web(module.params["ca_path"], module.params["timeout"])
    try:
        found = discover(client, module.params["issuer"])
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
        certificate_days_left=certificate_days_left(client, module.params["issuer"]),
        document=found.document,
    )


if __name__ == "__main__":
    main()
