#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that the collection wants to know about a machine, in one quick call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_facts
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: All that the collection wants to know about a machine, in one quick call
description:
  - Reads a few files below C(/proc), C(/etc) and C(/run) and asks C(ip) twice, where M(ansible.builtin.setup) looks at
    all hardware and takes many seconds.
  - Compares the machine's clock with the control machine's. What the connection takes is no skew, so the clock is
    compared with the interval between the moments before and after the call.
  - Changes nothing. The names of the programs that listen are known to root alone.
extends_documentation_fragment:
  - egi.notebooks.asking
options:
  paths:
    description:
      - Absolute paths of directories whose file system's space is of interest. Of one that does not exist yet it is its
        nearest parent's.
    type: list
    elements: path
    default: [/var/lib/containerd, /var/lib/etcd, /var/lib/kubelet]
  packages:
    description:
      - Names of Debian packages that are of interest, by default those that the roles install.
    type: list
    elements: str
    default:
      - conntrack
      - ethtool
      - iptables
      - kmod
      - nfs-common
      - nfs-kernel-server
      - procps
      - python3-cryptography
      - python3-kubernetes
      - quota
      - socat
      - xfsprogs
"""

EXAMPLES = r"""
- name: Learn about the machine
  egi.notebooks.node_facts:

- name: Show the address that its default route uses
  ansible.builtin.debug:
    var: ansible_facts.egi_notebooks_node.default_ipv4.address
"""

RETURN = r"""
ansible_facts:
  description: One fact.
  type: dict
  returned: always
  contains:
    egi_notebooks_node:
      description: The machine.
      type: dict
      returned: always
      contains:
        nodename:
          description: Host name as the machine itself has it.
          type: str
          sample: worker1.example.org
        machine_id:
          description: Content of C(/etc/machine-id), empty where there is none.
          type: str
          sample: 0af3c2d1b4e54f6a8c7d9e0f1a2b3c4d
        distribution:
          description: C(ID) of C(/etc/os-release).
          type: str
          sample: debian
        distribution_version:
          description: C(VERSION_ID) of C(/etc/os-release), empty where there is none.
          type: str
          sample: "13"
        architecture:
          description: As C(uname -m) tells it.
          type: str
          sample: x86_64
        service_manager:
          description: V(systemd), or the name of process 1.
          type: str
          sample: systemd
        memory_mb:
          description: Memory in MiB.
          type: int
          sample: 3932
        processors:
          description: Number of processors that are online.
          type: int
          sample: 2
        is_node:
          description: Whether the machine has joined a Kubernetes cluster, whichever.
          type: bool
          sample: false
        cluster_networks:
          description: Ranges of the cluster whose control plane the machine has, empty where they are not known. One
            whose making was interrupted does not count.
          type: dict
          sample: {pods: 10.244.0.0/16, services: 10.96.0.0/12}
        cluster:
          description: What tells which cluster the machine is of. Texts are empty where there is nothing.
          type: dict
          contains:
            api:
              description: Address by which the kubelet reaches the API, or was to reach it in a join that was
                interrupted.
              type: str
              sample: https://192.0.2.10:6443
            admin_api:
              description: Address of the API in C(/etc/kubernetes/admin.conf).
              type: str
              sample: ""
            ca:
              description: SHA-256 of the file C(/etc/kubernetes/pki/ca.crt), the same on all nodes of a cluster.
              type: str
              sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
            control_plane:
              description: Files by which a control plane is known, whoever made it.
              type: list
              elements: str
              sample: [/etc/kubernetes/admin.conf]
            initialised:
              description: Whether the role kube_master has made the control plane, or begun to.
              type: bool
              sample: false
        artifacts:
          description: Names of what M(egi.notebooks.artifact_install) has installed on the machine, sorted.
          type: list
          elements: str
          sample: [containerd, kubelet]
        kubelet_version:
          description: Version of the kubelet that M(egi.notebooks.artifact_install) has installed, or of the one that
            somebody has put in its place. Empty if none.
          type: str
          sample: 1.36.3
        packages:
          description: Those of O(packages) that are installed, sorted.
          type: list
          elements: str
          sample: [conntrack, ethtool]
        packages_interrupted:
          description: Whether dpkg was stopped in the middle, as by a power cut, or is at work right now.
          type: bool
          sample: false
        container_engines:
          description: Programs of container engines that the system's packages have brought.
          type: list
          elements: str
          sample: [/usr/bin/dockerd]
        swap:
          description: Swap, and what brings it at the next start of the machine.
          type: dict
          contains:
            active:
              description: Files and devices that are swapped to now.
              type: list
              elements: str
              sample: [/swap.img]
            fstab:
              description: Files and devices of swap in C(/etc/fstab).
              type: list
              elements: str
              sample: [/swap.img]
            units:
              description: Units of systemd that bring swap without C(/etc/fstab), zram's among them.
              type: list
              elements: str
              sample: [dev-zram0.swap]
            unknown:
              description: Those of RV(ansible_facts.egi_notebooks_node.swap.active) that neither C(/etc/fstab), with
                the lines that the role kube_node has turned off, nor a unit accounts for.
              type: list
              elements: str
              sample: [/root/swap]
        addresses:
          description: The machine's own IPv4 addresses, without those of the loopback interface and of what a
            cluster's network brings (interfaces C(cni*), C(flannel.*) and C(kube-*)).
          type: list
          elements: dict
          contains:
            address:
              description: The address.
              type: str
              sample: 192.0.2.11
            prefix:
              description: Length of the network's prefix in bits.
              type: int
              sample: 24
            network:
              description: The network that the address lies in.
              type: str
              sample: 192.0.2.0/24
            interface:
              description: Name of the interface.
              type: str
              sample: eth0
            mac:
              description: Hardware address of the interface, empty where there is none.
              type: str
              sample: 02:00:00:00:00:0b
            mtu:
              description: Largest packet of the interface in bytes.
              type: int
              sample: 1500
        default_ipv4:
          description: That one of RV(ansible_facts.egi_notebooks_node.addresses) that packets to the world come from.
            Empty where there is no default route.
          type: dict
        disks:
          description: Space by path, in MiB.
          type: dict
          sample: {/var/lib/etcd: {total_mb: 11966, free_mb: 9804}}
        listeners:
          description: TCP and UDP ports that are listened on.
          type: list
          elements: dict
          contains:
            protocol:
              description: V(tcp) or V(udp).
              type: str
              sample: tcp
            port:
              description: The port.
              type: int
              sample: 10250
            process:
              description: Name of the program, at most 15 characters of it. Empty for the kernel's own.
              type: str
              sample: kubelet
        clock:
          description: The machine's clock.
          type: dict
          contains:
            time:
              description: Unix time in seconds.
              type: float
              sample: 1794301200.25
            synchronised:
              description: Whether the kernel says that somebody keeps the clock right. Null where it says nothing.
              type: bool
              sample: true
            skew:
              description: Seconds that the clock is ahead of the control machine's at least, negative when behind.
              type: float
              sample: 0.0
            uncertainty:
              description: Seconds that the call took, by which the skew may be larger.
              type: float
              sample: 0.8
"""

import ctypes
import glob
import hashlib
import ipaddress
import json
import os
import platform
import re
import time

from ansible.module_utils.basic import AnsibleModule

#: The tests put a tree of their own in place of the machine's.
ROOT = ""
#: State of a listening socket in /proc/net/PROTOCOL.
LISTENING = {"tcp": "0A", "udp": "07"}
#: Interfaces of a pod network and of kube-proxy, which come and go with a cluster.
CLUSTER_INTERFACE = re.compile(r"cni|flannel\.|kube-")
UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/run/systemd/generator.early",
    "/run/systemd/generator.late",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)
#: Services that make and use swap by themselves.
SWAP_SERVICES = {"dphys-swapfile", "swapspace", "systemd-swap", "zram-config", "zram-swap", "zramswap"}
#: What the role kube_node puts in front of swap's lines in /etc/fstab.
TURNED_OFF = "# egi.notebooks turned swap off: "
#: What /etc/fstab may name a device by, in place of its path.
DEVICE_TAGS = {"UUID", "LABEL", "PARTUUID", "PARTLABEL"}
TIME_ERROR = 5
PACKAGES = (
    "conntrack",
    "ethtool",
    "iptables",
    "kmod",
    "nfs-common",
    "nfs-kernel-server",
    "procps",
    "python3-cryptography",
    "python3-kubernetes",
    "quota",
    "socat",
    "xfsprogs",
)
#: An entry of dpkg's table whose package is there as a whole.
INSTALLED = re.compile(r"^Package: (\S+)\n(?:\S.*\n)*?Status: \S+ ok installed$", re.MULTILINE)
#: Where packages put container engines; artifact_install puts ours elsewhere.
CONTAINER_ENGINES = ("/usr/bin/containerd", "/usr/bin/crio", "/usr/bin/dockerd")
ARTIFACTS = "/var/lib/egi-notebooks/artifacts"
CONTROL_PLANE = ("/etc/kubernetes/admin.conf", "/etc/kubernetes/manifests/kube-apiserver.yaml", "/var/lib/etcd/member")
#: What the role kube_master writes before kubeadm makes anything.
INITIALISED = ("/etc/kubernetes/egi-notebooks-init", "/etc/kubernetes/egi-notebooks-kubeadm.yml")
API = re.compile(r"^ *server: *[\"']?([^\s\"']+)", re.MULTILINE)


def read(path: str) -> str:
    """Return a file's content, or nothing where there is none."""
    try:
        with open(ROOT + path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def installed(packages: list[str]) -> list[str]:
    """Return the packages that dpkg has installed as a whole."""
    return sorted(set(packages) & set(INSTALLED.findall(read("/var/lib/dpkg/status"))))


def kubelet_version(run_command) -> str:
    """Return the version of the kubelet that artifact_install has installed, or of what has replaced it."""
    try:
        record = json.loads(read(f"{ARTIFACTS}/kubelet.json"))
        kubelet = ROOT + record["path"]
        status = os.lstat(kubelet)
        if record["files"][record["path"]] == [status.st_size, status.st_mtime_ns]:
            return record["version"]
        code, said, _error = run_command([kubelet, "--version"], handle_exceptions=False)
        return "" if code else said.split()[-1].removeprefix("v")
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def cluster_networks() -> dict:
    """Return the ranges that the control plane was made with, as its static pods are started with them."""
    if read("/etc/kubernetes/egi-notebooks-init").strip() == "started":
        return {"pods": "", "services": ""}
    options = {
        "pods": ("kube-controller-manager", "cluster-cidr"),
        "services": ("kube-apiserver", "service-cluster-ip-range"),
    }
    found = {}
    for name, (program, option) in options.items():
        manifest = read(f"/etc/kubernetes/manifests/{program}.yaml")
        match = re.search(rf"--{option}=([0-9./]+)\s*$", manifest, re.MULTILINE)
        found[name] = match[1] if match else ""
    return found


def system() -> dict:
    """Return name, identity and kind of the system."""
    release = dict(line.split("=", 1) for line in read("/etc/os-release").splitlines() if "=" in line)
    return {
        "nodename": read("/proc/sys/kernel/hostname").strip(),
        "machine_id": read("/etc/machine-id").strip(),
        "distribution": release.get("ID", "").strip("\"'"),
        "distribution_version": release.get("VERSION_ID", "").strip("\"'"),
        "architecture": platform.machine(),
        "service_manager": "systemd" if os.path.isdir(ROOT + "/run/systemd/system") else read("/proc/1/comm").strip(),
        "memory_mb": int((read("/proc/meminfo").split() + ["MemTotal:", "0"])[1]) // 1024,
        "processors": os.cpu_count(),
        "is_node": os.path.exists(ROOT + "/etc/kubernetes/kubelet.conf"),
        "packages_interrupted": any(
            os.path.basename(path).isdigit() for path in glob.glob(ROOT + "/var/lib/dpkg/updates/*")
        ),
        "container_engines": [path for path in CONTAINER_ENGINES if os.path.exists(ROOT + path)],
        "artifacts": sorted(
            os.path.basename(path).removesuffix(".json") for path in glob.glob(f"{ROOT}{ARTIFACTS}/*.json")
        ),
    }


def cluster() -> dict:
    """Return what tells which cluster the machine is of."""

    def api(name: str) -> str:
        return next(iter(API.findall(read(f"/etc/kubernetes/{name}"))), "")

    authority = read("/etc/kubernetes/pki/ca.crt").strip()
    return {
        "api": api("kubelet.conf") or api("bootstrap-kubelet.conf"),
        "admin_api": api("admin.conf"),
        "ca": hashlib.sha256(authority.encode()).hexdigest() if authority else "",
        "control_plane": [path for path in CONTROL_PLANE if os.path.exists(ROOT + path)],
        "initialised": any(os.path.exists(ROOT + path) for path in INITIALISED),
    }


def swap() -> dict:
    """Return the swap that is used, and all that would bring it back."""
    table = read("/etc/fstab")
    active = [line.split()[0] for line in read("/proc/swaps").splitlines()[1:]]
    units = sorted(swap_units())
    known = swap_files() | set(swap_entries(table.replace(TURNED_OFF, "")))
    # A service may bring any file or device.
    if any(unit.endswith(".service") for unit in units):
        known |= set(active)
    devices = {device(name) for name in known}
    return {
        "active": active,
        "fstab": swap_entries(table),
        "units": units,
        "unknown": [name for name in active if device(name) not in devices],
    }


def swap_entries(table: str) -> list[str]:
    """Return the files and devices of swap in a text like /etc/fstab."""
    entries = [line.split() for line in table.splitlines() if not line.lstrip().startswith("#")]
    return [entry[0] for entry in entries if len(entry) > 2 and entry[2] == "swap"]


def swap_files() -> set[str]:
    """Return the files and devices that units of systemd are for, also those that are masked or not wanted."""
    found = set()
    for folder in UNIT_FOLDERS:
        for path in glob.glob(f"{ROOT}{folder}/*.swap"):
            name = os.path.basename(path)
            escaped = "/" + name.removesuffix(".swap").replace("-", "/")
            found.add(re.sub(r"\\x([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), escaped))
            found |= set(re.findall(r"^What=(.+)$", read(f"{folder}/{name}"), re.MULTILINE))
    return found


def device(name: str) -> str:
    """Return the file or device that a name in /etc/fstab, /proc/swaps or a unit leads to."""
    kind, _sign, value = name.partition("=")
    if kind in DEVICE_TAGS:
        name = "/dev/disk/by-" + kind.lower() + "/" + value.strip("\"'")
    return os.path.realpath(ROOT + name)


def swap_units() -> set[str]:
    """Return the units that some other unit wants and that bring swap, but for those made from /etc/fstab."""
    found = set()
    for folder in UNIT_FOLDERS:
        for path in glob.glob(f"{ROOT}{folder}/*.wants/*") + glob.glob(f"{ROOT}{folder}/*.requires/*"):
            name = os.path.basename(path)
            kind = os.path.splitext(name)
            brings_swap = kind[1] == ".swap" or (kind[1] == ".service" and kind[0] in SWAP_SERVICES)
            if brings_swap and not is_masked(name) and "SourcePath=/etc/fstab" not in read(f"{folder}/{name}"):
                found.add(name)
    return found


def is_masked(unit: str) -> bool:
    """Tell whether systemd never starts the unit, or the target that wants all swap."""
    names = [unit, "swap.target"] if unit.endswith(".swap") else [unit]
    links = [f"{ROOT}/etc/systemd/system/{name}" for name in names]
    return any(os.path.islink(link) and os.readlink(link) == "/dev/null" for link in links)


def addresses(links: list[dict]) -> list[dict]:
    """Return the machine's own IPv4 addresses by what `ip -json address` tells."""
    found = []
    for link in links:
        if "ifname" not in link or "LOOPBACK" in link["flags"] or CLUSTER_INTERFACE.match(link["ifname"]):
            continue
        for item in link.get("addr_info", []):
            if item.get("family") != "inet":
                continue
            text = f"{item['local']}/{item['prefixlen']}"
            found.append(
                {
                    "address": item["local"],
                    "prefix": item["prefixlen"],
                    "network": str(ipaddress.ip_interface(text).network),
                    "interface": link["ifname"],
                    "mac": link.get("address", ""),
                    "mtu": link["mtu"],
                }
            )
    return found


def default_address(routes: list[dict], own: list[dict]) -> dict:
    """Return the address that packets to the world come from, by what `ip -json route show default` tells."""
    for route in sorted(routes, key=lambda item: item.get("metric", 0)):
        for item in own:
            if item["interface"] == route.get("dev") and route.get("prefsrc", item["address"]) == item["address"]:
                return item
    return {}


def disk(path: str) -> dict:
    """Return the space of the file system that holds the path, or will."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    space = os.statvfs(path)
    return {
        "total_mb": space.f_blocks * space.f_frsize >> 20,
        "free_mb": space.f_bavail * space.f_frsize >> 20,
    }


def listeners() -> list[dict]:
    """Return the ports that are listened on, with the names of the programs."""
    sockets = {}
    for protocol, state in LISTENING.items():
        for line in (read(f"/proc/net/{protocol}") + read(f"/proc/net/{protocol}6")).splitlines():
            words = line.split()
            if len(words) > 9 and words[3] == state:
                sockets[words[9]] = (protocol, int(words[1].rsplit(":", 1)[1], 16))
    found = {(*socket, "") for socket in sockets.values()}
    for path in glob.iglob(f"{ROOT}/proc/[0-9]*/fd/*"):
        try:
            socket = sockets.get(os.readlink(path)[len("socket:[") : -1])
        except OSError:  # it has ended, or is not ours to look at
            continue
        if socket:
            process = read(path[len(ROOT) :].split("/fd/")[0] + "/comm").strip()
            found = (found - {(*socket, "")}) | {(*socket, process)}
    return [{"protocol": protocol, "port": port, "process": process} for protocol, port, process in sorted(found)]


def is_synchronised() -> bool | None:
    """Ask the kernel, whichever program keeps its clock right."""
    try:
        # The system call only reads when the first field of its structure is zero; the structure has 208 bytes.
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != TIME_ERROR


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "paths": {
                "type": "list",
                "elements": "path",
                "default": ["/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet"],
            },
            "packages": {"type": "list", "elements": "str", "default": list(PACKAGES)},
        },
        supports_check_mode=True,
    )
    for path in module.params["paths"]:
        if not os.path.isabs(path):
            module.fail_json(msg=f"The path {path!r} is not absolute.")
    ip = module.get_bin_path("ip", required=True, opt_dirs=["/sbin", "/usr/sbin"])

    def ask(*arguments: str) -> list[dict]:
        return json.loads(module.run_command([ip, "-json", *arguments], check_rc=True)[1] or "[]")

    own = addresses(ask("address"))
    node = system()
    node["packages"] = installed(module.params["packages"])
    node["cluster_networks"] = cluster_networks()
    node["kubelet_version"] = kubelet_version(module.run_command)
    node["cluster"] = cluster()
    node["swap"] = swap()
    node["addresses"] = own
    node["default_ipv4"] = default_address(ask("route", "show", "default"), own)
    node["disks"] = {path: disk(path) for path in module.params["paths"]}
    node["listeners"] = listeners()
    # Last of all: the action plugin compares it with the moments before and after this program.
    node["clock"] = {"synchronised": is_synchronised(), "time": time.time()}
    module.exit_json(changed=False, ansible_facts={"egi_notebooks_node": node})


if __name__ == "__main__":
    main()
