# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hub does beyond its configuration.

The chart's ``hub.extraFiles`` puts this file and those that it imports beside the hub's configuration, with
egi_notebooks_entitlement, which is plugins/module_utils/entitlement.py of the collection. ``hub.extraConfig`` calls
``configure(c)``. The settings are ``hub.config.EgiNotebooks``, made by the filter egi.notebooks.checkin_oauth:

- ``namespaces``: namespaces of trusted group entitlements;
- ``vos``: list of ``name``, ``group`` (the VO itself), ``groups`` (a member of any of them is admitted),
  ``admin_groups``, ``assurance``, ``requirement`` and ``enrolment_url`` (for the 403 page) and ``profiles``, in the
  order that decides on the primary VO;
- ``user_names``: the claim of which user names are made, ``voperson_id`` or ``preferred_username``;
- ``grace_seconds``: how long a server outlives its owner's last VO;
- ``absence_seconds``: how long it outlives its owner's tokens at Check-in;
- ``access_token_file``: whether a server has its owner's access token in a file;
- ``site``: ``name``, ``logo``, ``welcome``, ``links`` and ``support`` for the pages.
"""

from __future__ import annotations

from typing import Any

import egi_notebooks_upstream as upstream

# Before anything else is imported that a hub of another version may lack.
upstream.check()

import egi_notebooks_protected as protected  # noqa: E402
from egi_notebooks_authenticator import CheckinAuthenticator, refresh_activity_report  # noqa: E402
from egi_notebooks_servers import Servers  # noqa: E402

SETTINGS = ("namespaces", "vos", "user_names", "grace_seconds", "absence_seconds", "access_token_file", "site")


def configure(c: Any) -> None:
    """Set the hub's classes and hooks in its configuration object."""
    settings = dict(c.EgiNotebooks)
    if not settings.get("vos") or not settings.get("namespaces") or set(settings) != set(SETTINGS):
        raise ValueError(
            f"hub.config.EgiNotebooks must have {', '.join(SETTINGS)}, as egi.notebooks.checkin_oauth makes them; got "
            f"{', '.join(settings) or 'nothing'}."
        )
    protected.check_config(c, [each.__name__ for each in CheckinAuthenticator.mro()])
    c.JupyterHub.authenticator_class = CheckinAuthenticator
    c.CheckinAuthenticator.settings = settings
    c.JupyterHub.template_vars = {
        **c.JupyterHub.get("template_vars", {}),
        "display_name": display_name,
        "site": settings["site"],
    }
    servers = Servers(settings)
    if any(vo["profiles"] for vo in settings["vos"]):
        if c.KubeSpawner.get("profile_list"):
            raise ValueError("Profiles must be in singleuser.profileList or in the VOs; got both. Remove those of one.")
        c.KubeSpawner.profile_list = servers.profile_list
        c.KubeSpawner.options_form = servers.options_form
    c.KubeSpawner.pre_spawn_hook = servers.before_start
    c.KubeSpawner.modify_pod_hook = servers.modify_pod
    c.KubeSpawner.post_stop_hook = servers.after_stop
    upstream.replace_methods(came_through_proxy, refresh_activity_report)


def display_name(user: Any) -> str:
    """Return the name of a person for pages."""
    return CheckinAuthenticator.display_names.get(user.name, "") if user else ""


def came_through_proxy(handler: Any) -> bool:
    """Return whether a request came through the proxy, which adds this header, and not from inside the cluster.

    Prometheus queries the hub itself. Requests for metrics from outside need a token.
    """
    return "X-Forwarded-For" in handler.request.headers
