#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that files and images can be downloaded."""

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Check that files and images can be downloaded
description:
  - Sends a HEAD request for each file and for the manifest of each image, 32 in parallel. Nothing is downloaded.
  - An image is requested where containerd pulls it from, which is the mirror if its registry is mirrored, else the
    registry itself. The module uses the anonymous token of the registry and no login.
  - A registry that requires a login (401, 403), limits the rate (429) or gives no token does not say which images it
    has. The node may have a login. The image is listed in RV(unknown), which is not a problem.
  - A registry outside of O(registries) that does not answer is not a problem either. It may run in the cluster that is
    to be built.
  - An image is not checked if containerd on this host has its own configuration for the registry, in
    C(/etc/containerd/certs.d/REGISTRY) or C(/etc/containerd/certs.d/_default).
extends_documentation_fragment:
  - egi.notebooks.info_module
options:
  downloads:
    description:
      - URLs of files, and names of images with their tag.
    type: list
    elements: str
    required: true
  mirror:
    description:
      - URL of a mirror of registries, laid out as C(MIRROR/v2/REGISTRY/REPOSITORY).
    type: str
    default: ""
  registries:
    description:
      - Registries whose images come from O(mirror). Without a mirror, these registries must answer themselves.
    type: list
    elements: str
    default: [docker.io, ghcr.io, quay.io, registry.k8s.io]
  timeout:
    description:
      - Timeout for each file or image in seconds, including the request for a token.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Check that kubectl and Traefik can be downloaded
  egi.notebooks.artifact_info:
    downloads:
      - "{{ lookup('egi.notebooks.artifact', 'kubectl', mirror='https://mirror.example.org').url }}"
      - docker.io/library/traefik:v3.7.15
    mirror: https://mirror.example.org
  register: downloads
"""

RETURN = r"""
problems:
  description: One message for each file or image that is missing, and for each server that does not answer.
  type: list
  elements: str
  returned: always
  sample:
    - https://mirror.example.org/dl.k8s.io/release/v1.36.9/bin/linux/amd64/kubectl answers 404 Not Found. Choose a
      version that exists, or add it to the mirror.
unknown:
  description: One message for each file or image that the server gives no information about.
  type: list
  elements: str
  returned: always
  sample:
    - registry.example.org/team/image:1 cannot be checked, https://registry.example.org/v2/team/image/manifests/1
      answers 401 Unauthorized (login required)
"""

import concurrent.futures
import glob
import re
import ssl
import urllib.request

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.registry import Answer, NoAnswer, query

#: Statuses that do not say whether a file exists: login required, method not supported, rate limit.
INCONCLUSIVE = (401, 403, 405, 429, 501)
#: Registries whose server has another name, as in containerd.
SERVERS = {"docker.io": "https://registry-1.docker.io"}
#: containerd's configuration of registries.
HOSTS = "/etc/containerd/certs.d"


def image_parts(image: str) -> tuple[str, str, str]:
    """Return registry, repository and tag or digest of an image name; short names are completed as containerd does."""
    name, digest = (image.split("@", 1) + [""])[:2]
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, "latest"
    registry, slash, rest = repository.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, rest = "docker.io", repository
    if registry in ("docker.io", "index.docker.io"):
        registry, rest = "docker.io", rest if "/" in rest else f"library/{rest}"
    return registry, rest, digest or tag


def has_own_configuration(registry: str) -> bool:
    """Return whether containerd on this host has its own configuration for a registry."""
    names = (registry, re.sub(r":(\d+)$", r"_\1_", registry), "_default")
    return any(glob.glob(f"{HOSTS}/{glob.escape(name)}/*") for name in names)


def urls_of(downloads: list[str], mirror: str, registries: list[str]) -> dict[str, str]:
    """Return the URL to query for each download, without those that cannot be checked."""
    found = {}
    for download in downloads:
        if "://" in download:
            found[download] = download
            continue
        registry, repository, reference = image_parts(download)
        path = f"{repository}/manifests/{reference}"
        if mirror and registry in registries:
            found[download] = f"{mirror.rstrip('/')}/v2/{registry}/{path}"
        elif not has_own_configuration(registry):
            found[download] = f"{SERVERS.get(registry, f'https://{registry}')}/v2/{path}"
    return found


def evaluate(
    wanted: dict[str, str], answers: dict[str, Answer | NoAnswer], registries: list[str]
) -> tuple[list[str], list[str]]:
    """Return messages about missing downloads and unreachable servers, and messages about unknown downloads."""
    problems, unknown = [], []
    for download, url in wanted.items():
        answer = answers[url]
        if isinstance(answer, NoAnswer):
            if url == download or image_parts(download)[0] in registries:
                problems.append(f"{answer}. Check the network, or set another mirror.")
            else:
                unknown.append(f"{download} cannot be checked, {answer}")
        elif answer.status in INCONCLUSIVE:
            which = url if url == download else f"{download} cannot be checked, {url}"
            login = " (login required)" if answer.status in (401, 403) else ""
            unknown.append(f"{which} answers {answer.status} {answer.reason}{login}")
        elif not 200 <= answer.status < 300:
            which = url if url == download else f"{download} is missing: {url}"
            problems.append(
                f"{which} answers {answer.status} {answer.reason}. "
                "Choose a version that exists, or add it to the mirror."
            )
    return list(dict.fromkeys(problems)), unknown


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "downloads": {"type": "list", "elements": "str", "required": True},
            "mirror": {"type": "str", "default": ""},
            "registries": {
                "type": "list",
                "elements": "str",
                "default": ["docker.io", "ghcr.io", "quay.io", "registry.k8s.io"],
            },
            "timeout": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    wanted = urls_of(module.params["downloads"], module.params["mirror"], module.params["registries"])
    urls = sorted(set(wanted.values()))
    # One context for all requests: loading the system's CA certificates is slow.
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl.create_default_context()))
    with concurrent.futures.ThreadPoolExecutor(max_workers=32) as pool:
        answers = dict(pool.map(lambda url: (url, query(opener, url, module.params["timeout"])), urls))
    problems, unknown = evaluate(wanted, answers, module.params["registries"])
    module.exit_json(changed=False, problems=problems, unknown=unknown)


if __name__ == "__main__":
    main()
