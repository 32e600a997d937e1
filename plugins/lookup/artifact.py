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

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.egi.notebooks.plugins.plugin_utils import rules
from ansible_collections.egi.notebooks.plugins.plugin_utils.artifacts import artifact
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import shown


class LookupModule(LookupBase):
    """Look up artifacts by name."""

    def run(self, terms, variables=None, **kwargs):
        """Return one dictionary for each name."""
        self.set_options(var_options=variables, direct=kwargs)
        mirror = self.get_option("mirror") or ""
        if not rules.is_url(mirror):
            raise AnsibleError(f"The mirror of artifacts must be {rules.URL_RULE}; got {shown(mirror)}.")
        return [artifact(str(term), self.get_option("version"), mirror) for term in terms]
