# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab keeps things, and what its network and nodes look like."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

LAB = Path(__file__).resolve().parent
PROJECT = LAB.parent
CACHE = Path(os.environ.get("EGI_NOTEBOOKS_CACHE", Path.home() / ".cache/egi-notebooks")).resolve()
#: State of the one running lab: disks, keys, secrets, logs, process ids.
STATE = Path(os.environ.get("EGI_NOTEBOOKS_LAB", CACHE / "lab")).resolve()

NAMESPACE = "egi-notebooks"
BRIDGE = "lab0"
DOMAIN = "lab.test"
PREFIX_LENGTH = 24
DNS_ADDRESS = "10.77.0.1"
MIRROR_ADDRESS = "10.77.0.2"
CHECKIN_ADDRESS = "10.77.0.3"
SERVICE_URL = "https://notebooks.lab.test"


@dataclass(frozen=True)
class Node:
    """One virtual machine: its address, memory (MiB), the core it is pinned to, and a second disk's size (GiB)."""

    name: str
    address: str
    memory: int
    core: int
    data_disk: int = 0

    @property
    def fqdn(self) -> str:
        return f"{self.name}.{DOMAIN}"

    @property
    def mac(self) -> str:
        return f"02:00:00:00:00:{int(self.address.rsplit('.', 1)[1]):02x}"


#: The worker has a core with little beside it: that is where people wait for their servers.
NODES = (
    Node("master", "10.77.0.11", memory=3000, core=0),
    Node("edge", "10.77.0.12", memory=1500, core=1),
    Node("worker", "10.77.0.13", memory=4500, core=1),
    Node("nfs", "10.77.0.14", memory=700, core=0, data_disk=4),
)
