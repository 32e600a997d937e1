# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual organisations (VOs) as a site describes them: who of a VO may come, and what is there for them.

The hub module takes a VO as plain data, see ``Vo.for_hub``. Every error is one line for a person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import SettingsError, check_keys, check_texts
from ansible_collections.egi.notebooks.plugins.module_utils.entitlement import (
    MAX_NAME,
    EntitlementError,
    group_name,
)

KEYS = ("name", "groups", "roles", "admin", "assurance", "profiles", "images", "limits", "storage")
PROFILE_KEYS = ("name", "description", "image", "limits")
LIMIT_KEYS = ("cpu", "memory", "gpu")
STORAGE_KEYS = ("claim", "path", "sub_path", "read_only")
GPU = "nvidia.com/gpu"
IMAGE = re.compile(r"[^:@\s]+(:[0-9]+/[^:@\s]+)?:[A-Za-z0-9_][A-Za-z0-9_.-]*")
MEMORY = re.compile(r"[0-9]+([.][0-9]+)?[KMGT]?")
CLAIM = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
PATH = re.compile(r"/[^/\s]+(/[^/\s]+)*")


@dataclass(frozen=True)
class Vo:
    """A VO: all its members, or those of some groups, or those with some roles; and what they may use."""

    name: str
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()
    assurance: tuple[str, ...] = ()
    profiles: tuple[dict[str, Any], ...] = ()

    @property
    def admin_names(self) -> list[str]:
        """Short names of the roles that make an admin."""
        return self._names(self.admin) if self.admin else []

    @property
    def group_names(self) -> list[str]:
        """Short names of the hub groups; one of them suffices. An admin is never left outside."""
        return list(dict.fromkeys(self._names(self.roles or (None,)) + self.admin_names))

    def _names(self, roles: tuple[str | None, ...]) -> list[str]:
        paths = [[self.name, *group.split("/")] for group in self.groups] or [[self.name]]
        return [group_name(path, role) for path in paths for role in roles]

    def __str__(self) -> str:
        """Who is meant, in words."""
        wanted = [f"group {' or '.join(self.groups)}"] if self.groups else []
        wanted += [f"role {' or '.join(self.roles)}"] if self.roles else []
        return f"{self.name} ({', '.join(wanted)})" if wanted else self.name

    def for_hub(self) -> dict[str, Any]:
        """The VO as the hub module takes it."""
        return {
            "name": self.name,
            "groups": self.group_names,
            "admin_groups": self.admin_names,
            "assurance": list(self.assurance),
            "profiles": list(self.profiles),
        }


def check_vos(where: str, given: object) -> list[Vo]:
    """Return the VOs of a list of names and mappings."""
    if not isinstance(given, (list, tuple)) or not given:
        raise SettingsError(f"{where} is {given!r}; allowed is a list of one VO or more, such as [vo.notebooks.egi.eu]")
    vos = [_check_vo(f"{where}[{index}]", item) for index, item in enumerate(given)]
    titles: dict[str, str] = {}
    for vo in vos:
        for profile in vo.profiles:
            title = f"{vo.name}: {profile['display_name']}"
            if profile["slug"] in titles:
                raise SettingsError(
                    f"{where} has the profiles {titles[profile['slug']]!r} and {title!r}; allowed are names that "
                    "differ in letters from a to z or digits"
                )
            titles[profile["slug"]] = title
    return vos


def _check_vo(where: str, given: object) -> Vo:
    item: Mapping[str, Any] = {"name": given} if isinstance(given, str) else given  # type: ignore[assignment]
    if not isinstance(item, Mapping):
        raise SettingsError(f"{where} is {given!r}; allowed is a VO's name or a mapping of {', '.join(KEYS)}")
    check_keys(where, item, KEYS)
    name = item.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[^\s:/#%]+", name):
        raise SettingsError(
            f"{where}.name is {name!r}; allowed is the VO's own name, such as vo.notebooks.egi.eu, no entitlement"
        )
    lists = {key: check_texts(f"{where}.{key}", item.get(key, [])) for key in ("groups", "roles", "admin", "assurance")}
    vo = Vo(name, **lists, profiles=tuple(_profiles(where, name, item)))
    if "member" in vo.admin and not vo.groups:
        raise SettingsError(
            f"{where}.admin makes every member of {name} an admin; allowed is another role, or groups as well"
        )
    try:
        too_long = [text for text in vo.group_names if len(text) > MAX_NAME]
    except EntitlementError as error:
        raise SettingsError(f"{where} is {given!r}; {error}") from error
    if too_long:
        raise SettingsError(f"{where} gives the group {too_long[0]!r}; allowed are at most {MAX_NAME} characters")
    return vo


def _profiles(where: str, vo: str, item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what people of a VO choose from, nothing if the VO has only what all have."""
    images = item.get("images", {})
    if not isinstance(images, Mapping) or not all(isinstance(name, str) and name.strip() for name in images):
        raise SettingsError(f"{where}.images is {images!r}; allowed is a mapping of names to images")
    for name, image in images.items():
        _check_image(f"{where}.images[{name!r}]", image)
    given = item.get("profiles", [{"name": name, "image": name} for name in images])
    if not isinstance(given, (list, tuple)):
        raise SettingsError(
            f"{where}.profiles is {given!r}; allowed is a list of mappings of {', '.join(PROFILE_KEYS)}"
        )
    shared = _limits(f"{where}.limits", item.get("limits", {}))
    storage = _storage(f"{where}.storage", item.get("storage", []))
    if not given and (shared or storage):
        given = [{"name": vo}]
    return [
        _profile(f"{where}.profiles[{index}]", vo, profile, images, shared) | ({"storage": storage} if storage else {})
        for index, profile in enumerate(given)
    ]


def _profile(
    where: str, vo: str, given: object, images: Mapping[str, str], shared: Mapping[str, Any]
) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise SettingsError(f"{where} is {given!r}; allowed is a mapping of {', '.join(PROFILE_KEYS)}")
    check_keys(where, given, PROFILE_KEYS)
    name = _check_line(f"{where}.name", given.get("name"))
    image = given.get("image")
    if image is not None and image not in images:
        allowed = f"one of {', '.join(images)}, or an image with its tag" if images else None
        _check_image(f"{where}.image", image, allowed)
    override = {} if image is None else {"image": images.get(image, image)}
    return {
        "slug": re.sub(r"[^a-z0-9]+", "-", (name if name == vo else f"{vo} {name}").lower()).strip("-"),
        "display_name": name,
        "description": _check_line(f"{where}.description", given.get("description", name)),
        "kubespawner_override": override | shared | _limits(f"{where}.limits", given.get("limits", {})),
    }


def _limits(where: str, given: object) -> dict[str, Any]:
    """Return limits under the names of the spawner."""
    if not isinstance(given, Mapping):
        raise SettingsError(f"{where} is {given!r}; allowed is a mapping of {', '.join(LIMIT_KEYS)}")
    check_keys(where, given, LIMIT_KEYS)
    made: dict[str, Any] = {}
    if "cpu" in given:
        if isinstance(given["cpu"], bool) or not isinstance(given["cpu"], (int, float)) or not given["cpu"] > 0:
            raise SettingsError(f"{where}.cpu is {given['cpu']!r}; allowed is a number above 0, such as 1.5")
        made["cpu_limit"] = float(given["cpu"])
    if "memory" in given:
        if not isinstance(given["memory"], str) or not MEMORY.fullmatch(given["memory"]):
            raise SettingsError(
                f"{where}.memory is {given['memory']!r}; allowed is a number with K, M, G or T, such as 2G"
            )
        made["mem_limit"] = given["memory"]
    if "gpu" in given:
        if isinstance(given["gpu"], bool) or not isinstance(given["gpu"], int) or given["gpu"] < 0:
            raise SettingsError(f"{where}.gpu is {given['gpu']!r}; allowed is a number of GPUs")
        made["extra_resource_limits"] = {GPU: str(given["gpu"])}
    return made


def _storage(where: str, given: object) -> list[dict[str, Any]]:
    """Return the volumes of a VO, each a claim and where it is mounted."""
    if not isinstance(given, (list, tuple)):
        raise SettingsError(f"{where} is {given!r}; allowed is a list of mappings of {', '.join(STORAGE_KEYS)}")
    volumes = []
    for index, item in enumerate(given):
        here = f"{where}[{index}]"
        if not isinstance(item, Mapping):
            raise SettingsError(f"{here} is {item!r}; allowed is a mapping of {', '.join(STORAGE_KEYS)}")
        check_keys(here, item, STORAGE_KEYS)
        claim, path, sub_path = item.get("claim"), item.get("path"), item.get("sub_path", "")
        if not isinstance(claim, str) or not CLAIM.fullmatch(claim):
            raise SettingsError(f"{here}.claim is {claim!r}; allowed is the name of a PersistentVolumeClaim")
        if not isinstance(path, str) or not PATH.fullmatch(path) or path in [volume["path"] for volume in volumes]:
            raise SettingsError(f"{here}.path is {path!r}; allowed is an absolute path where nothing else is mounted")
        if sub_path and not (isinstance(sub_path, str) and PATH.fullmatch(f"/{sub_path}")) or ".." in str(sub_path):
            raise SettingsError(f"{here}.sub_path is {sub_path!r}; allowed is a path below the claim's root")
        if not isinstance(item.get("read_only", False), bool):
            raise SettingsError(f"{here}.read_only is {item['read_only']!r}; allowed is true or false")
        volumes.append({"claim": claim, "path": path, "sub_path": sub_path, "read_only": item.get("read_only", False)})
    return volumes


def _check_image(where: str, given: object, allowed: str | None = None) -> None:
    if not isinstance(given, str) or not IMAGE.fullmatch(given):
        raise SettingsError(f"{where} is {given!r}; allowed is {allowed or 'an image with its tag'}")


def _check_line(where: str, given: object) -> str:
    # The form that shows it is a template itself.
    if not isinstance(given, str) or not given.strip() or not given.isprintable() or re.search(r"[<>&{}]", given):
        raise SettingsError(f"{where} is {given!r}; allowed is a text of one line without any of <>&{{}}")
    return given.strip()
