# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a secret may lie that nobody meant to put there: what was printed, process lists, files, journals."""

from __future__ import annotations

import base64
import re
import secrets
import shlex
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from faults import CLUSTER, HUB, JOIN_TOKEN, MACHINES

from lab.nodes import ssh_options

#: Where programs write that nobody told what a secret is.
NODE_FOLDERS = "/tmp /var/tmp /dev/shm /root /home /opt /usr/local /var/log /var/lib/egi-notebooks"
#: Of these all but what is named below.
NODE_PARENTS = "/etc /run"
#: Places that hold secrets by right, or hold no files. /var/lib/etcd, /var/lib/kubelet (with the mounts of Secrets, in
#: memory) and /var/lib/containerd (with the containers' environments) are in none of the folders above.
BY_RIGHT = (
    "/etc/kubernetes",  # keys and kubeconfigs
    "/run/containerd",  # the containers' environments, and their whole file systems
    "/run/netns",
    "/run/rpc_pipefs",
)
#: Programs, the folder of the internal CA, and the hub's database.
SKIPPED = "--exclude-dir=bin --exclude-dir=edge --exclude=jupyterhub.sqlite*"
CANARY = "/dev/shm/faults-canary"
CONTROL_FOLDERS = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path.home() / ".ansible")


def spellings(plain: set[str]) -> set[str]:
    """As they are, and what base64 shows of them wherever they stand in what it was made of."""
    found = set(plain)
    for data in map(str.encode, plain):
        for before in range(3):
            shown = base64.b64encode(bytes(before) + data).decode()
            # Characters that hold bits of the neighbours as well tell nothing.
            found.add(shown[-(-before * 8 // 6) : (before + len(data)) * 8 // 6])
    return found


def key_lines(pem: str) -> set[str]:
    """One line of each private key in a text: enough to know it again."""
    lines = pem.splitlines()
    return {lines[number + 1] for number, line in enumerate(lines) if "PRIVATE KEY-----" in line and "BEGIN" in line}


def is_secret(name: str) -> bool:
    """Whether this item of an Opaque Secret is one. The others are settings, which Secrets hold as well."""
    return (
        name.startswith("hub.config.")
        or (name.startswith("hub.services.") and name.endswith(".apiToken"))
        or name in ("oauth_client_secret", "hub.db.password", "access_token")
    )


def secrets_of_the_run(lab) -> set[str]:
    """Client secret, cookie secret, crypt keys, tokens of proxy, services and users, keys of edge, nodes, cluster."""
    plain = {lab.secret("client_secret")}
    for secret in lab.get("secrets", "-n", HUB, "--field-selector=type=Opaque"):
        for name, value in secret.get("data", {}).items():
            if is_secret(name):
                plain.add(base64.b64decode(value).decode())
    plain.discard("")
    assert len(plain) >= 4, "client secret, cookie secret, crypt keys and the proxy's token"
    (certificate,) = lab.get("secrets", "-n", "edge", "--field-selector=type=kubernetes.io/tls")
    keys = base64.b64decode(certificate["data"]["tls.key"]).decode()
    keys += "\n" + lab.run("master", "cat /etc/kubernetes/pki/*.key /etc/kubernetes/pki/etcd/*.key")
    keys += "".join("\n" + lab.run(node, "cat /var/lib/kubelet/pki/*") for node in CLUSTER)
    # The kubeconfigs of administrators and of the control plane.
    callers = set(re.findall(r"client-key-data: (\S+)", lab.run("master", "cat /etc/kubernetes/*.conf")))
    assert len(callers) >= 3, "administrator, controller manager and scheduler"
    keys += "".join("\n" + base64.b64decode(key).decode() for key in callers)
    return spellings(plain) | callers | key_lines(keys)


def printed(text: str, wanted: set[str]) -> list[str]:
    """Which of these a text has, by number as no failure may tell more, and how many join tokens."""
    found = [f"secret {number}" for number, secret in enumerate(sorted(wanted)) if secret in text]
    return found + ["a join token"] * len(JOIN_TOKEN.findall(text))


def found_on_nodes(lab, wanted: set[str]) -> list[str]:
    """Files and journals that hold one of these. The patterns go by standard input: on no command line, in no file."""
    canary = secrets.token_hex(16)
    patterns = "".join(f"{text}\n" for text in sorted(wanted | {canary}))
    others = " ".join(f"! -path {path}" for path in BY_RIGHT)
    folders = (
        f"$(ls -d {NODE_FOLDERS} 2>/dev/null; "
        f"find {NODE_PARENTS} -mindepth 1 -maxdepth 1 \\( -type d -o -type f \\) {others})"
    )
    found = []
    for node in MACHINES:
        # In a binary file and deep enough to show that the search is one.
        lab.run(node, f"cat >{CANARY}", f"\0\n\0{canary}\0\n")
        files = lab.ssh(node, f"grep -rslF {SKIPPED} --devices=skip --file=/dev/stdin {folders}", patterns, timeout=300)
        lab.run(node, f"rm {CANARY}")
        # 2 without a word is a file that went away meanwhile.
        assert files.returncode in (0, 1, 2), files.stderr
        assert not files.stderr, files.stderr
        names = files.stdout.splitlines()
        assert CANARY in names, f"{node} was not searched: {files.returncode} {names}"
        found += [f"{node}: {name}" for name in names if name != CANARY]
        # What it counts: the canary's lines, and all others.
        journal = (
            f"exec 3<&0; echo {canary} | systemd-cat && journalctl --sync && "
            "journalctl --quiet --no-pager | grep -F --file=/dev/fd/3 | "
            f"awk '/{canary}/ {{ seen++; next }} {{ others++ }} END {{ print seen + 0, others + 0 }}'"
        )
        seen, others = lab.run(node, f"bash -c {shlex.quote(journal)}", patterns, timeout=300).split()
        assert int(seen) > 0, f"the journal of {node} was not searched"
        if int(others):
            found.append(f"{node}: {others} lines of the journal")
    return found


def found_on_control(wanted: set[str], since: float) -> list[str]:
    """Temporary files and Ansible's own, written since then."""
    needles = [text.encode() for text in wanted]
    found = []
    for path in (path for folder in CONTROL_FOLDERS for path in folder.rglob("*")):
        try:
            if not path.is_file() or path.is_symlink() or path.stat().st_mtime < since or path.stat().st_size > 1 << 24:
                continue
            content = path.read_bytes()
        except OSError:
            continue
        if any(needle in content for needle in needles):
            found.append(str(path))
    return found


@contextmanager
def process_lists() -> Iterator[set[tuple[str, str]]]:
    """Look at the process lists of this machine and of all nodes, again and again; yields each word seen and where.

    A node that goes down is looked at again when it is back.
    """
    seen: set[tuple[str, str]] = set()
    end = threading.Event()
    looked: dict[str, float] = {}
    watchers: dict[str, subprocess.Popen] = {}

    def note(place: str, words: Iterable[bytes]) -> None:
        seen.update((place, word.decode(errors="replace")) for word in words)

    def here() -> None:
        while not end.wait(0.2):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    note("control machine", path.read_bytes().replace(b"\0", b" ").split())
                except OSError:
                    continue

    look = "while sleep 0.2; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0\\n' ' ' && echo || break; done"

    def there(node: str) -> None:
        host = f"root@{MACHINES[node].fqdn}"
        options = ("-o", "ControlPath=none", "-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=2")
        while not end.wait(0.5):
            watchers[node] = subprocess.Popen(
                ["ssh", *ssh_options(), *options, host, look],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            with watchers[node] as watcher:
                for line in watcher.stdout:
                    looked[node] = time.monotonic()
                    note(node, line.split())

    threads = [threading.Thread(target=here, daemon=True)]
    threads += [threading.Thread(target=there, args=(node,), daemon=True) for node in MACHINES]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended = time.monotonic()
        end.set()
        for thread in threads:
            while thread.is_alive():
                for watcher in watchers.values():
                    watcher.terminate()
                thread.join(timeout=1)
    for node in MACHINES:
        assert looked.get(node, 0) > ended - 30, f"the process list of {node} was not seen any more"


def shown(seen: set[tuple[str, str]], wanted: set[str]) -> list[str]:
    """Where process lists showed one of these, with what stood before it, or a join token."""
    found = [f"{place}: a join token" for place, word in seen if JOIN_TOKEN.search(word)]
    for place, word in seen:
        found += [f"{place}: after {word[: word.find(text)][-80:]!r}" for text in wanted if text in word]
    return found
