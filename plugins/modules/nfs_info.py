#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the state of an export: its disk, its directory, the server, and addresses of names."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nfs_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Reads the state of an NFS export, its disk and its server
description:
  - Reads what is on a block device, where it is mounted, to whom a directory is exported, and the addresses of names,
    in one call.
extends_documentation_fragment:
  - egi.notebooks.info_module
options:
  path:
    description:
      - Absolute path of the directory that is exported, or is to be exported. Empty means none.
    type: str
    default: ""
  disk:
    description:
      - Block device for this directory. Empty means none.
    type: str
    default: ""
  label:
    description:
      - Label of the XFS file system by which a disk of the role nfs_server is known.
    type: str
    default: egi-homes
  names:
    description:
      - Host names to resolve.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Read what is on the disk for the homes
  egi.notebooks.nfs_info:
    path: /srv/homes
    disk: /dev/vdb
    names: [worker1.example.org]
  register: nfs
"""

RETURN = r"""
disk:
  description: The disk.
  type: dict
  returned: success
  contains:
    state:
      description:
        - V(none) without O(disk), V(missing) if the host can't read it, V(empty) if it has no signature of any content.
        - V(ours) if it has XFS with the label, V(unfinished) if C(mkfs.xfs) was interrupted while it created that.
        - V(foreign) if it has any other content.
      type: str
      sample: ours
    uuid:
      description: UUID of the file system if the disk is V(ours) or V(unfinished), or empty.
      type: str
      sample: 5c0bf0c8-6a2a-4f3b-9d0e-0b2a5b0f6f6e
    signatures:
      description: Kinds of content.
      type: list
      elements: str
      sample: [xfs]
    error:
      description: Why the host can't read the disk, or empty.
      type: str
      sample: ""
    mounted:
      description: Whether the disk is mounted on O(path).
      type: bool
      sample: true
    hides:
      description: A file below O(path) that an V(empty) or V(unfinished) disk would hide, or empty.
      type: str
      sample: ""
fstab:
  description: Source, type and options of O(path) in C(/etc/fstab). Empty if it has no line there.
  type: dict
  returned: success
  sample: {source: UUID=5c0bf0c8-6a2a-4f3b-9d0e-0b2a5b0f6f6e, type: xfs, options: defaults}
directory:
  description: Owner, group and mode of O(path). Empty if it does not exist.
  type: dict
  returned: success
  sample: {uid: 1000, gid: 100, mode: "0770"}
exported_to:
  description: Clients that O(path) is exported to now.
  type: list
  elements: str
  returned: success
  sample: [192.0.2.11]
threads:
  description: Number of threads of the kernel's NFS server, 0 if it does not run.
  type: int
  returned: success
  sample: 8
addresses:
  description: Addresses of O(names) by name, none for a name that can't be resolved.
  type: dict
  returned: success
  sample: {worker1.example.org: [192.0.2.11]}
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.host import files
from ansible_collections.egi.notebooks.plugins.module_utils.host.names import resolve

#: The superblock of a file system that mkfs.xfs did not complete. It clears the first flag last of all, and no kernel
#: mounts what has it. An interrupted copy (xfs_copy) has the flag too, and uses more inodes than the three of mkfs.
UNFINISHED = (
    ["inprogress = 1", "icount = 0", "ifree = 0"],
    ["inprogress = 1", "icount = 64", "ifree = 61"],
)


def read_disk(module: AnsibleModule, disk: str, path: str, label: str) -> dict:
    """Return what is on a disk."""
    found = {"state": "none", "uuid": "", "signatures": [], "error": "", "mounted": False, "hides": ""}
    if not disk:
        return found
    wipefs = module.get_bin_path("wipefs", required=True)
    code, output, error = module.run_command([wipefs, "--no-act", "--json", disk])
    if code:
        return found | {"state": "missing", "error": error.strip()}
    signatures = json.loads(output.strip() or "{}").get("signatures", [])
    found |= {"signatures": [item["type"] for item in signatures], "mounted": is_mounted(disk, path)}
    kinds = [(item["type"], item.get("label")) for item in signatures]
    if kinds == [("xfs", label)]:
        state = "unfinished" if superblock(module, disk) in UNFINISHED else "ours"
        found |= {"state": state, "uuid": signatures[0].get("uuid", "")}
    else:
        found["state"] = "foreign" if signatures else "empty"
    if found["state"] in ("empty", "unfinished"):
        found["hides"] = next((f"{path.rstrip('/')}/{name}" for name in files.names(path)), "") if path else ""
    return found


def superblock(module: AnsibleModule, disk: str) -> list[str]:
    """Return whether mkfs.xfs was completed and how many inodes there are, or nothing if that is unknown."""
    program = module.get_bin_path("xfs_db")
    if not program:
        return []
    command = [program, "-r", "-c", "sb 0", "-c", "print inprogress icount ifree", disk]
    return module.run_command(command)[1].splitlines()


def is_mounted(disk: str, path: str) -> bool:
    """Tell whether a disk is mounted on a directory."""
    try:
        return os.stat(disk).st_rdev == os.stat(files.ROOT + path).st_dev
    except OSError:
        return False


def read_fstab(path: str) -> dict:
    """Return the entry of a mount point in /etc/fstab, or nothing."""
    for line in files.read("/etc/fstab").splitlines():
        words = line.split()
        if len(words) > 2 and not words[0].startswith("#") and os.path.normpath(words[1]) == os.path.normpath(path):
            return {"source": words[0], "type": words[2], "options": "".join(words[3:4])}
    return {}


def read_directory(path: str) -> dict:
    """Return owner, group and mode of a directory, or nothing."""
    if not path or not os.path.isdir(files.ROOT + path):
        return {}
    status = os.stat(files.ROOT + path)
    return {"uid": status.st_uid, "gid": status.st_gid, "mode": f"{status.st_mode & 0o7777:04o}"}


def read_exports(path: str) -> list[str]:
    """Return the clients that a directory is exported to, as exportfs has them."""
    lines = [line.split("\t") for line in files.read("/var/lib/nfs/etab").splitlines()]
    return sorted(line[1].split("(")[0] for line in lines if len(line) > 1 and line[0] == path)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "str", "default": ""},
            "disk": {"type": "str", "default": ""},
            "label": {"type": "str", "default": "egi-homes"},
            "names": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    module.exit_json(
        changed=False,
        disk=read_disk(module, wanted["disk"], wanted["path"], wanted["label"]),
        fstab=read_fstab(wanted["path"]),
        directory=read_directory(wanted["path"]),
        exported_to=read_exports(wanted["path"]),
        threads=int(files.read("/proc/fs/nfsd/threads").strip() or 0),
        addresses={name: resolve(name) for name in wanted["names"]},
    )


if __name__ == "__main__":
    main()
