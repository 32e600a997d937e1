#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the registration of a client at EGI Check-in."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checkin_client_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Read the registration of a client at EGI Check-in
description:
  - Reads the registration (RFC 7592) of a client that M(egi.notebooks.checkin_client) registered.
  - If the answer has a new registration access token or client secret, it is stored in O(credentials_file), because the
    old one is revoked. Keycloak does so only after its signing key was changed.
extends_documentation_fragment:
  - egi.notebooks.info_module
  - egi.notebooks.web
options:
  credentials_file:
    description:
      - File that M(egi.notebooks.checkin_client) wrote, on the host where the module runs.
    type: path
    required: true
seealso:
  - module: egi.notebooks.checkin_client
"""

EXAMPLES = r"""
- name: Read the registration of the client
  egi.notebooks.checkin_client_info:
    credentials_file: ~/.config/egi-notebooks/client.json
  delegate_to: localhost
  register: checkin
"""

RETURN = r"""
exists:
  description: Whether the credentials file exists.
  type: bool
  returned: always
  sample: true
issuer:
  description: URL of the issuer. Empty if the file does not exist.
  type: str
  returned: always
  sample: https://aai-demo.egi.eu/auth/realms/egi
client:
  description:
    - Client metadata from the issuer with the names of RFC 7591, without secrets. Empty if the file does not exist.
  type: dict
  returned: always
  sample:
    client_id: 0b1a6d0c-5d3c-4b7e-8d55-1f2f3f3a9d10
    client_name: Notebooks of Example
    redirect_uris: [https://notebooks.example.org/hub/oauth_callback]
    scope: profile email voperson_id entitlements
client_secret_expires_at:
  description: Expiry of the client secret in seconds since 1970. V(0) means that it never expires.
  type: int
  returned: always
  sample: 0
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils import web
from ansible_collections.egi.notebooks.plugins.module_utils.registration import Registration, public
from ansible_collections.egi.notebooks.plugins.module_utils.web import Web, WebError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=web.OPTIONS | {"credentials_file": {"type": "path", "required": True, "no_log": False}},
        supports_check_mode=True,
    )
    try:
        registration = Registration(
            Web(module.params["ca_path"], module.params["timeout"]), module.params["credentials_file"]
        )
        metadata = registration.read() if registration.exists else {}
    except WebError as error:
        module.fail_json(msg=str(error))
    module.no_log_values |= registration.secrets
    module.exit_json(
        changed=False,
        exists=registration.exists,
        issuer=registration.content.get("issuer", ""),
        client=public(metadata),
        client_secret_expires_at=registration.content.get("client_secret_expires_at", 0),
    )


if __name__ == "__main__":
    main()
