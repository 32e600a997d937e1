#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download, verify and install programs in parallel."""

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_install
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Download, verify and install programs in parallel
description:
  - Takes the result of P(egi.notebooks.artifact#lookup), downloads what is not installed in parallel, verifies the
    SHA-256 checksum of each download, and installs it. An archive is unpacked.
  - Files are replaced by renaming, so a running program is not disturbed. A download with a wrong checksum is not
    installed.
  - A program with the same content that came from another URL is kept.
  - Temporary files of an interrupted download are deleted by the next run.
  - A download is tried three times if the connection fails or the server answers with 429 or 5xx.
  - Installed files are recorded in O(state_dir). If the files match the records, nothing is downloaded and no network
    is needed. Files are written to disk before their records, so a power failure leaves no record of a missing file.
attributes:
  check_mode:
    support: full
    description: Reports what would be installed. Nothing is downloaded.
  diff_mode:
    support: none
    description: The files are programs.
  idempotent:
    support: full
    description: Compares the URL, the pinned checksum, and the size and modification time of every installed file.
options:
  artifacts:
    description:
      - Artifacts to install.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the artifact.
        type: str
        required: true
      version:
        description:
          - Version, used in records.
        type: str
        default: ""
      url:
        description:
          - URL of the file.
        type: str
        required: true
      checksum:
        description:
          - V(sha256:) followed by the digest or by the URL of a checksum file. An empty value skips the verification.
        type: str
        required: true
      path:
        description:
          - Path of the program, or, with O(artifacts[].unpack), the directory to unpack the archive into.
        type: path
        required: true
      unpack:
        description:
          - Whether the file is a tar archive that is to be unpacked.
        type: bool
        default: false
  state_dir:
    description:
      - Directory for the records of installed files.
    type: path
    default: /var/lib/egi-notebooks/artifacts
  timeout:
    description:
      - Timeout of a download in seconds without data.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Install kubectl and the network plugins
  egi.notebooks.artifact_install:
    artifacts:
      - "{{ lookup('egi.notebooks.artifact', 'kubectl') | combine({'path': '/usr/local/bin/kubectl'}) }}"
      - "{{ lookup('egi.notebooks.artifact', 'cni-plugins') | combine({'path': '/opt/cni/bin', 'unpack': true}) }}"
"""

RETURN = r"""
installed:
  description: Names of the artifacts that were installed, or would be in check mode. Also returned on failure.
  type: list
  elements: str
  returned: always
  sample: [kubectl]
"""

import concurrent.futures
import contextlib
import glob
import hashlib
import http.client
import io
import json
import os
import re
import ssl
import tarfile
import tempfile
import time
import urllib.error

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_text
from ansible.module_utils.urls import open_url

#: Seconds before the second and the third attempt of a download.
PAUSES = (2, 10)


class InstallError(Exception):
    """An installation failed; the message is one line for the operator."""


class TemporaryError(InstallError):
    """A failure that may not occur in another attempt."""


def is_temporary(error: Exception) -> bool:
    """Return whether a download failed because of the network or an overloaded server."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code == 429 or error.code >= 500
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    permanent = (ssl.SSLCertVerificationError, FileNotFoundError)
    return isinstance(cause, (OSError, http.client.HTTPException)) and not isinstance(cause, permanent)


def blocks(url: str, timeout: int):
    """Yield the content of a URL in blocks."""
    try:
        with open_url(url, timeout=timeout, http_agent="egi.notebooks.artifact_install") as answer:
            while block := answer.read(1 << 18):
                yield block
            # A closed connection looks like the end of the file.
            if missing := getattr(answer, "length", None):
                raise ConnectionError(f"the connection ended {missing} bytes early")
    except Exception as error:  # open_url raises exceptions of many libraries
        if isinstance(error, urllib.error.HTTPError):
            message = f"{url} answered {error.code} {error.reason}."
        else:
            message = f"{url} cannot be fetched: {to_text(error)}."
        raise (TemporaryError if is_temporary(error) else InstallError)(message) from error


def download(url: str, timeout: int, stream) -> str:
    """Write the content of a URL to a stream; return its SHA-256."""
    for pause in (*PAUSES, None):
        stream.seek(0)
        stream.truncate()
        found = hashlib.sha256()
        try:
            for block in blocks(url, timeout):
                found.update(block)
                stream.write(block)
            break
        except TemporaryError:
            if pause is None:
                raise
            time.sleep(pause)
    return found.hexdigest()


def digest_in(text: str, file_name: str) -> str | None:
    """Return the SHA-256 of a file from the text of a checksum file, or None."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for words in lines:
        if len(words) == 2 and os.path.basename(words[1].lstrip("*")) == file_name:
            return words[0].lower()
    if len(lines) == 1 and len(lines[0]) == 1:
        return lines[0][0].lower()
    return None


def wanted_digest(artifact: dict, timeout: int) -> str | None:
    """Return the SHA-256 that the download must have, or None if no checksum is known."""
    if not artifact["checksum"]:
        return None
    source = artifact["checksum"].removeprefix("sha256:")
    if "://" in source:
        sums = io.BytesIO()
        download(source, timeout, sums)
        found = digest_in(to_text(sums.getvalue(), errors="replace"), artifact["url"].rsplit("/", 1)[-1])
        if found is None:
            raise InstallError(f"{source} has no checksum for {artifact['url']}.")
        source = found
    if not re.fullmatch("[0-9a-fA-F]{64}", source):
        raise InstallError(
            f"The checksum of {artifact['name']} must be 'sha256:' and 64 hexadecimal digits; got {source[:80]!r}."
        )
    return source.lower()


def sync_file(stream) -> None:
    """Write a file's content to disk."""
    stream.flush()
    os.fsync(stream.fileno())


def sync_directories(paths: list[str]) -> None:
    """Write the directory entries of files to disk."""
    for directory in {os.path.dirname(path) for path in paths}:
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def replace(source, target: str, mode: int) -> None:
    """Copy a stream into a file beside the target and rename it into place."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".artifact-")
    try:
        with os.fdopen(handle, "wb") as stream:
            while block := source.read(1 << 20):
                stream.write(block)
            os.fchmod(stream.fileno(), mode)
            sync_file(stream)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def unpack(archive: str, directory: str) -> list[str]:
    """Unpack a tar archive that contains only regular files and directories; return the paths of the files."""
    root = os.path.realpath(directory)
    installed = []
    with tarfile.open(archive) as tar:
        for member in tar:
            target = os.path.normpath(os.path.join(root, member.name))
            if member.isdir():
                continue
            if os.path.commonpath([root, target]) != root or target == root:
                raise InstallError(f"The archive member {member.name!r} is outside of {directory}.")
            os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
            if member.isreg():
                replace(tar.extractfile(member), target, member.mode & 0o755)
            else:
                raise InstallError(f"The archive member {member.name!r} is not a regular file.")
            installed.append(target)
    return installed


def delete_temporary_files(artifacts: list[dict]) -> None:
    """Delete temporary files of interrupted downloads in the target directories, for archives one level deeper too."""
    for directory in {one["path"] if one["unpack"] else os.path.dirname(one["path"]) for one in artifacts}:
        for below in ("", "*"):
            for path in glob.glob(os.path.join(glob.escape(directory), below, ".artifact-*")):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)


def state_of(path: str) -> list[int] | None:
    """Return size and modification time of a file, or None if it does not exist."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return [status.st_size, status.st_mtime_ns]


def recorded(artifact: dict, record_path: str) -> dict | None:
    """Return the record of what was installed at the artifact's path, or None if the files do not match it."""
    try:
        with open(record_path, encoding="utf-8") as stream:
            record = json.load(stream)
        found = {name: record[name] for name in ("url", "path", "sha256", "files")}
        same = found["path"] == artifact["path"]
        return found if same and all(state_of(path) == state for path, state in found["files"].items()) else None
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def is_installed(artifact: dict, record_path: str) -> bool:
    """Return whether exactly this artifact is installed, by its record and its files."""
    record = recorded(artifact, record_path)
    pinned = artifact["checksum"].removeprefix("sha256:")
    return (
        record is not None
        and record["url"] == artifact["url"]
        and ("://" in pinned or not pinned or pinned.lower() == record["sha256"])
    )


def install(artifact: dict, record_path: str, timeout: int) -> None:
    """Download, verify and install an artifact, and record it."""
    directory = artifact["path"] if artifact["unpack"] else os.path.dirname(artifact["path"])
    os.makedirs(directory, mode=0o755, exist_ok=True)
    expected = wanted_digest(artifact, timeout)
    # In the target directory, so that installing it is a rename.
    handle, temporary = tempfile.mkstemp(dir=directory, prefix=".artifact-")
    try:
        with os.fdopen(handle, "wb") as stream:
            found = download(artifact["url"], timeout, stream)
            os.fchmod(stream.fileno(), 0o755)
            if not artifact["unpack"]:
                sync_file(stream)
        if expected and found != expected:
            raise InstallError(f"{artifact['url']} must have SHA-256 {expected}; got {found}. Nothing was installed.")
        # The same content from another URL is installed already.
        record = recorded(artifact, record_path)
        if record and record["sha256"] == found:
            files = record["files"]
        else:
            if artifact["unpack"]:
                paths = unpack(temporary, directory)
            else:
                os.replace(temporary, artifact["path"])
                paths = [artifact["path"]]
            sync_directories(paths)
            files = {path: state_of(path) for path in paths}
    except tarfile.TarError as error:
        raise InstallError(f"{artifact['url']} is not a readable tar archive: {error}.") from error
    except OSError as error:
        raise InstallError(f"{artifact['url']} cannot be installed in {directory}: {error}.") from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    record = {
        "name": artifact["name"],
        "version": artifact["version"],
        "url": artifact["url"],
        "path": artifact["path"],
        "sha256": found,
        "files": files,
    }
    with open(f"{record_path}.new", "w", encoding="utf-8") as stream:
        json.dump(record, stream, indent=2, sort_keys=True)
        sync_file(stream)
    os.replace(f"{record_path}.new", record_path)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "artifacts": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "version": {"type": "str", "default": ""},
                    "url": {"type": "str", "required": True},
                    "checksum": {"type": "str", "required": True},
                    "path": {"type": "path", "required": True},
                    "unpack": {"type": "bool", "default": False},
                },
            },
            "state_dir": {"type": "path", "default": "/var/lib/egi-notebooks/artifacts"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    state_dir, timeout = module.params["state_dir"], module.params["timeout"]
    records = {
        artifact["name"]: os.path.join(state_dir, f"{artifact['name']}.json") for artifact in module.params["artifacts"]
    }
    todo = [one for one in module.params["artifacts"] if not is_installed(one, records[one["name"]])]
    names = [artifact["name"] for artifact in todo]
    if not todo or module.check_mode:
        module.exit_json(changed=bool(todo), installed=names)
    os.makedirs(state_dir, mode=0o755, exist_ok=True)
    delete_temporary_files(module.params["artifacts"])
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        runs = {pool.submit(install, one, records[one["name"]], timeout): one["name"] for one in todo}
    failures = [str(run.exception()) for run in runs if run.exception()]
    if failures:
        names = [name for run, name in runs.items() if not run.exception()]
        module.fail_json(msg=" ".join(sorted(failures)), changed=bool(names), installed=names)
    module.exit_json(changed=True, installed=names)


if __name__ == "__main__":
    main()
