# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the role nfs_server, and what it exports to whom."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.egi.notebooks.plugins.plugin_utils import rules
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check, must

#: What egi.notebooks.nfs_info returns.
Found = Mapping[str, Any]
#: Label of the homes' file system, by which nfs_info knows a disk of the role. XFS takes 12 characters.
LABEL = "egi-homes"
PORT = 2049
DISK = re.compile(r"/dev/[A-Za-z0-9._/-]+")
CLIENT = re.compile(r"[A-Za-z0-9.:/_-]+(?<!/0)")
#: An address or network, which stands for itself.
ADDRESS = re.compile(r"([0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)(/[0-9]+)?")
#: A host may know its own name as 127.0.1.1, and then mounts from itself by 127.0.0.1.
LOOPBACK = "127.0.0.0/8"
#: nofail: without the disk the host does boot, and its NFS server does not start.
MOUNT_OPTIONS = "defaults,nodev,nosuid,prjquota,nofail"
#: Of Ansible's filter to_uuid, so that UUIDs stay what they were.
NAMESPACE = uuid.UUID("361e6d51-faec-444a-9079-341386da8e2e")
FLOATING_ADVICE = "Their mounts would be denied. Set egi_notebooks_node_address for a host with a floating address."


def problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings, the host and its disk."""
    wrong = list(input_problems(check))
    yield from wrong
    if not check.node:
        return
    yield from host_problems(check, check.node)
    if wrong or not check.query:
        return
    found = check.query("egi.notebooks.nfs_info", **query(check))
    if "disk" not in found:
        yield f"state of the NFS server can't be read: {found.get('msg', 'the host returned nothing')}"
        return
    yield from client_problems(check, found)
    yield from disk_problems(check, found)


def input_problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings."""
    if not rules.is_path(check["path"]):
        yield check.must(
            "path", "an absolute path such as /srv/homes, of letters, digits, dots, dashes and underscores"
        )
    if check["disk"] and not DISK.fullmatch(check["disk"]):
        yield check.must("disk", "a block device such as /dev/vdb, or empty for a directory on the root disk")
    wanted = clients(check)
    if not wanted:
        yield check.must(
            "clients",
            "a list of the hosts that mount the homes, by name, address or network",
            "By default these are the groups edges and workers.",
        )
    if not all(map(CLIENT.fullmatch, wanted)):
        yield _clients_must(check, "names, addresses and networks", "Patterns, netgroups and /0 are not supported.")


def host_problems(check: Check, node: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the host."""
    yield from rules.system_problems(node)
    yield from rules.clock_problems(node, check["maximum_clock_skew"])
    # The kernel's own server has no process.
    yield from rules.port_problems(
        node, {PORT: [""]}, "This port is for the kernel's NFS server. Stop the other program."
    )
    # Mounts from a server with an address in the pods' or services' network, or with a node's identity, would hang.
    # The checks of kube_node report that of a server that is a node itself.
    run = check.run
    if run.host not in run.nodes:
        ranges = {check.name(name): check[name] for name in ("pod_cidr", "service_cidr")}
        yield from rules.network_problems(ranges, node["addresses"])
        yield from rules.twin_problems(run.known([*run.nodes, *run.members("nfs_servers"), run.host]), run.host)


def client_problems(check: Check, found: Found) -> Iterator[str]:
    """Yield a message for clients that have no address, and for those whose address is not their own."""
    if unknown := _unknown(found):
        yield _clients_must(
            check,
            f"names that the NFS server can resolve, or addresses (unknown: {', '.join(unknown)})",
            "Add the names to the DNS.",
        )
    # Unless the run has facts about all clients, an address may belong to one of the others.
    known = check.run.known(clients(check))
    if len(known) < len(clients(check)):
        return
    own = {item["address"] for node in known.values() for item in node["addresses"]}
    foreign = [address for address in client_addresses(check, found) if address not in own | {LOOPBACK}]
    if foreign:
        yield _clients_must(
            check, f"names of the hosts' own addresses ({', '.join(foreign)} is none of them)", FLOATING_ADVICE
        )


def _unknown(found: Found) -> list[str]:
    return [name for name, addresses in found["addresses"].items() if not addresses]


def disk_problems(check: Check, found: Found) -> Iterator[str]:
    """Yield a message for a disk that the role must not use."""
    disk, device, path = found["disk"], check["disk"], check["path"]
    if disk["state"] == "missing":
        yield check.must("disk", f"a block device that the host can read ({disk['error']})", "See lsblk.")
    if disk["state"] == "foreign":
        yield check.must(
            "disk",
            f"an empty disk, or one of this role (XFS with the label {LABEL})",
            f"It holds {', '.join(disk['signatures'])} and is left alone. To empty it and destroy what is there, run "
            f"wipefs --all {device}.",
        )
    if disk["hides"]:
        yield check.must(
            "disk",
            f"the disk that holds the files in {path}, as an empty one would hide them",
            "To begin with an empty disk, move the files away.",
        )
    # While its own disk is missing, another one may have its name.
    if disk["state"] == "empty" and found["fstab"]:
        yield check.must(
            "disk",
            f"{found['fstab']['source']}, which /etc/fstab has for {path}, as the other disk is empty",
            "Attach that disk. To begin with an empty one, remove the line from /etc/fstab.",
        )


def _clients_must(check: Check, rule: str, advice: str) -> str:
    return must(check.name("clients"), rule, clients(check), advice)


def query(check: Check) -> dict[str, Any]:
    """Return the arguments for egi.notebooks.nfs_info."""
    return {"path": check["path"], "disk": check["disk"], "names": names(check)}


def names(check: Check) -> list[str]:
    """Return the clients whose addresses the NFS server has to resolve."""
    return [client for client in _mounting(check) if not ADDRESS.fullmatch(client)]


def clients(check: Check) -> list[str]:
    """Return the hosts that mount the homes, as the site or the inventory names them."""
    nodes = ["edges", "workers", *(["masters"] if check["schedulable_masters"] else [])]
    return list(dict.fromkeys(check["clients"] or check.run.members(*nodes)))


def _mounting(check: Check) -> list[str]:
    """Return the clients by the address that the inventory has for them in the cluster, else by their names."""
    hosts = check.run.hosts
    return [hosts[name].address or name if name in hosts else name for name in clients(check)]


def client_addresses(check: Check, found: Found) -> list[str]:
    """Return addresses and networks of the clients, sorted. After a reboot the export must not wait for the DNS."""
    known = found["addresses"]
    addresses = [address for client in _mounting(check) for address in known.get(client, [client])]
    return sorted({LOOPBACK if address.startswith("127.") else address for address in addresses})


def exports(check: Check, found: Found) -> list[str]:
    """Return the clients with their options, as exports(5) has them."""
    # A client must not lose its export while the DNS is down.
    if unknown := _unknown(found):
        raise AnsibleError(f"The NFS server can't resolve {', '.join(unknown)}, so the export stays as it is.")
    options = [
        "rw,sync,no_subtree_check,all_squash",
        f"anonuid={check['uid']},anongid={check['gid']},sec=sys,fsid={_uuid(check['path'])}",
    ]
    # mp: the path is exported only while the disk is mounted, never the empty directory below it.
    options += ["mp"] if check["disk"] else []
    return [f"{address}({','.join(options)})" for address in client_addresses(check, found)]


def _uuid(text: str) -> str:
    return str(uuid.uuid5(NAMESPACE, text))


def plan(check: Check, found: Found) -> dict[str, Any]:
    """Return what is to be changed.

    `mkfs` is a command or empty, `mount` the homes' mount, `directory` whether that has to be created or changed, and
    `exports` the clients with their options.
    """
    return {
        "mkfs": mkfs(check, found) if found["disk"]["state"] in ("empty", "unfinished") else [],
        "mount": mount(check, found),
        "directory": not directory_is_current(check, found),
        "exports": exports(check, found),
    }


def mkfs(check: Check, found: Found) -> list[str]:
    """Return the command that creates the file system of the homes."""
    force = ["-f"] if found["disk"]["state"] == "unfinished" else []
    return ["mkfs.xfs", "-q", *force, "-L", LABEL, "-m", f"uuid={_disk_uuid(check, found)}", check["disk"]]


def _disk_uuid(check: Check, found: Found) -> str:
    """Return the UUID of the file system. It is chosen, not read after mkfs, so that check mode knows it too."""
    return found["disk"]["uuid"] or _uuid(check.run.host + check["path"])


def mount(check: Check, found: Found) -> dict[str, Any]:
    """Return source, type and options of the homes' mount, and whether it is current, now and at boot."""
    wanted = {"source": f"UUID={_disk_uuid(check, found)}", "type": "xfs", "options": MOUNT_OPTIONS}
    return wanted | {"is_current": found["disk"]["mounted"] and found["fstab"] == wanted}


def directory_is_current(check: Check, found: Found) -> bool:
    """Tell whether the homes' directory, on its disk if it has one, exists with the right owner and mode."""
    wanted = {"uid": check["uid"], "gid": check["gid"], "mode": "0770"}
    return found["directory"] == wanted and (not check["disk"] or mount(check, found)["is_current"])


def faults(check: Check, found: Found) -> list[str]:
    """Return a sentence for each part of the export that does not work."""
    wrong = [] if found["threads"] else ["NFS server does not run. See journalctl -u nfs-server."]
    if check["disk"] and not found["disk"]["mounted"]:
        wrong.append(f"{check['disk']} is not mounted on {check['path']}. See lsblk and /etc/fstab.")
    missing = [address for address in client_addresses(check, found) if address not in found["exported_to"]]
    if missing:
        wrong.append(f"{check['path']} is not exported to {', '.join(missing)}. Run site.yml again.")
    return wrong
