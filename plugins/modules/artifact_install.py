#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download, verify and install programs, side by side."""

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_install
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Download, verify and install programs, side by side
description:
  - Takes what P(egi.notebooks.artifact#lookup) answers, downloads all that is missing at the same time, checks each
    download against its SHA-256 and puts it in place, a single program as it is or an archive unpacked.
  - Files are replaced by renaming, so a program that runs keeps running. Nothing is put in place from a download whose
    checksum differs.
  - A program that is there already, from another address, is left as it is.
  - What a download that was killed left is deleted by the next one.
  - A download that the network ends, or that a server answers with 429 or from 500 on, is tried three times in all.
  - What was installed is recorded below O(state_dir). A host where the records and the files agree is left alone, and
    needs no network for that. Files are on the disk before the records say so, whenever the power is cut.
attributes:
  check_mode:
    support: full
    description: Names what would be installed, downloads nothing.
  diff_mode:
    support: none
    description: The files are programs.
  idempotent:
    support: full
    description: Compares the address, the pinned checksum and the size and time of every installed file.
options:
  artifacts:
    description:
      - What to install.
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
          - Version, for messages.
        type: str
        default: ""
      url:
        description:
          - Address of the file.
        type: str
        required: true
      checksum:
        description:
          - C(sha256:) and either the digest or the address of a checksum file. Empty skips the check.
        type: str
        required: true
      path:
        description:
          - Where the program goes; with O(artifacts[].unpack), the directory in which the archive is unpacked.
        type: path
        required: true
      unpack:
        description:
          - Whether the file is a tar archive.
        type: bool
        default: false
  state_dir:
    description:
      - Directory of the records.
    type: path
    default: /var/lib/egi-notebooks/artifacts
  timeout:
    description:
      - Seconds without an answer after which a try of a download fails.
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
  description: Names of the artifacts that were installed, or would be in check mode. Also where another one failed.
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

#: Seconds between the tries of a download.
PAUSES = (2, 10)


class InstallError(Exception):
    """Something a person can act on, in one line."""


class Interrupted(InstallError):
    """One that another try may not have."""


def may_pass(error: Exception) -> bool:
    """Tell whether it is the network or a busy server that made a download fail."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code == 429 or error.code >= 500
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    lasting = (ssl.SSLCertVerificationError, FileNotFoundError)
    return isinstance(cause, (OSError, http.client.HTTPException)) and not isinstance(cause, lasting)


def blocks(url: str, timeout: int):
    """Yield what an address has."""
    try:
        with open_url(url, timeout=timeout, http_agent="egi.notebooks.artifact_install") as answer:
            while block := answer.read(1 << 18):
                yield block
            # The end of a connection looks like that of the file.
            if missing := getattr(answer, "length", None):
                raise ConnectionError(f"the connection ended {missing} bytes early")
    except Exception as error:  # open_url raises whatever the layers below do
        if isinstance(error, urllib.error.HTTPError):
            message = f"{url} answered {error.code} {error.reason}."
        else:
            message = f"{url} cannot be fetched: {to_text(error)}."
        raise (Interrupted if may_pass(error) else InstallError)(message) from error


def download(url: str, timeout: int, stream) -> str:
    """Put what an address has into a stream; return its SHA-256."""
    for pause in (*PAUSES, None):
        stream.seek(0)
        stream.truncate()
        found = hashlib.sha256()
        try:
            for block in blocks(url, timeout):
                found.update(block)
                stream.write(block)
            break
        except Interrupted:
            if pause is None:
                raise
            time.sleep(pause)
    return found.hexdigest()


def digest_in(text: str, file_name: str) -> str | None:
    """Return the SHA-256 that a checksum file gives for a file: alone, or beside the name."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for words in lines:
        if len(words) == 2 and os.path.basename(words[1].lstrip("*")) == file_name:
            return words[0].lower()
    if len(lines) == 1 and len(lines[0]) == 1:
        return lines[0][0].lower()
    return None


def wanted_digest(artifact: dict, timeout: int) -> str | None:
    """Return the SHA-256 that the download must have, or None where nothing is known about it."""
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
        raise InstallError(f"The checksum of {artifact['name']} is no SHA-256: {source[:80]!r}.")
    return source.lower()


def settle(stream) -> None:
    """Have a file on the disk before something says that it is there."""
    stream.flush()
    os.fsync(stream.fileno())


def settle_names(paths: list[str]) -> None:
    """Have files' names on the disk."""
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
            settle(stream)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def unpack(archive: str, directory: str) -> list[str]:
    """Unpack the regular files of a tar archive, which holds nothing else but directories; return their paths."""
    root = os.path.realpath(directory)
    installed = []
    with tarfile.open(archive) as tar:
        for member in tar:
            target = os.path.normpath(os.path.join(root, member.name))
            if member.isdir():
                continue
            if os.path.commonpath([root, target]) != root or target == root:
                raise InstallError(f"The archive's member {member.name!r} lies outside {directory}.")
            os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
            if member.isreg():
                replace(tar.extractfile(member), target, member.mode & 0o755)
            else:
                raise InstallError(f"The archive's member {member.name!r} is no regular file.")
            installed.append(target)
    return installed


def clear_leftovers(artifacts: list[dict]) -> None:
    """Delete what downloads that were killed have left where they go, or one level below for an archive's files."""
    for directory in {one["path"] if one["unpack"] else os.path.dirname(one["path"]) for one in artifacts}:
        for below in ("", "*"):
            for path in glob.glob(os.path.join(glob.escape(directory), below, ".artifact-*")):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)


def state_of(path: str) -> list[int] | None:
    """Return what changes when somebody touches a file."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return [status.st_size, status.st_mtime_ns]


def recorded(artifact: dict, record_path: str) -> dict | None:
    """Return the record of what was installed at the artifact's path, if the files are still as it says."""
    try:
        with open(record_path, encoding="utf-8") as stream:
            record = json.load(stream)
        found = {name: record[name] for name in ("url", "path", "sha256", "files")}
        same = found["path"] == artifact["path"]
        return found if same and all(state_of(path) == state for path, state in found["files"].items()) else None
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def is_installed(artifact: dict, record_path: str) -> bool:
    """Tell whether record and files say that exactly this artifact is in place."""
    record = recorded(artifact, record_path)
    pinned = artifact["checksum"].removeprefix("sha256:")
    return (
        record is not None
        and record["url"] == artifact["url"]
        and ("://" in pinned or not pinned or pinned.lower() == record["sha256"])
    )


def install(artifact: dict, record_path: str, timeout: int) -> None:
    """Download, verify, put in place, record."""
    directory = artifact["path"] if artifact["unpack"] else os.path.dirname(artifact["path"])
    os.makedirs(directory, mode=0o755, exist_ok=True)
    expected = wanted_digest(artifact, timeout)
    # Beside the target: putting it there later is a rename.
    handle, temporary = tempfile.mkstemp(dir=directory, prefix=".artifact-")
    try:
        with os.fdopen(handle, "wb") as stream:
            found = download(artifact["url"], timeout, stream)
            os.fchmod(stream.fileno(), 0o755)
            if not artifact["unpack"]:
                settle(stream)
        if expected and found != expected:
            raise InstallError(f"{artifact['url']} has SHA-256 {found}, expected is {expected}; nothing was installed.")
        # The same bytes from another address are in place already.
        record = recorded(artifact, record_path)
        if record and record["sha256"] == found:
            files = record["files"]
        else:
            if artifact["unpack"]:
                paths = unpack(temporary, directory)
            else:
                os.replace(temporary, artifact["path"])
                paths = [artifact["path"]]
            settle_names(paths)
            files = {path: state_of(path) for path in paths}
    except tarfile.TarError as error:
        raise InstallError(f"{artifact['url']} is no archive that can be read: {error}.") from error
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
        settle(stream)
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
    clear_leftovers(module.params["artifacts"])
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        runs = {pool.submit(install, one, records[one["name"]], timeout): one["name"] for one in todo}
    failures = [str(run.exception()) for run in runs if run.exception()]
    if failures:
        names = [name for run, name in runs.items() if not run.exception()]
        module.fail_json(msg=" ".join(sorted(failures)), changed=bool(names), installed=names)
    module.exit_json(changed=True, installed=names)


if __name__ == "__main__":
    main()
