# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version, address and checksum of what the collection installs."""

from __future__ import annotations

DOCUMENTATION = r"""
name: artifact
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Version, address and checksum of a file or image that the collection installs
description:
  - Answers from the collection's own manifest, C(meta/artifacts.yml), so that every role downloads the same pinned
    versions and one mirror serves them all.
options:
  _terms:
    description:
      - Names of artifacts in the manifest, for example V(kubeadm) or V(traefik).
    type: list
    elements: str
    required: true
  version:
    description:
      - Version to use instead of the manifest's, a quoted string. For a file a leading C(v) is dropped; for an image
        it is the tag.
      - A checksum pinned in the manifest belongs to the manifest's version alone. Another version is checked with
        upstream's checksum file.
    type: raw
  mirror:
    description:
      - Prefix that replaces the scheme of upstream's address, for example V(https://mirror.example.org) turns
        C(https://dl.k8s.io/release/...) into C(https://mirror.example.org/dl.k8s.io/release/...).
      - A login in it is refused, since addresses stand in files and messages that everybody may read.
      - Empty means upstream itself. Image names are never changed, since the container runtime knows the mirror.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Download kubeadm
  ansible.builtin.get_url:
    url: "{{ artifact.url }}"
    checksum: "{{ artifact.checksum }}"
    dest: /usr/local/bin/kubeadm
    mode: "0755"
  vars:
    artifact: "{{ lookup('egi.notebooks.artifact', 'kubeadm', version='1.36.1', mirror='https://mirror.example.org') }}"

- name: Show the image that the edge runs
  ansible.builtin.debug:
    msg: "{{ lookup('egi.notebooks.artifact', 'traefik').image }}"
"""

RETURN = r"""
_raw:
  description: One dictionary for each name, in the order of the names.
  type: list
  elements: dict
  contains:
    name:
      description: Name in the manifest.
      type: str
      sample: kubeadm
    version:
      description: Version without a leading C(v) for a file, tag for an image.
      type: str
      sample: 1.36.3
    url:
      description: Address of the file. Files only.
      type: str
      sample: https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubeadm
    checksum:
      description:
        - C(sha256:) and either the digest or the address of upstream's checksum file, as M(ansible.builtin.get_url)
          takes it. Empty where upstream publishes none. Files only.
      type: str
      sample: sha256:https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubeadm.sha256
    image:
      description: Image with its tag, under upstream's name. Images only.
      type: str
      sample: docker.io/library/traefik:v3.7.15
"""

import functools
import pathlib
import re

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.lookup import LookupBase

MANIFEST = pathlib.Path(__file__).resolve().parents[2] / "meta" / "artifacts.yml"
# One rule for both kinds: what is a legal image tag is also safe inside an address.
VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
KEYS = {"files": {"version", "url", "sha256", "checksum_url"}, "images": {"version", "image"}}
REQUIRED = {"files": {"version", "url"}, "images": {"version", "image"}}


@functools.cache
def load_manifest(path: pathlib.Path = MANIFEST) -> dict[str, dict]:
    """Return the manifest's entries by name, each with its kind, or say what is wrong with the file."""
    try:
        # By libyaml where it is there: each of Ansible's workers reads it anew.
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
    """Return the version, or say why it is none."""
    if not isinstance(version, str):
        raise AnsibleError(
            f"The version of artifact {name!r} must be a quoted string, got {type(version).__name__} {version!r}."
        )
    if not VERSION.fullmatch(version):
        raise AnsibleError(
            f"The version of artifact {name!r} is {version!r}; allowed are letters, digits, '.', '_' and '-'."
        )
    return str(version)


def mirrored(url: str, mirror: str) -> str:
    """Return the address below the mirror, or as it is without one."""
    return f"{mirror.rstrip('/')}/{url.split('://', 1)[1]}" if mirror else url


def describe(entries: dict[str, dict], name: str, version: object, mirror: str) -> dict[str, str]:
    """Return what the lookup answers for one name."""
    if name not in entries:
        raise AnsibleError(f"There is no artifact {name!r}; known are {', '.join(sorted(entries))}.")
    entry = entries[name]
    # An empty version comes from a role variable that nobody set.
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


class LookupModule(LookupBase):
    """Look up artifacts by name."""

    def run(self, terms, variables=None, **kwargs):
        """Return one dictionary for each name."""
        self.set_options(var_options=variables, direct=kwargs)
        mirror = self.get_option("mirror") or ""
        if mirror and not re.fullmatch(r"https?://[^/@\s]+(/\S*)?", mirror):
            shown = re.sub(r"//.*@", "//***@", str(mirror))
            raise AnsibleError(
                f"The mirror of artifacts is {shown!r}; allowed is an http(s) address without a login, or nothing."
            )
        entries = load_manifest()
        return [describe(entries, str(term), self.get_option("version"), mirror) for term in terms]
