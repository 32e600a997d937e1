# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users' servers: the profiles of their VOs, the VO that accounting charges, and the access token as a file.

A server belongs to the VO of the profile that the user selected, else to the first one in the configured order that
admits them. Profiles, limits and volumes are that VO's. Accounting finds it in an annotation of the pod.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import egi_notebooks_rules as rules
import egi_notebooks_upstream as upstream
from kubernetes_asyncio.client.models import (
    V1ObjectMeta,
    V1Secret,
    V1SecretVolumeSource,
    V1Volume,
    V1VolumeMount,
)
from kubernetes_asyncio.client.rest import ApiException

PRIMARY_GROUP = "egi.eu/primary_group"
FLAVOR = "egi.eu/flavor"
TOKEN_DIRECTORY = "/var/run/secrets/egi.eu"  # noqa: S105 (a place, no secret)
TOKEN_FILE = "access_token"  # noqa: S105
#: Limit of each request to the cluster's API, whose client has none.
API_SECONDS = 10


class Servers:
    """The spawner's hooks, with the settings of this service."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    async def vos(self, spawner: Any) -> list[dict[str, Any]]:
        """Return the VOs that admit the spawner's user, in the configured order."""
        auth_state = await spawner.user.get_auth_state() or {}
        return rules.admitting_vos(auth_state.get("oauth_user"), self.settings)

    async def profile_list(self, spawner: Any) -> list[dict[str, Any]]:
        """Return the profiles that the user may select."""
        return available_profiles(await self.vos(spawner))

    async def options_form(self, spawner: Any) -> str:
        """Return the form of the profiles, empty with fewer than two."""
        if len(await self.profile_list(spawner)) < 2:
            return ""
        return await upstream.profile_form(spawner)

    async def before_start(self, spawner: Any) -> None:
        """Reset a profile that the user may not select any more, and store the user's access token."""
        slugs = [profile["slug"] for profile in await self.profile_list(spawner)]
        has_site_profiles = isinstance(spawner.profile_list, list) and spawner.profile_list
        if not has_site_profiles and spawner.user_options.get("profile") not in [None, *slugs]:
            spawner.user_options = {}
        if self.settings["access_token_file"]:
            auth_state = await spawner.user.get_auth_state()
            if auth_state:
                await store_access_token(spawner, auth_state["access_token"])

    async def modify_pod(self, spawner: Any, pod: Any) -> Any:
        """Annotate the pod for accounting, and mount the access token."""
        vos = await self.vos(spawner)
        profiles = available_profiles(vos)
        selected = spawner.user_options.get("profile")
        profile = next((each for each in profiles if each["slug"] == selected), profiles[0] if profiles else None)
        vo = profile["vo"] if profile else vos[0]["name"] if vos else None
        if vo is None:
            spawner.log.warning("User %s is in no VO of this service, so accounting charges none", spawner.user.name)
        notes = {PRIMARY_GROUP: vo, FLAVOR: profile and profile["slug"]}
        pod.metadata.annotations = (pod.metadata.annotations or {}) | {key: text for key, text in notes.items() if text}
        if self.settings["access_token_file"]:
            _mount_access_token(pod, secret_name(spawner))
        return pod

    async def after_stop(self, spawner: Any) -> None:
        """Delete the stored access token."""
        if self.settings["access_token_file"]:
            async with asyncio.timeout(API_SECONDS):
                await _unless_missing(spawner.api.delete_namespaced_secret(secret_name(spawner), spawner.namespace))


def available_profiles(vos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the profiles of these VOs for the spawner, none if no VO has any."""
    if not any(vo["profiles"] for vo in vos):
        return []
    has_several_vos = len({vo["name"] for vo in vos}) > 1
    found: dict[str, dict[str, Any]] = {}
    for vo in vos:
        for profile in vo["profiles"] or [_default_profile(vo["name"])]:
            title = profile["display_name"]
            found.setdefault(
                profile["slug"],
                profile
                | {
                    "vo": vo["name"],
                    "display_name": f"{title} ({vo['name']})" if has_several_vos and title != vo["name"] else title,
                    "kubespawner_override": _override(profile),
                },
            )
    return list(found.values())


def _default_profile(vo: str) -> dict[str, Any]:
    """Return the profile of a VO that has none, beside VOs that do. No other profile can have its slug."""
    return {"slug": f"vo:{vo}", "display_name": vo, "description": "", "kubespawner_override": {}}


def _override(profile: dict[str, Any]) -> dict[str, Any]:
    """Return the traits of the spawner that a profile changes."""
    override = dict(profile["kubespawner_override"])
    for kind in ("mem", "cpu"):
        if f"{kind}_limit" in override:
            override[f"{kind}_guarantee"] = _at_most(f"{kind}_guarantee", f"{kind}_limit")
    storage = profile.get("storage", [])
    if storage:
        claims = sorted({volume["claim"] for volume in storage})
        names = {claim: f"vo-{number}" for number, claim in enumerate(claims)}
        override["volumes"] = _added(
            "volumes",
            {name: {"name": name, "persistentVolumeClaim": {"claimName": claim}} for claim, name in names.items()},
        )
        override["volume_mounts"] = _added(
            "volume_mounts",
            {
                f"vo-{number}": {
                    "name": names[volume["claim"]],
                    "mountPath": volume["path"],
                    "readOnly": volume["read_only"],
                }
                | ({"subPath": volume["sub_path"]} if volume["sub_path"] else {})
                for number, volume in enumerate(storage)
            },
        )
    return override


def _at_most(guarantee: str, limit: str) -> Callable[[Any], Any]:
    """Return the guarantee, at most the limit: Kubernetes rejects more."""
    return lambda spawner: min(getattr(spawner, guarantee) or 0, getattr(spawner, limit)) or None


def _added(trait: str, items: dict[str, Any]) -> Callable[[Any], Any]:
    """Return a trait's items and further ones. The chart may have set it as a list."""

    def value(spawner: Any) -> Any:
        given = getattr(spawner, trait)
        return [*given, *items.values()] if isinstance(given, list) else {**given, **items}

    return value


# --- The access token as a file ---
# A Secret of the user, mounted as a directory: kubelet updates the file within about a minute after the hub has updated
# the Secret. Nothing runs in the pod for it, and the token is in no environment and in no description of a pod.


def secret_name(spawner: Any) -> str:
    """Return the name of the Secret with the access token of a server's user."""
    return f"{spawner.pod_name}-checkin"


def _mount_access_token(pod: Any, name: str) -> None:
    volume = V1Volume(name="checkin", secret=V1SecretVolumeSource(secret_name=name, optional=True, default_mode=0o440))
    mount = V1VolumeMount(name="checkin", mount_path=TOKEN_DIRECTORY, read_only=True)
    pod.spec.volumes = [*(pod.spec.volumes or []), volume]
    for container in pod.spec.containers[:1]:
        container.volume_mounts = [*(container.volume_mounts or []), mount]


async def store_access_token(spawner: Any, token: str) -> None:
    """Write a user's access token to their Secret, which is created if missing."""
    name, content = secret_name(spawner), {TOKEN_FILE: token}
    patch, metadata = {"stringData": content}, V1ObjectMeta(name=name, labels={"component": "singleuser-access-token"})
    async with asyncio.timeout(API_SECONDS):
        if await _unless_missing(spawner.api.patch_namespaced_secret(name, spawner.namespace, patch)) is None:
            secret = V1Secret(metadata=metadata, string_data=content)
            await spawner.api.create_namespaced_secret(spawner.namespace, secret)
    spawner.token_in_file = token


async def renew_access_token(user: Any, token: str) -> None:
    """Write a user's access token for all their running servers, unless this hub has already written it.

    A failure must not end the session. The next check tries again.
    """
    for spawner in list(user.spawners.values()):
        if spawner.ready and getattr(spawner, "token_in_file", None) != token:
            try:
                await store_access_token(spawner, token)
            except (ApiException, aiohttp.ClientError, OSError) as error:
                spawner.log.error("The access token of %s was not renewed: %r", upstream.log_name(spawner), error)


async def _unless_missing(call: Any) -> Any:
    try:
        return await call
    except ApiException as error:
        if error.status != 404:
            raise
        return None
