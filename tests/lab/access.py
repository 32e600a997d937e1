# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as its operator sees it: state folder, nodes over ssh, the cluster's API through the master."""

from __future__ import annotations

import json
import os
import shlex
import socket
from pathlib import Path

import pytest
import testinfra

from lab.settings import NODES

PROJECT = Path(__file__).parents[2]
OUTPUT = PROJECT / "tests/output"
CACHE = Path(os.environ.get("EGI_NOTEBOOKS_CACHE", Path.home() / ".cache/egi-notebooks"))
STATE = Path(os.environ.get("EGI_NOTEBOOKS_LAB", CACHE / "lab"))
ADDRESSES = {node.name: node.address for node in NODES}


def require_lab(command: str) -> None:
    """Fail with what to do instead, unless the tests run inside the network of a lab that is up."""
    try:
        socket.getaddrinfo("master.lab.test", 22)
    except OSError:
        pytest.fail(f"no lab here: run this by `{command}`", pytrace=False)
    OUTPUT.mkdir(parents=True, exist_ok=True)


class Lab:
    state = STATE
    output = OUTPUT
    vo = "vo.notebooks.egi.eu"
    url = "https://notebooks.lab.test"
    ca_file = STATE / "ca/ca.crt"

    def __init__(self) -> None:
        self._hosts: dict[str, testinfra.host.Host] = {}

    def host(self, name: str) -> testinfra.host.Host:
        if name not in self._hosts:
            ssh = STATE / "ssh"
            self._hosts[name] = testinfra.get_host(
                f"ssh://root@{name}.lab.test",
                ssh_identity_file=str(ssh / "id_ed25519"),
                ssh_extra_args=f"-o UserKnownHostsFile={ssh / 'known_hosts'} -o IdentitiesOnly=yes -o LogLevel=ERROR",
                controlpersist=120,
            )
        return self._hosts[name]

    def secret(self, name: str) -> str:
        return (STATE / "secrets" / name).read_text().strip()

    def kubectl(self, *arguments: str) -> str:
        return self.host("master").check_output(
            "kubectl --kubeconfig /etc/kubernetes/admin.conf " + " ".join(map(shlex.quote, arguments))
        )

    def get(self, *arguments: str) -> list[dict]:
        """The items of ``kubectl get ... -o json``."""
        found = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found.get("items", [found])

    def user_pods(self, namespace: str = "jupyterhub") -> list[dict]:
        return self.get("pods", "-n", namespace, "-l", "component=singleuser-server")
