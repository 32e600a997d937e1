# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The login settings of the role jupyterhub, as the shared code for EGI Check-in takes them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from ansible_collections.egi.notebooks.plugins.filter.checkin_vo_profiles import checkin_vo_profiles
from ansible_collections.egi.notebooks.plugins.module_utils import checkin_login, upstream
from ansible_collections.egi.notebooks.plugins.module_utils.checkin import ENDPOINTS, SettingsError, is_host_name
from ansible_collections.egi.notebooks.plugins.module_utils.checkin_site import read_logo
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check

#: The hub imports what lies beside its configuration.
HUB_FOLDER = "/usr/local/etc/jupyterhub"
CA_PATH = f"{HUB_FOLDER}/oauth-ca.crt"
#: Stand for settings whose own problems are reported elsewhere.
GOOD_DOMAIN, GOOD_VOS = "notebooks.example.org", ["vo.notebooks.egi.eu"]


def login_settings(check: Check) -> dict[str, Any]:
    """Return the settings of the login: those of the site, and what comes from other variables of the role."""
    given = check["oauth"]
    shared: dict[str, Any] = {"vos": check["vos"]} | ({"site": _site(check)} if check["site"] else {})
    if "callback_url" not in given:
        shared["domain"] = check["domain"]
    if check["oauth_ca_file"]:
        shared["ca_file"] = CA_PATH
    return shared | given


def _site(check: Check) -> dict[str, Any]:
    """Return what the hub's pages say, with the logo's file as a data URL. A wrong file stays as it is."""
    site = dict(check["site"])
    if str(site.get("logo") or "").startswith(("/", "~")):
        with contextlib.suppress(SettingsError):
            site["logo"] = read_logo(f"{check.name('site')}.logo", site["logo"])
    return site


def login_problems(check: Check) -> list[str]:
    """Return what is wrong with the login, with each VO and with values of the chart that would undo their rules."""
    settings = login_settings(check)
    if "domain" not in check["oauth"] and "domain" in settings and not is_host_name(settings["domain"]):
        settings["domain"] = GOOD_DOMAIN
    names = {"vos": check.name("vos"), "domain": check.name("domain"), "site": check.name("site")}
    return [
        *checkin_login.login_problems(settings | {"vos": settings["vos"] or GOOD_VOS}, "jupyterhub_oauth.", names),
        *checkin_login.values_problems(check["values"]),
        # A chart of the site's own has a version of its own.
        *([] if check["chart"] else upstream.upstream_problems(check["chart_version"])),
    ]


def hub_config(check: Check) -> dict[str, Any]:
    """Return `hub.config` of the chart's values."""
    return checkin_login.login_config(login_settings(check))


def login_query(check: Check) -> dict[str, Any]:
    """Return what M(egi.notebooks.checkin_login_info) is asked with."""
    login = hub_config(check)["GenericOAuthenticator"]
    return {
        "issuer": login["authorize_url"].removesuffix(ENDPOINTS["authorize"]),
        "client_id": login["client_id"],
        "redirect_uri": login["oauth_callback_url"],
        "scopes": login["scope"],
        "pkce": login["enable_pkce"],
        "ca_content": ca_content(check),
    }


def ca_content(check: Check) -> str:
    """Return the certificates of the issuer's private CA, empty for a public one."""
    path = check["oauth_ca_file"]
    return check.read(path).decode(errors="replace").rstrip() if path else ""


def vos_are_good(check: Check) -> bool:
    """Tell whether the list of VOs can be used, whatever else is wrong with the login."""
    vos = login_settings(check)["vos"]
    return not checkin_login.vo_problems(check.name("vos"), vos)


def vos_with_profiles(check: Check) -> dict[str, list[Mapping[str, Any]]]:
    """Return the profiles of each VO that has some, none where the list of VOs is wrong."""
    if not vos_are_good(check):
        return {}
    vos = checkin_vo_profiles(login_settings(check)["vos"])
    return {vo["name"]: vo["profiles"] for vo in vos if vo["profiles"]}


def vo_images(check: Check) -> list[str]:
    """Return the images of the VOs' profiles, each once."""
    profiles = [profile for found in vos_with_profiles(check).values() for profile in found]
    images = [profile["kubespawner_override"].get("image") for profile in profiles]
    return list(dict.fromkeys(filter(None, images)))
