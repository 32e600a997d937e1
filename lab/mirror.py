# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mirror: a folder of hard links to built parts, which nginx serves as it lies there.

``HOST/PATH``                    files, where upstream has them, each with upstream's checksum file beside it
``v2/REGISTRY/REPOSITORY/...``   images, as a read-only registry under the OCI distribution specification
``apt/``                         a signed repository of Debian packages
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from lab.oci import MANIFEST, link
from lab.settings import MIRROR_ADDRESS


def assemble(parts: dict[str, Path], target: Path, manifest: dict) -> None:
    """Lay out what the artifact manifest names. A file is the one of its upstream name in some part's folder."""
    built = {path.name: path for part in parts.values() for path in part.iterdir() if path.is_file()}
    for entry in manifest["files"].values():
        version = entry["version"]
        url = entry["url"].format(version=version)
        source = built[url.rsplit("/", 1)[1]]
        link(source, _place(target, url))
        if "checksum_url" in entry:
            _write_checksum(source, _place(target, entry["checksum_url"].format(version=version)))
    for name, entry in manifest["images"].items():
        _add_image(parts[f"image-{name}"], target / "v2" / entry["image"], entry["version"])
    for path in (parts["debs"] / "apt").iterdir():
        link(path, target / "apt" / path.name)


def _place(target: Path, url: str) -> Path:
    return target / url.split("://", 1)[1]


def _write_checksum(source: Path, place: Path) -> None:
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    # dl.k8s.io gives the bare digest, the others write as sha256sum does.
    place.write_text(digest if "dl.k8s.io" in place.parts else f"{digest}  {source.name}\n")


def _add_image(layout: Path, repository: Path, tag: str) -> None:
    digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    blobs = layout / "blobs/sha256"
    for blob in blobs.iterdir():
        link(blob, repository / "blobs" / f"sha256:{blob.name}")
    for reference in (tag, digest):
        link(blobs / digest.removeprefix("sha256:"), repository / "manifests" / reference)


def nginx_config(tree: Path, cert: Path, key: Path, run_dir: Path) -> str:
    """The configuration of an nginx that serves the tree and writes nowhere but below `run_dir`."""
    temporary = "\n".join(
        f"    {name}_temp_path {run_dir}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
daemon off;
user root;
worker_processes 1;
pid {run_dir}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
{temporary}
    access_log {run_dir}/access.log;
    sendfile on;
    tcp_nopush on;
    default_type application/octet-stream;
    server {{
        listen {MIRROR_ADDRESS}:443 ssl;
        server_name mirror.lab.test;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_session_cache shared:tls:1m;
        root {tree};
        autoindex on;
        location ~ ^/v2/.+/manifests/ {{
            autoindex off;
            default_type {MANIFEST};
        }}
    }}
}}
"""


def command(nginx: Path, tree: Path, state: Path) -> list[str]:
    """The command that serves the tree with the lab CA's certificate for the mirror."""
    run_dir = state / "mirror"
    run_dir.mkdir(parents=True, exist_ok=True)
    config = run_dir / "nginx.conf"
    config.write_text(nginx_config(tree, state / "tls/mirror.crt", state / "tls/mirror.key", run_dir))
    return [str(nginx / "nginx"), "-e", "stderr", "-p", str(run_dir), "-c", str(config)]
