# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of the JupyterHub chart whose hub image has what the hub module needs of undocumented names.

Only the image itself can say it for certain, so the hub checks again when it starts, see egi_notebooks_upstream of the
role jupyterhub. This table is for preflight, which has no image.
"""

from __future__ import annotations

import re

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import must_be

#: Releases with which the unit tests and the lab run, and the packages of their hub image.
TESTED = {"4.4.0": {"jupyterhub": "5.5.0", "oauthenticator": "17.4.0", "jupyterhub-kubespawner": "7.0.0"}}
#: First release whose packages (JupyterHub 5.3, OAuthenticator 17.3) have all names.
FIRST = (4, 2)
#: Names that OAuthenticator 16.3 (chart 3) and 17.1 (chart 4.0 and 4.1) lack.
LACKING = {
    3: (
        "OAuthenticator._token_to_auth_model",
        "OAuthenticator.build_refresh_token_request_params",
        "OAuthenticator.get_user_groups",
    ),
    4: ("OAuthenticator._token_to_auth_model", "OAuthenticator.build_refresh_token_request_params"),
}


def upstream_problems(chart_version: object, where: str = "jupyterhub_chart_version") -> list[str]:
    """Return the problem of a chart release whose hub image lacks something, or may lack something."""
    found = re.match(r"v?(\d+)\.(\d+)\.", str(chart_version))
    release = (int(found[1]), int(found[2])) if found else (0, 0)
    if release[0] == FIRST[0] and release >= FIRST:
        return []
    if release[0] > FIRST[0] or not found:
        advice = "Other releases have not been tested with the hub module."
    else:
        names = LACKING.get(release[0], LACKING[3])
        advice = f"The hub image of this release lacks {', '.join(names)}."
    rule = f"{FIRST[0]}.{FIRST[1]}.0 or a later release of {FIRST[0]}, such as {max(TESTED)}"
    return [str(must_be(where, rule, chart_version, advice))]
