# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How verify.yml requests the website, with the settings of the edge and of the hub."""

from __future__ import annotations

import pathlib
from typing import Any

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import ENDPOINTS
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check
from ansible_collections.egi.notebooks.plugins.plugin_utils.jupyterhub_login import hub_config
from ansible_collections.egi.notebooks.plugins.plugin_utils.roles import Reader


def website(reader: Reader) -> dict[str, Any]:
    """Return the options of M(egi.notebooks.service_info), the `host` on which it runs, and `internal_ca`.

    The latter is the path of the internal CA's certificate on the host; empty if the edge has no internal CA.
    """
    edge, hub = reader.check("edge_ingress"), reader.check("jupyterhub")
    login = hub_config(hub)["GenericOAuthenticator"]
    return {
        # Where the control node can't resolve the name, the host that calls the cluster's API can.
        "host": "localhost" if edge["check_dns"] else reader.run.host,
        "internal_ca": f"{edge['selfsigned_dir']}/ca.crt" if edge["tls"] == "selfsigned" else "",
        "domain": hub["domain"],
        "issuer": login["authorize_url"].removesuffix(ENDPOINTS["authorize"]),
        "authorize_url": login["authorize_url"],
        "client_id": login["client_id"],
        "callback_url": login["oauth_callback_url"],
        "pkce": login["enable_pkce"],
        "certificates": certificates(edge, hub),
    }


def certificates(edge: Check, hub: Check) -> str:
    """Return the certificates of the private CAs of the edge and of Check-in, which may differ."""
    paths = dict.fromkeys([edge["ca_file"], hub["oauth_ca_file"]])
    return "".join(f"{pathlib.Path(path).expanduser().read_text(encoding='utf-8')}\n" for path in paths if path)
