#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask whether files and images can be downloaded, all at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Ask whether files and images can be downloaded, all at once
description:
  - Asks for the head of each file and of each image's manifest, 32 at the same time, and downloads nothing.
  - An image is asked for where containerd would, at the mirror if its registry is mirrored and else at its registry,
    with the token that the registry gives to everybody who has no login.
  - A registry that gives none, wants a login (401, 403) or is asked too often (429) does not tell what it has, and the
    node may have a login that this module knows nothing of. Such an image is no problem, it is among RV(unknown).
  - Neither is it a problem that a registry outside of O(registries) does not answer. It may run in a cluster that is
    yet to be made.
  - Images are not asked for at a registry to which the machine's containerd has been told another way, by files below
    C(/etc/containerd/certs.d/REGISTRY) or C(/etc/containerd/certs.d/_default).
extends_documentation_fragment:
  - egi.notebooks.asking
options:
  downloads:
    description:
      - Addresses of files, and names of images with their tag.
    type: list
    elements: str
    required: true
  mirror:
    description:
      - Address below which the registries are mirrored, as containerd asks it, C(MIRROR/v2/REGISTRY/REPOSITORY).
    type: str
    default: ""
  registries:
    description:
      - Registries whose images come from O(mirror), where one is given. Without a mirror, these must answer themselves.
    type: list
    elements: str
    default: [docker.io, ghcr.io, quay.io, registry.k8s.io]
  timeout:
    description:
      - Seconds for each file or image, token included, after which its server counts as one that does not answer.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Ask for kubectl and for Traefik
  egi.notebooks.artifact_info:
    downloads:
      - "{{ lookup('egi.notebooks.artifact', 'kubectl', mirror='https://mirror.example.org').url }}"
      - docker.io/library/traefik:v3.7.15
    mirror: https://mirror.example.org
  register: asked
"""

RETURN = r"""
problems:
  description: One sentence for each file or image that can't be had, and for each server that doesn't answer.
  type: list
  elements: str
  returned: always
  sample:
    - https://mirror.example.org/dl.k8s.io/release/v1.36.9/bin/linux/amd64/kubectl answers 404 Not Found; allowed are
      versions and mirrors that have it
unknown:
  description: One sentence for each file or image of which the server does not tell whether it has it.
  type: list
  elements: str
  returned: always
  sample:
    - registry.example.org/team/image:1 may be there, https://registry.example.org/v2/team/image/manifests/1 answers 401
      Unauthorized, it wants a login
"""

import concurrent.futures
import glob
import re
import ssl
import urllib.request

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.registry import Answer, Silence, ask

#: Answers that do not tell whether the thing is there: who are you, no such method, and not so often.
TELLING_NOTHING = (401, 403, 405, 429, 501)
#: Registries whose server has another name, as in containerd.
SERVERS = {"docker.io": "https://registry-1.docker.io"}
#: Where containerd is told other ways to registries.
HOSTS = "/etc/containerd/certs.d"


def image_parts(image: str) -> tuple[str, str, str]:
    """Return registry, repository and tag or digest of an image's name, short ones completed as containerd does."""
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


def is_led_elsewhere(registry: str) -> bool:
    """Tell whether the machine's containerd has files of its own on the way to a registry."""
    names = (registry, re.sub(r":(\d+)$", r"_\1_", registry), "_default")
    return any(glob.glob(f"{HOSTS}/{glob.escape(name)}/*") for name in names)


def addresses(downloads: list[str], mirror: str, registries: list[str]) -> dict[str, str]:
    """Return the address to ask for each download, leaving out what nobody can be asked for."""
    found = {}
    for download in downloads:
        if "://" in download:
            found[download] = download
            continue
        registry, repository, reference = image_parts(download)
        path = f"{repository}/manifests/{reference}"
        if mirror and registry in registries:
            found[download] = f"{mirror.rstrip('/')}/v2/{registry}/{path}"
        elif not is_led_elsewhere(registry):
            found[download] = f"{SERVERS.get(registry, f'https://{registry}')}/v2/{path}"
    return found


def judge(
    wanted: dict[str, str], answers: dict[str, Answer | Silence], registries: list[str]
) -> tuple[list[str], list[str]]:
    """Return a sentence for each download that can't be had, once for each silent server, and one for each unknown."""
    found, unknown = [], []
    for download, url in wanted.items():
        answer = answers[url]
        if isinstance(answer, Silence):
            if url == download or image_parts(download)[0] in registries:
                found.append(f"{answer}; allowed is a mirror, or upstream, that does")
            else:
                unknown.append(f"{download} may be there, {answer}")
        elif answer.status in TELLING_NOTHING:
            which = url if url == download else f"{download} may be there, {url}"
            login = ", it wants a login" if answer.status in (401, 403) else ""
            unknown.append(f"{which} answers {answer.status} {answer.reason}{login}")
        elif not 200 <= answer.status < 300:
            which = url if url == download else f"{download} is missing: {url}"
            found.append(
                f"{which} answers {answer.status} {answer.reason}; allowed are versions and mirrors that have it"
            )
    return list(dict.fromkeys(found)), unknown


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
    wanted = addresses(module.params["downloads"], module.params["mirror"], module.params["registries"])
    urls = sorted(set(wanted.values()))
    # One context for all: reading the system's authorities is what takes long.
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl.create_default_context()))
    with concurrent.futures.ThreadPoolExecutor(max_workers=32) as pool:
        answers = dict(pool.map(lambda url: (url, ask(opener, url, module.params["timeout"])), urls))
    problems, unknown = judge(wanted, answers, module.params["registries"])
    module.exit_json(changed=False, problems=problems, unknown=unknown)


if __name__ == "__main__":
    main()
