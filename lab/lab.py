# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab does, in the order in which it does it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from lab import build, checkin, dns, mirror, network, nodes, pki
from lab.settings import CACHE, CHECKIN_ADDRESS, NAMESPACE, NODES, PROJECT, SERVICE_URL, STATE

ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
_HOST_TOOLS = ("iproute2", "ethtool", "openssh-client", "curl", "dnsmasq-base")


def _say(text: str) -> None:
    print(f"==> [{time.strftime('%H:%M:%S')}] {text}", flush=True)


def _secrets() -> None:
    folder = STATE / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("client_secret", "keycloak_admin", *(f"password-{user}" for user in checkin.USERS)):
        if not (folder / name).exists():
            with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(secrets.token_urlsafe(12 if name.startswith("password") else 32))


def _mirror_tree(parts: dict[str, Path]) -> Path:
    """The tree that the mirror serves, laid out again only when a part has changed."""
    tree, stamp = CACHE / "mirror", CACHE / "mirror.parts"
    built_from = (
        json.dumps({name: path.name for name, path in sorted(parts.items())})
        + Path(mirror.__file__).read_text()
        + (PROJECT / "meta/artifacts.yml").read_text()
    )
    if not tree.exists() or not stamp.exists() or stamp.read_text() != built_from:
        shutil.rmtree(tree, ignore_errors=True)
        mirror.assemble(parts, tree, build.load_manifest())
        stamp.write_text(built_from)
    return tree


def environment() -> dict[str, str]:
    """What commands inside the lab's network find: the state folder, the tools of this Python, the lab's CA and key.

    The key is not the inventory's, as Ansible would look the state folder up anew in each task on each host.
    """
    ca, ssh = str(STATE / "ca/ca.crt"), STATE / "ssh"
    return os.environ | {
        "EGI_NOTEBOOKS_LAB": str(STATE),
        "EGI_NOTEBOOKS_CACHE": str(CACHE),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SSL_CERT_FILE": ca,
        "CURL_CA_BUNDLE": ca,
        "REQUESTS_CA_BUNDLE": ca,
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_PRIVATE_KEY_FILE": str(ssh / "id_ed25519"),
        "ANSIBLE_SSH_COMMON_ARGS": f"-o UserKnownHostsFile={ssh / 'known_hosts'} -o IdentitiesOnly=yes",
    }


def _require_network() -> None:
    if not network.exists():
        raise SystemExit("the lab is not up: run `make lab` or `make lab-nodes` first")


def run(argv: list[str]) -> int:
    """Run a command inside the lab's network and return its exit status."""
    _require_network()
    return subprocess.run(network.inside(argv), env=environment(), check=False).returncode


def _wait_for(url: str, what: str, timeout: float = 300) -> None:
    deadline = time.monotonic() + timeout
    while subprocess.run(
        network.inside(["curl", "-sf", "-o", "/dev/null", "-m", "5", url]), env=environment(), check=False
    ).returncode:
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not answer at {url} within {timeout:.0f} s; see {STATE / 'logs'}")
        time.sleep(1)


def _check_memory() -> None:
    """Refuse to boot nodes whose memory is not there: in the middle of its work such a node would just die."""
    needed = sum(node.memory for node in NODES if not network.pid(node.name))
    free = {
        "/dev/shm": shutil.disk_usage("/dev/shm").free >> 20,
        "the memory": int(re.search(r"^MemAvailable: +(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)[1])
        >> 10,
    }
    for what, room in free.items():
        if room < needed:
            raise SystemExit(f"{what} has {room} MiB free and the nodes need {needed} MiB")


def start_nodes(fresh: bool = False) -> None:
    """Everything around the service: artifacts, mirror, DNS, Check-in's stand-in and booted nodes.

    With `fresh` the nodes are bare and Check-in knows what realm.yml declares, whatever was there.
    """
    build.install_packages(_HOST_TOOLS)
    parts = build.build()
    STATE.mkdir(parents=True, exist_ok=True, mode=0o700)
    if fresh:
        for node in NODES:
            nodes.power_off(node)
        nodes.erase()
        # A test that was killed leaves its changes in the realm.
        network.stop("keycloak")
        checkin.erase(STATE)
    _secrets()
    pki.ensure(STATE)
    nodes.ensure_keys()
    tree = _mirror_tree(parts)
    _check_memory()
    network.create()
    dns.prepare(STATE)
    if not network.pid("keycloak"):
        checkin.prepare(parts["keycloak"], STATE)
    _say("starting DNS, mirror, Keycloak and the nodes")
    network.spawn("dns", dns.command(STATE))
    network.spawn("mirror", mirror.command(parts["nginx"], tree, STATE))
    for node in NODES:
        nodes.start(node, parts["kernel"] / "linux", parts["rootfs"] / "root.img")
    argv, env = checkin.command(STATE)
    network.spawn("keycloak", argv, env)
    nodes.wait()
    _say(f"{len(NODES)} nodes answer")
    _wait_for("https://mirror.lab.test/", "the mirror")
    _wait_for(checkin.READY_URL, "Keycloak")
    _say("mirror and Keycloak answer")


def _check_chart() -> None:
    """Refuse a CHART that is none before minutes are spent on it."""
    chart = os.environ.get("CHART", "")
    if chart == "official":
        raise SystemExit(
            "the official chart is in no package registry; give CHART=PATH of an unpacked one (see docs/lab.md)"
        )
    if chart and not (Path(chart).expanduser() / "Chart.yaml").is_file():
        raise SystemExit(f"CHART={chart} has no Chart.yaml; give CHART=PATH of an unpacked chart")


def up() -> None:
    """The whole service, from whatever is there to the printed address."""
    _check_chart()
    started = time.monotonic()
    start_nodes()
    _say("running playbooks/site.yml")
    site_started = time.monotonic()
    if run([str(ANSIBLE), "-i", str(PROJECT / "inventories/lab"), str(PROJECT / "playbooks/site.yml")]):
        raise SystemExit("playbooks/site.yml failed; `make lab` again resumes")
    ended = time.monotonic()
    _say(f"ready in {ended - started:.0f} s, of which playbooks/site.yml took {ended - site_started:.1f} s")
    print(f"""
    EGI Notebooks: {SERVICE_URL}   (`make lab-open` lets this machine's browser in)
      a member of the VO:  member, with the password in {_password_file("member")}
      an outsider:         outsider, {_password_file("outsider")}
    Status: make lab-status    Stop: make lab-down
""")


def _password_file(user: str) -> Path:
    return STATE / "secrets" / f"password-{user}"


def down() -> None:
    """Stop everything; disks, keys and caches stay, so that `up` resumes."""
    network.require_own()
    _say("stopping the nodes")
    nodes.stop_all()
    for name in network.running():
        network.stop(name)
    network.remove()


def clean() -> None:
    """Stop everything and forget the lab's state: disks, secrets, keys. Built parts stay in the cache."""
    down()
    shutil.rmtree(STATE, ignore_errors=True)


def status() -> None:
    if not network.exists():
        print("the lab is down")
        return
    print("running:", " ".join(network.running()) or "nothing")
    if network.pid("master"):
        run(
            [
                "ssh",
                *nodes.ssh_options(),
                "root@master.lab.test",
                "kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes,pods -A -o wide",
            ]
        )


def open_edge() -> None:
    """Publish the edge and Check-in's stand-in on the host's loopback for a person's browser.

    Until this is interrupted, or :func:`down` ends the forwards.
    """
    _require_network()
    if any(name.startswith("open-") for name in network.running()):
        raise SystemExit("the lab is open already; Ctrl-C there ends that, and `make lab-down` as well")
    build.install_packages(("socat",))
    doors = {
        "127.0.0.1": ("notebooks.lab.test", next(n.address for n in NODES if n.name == "edge")),
        "127.0.0.2": ("aai.lab.test", CHECKIN_ADDRESS),
    }
    # The forwards are in sessions of their own: a closed terminal must end them as Ctrl-C does.
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        forwards = [
            network.spawn(
                f"open-{here}",
                [
                    "socat",
                    f"TCP-LISTEN:443,bind={here},fork,reuseaddr",
                    f"EXEC:ip netns exec {NAMESPACE} socat STDIO TCP\\:{there}\\:443",
                ],
                on_host=True,
            )
            for here, (_, there) in doors.items()
        ]
        print(f"Let the browser trust {STATE / 'ca/ca.crt'}, add to /etc/hosts (and take away afterwards)\n")
        for here, (name, _) in doors.items():
            print(f"    {here} {name}")
        print(f"\nand open {SERVICE_URL}. Ctrl-C ends the forward.", flush=True)
        while not (ended := [forward.returncode for forward in forwards if forward.poll() is not None]):
            time.sleep(0.2)
        # So socat ends when it is told to, which `lab down` does.
        if not set(ended) <= {-signal.SIGTERM, 128 + signal.SIGTERM}:
            raise SystemExit(f"a forward has ended; see {STATE / 'logs'}/open-*.log")
    finally:
        for here in doors:
            network.stop(f"open-{here}")
