#!/usr/bin/env python3
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes an OCI image (an image layout of one image) from uncompressed layer tars.

Why not umoci, crane or buildah: all three compress layers, and the nodes' slow processors would have to unpack them
again at every pull; none shares a layer's file between images on disk; and each is one more thing to install. What
is left without them is three JSON documents and a hard link a layer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def link(source: Path, target: Path) -> None:
    """Give a file a second name; copy it where the target is on another file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _add(blobs: Path, document: dict, media_type: str) -> dict:
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def write_image(out: Path, layers: list[Path], run: dict) -> str:
    """Write the layout into `out`; `run` is the image's config (Entrypoint, Cmd, ...). Return the manifest's digest."""
    blobs = out / "blobs/sha256"
    blobs.mkdir(parents=True)
    descriptors = []
    for layer in layers:
        digest = _digest(layer)
        link(layer, blobs / digest)
        descriptors.append({"mediaType": LAYER, "digest": f"sha256:{digest}", "size": layer.stat().st_size})
    config = _add(
        blobs,
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {key: value for key, value in run.items() if value},
            # Uncompressed layers: what is stored is what is unpacked.
            "rootfs": {"type": "layers", "diff_ids": [d["digest"] for d in descriptors]},
        },
        CONFIG,
    )
    manifest = _add(
        blobs, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": descriptors}, MANIFEST
    )
    (out / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}\n')
    (out / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}) + "\n")
    return manifest["digest"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("layers", type=Path, nargs="+")
    for option in ("entrypoint", "cmd", "user", "workdir", "env"):
        parser.add_argument(f"--{option}", default="")
    options = parser.parse_args()
    print(
        write_image(
            options.out,
            options.layers,
            {
                "Entrypoint": options.entrypoint.split(),
                "Cmd": options.cmd.split(),
                "User": options.user,
                "WorkingDir": options.workdir,
                "Env": [PATH, *options.env.split()],
            },
        )
    )


if __name__ == "__main__":
    main()
