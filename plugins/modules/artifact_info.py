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
  - Asks for the head of each file and of each image's manifest, all at the same time, and downloads nothing.
  - Images are asked for at the mirror alone. The registries of the world want a token first, so without a mirror only
    files are asked for; neither is an image counted as missing whose registry wants to know who asks.
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
      - Registries that are mirrored. Images of others are not asked for.
    type: list
    elements: str
    default: [docker.io, ghcr.io, quay.io, registry.k8s.io]
  timeout:
    description:
      - Seconds without an answer after which one counts as missing.
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
"""

import concurrent.futures
import ssl
import urllib.error
import urllib.request

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_text

MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
#: Answers that do not tell whether the thing is there: who are you, and no such method.
TELLING_NOTHING = (401, 403, 405, 501)


def image_parts(image: str) -> tuple[str, str, str]:
    """Return registry, repository and tag or digest of an image's name, short ones completed as containerd does."""
    name, digest = (image.split("@", 1) + [""])[:2]
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, "latest"
    registry, slash, rest = repository.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, rest = "docker.io", repository if slash else f"library/{repository}"
    return registry, rest, digest or tag


def addresses(downloads: list[str], mirror: str, registries: list[str]) -> dict[str, str]:
    """Return the address to ask for each download, leaving out what nobody can be asked for."""
    found = {}
    for download in downloads:
        if "://" in download:
            found[download] = download
            continue
        registry, repository, reference = image_parts(download)
        if mirror and registry in registries:
            found[download] = f"{mirror.rstrip('/')}/v2/{registry}/{repository}/manifests/{reference}"
    return found


def ask(opener: urllib.request.OpenerDirector, url: str, timeout: int) -> tuple[str, str]:
    """Return what is wrong: (the server's answer, "") or ("", why there is none); twice nothing when all is well."""
    request = urllib.request.Request(  # noqa: S310 - an address of the site's own choice
        url, method="HEAD", headers={"User-Agent": "egi.notebooks.artifact_info"}
    )
    if "/manifests/" in url:
        request.add_header("Accept", MANIFESTS)
    try:
        opener.open(request, timeout=timeout).close()
    except urllib.error.HTTPError as error:
        return ("" if error.code in TELLING_NOTHING else f"{error.code} {error.reason}"), ""
    except Exception as error:  # whatever the layers below raise
        return "", to_text(getattr(error, "reason", error))
    return "", ""


def problems(wanted: dict[str, str], answers: dict[str, tuple[str, str]]) -> list[str]:
    """Return a sentence for each download that is missing, and one for each server that gave no answer."""
    found = []
    for download, url in wanted.items():
        answer, failure = answers[url]
        if answer:
            which = url if url == download else f"{download} is missing: {url}"
            found.append(f"{which} answers {answer}; allowed are versions and mirrors that have it")
        elif failure:
            server = "/".join(url.split("/")[:3])
            found.append(f"{server} does not answer ({failure}); allowed is a mirror, or upstream, that does")
    return list(dict.fromkeys(found))


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
    module.exit_json(changed=False, problems=problems(wanted, answers))


if __name__ == "__main__":
    main()
