# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fault tests share: nodes that may vanish at any moment, pictures of the cluster, and the measured times."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import requests
import runs
import yaml
from access import OUTPUT, Lab
from checkin_client import browser

from lab import network, nodes
from lab.settings import NODES, Node

CLUSTER = ("master", "edge", "worker")
MACHINES = {node.name: node for node in NODES}
HUB = "jupyterhub"
#: The playbook of the hub alone.
DEPLOY = "../tests/faults/playbooks/hub"
#: Whatever proxy a test has put into the node's environment.
KUBECTL = "env -u http_proxy -u https_proxy kubectl --kubeconfig=/etc/kubernetes/admin.conf"
HELM = "env -u http_proxy -u https_proxy KUBECONFIG=/etc/kubernetes/admin.conf /usr/local/bin/helm"
RECOVERY = OUTPUT / "recovery.json"
#: What kubeadm's bootstrap tokens look like.
JOIN_TOKEN = re.compile(r"(?<![\w.-])[a-z0-9]{6}\.[a-z0-9]{16}(?![\w.-])")


class FaultyLab(Lab):
    """The lab by connections of their own, each with a time-out: a node may be gone, and come back as another boot."""

    def ssh(self, node: str, command: str, stdin: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        argv = [
            "ssh", *nodes.ssh_options(), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "ControlPath=none",
            "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3", f"root@{MACHINES[node].fqdn}", command,
        ]  # fmt: skip
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=timeout)

    def run(self, node: str, command: str, stdin: str = "", timeout: float = 60) -> str:
        """Standard output of a command that must succeed."""
        answer = self.ssh(node, command, stdin, timeout)
        assert answer.returncode == 0, f"{node}: {command}: {answer.returncode} {answer.stdout} {answer.stderr}"
        return answer.stdout.strip()

    def kubectl(self, *arguments: str) -> str:
        limit = ["--request-timeout=15s"] if arguments[0] == "get" else []
        return self.run("master", f"{KUBECTL} {shlex.join([*limit, *arguments])}", timeout=240)

    def kubectl_apply(self, document: dict | list[dict]) -> None:
        documents = document if isinstance(document, list) else [document]
        self.run("master", f"{KUBECTL} apply --filename=-", yaml.safe_dump_all(documents))

    def revision(self) -> int:
        """The revision of the hub's Helm release, which must be deployed."""
        (release,) = json.loads(self.run("master", f"{HELM} list --namespace {HUB} --output json"))
        assert release["status"] == "deployed", release
        return int(release["revision"])


def wait_until(question: Callable[[], object], timeout: float, what: str, pause: float = 1.0) -> float:
    """Ask until the answer is yes; seconds that it took. A question that fails is one without an answer yet."""
    started = time.monotonic()
    last: object = None
    while time.monotonic() - started < timeout:
        try:
            if last := question():
                return time.monotonic() - started
        except (
            AssertionError, OSError, KeyError, ValueError, subprocess.SubprocessError, requests.RequestException,
        ) as error:  # fmt: skip
            last = f"{type(error).__name__}: {error}"
        time.sleep(pause)
    raise AssertionError(f"{what} did not come within {timeout:.0f} s; last: {str(last)[:1000]}")


def edge_answers(lab, path: str = "/hub/login") -> bool:
    return browser().get(f"{lab.url}{path}", timeout=5).status_code == 200


def faults_of(lab) -> list[str]:
    """Nodes that are not ready or under pressure, pods that are not ready. Pods that were evicted are gone."""
    faults = []
    for node in lab.get("nodes"):
        states = {condition["type"]: condition["status"] for condition in node["status"]["conditions"]}
        bad = [name for name, state in states.items() if (state == "True") != (name == "Ready")]
        faults += [f"{node['metadata']['name']}: {name} is {states[name]}" for name in bad]
    for pod in lab.get("pods", "--all-namespaces"):
        states = {item["type"]: item["status"] for item in pod["status"].get("conditions", [])}
        if pod["status"]["phase"] not in ("Succeeded", "Failed") and states.get("Ready") != "True":
            faults.append(f"{pod['metadata']['namespace']}/{pod['metadata']['name']} is not ready")
    return faults


def wait_until_sound(lab, timeout: float = 300) -> float:
    """Wait until nodes and pods are ready and the login page answers."""
    faults: list[str] = []

    def sound() -> bool:
        faults[:] = ["the API does not answer"]
        faults[:] = faults_of(lab)
        return not faults and edge_answers(lab)

    try:
        return wait_until(sound, timeout, "a sound service", pause=2)
    except AssertionError as error:
        raise AssertionError(f"{error}; {faults}") from None


def containers(lab, node: str = "") -> dict[str, tuple[int, str]]:
    """Restart count and id of every container but those of users' servers."""
    return {
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}/{state['name']}": (
            state["restartCount"],
            state.get("containerID", ""),
        )
        for pod in lab.get("pods", "--all-namespaces")
        if pod["metadata"].get("labels", {}).get("component") != "singleuser-server"
        and pod["spec"].get("nodeName", "").startswith(node)
        for state in pod["status"].get("containerStatuses", [])
    }


def picture(lab) -> dict[str, object]:
    """What a run that changes nothing leaves alone."""
    services = {
        f"{node} {service}": lab.run(node, f"systemctl show --property=ActiveEnterTimestampMonotonic {service}")
        for node, names in {**dict.fromkeys(CLUSTER, ("containerd", "kubelet")), "nfs": ("nfs-server",)}.items()
        for service in names
    }
    return {**containers(lab), **services, "revision": lab.revision()}


def differences(before: dict[str, object], now: dict[str, object]) -> dict[str, tuple]:
    """What two pictures don't have in common, each as it was and as it is."""
    return {name: (before.get(name), now.get(name)) for name in before | now if before.get(name) != now.get(name)}


def pick_home(lab, user) -> str:
    """The user's directory on the NFS server, found by a file that the server wrote."""
    name = f"faults-{time.monotonic_ns()}.txt"
    user.write(name, "here")
    (path,) = lab.run("nfs", f"find /srv/homes -maxdepth 2 -name {name}").splitlines()
    user.server("DELETE", f"contents/{name}")
    return path.removesuffix(f"/{name}")


def boot_id(lab, node: str) -> str:
    return lab.run(node, "cat /proc/sys/kernel/random/boot_id", timeout=20)


def machine(node: Node) -> tuple[Path, Path]:
    """The kernel and the image that the node was started with, whatever this working copy would build."""
    argv = Path(f"/proc/{network.pid(node.name)}/cmdline").read_text().split("\0")
    image = next(word.split(",", 1)[1] for word in argv if word.startswith("ubd0="))
    return Path(argv[0]), Path(image)


def cut_power(node: Node) -> Callable[[], None]:
    """Kill the node's machine at once; what is returned gives it power again."""
    kernel, image = machine(node)
    nodes.power_off(node)
    return lambda: nodes.start(node, kernel, image)


def record(fault: str, seconds: float, saw: str, lost: str = "not looked at") -> None:
    """Print a time to recovery and add it to tests/output/recovery.json, of which docs/reliability.md has the table.

    What earlier runs measured stays there, so each figure has its own date. The fixture `kept` tells what was lost.
    """
    table = json.loads(RECOVERY.read_text()) if RECOVERY.exists() else {}
    measured = datetime.now(UTC).isoformat(timespec="seconds")
    table[fault] = {"seconds": round(seconds, 1), "saw": saw, "lost": lost, "measured": measured}
    RECOVERY.write_text(json.dumps(table, indent=2) + "\n")
    print(f"\nrecovery after {fault}: {seconds:.0f} s; seen meanwhile: {saw}; lost: {lost}")


def inventory(folder: Path, **host_variables: dict) -> Path:
    """The lab's inventory with further variables of hosts, named by their node."""
    hosts = runs.lab_hosts()
    for group in hosts.values():
        for host in group["hosts"]:
            group["hosts"][host] = host_variables.get(host.split(".")[0])
    return runs.inventory(folder, hosts)


def extra(**values) -> tuple[str, str]:
    """Extra variables of a run."""
    return ("--extra-vars", json.dumps(values))


def deploy(*arguments: str, home: str = "/root", **variables: object) -> runs.Run:
    """Run the hub's role alone, with these variables; it must succeed."""
    result = runs.playbook(DEPLOY, *arguments, *extra(faults_home=home, **variables))
    assert result.status == 0, result.failures
    # Who has nothing to change is not warned of a plugin that would look more closely.
    assert result.changes or "helm diff" not in result.output.lower()
    return result
