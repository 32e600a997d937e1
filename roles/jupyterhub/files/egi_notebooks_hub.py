# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hub does beyond its configuration: groups from entitlements, a user's primary VO, who sees metrics.

The chart's ``hub.extraFiles`` puts this file and egi_notebooks_entitlement.py (the collection's
plugins/module_utils/entitlement.py) beside the hub's configuration; ``hub.extraConfig`` calls ``configure(c)``. The
settings are ``hub.config.EgiNotebooks``, made by the filter egi.notebooks.checkin_oauth:

- ``namespaces``: namespaces of the group entitlements to believe;
- ``vos``: list of ``name`` and ``groups``, in the order that decides on the primary VO; membership in any of the groups
  makes a user one of this VO.
"""

from __future__ import annotations

import functools
from typing import Any

import egi_notebooks_entitlement as entitlement
from jupyterhub.handlers.metrics import MetricsHandler

PRIMARY_GROUP = "egi.eu/primary_group"


def configure(c: Any) -> None:
    """Set the hub's hooks in its configuration object."""
    settings = c.EgiNotebooks
    if not settings.get("vos") or not settings.get("namespaces"):
        raise ValueError("hub.config.EgiNotebooks must have namespaces and vos, as egi.notebooks.checkin_oauth makes.")
    c.GenericOAuthenticator.auth_state_groups_key = functools.partial(groups, namespaces=settings["namespaces"])
    c.KubeSpawner.modify_pod_hook = functools.partial(annotate_primary_vo, vos=settings["vos"])
    # Prometheus asks the hub itself. What comes through the proxy comes from outside and needs a token.
    MetricsHandler.authenticate_prometheus = property(came_through_proxy)


def groups(auth_state: Any, namespaces: list[str]) -> list[str]:
    """Return the hub groups of a user, from both entitlement claims of the userinfo."""
    userinfo = auth_state.get("oauth_user") if isinstance(auth_state, dict) else None
    return entitlement.group_names(userinfo, namespaces)


def primary_vo(names: set[str], vos: list[dict[str, Any]]) -> str | None:
    """Return the first VO, in the configured order, that one of these groups admits to."""
    return next((vo["name"] for vo in vos if names.intersection(vo["groups"])), None)


def annotate_primary_vo(spawner: Any, pod: Any, vos: list[dict[str, Any]]) -> Any:
    """Write the user's primary VO to the pod, where accounting finds it."""
    vo = primary_vo({group.name for group in spawner.user.groups}, vos)
    if vo is None:
        spawner.log.warning("User %s is in no VO of this service: their pod is charged to none", spawner.user.name)
    else:
        pod.metadata.annotations = {**(pod.metadata.annotations or {}), PRIMARY_GROUP: vo}
    return pod


def came_through_proxy(handler: Any) -> bool:
    """Whether a request came through the proxy, which always adds this header, and not from inside the cluster."""
    return "X-Forwarded-For" in handler.request.headers
