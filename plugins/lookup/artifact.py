# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version, URL and checksum of the artifacts that the collection installs."""

from __future__ import annotations

DOCUMENTATION = r"""
name: artifact
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Version, URL and checksum of a file or image that the collection installs
description:
  - Reads the collection's manifest C(meta/artifacts.yml). All roles download the same pinned versions from it, and one
    mirror can serve all of them.
options:
  _terms:
    description:
      - Names of artifacts in the manifest, for example V(kubeadm) or V(traefik).
    type: list
    elements: str
    required: true
  version:
    description:
      - Version to use instead of the version in the manifest, as a quoted string. For a file, a leading C(v) is
        removed. For an image, this is the tag.
      - A checksum in the manifest applies only to the version in the manifest. Another version is verified with the
        upstream checksum file.
    type: raw
  mirror:
    description:
      - Prefix that replaces the scheme of the upstream URL. For example, V(https://mirror.example.org) turns
        C(https://dl.k8s.io/release/...) into C(https://mirror.example.org/dl.k8s.io/release/...).
      - A login in the URL is rejected, because URLs appear in files and messages that others can read.
      - By default files come from upstream. Image names do not change, because the container runtime has the mirror
        configured.
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

- name: Show the image of Traefik
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
      description: Version without a leading C(v) of a file, or tag of an image.
      type: str
      sample: 1.36.3
    url:
      description: URL of the file. Files only.
      type: str
      sample: https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubeadm
    checksum:
      description:
        - V(sha256:) followed by the digest or by the URL of the upstream checksum file, as
          M(ansible.builtin.get_url) takes it. Empty if upstream publishes none. Files only.
      type: str
      sample: sha256:https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubeadm.sha256
    image:
      description: Upstream name of the image with its tag. Images only.
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


class LookupModule(LookupBase):
    """Look up artifacts by name."""

    def run(self, terms, variables=None, **kwargs):
        """Return one dictionary for each name."""
        self.set_options(var_options=variables, direct=kwargs)
        mirror = self.get_option("mirror") or ""
        if mirror and not re.fullmatch(r"https?://[^/@\s]+(/\S*)?", mirror):
            shown = re.sub(r"//.*@", "//***@", str(mirror))
            raise AnsibleError(
                f"The mirror of artifacts must be empty or an http(s) URL without a login; got {shown!r}."
            )
        entries = load_manifest()
        return [describe(entries, str(term), self.get_option("version"), mirror) for term in terms]
