#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gather the facts about a host that the collection uses, in one quick call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_facts
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Gathers the facts about a host that the collection uses, in one quick call
description:
  - Reads a few files below C(/proc), C(/etc), C(/run) and C(/var/lib) and runs C(ip) twice, where
    M(ansible.builtin.setup) inspects all hardware and takes many seconds.
  - Compares the host's clock with the control node's. The time that the connection takes is no skew, so the clock is
    compared with the interval from before the call to after it.
  - Changes nothing. The names of the programs that listen on ports are known to root alone.
extends_documentation_fragment:
  - egi.notebooks.info_module
options:
  paths:
    description:
      - Absolute paths of directories whose file systems' space is of interest. The space for a directory that does not
        exist yet is its nearest parent's.
    type: list
    elements: path
    default: [/var/lib/containerd, /var/lib/etcd, /var/lib/kubelet]
"""

EXAMPLES = r"""
- name: Gather facts about the host
  egi.notebooks.node_facts:

- name: Show the address of its default route
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
      description: The host.
      type: dict
      returned: always
      contains:
        nodename:
          description: Host name as the host itself has it.
          type: str
          sample: worker1.example.org
        machine_id:
          description: Content of C(/etc/machine-id), empty if there is none.
          type: str
          sample: 0af3c2d1b4e54f6a8c7d9e0f1a2b3c4d
        distribution:
          description: C(ID) of C(/etc/os-release).
          type: str
          sample: debian
        distribution_version:
          description: C(VERSION_ID) of C(/etc/os-release), empty if there is none.
          type: str
          sample: "13"
        architecture:
          description: Architecture as C(uname -m) prints it.
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
          description: Whether the host has joined a Kubernetes cluster, whichever.
          type: bool
          sample: false
        cluster_networks:
          description: Networks of the cluster whose control plane the host has, empty if they are unknown. A control
            plane that was not completed does not count.
          type: dict
          sample: {pods: 10.244.0.0/16, services: 10.96.0.0/12}
        cluster:
          description: What identifies the cluster that the host belongs to. Texts are empty where there is nothing.
          type: dict
          contains:
            api:
              description: Address by which the kubelet reaches the API, or would have reached it in a join that was
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
              description: Files that show a control plane, whoever created it.
              type: list
              elements: str
              sample: [/etc/kubernetes/admin.conf]
            initialised:
              description: Whether the role kube_master has created the control plane, or begun to.
              type: bool
              sample: false
        artifacts:
          description: Names of what M(egi.notebooks.artifact_install) has installed on the host, sorted.
          type: list
          elements: str
          sample: [containerd, kubelet]
        kubelet_version:
          description: Version of the kubelet that M(egi.notebooks.artifact_install) has installed, or of the one that
            has replaced it. Empty if there is none.
          type: str
          sample: 1.36.3
        packages:
          description: Debian packages that are completely installed, sorted.
          type: list
          elements: str
          sample: [conntrack, ethtool]
        masked_units:
          description: Services, sockets and targets of systemd that are masked in C(/etc/systemd/system), sorted.
          type: list
          elements: str
          sample: [rpcbind.service, rpcbind.socket]
        packages_interrupted:
          description: Whether dpkg was interrupted, for example by a power cut, or is running now.
          type: bool
          sample: false
        container_engines:
          description: Programs of container engines that Debian packages have installed.
          type: list
          elements: str
          sample: [/usr/bin/dockerd]
        swap:
          description: Swap, and what turns it on at the next boot.
          type: dict
          contains:
            active:
              description: Files and devices of swap that is on.
              type: list
              elements: str
              sample: [/swap.img]
            fstab:
              description: Files and devices of swap in C(/etc/fstab).
              type: list
              elements: str
              sample: [/swap.img]
            units:
              description: Units of systemd that turn swap on without C(/etc/fstab), for example zram.
              type: list
              elements: str
              sample: [dev-zram0.swap]
            unknown:
              description: Those of RV(ansible_facts.egi_notebooks_node.swap.active) that come neither from
                C(/etc/fstab), with the lines that the role kube_node has turned off, nor from a unit.
              type: list
              elements: str
              sample: [/root/swap]
        addresses:
          description: The host's own IPv4 addresses, without those of the loopback interface and of a cluster's
            network (interfaces C(cni*), C(flannel.*) and C(kube-*)).
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
              description: Hardware address of the interface, empty if there is none.
              type: str
              sample: 02:00:00:00:00:0b
            mtu:
              description: Largest packet of the interface in bytes.
              type: int
              sample: 1500
        default_ipv4:
          description: The entry of RV(ansible_facts.egi_notebooks_node.addresses) that the default route uses. Empty
            if there is no default route.
          type: dict
        disks:
          description: Space by path, in MiB.
          type: dict
          sample: {/var/lib/etcd: {total_mb: 11966, free_mb: 9804}}
        listeners:
          description: TCP and UDP ports that programs or the kernel listen on.
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
              description: First 15 characters of the program's name. Empty for the kernel.
              type: str
              sample: kubelet
        clock:
          description: The host's clock.
          type: dict
          contains:
            time:
              description: Unix time in seconds.
              type: float
              sample: 1794301200.25
            synchronised:
              description: Whether the kernel reports the clock as synchronised. Null if it reports nothing.
              type: bool
              sample: true
            skew:
              description: Seconds that the clock is at least ahead of the control node's, negative if behind.
              type: float
              sample: 0.0
            uncertainty:
              description: Seconds that the call took, by which the skew may be larger.
              type: float
              sample: 0.8
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.host.artifacts import artifacts
from ansible_collections.egi.notebooks.plugins.module_utils.host.clock import clock
from ansible_collections.egi.notebooks.plugins.module_utils.host.cluster import cluster, cluster_networks, is_node
from ansible_collections.egi.notebooks.plugins.module_utils.host.listeners import listeners
from ansible_collections.egi.notebooks.plugins.module_utils.host.network import addresses, default_address
from ansible_collections.egi.notebooks.plugins.module_utils.host.packages import packages
from ansible_collections.egi.notebooks.plugins.module_utils.host.swap import swap
from ansible_collections.egi.notebooks.plugins.module_utils.host.system import disk, system

PATHS = ["/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet"]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"paths": {"type": "list", "elements": "path", "default": PATHS}}, supports_check_mode=True
    )
    paths = module.params["paths"]
    for path in paths:
        if not os.path.isabs(path):
            module.fail_json(msg=f"paths must be absolute paths; got {path!r}.")
    ip = module.get_bin_path("ip", required=True, opt_dirs=["/sbin", "/usr/sbin"])

    def query(*arguments: str) -> list[dict]:
        return json.loads(module.run_command([ip, "-json", *arguments], check_rc=True)[1] or "[]")

    own = addresses(query("address"))
    node = {
        **system(),
        **packages(),
        **artifacts(module.run_command),
        "is_node": is_node(),
        "cluster": cluster(),
        "cluster_networks": cluster_networks(),
        "swap": swap(),
        "addresses": own,
        "default_ipv4": default_address(query("route", "show", "default"), own),
        "disks": {path: disk(path) for path in paths},
        "listeners": listeners(),
        "clock": clock(),
    }
    module.exit_json(changed=False, ansible_facts={"egi_notebooks_node": node})


if __name__ == "__main__":
    main()
