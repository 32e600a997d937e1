# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hub does beyond its configuration.

The chart's ``hub.extraFiles`` puts this file and those it imports beside the hub's configuration, egi_notebooks_rules
(who somebody is), egi_notebooks_login (who may in and stay), egi_notebooks_servers (what they get) and
egi_notebooks_entitlement (the collection's plugins/module_utils/entitlement.py); ``hub.extraConfig`` calls
``configure(c)``. The settings are ``hub.config.EgiNotebooks``, made by the filter egi.notebooks.checkin_oauth:

- ``namespaces``: namespaces of the group entitlements to believe;
- ``vos``: list of ``name``, ``groups`` (membership in any of them makes a user one of this VO), ``admin_groups``,
  ``assurance`` and ``profiles``, in the order that decides on the primary VO;
- ``user_names``: the claim that users are called after, ``voperson_id`` or ``preferred_username``;
- ``grace_seconds``: how long somebody's server outlives their last VO;
- ``absence_seconds``: how long it outlives the tokens by which Check-in can be asked about them;
- ``access_token_file``: whether a user's server finds the user's access token in a file.
"""

from __future__ import annotations

from typing import Any

from egi_notebooks_login import CheckinAuthenticator, refresh_report
from egi_notebooks_servers import Servers
from jupyterhub.apihandlers.users import ActivityAPIHandler
from jupyterhub.handlers.metrics import MetricsHandler
from kubespawner.reflector import ResourceReflector

SETTINGS = ("namespaces", "vos", "user_names", "grace_seconds", "absence_seconds", "access_token_file")

#: Upstream's, which ends when the cluster's API has been away for 50 seconds: servers neither start nor stop then.
watch = ResourceReflector._watch_and_update


def configure(c: Any) -> None:
    """Set the hub's classes and hooks in its configuration object."""
    settings = dict(c.EgiNotebooks)
    if not settings.get("vos") or not settings.get("namespaces") or set(settings) != set(SETTINGS):
        raise ValueError(
            f"hub.config.EgiNotebooks must have {', '.join(SETTINGS)}, as egi.notebooks.checkin_oauth makes."
        )
    c.JupyterHub.authenticator_class = CheckinAuthenticator
    c.CheckinAuthenticator.settings = settings
    c.JupyterHub.template_vars = {**c.JupyterHub.get("template_vars", {}), "display_name": display_name}
    servers = Servers(settings)
    if any(vo["profiles"] for vo in settings["vos"]):
        if c.KubeSpawner.get("profile_list"):
            raise ValueError(
                "There are profiles in singleuser.profileList and in the VOs; allowed are those of one place."
            )
        c.KubeSpawner.profile_list = servers.profile_list
        c.KubeSpawner.options_form = servers.options_form
    c.KubeSpawner.pre_spawn_hook = servers.before_start
    c.KubeSpawner.modify_pod_hook = servers.modify_pod
    c.KubeSpawner.post_stop_hook = servers.after_stop
    # Prometheus asks the hub itself. What comes through the proxy comes from outside and needs a token.
    MetricsHandler.authenticate_prometheus = property(came_through_proxy)
    ActivityAPIHandler.refresh_auth = refresh_report
    ResourceReflector._watch_and_update = watch_on


async def watch_on(reflector: Any) -> None:
    """Watch what goes on in the cluster until told to stop, however long its API is away."""
    while True:
        await watch(reflector)
        # With one namespace a user upstream ends the hub instead.
        if reflector._stopping or reflector.on_failure:
            return


def display_name(user: Any) -> str:
    """Return what to call a user on a page."""
    return CheckinAuthenticator.display_names.get(user.name, "") if user else ""


def came_through_proxy(handler: Any) -> bool:
    """Whether a request came through the proxy, which always adds this header, and not from inside the cluster."""
    return "X-Forwarded-For" in handler.request.headers
