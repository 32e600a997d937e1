# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions, URLs and checksums of what the collection installs, from its manifest `meta/artifacts.yml`."""

from __future__ import annotations

import functools
import pathlib
import re
from collections.abc import Iterable, Mapping

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.yaml import yaml_load

MANIFEST = pathlib.Path(__file__).resolve().parents[2] / "meta" / "artifacts.yml"
# One rule for both kinds: a valid image tag is also safe in a URL.
VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
KEYS = {"files": {"version", "url", "sha256", "checksum_url"}, "images": {"version", "image"}}
REQUIRED = {"files": {"version", "url"}, "images": {"version", "image"}}


@functools.cache
def load_manifest(path: pathlib.Path = MANIFEST) -> dict[str, dict]:
    """Return the entries of the manifest by name, each with its kind, or raise an error about the file."""
    try:
        # With libyaml if it is installed, because every worker process of Ansible reads the file again.
        content = yaml_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise AnsibleError(f"The artifact manifest {path} cannot be read: {error}") from error
    if not isinstance(content, dict) or set(content) != set(KEYS):
        raise AnsibleError(f"The artifact manifest {path} must have the sections {', '.join(KEYS)} and no other.")
    entries: dict[str, dict] = {}
    for kind, section in content.items():
        for name, entry in (section or {}).items():
            unknown, missing = set(entry) - KEYS[kind], REQUIRED[kind] - set(entry)
            if unknown or missing:
                raise AnsibleError(
                    f"The artifact manifest {path} has a bad entry {name!r}: "
                    f"unknown keys {sorted(unknown)}, missing keys {sorted(missing)}; "
                    f"known in {kind} are {', '.join(sorted(KEYS[kind]))}."
                )
            if name in entries:
                raise AnsibleError(f"The artifact manifest {path} has {name!r} both as a file and as an image.")
            entries[name] = {"kind": kind, **entry, "version": checked_version(name, entry["version"])}
    return entries


def checked_version(name: str, version: object) -> str:
    """Return the version, or raise an error if it is invalid."""
    if not isinstance(version, str):
        raise AnsibleError(
            f"The version of artifact {name!r} must be a quoted string; got {type(version).__name__} {version!r}."
        )
    if not VERSION.fullmatch(version):
        raise AnsibleError(
            f"The version of artifact {name!r} must consist of letters, digits, '.', '_' and '-'; got {version!r}."
        )
    return str(version)


def mirrored(url: str, mirror: str) -> str:
    """Return the URL at the mirror, or the upstream URL without a mirror."""
    return f"{mirror.rstrip('/')}/{url.split('://', 1)[1]}" if mirror else url


def describe(entries: dict[str, dict], name: str, version: object, mirror: str) -> dict[str, str]:
    """Return the result of the lookup for one name."""
    if name not in entries:
        raise AnsibleError(f"The artifact must be one of {', '.join(sorted(entries))}; got {name!r}.")
    entry = entries[name]
    # A role variable that is not set gives an empty version.
    wanted = entry["version"] if version in (None, "") else checked_version(name, version)
    if entry["kind"] == "images":
        return {"name": name, "version": wanted, "image": f"{entry['image']}:{wanted}"}
    wanted = re.sub(r"^v(?=[0-9])", "", wanted)
    checksum = ""
    if "sha256" in entry and wanted == entry["version"]:
        checksum = f"sha256:{entry['sha256']}"
    elif "checksum_url" in entry:
        checksum = f"sha256:{mirrored(entry['checksum_url'].format(version=wanted), mirror)}"
    return {
        "name": name,
        "version": wanted,
        "url": mirrored(entry["url"].format(version=wanted), mirror),
        "checksum": checksum,
    }


def artifact(name: str, version: object = "", mirror: str = "") -> dict[str, str]:
    """Return version, URL and checksum of a file, or version and reference of an image."""
    return describe(load_manifest(), name, version, mirror)


def addresses(artifacts: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the URLs of files and of their checksum files."""
    found = [item["url"] for item in artifacts] + [item["checksum"].removeprefix("sha256:") for item in artifacts]
    return [address for address in found if "://" in address]
