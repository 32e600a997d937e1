# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual organisations (VOs) as a site describes them: which members may log in, and what their servers have.

The hub module takes a VO as plain data, see ``Vo.for_hub``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import (
    Problems,
    SettingsError,
    check_flag,
    check_mapping,
    check_texts,
    enrolment_url,
    must_be,
)
from ansible_collections.egi.notebooks.plugins.module_utils.entitlement import (
    DEFAULT_NAMESPACES,
    MAX_NAME,
    EntitlementError,
    group_name,
    normalized_namespace,
    qualified_name,
)

KEYS = ("name", "namespace", "groups", "roles", "admin", "assurance", "profiles", "images", "limits", "storage")
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
    """A VO: all its members, or those of some groups, or those with some roles; and what their servers have."""

    name: str
    #: Prefix of the VO's groups in the hub; empty for the first of the trusted namespaces.
    namespace: str = ""
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()
    assurance: tuple[str, ...] = ()
    profiles: tuple[dict[str, Any], ...] = ()

    @property
    def admin_names(self) -> list[str]:
        """Names of the hub groups that make an admin."""
        return self._names(self.admin) if self.admin else []

    @property
    def group_names(self) -> list[str]:
        """Names of the hub groups of which a user must be in one. Those of admins are among them."""
        return list(dict.fromkeys(self._names(self.roles or (None,)) + self.admin_names))

    @property
    def requirement(self) -> str:
        """The groups and roles that a member of the VO needs, in words; empty if membership is enough."""
        wanted = [f"group {' or '.join(self.groups)}"] if self.groups else []
        wanted += [f"role {' or '.join(self.roles)}"] if self.roles else []
        return " and ".join(wanted)

    def _names(self, roles: Sequence[str | None]) -> list[str]:
        paths = [[self.name, *group.split("/")] for group in self.groups] or [[self.name]]
        return [qualified_name(self.namespace, group_name(path, role)) for path in paths for role in roles]

    def __str__(self) -> str:
        """Name and requirement."""
        return f"{self.name} ({self.requirement})" if self.requirement else self.name

    def for_hub(self, enrolment: str = "") -> dict[str, Any]:
        """Return the VO as the hub module takes it; ``enrolment`` is the template of the page where to join."""
        return {
            "name": self.name,
            "group": qualified_name(self.namespace, group_name([self.name])),
            "groups": self.group_names,
            "admin_groups": self.admin_names,
            "assurance": list(self.assurance),
            "requirement": self.requirement,
            "enrolment_url": enrolment_url(enrolment, self.name),
            "profiles": list(self.profiles),
        }


def check_vos(where: str, given: object, namespaces: Sequence[str] = DEFAULT_NAMESPACES) -> list[Vo]:
    """Return the VOs of a list of names and mappings, or raise all problems at once."""
    vos, problems = read_vos(where, given, namespaces)
    if problems:
        raise SettingsError("\n".join(problems))
    return vos


def read_vos(where: str, given: object, namespaces: Sequence[str] = DEFAULT_NAMESPACES) -> tuple[list[Vo], list[str]]:
    """Return the VOs of a list that are valid, and the problems of the others."""
    problems = Problems()
    if not isinstance(given, (list, tuple)) or not given:
        problems.add(where, "a list of at least one VO, such as [vo.notebooks.egi.eu]", given)
        return [], problems
    trusted = [normalized_namespace(namespace) for namespace in namespaces]
    found = [_read_vo(problems, f"{where}[{index}]", item, trusted) for index, item in enumerate(given)]
    vos = [vo for vo in found if vo]
    titles: dict[str, str] = {}
    for vo in vos:
        for profile in vo.profiles:
            title = f"{vo.name}: {profile['display_name']}"
            if profile["slug"] in titles:
                problems.add(
                    f"{where}: names of profiles",
                    "different in letters from a to z or digits",
                    [titles[profile["slug"]], title],
                )
            titles[profile["slug"]] = title
    return vos, problems


def _read_vo(problems: Problems, where: str, given: object, trusted: Sequence[str]) -> Vo | None:
    """Return a VO, or nothing if it has a problem."""
    before = len(problems)
    item: Any = {"name": given} if isinstance(given, str) else given
    if not isinstance(item, Mapping):
        problems.add(where, f"the name of a VO or a mapping of {', '.join(KEYS)}", given)
        return None
    problems.keys(where, item, KEYS)
    name = item.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[^\s:/#%]+", name):
        problems.add(f"{where}.name", "the name of a VO, such as vo.notebooks.egi.eu, and no entitlement", name)
        name = "?"
    namespace = item.get("namespace", trusted[0])
    if not isinstance(namespace, str) or normalized_namespace(namespace) not in trusted:
        problems.add(f"{where}.namespace", f"one of the trusted namespaces, {', '.join(trusted)}", namespace)
        namespace = trusted[0]
    prefix = "" if normalized_namespace(namespace) == trusted[0] else normalized_namespace(namespace)
    lists = {
        key: problems.catch((), check_texts, f"{where}.{key}", item.get(key, []))
        for key in ("groups", "roles", "admin", "assurance")
    }
    vo = Vo(name, prefix, **lists, profiles=tuple(_profiles(problems, where, name, item)))
    _check_names(problems, where, vo)
    return vo if len(problems) == before else None


def _check_names(problems: Problems, where: str, vo: Vo) -> None:
    """Note names of groups and roles that no entitlement has, or that make everybody an admin."""
    for key, names, example in (
        ("groups", vo.groups, "the name of a group, such as training/2026. Write a role to roles"),
        ("roles", vo.roles, "the name of a role, such as member"),
        ("admin", vo.admin, "the name of a role, such as vm_operator"),
    ):
        for text in names:
            if text.lower().startswith("role=") or ":role=" in text.lower():
                rule, _stop, advice = example.partition(". ")
                problems.add(f"{where}.{key}", f"{rule}, without role=", text, f"{advice}." if advice else "")
    if "member" in vo.admin and not vo.groups:
        problems.add(
            f"{where}.admin", f"a role that not every member of {vo.name} has, or stand beside groups", list(vo.admin)
        )
    try:
        for text in vo.group_names:
            if len(text) > MAX_NAME:
                problems.add(f"{where}: names of groups", f"at most {MAX_NAME} characters long", text)
                break
    except EntitlementError as error:
        problems.add(f"{where}.groups", "names of groups, such as training/2026", list(vo.groups), str(error))


def _profiles(problems: Problems, where: str, vo: str, item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the profiles that members of a VO choose from, none if the VO has only what all have."""
    images = item.get("images", {})
    if not isinstance(images, Mapping) or not all(isinstance(name, str) and name.strip() for name in images):
        problems.add(f"{where}.images", "a mapping of names to images", images)
        images = {}
    for name, image in images.items():
        problems.catch(None, _check_image, f"{where}.images[{name!r}]", image)
    given = item.get("profiles", [{"name": name, "image": name} for name in images])
    if not isinstance(given, (list, tuple)):
        problems.add(f"{where}.profiles", f"a list of mappings of {', '.join(PROFILE_KEYS)}", given)
        given = []
    shared = _limits(problems, f"{where}.limits", item.get("limits", {}))
    storage = _storage(problems, f"{where}.storage", item.get("storage", []))
    if not given and (shared or storage):
        given = [{"name": vo}]
    made = [
        _profile(problems, f"{where}.profiles[{index}]", vo, profile, images, shared)
        for index, profile in enumerate(given)
    ]
    return [profile | ({"storage": storage} if storage else {}) for profile in made if profile]


def _profile(
    problems: Problems, where: str, vo: str, given: object, images: Mapping[str, str], shared: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a profile of the spawner, empty if it has no usable name."""
    given = problems.catch({}, check_mapping, where, given, PROFILE_KEYS)
    if not given:
        return {}
    problems.keys(where, given, PROFILE_KEYS)
    name = problems.catch("", _check_plain_line, f"{where}.name", given.get("name"))
    image = given.get("image")
    if image is not None and not (isinstance(image, str) and image in images):
        rule = f"one of {', '.join(images)}, or an image with its tag" if images else ""
        problems.catch(None, _check_image, f"{where}.image", image, rule)
    override = {} if image is None else {"image": images.get(image, image) if isinstance(image, str) else image}
    limits = _limits(problems, f"{where}.limits", given.get("limits", {}))
    described = given.get("description", name)
    return {
        "slug": re.sub(r"[^a-z0-9]+", "-", (name if name == vo else f"{vo} {name}").lower()).strip("-"),
        "display_name": name,
        "description": problems.catch("", _check_plain_line, f"{where}.description", described) if name else "",
        "kubespawner_override": override | shared | limits,
    }


def _limits(problems: Problems, where: str, given: object) -> dict[str, Any]:
    """Return limits under the names of the spawner."""
    given = problems.catch({}, check_mapping, where, given, LIMIT_KEYS)
    problems.keys(where, given, LIMIT_KEYS)
    made: dict[str, Any] = {}
    cpu, memory, gpu = (given.get(key) for key in LIMIT_KEYS)
    if "cpu" in given:
        if isinstance(cpu, bool) or not isinstance(cpu, (int, float)) or not cpu > 0:
            problems.add(f"{where}.cpu", "a number above 0, such as 1.5", cpu)
        else:
            made["cpu_limit"] = float(cpu)
    if "memory" in given:
        if not isinstance(memory, str) or not MEMORY.fullmatch(memory):
            problems.add(f"{where}.memory", "a number with K, M, G or T, such as 2G", memory)
        made["mem_limit"] = memory
    if "gpu" in given:
        if isinstance(gpu, bool) or not isinstance(gpu, int) or gpu < 0:
            problems.add(f"{where}.gpu", "a number of GPUs", gpu)
        made["extra_resource_limits"] = {GPU: str(gpu)}
    return made


def _storage(problems: Problems, where: str, given: object) -> list[dict[str, Any]]:
    """Return the volumes of a VO: claims and where they are mounted."""
    if not isinstance(given, (list, tuple)):
        problems.add(where, f"a list of mappings of {', '.join(STORAGE_KEYS)}", given)
        return []
    volumes: list[dict[str, Any]] = []
    for index, entry in enumerate(given):
        here = f"{where}[{index}]"
        item = problems.catch({}, check_mapping, here, entry, STORAGE_KEYS)
        if not item:
            continue
        problems.keys(here, item, STORAGE_KEYS)
        claim, path, sub_path = item.get("claim"), item.get("path"), item.get("sub_path", "")
        if not isinstance(claim, str) or not CLAIM.fullmatch(claim):
            problems.add(f"{here}.claim", "the name of a PersistentVolumeClaim", claim)
        if not isinstance(path, str) or not PATH.fullmatch(path) or path in [volume["path"] for volume in volumes]:
            problems.add(f"{here}.path", "an absolute path where nothing else is mounted", path)
        if sub_path and not (isinstance(sub_path, str) and PATH.fullmatch(f"/{sub_path}")) or ".." in str(sub_path):
            problems.add(f"{here}.sub_path", "a path below the root of the claim", sub_path)
        read_only = problems.catch(False, check_flag, f"{here}.read_only", item.get("read_only", False))
        volumes.append({"claim": claim, "path": path, "sub_path": sub_path, "read_only": read_only})
    return volumes


def _check_image(where: str, given: object, rule: str = "") -> None:
    """Refuse what is no reference of an image."""
    if not isinstance(given, str) or not IMAGE.fullmatch(given):
        raise must_be(where, rule or "an image with its tag", given)


def _check_plain_line(where: str, given: object) -> str:
    """Return a text for the form of profiles, which is a template itself."""
    if not isinstance(given, str) or not given.strip() or not given.isprintable() or re.search(r"[<>&{}]", given):
        raise must_be(where, "a text of one line without any of <>&{}", given)
    return given.strip()
