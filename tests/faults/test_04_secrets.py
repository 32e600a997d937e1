# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets stand where they belong and nowhere else, also while one is changed."""

from __future__ import annotations

import base64
import os
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from access import STATE
from checkin_client import BASE_URL, TIMEOUT, admin_session
from faults import CLUSTER, HUB, JOIN_TOKEN, MACHINES, extra, wait_until
from runs import playbook
from user import User

from lab.checkin import CLIENT_ID
from lab.nodes import ssh_options

#: Where programs write that nobody told what a secret is. Kubernetes' own places are for secrets, so not here.
NODE_FOLDERS = "/tmp /var/tmp /root /home /var/log /run/log /usr/local /etc/egi-notebooks /var/lib/egi-notebooks"
CONTROL_FOLDERS = (Path("/tmp"), Path("/var/tmp"), Path.home() / ".ansible")


def spellings(plain: set[str]) -> set[str]:
    """As they are, and as base64 shows them."""
    return plain | {base64.b64encode(text.encode()).decode() for text in plain}


def key_lines(pem: str) -> set[str]:
    """One line of each private key in a text: enough to know it again."""
    lines = pem.splitlines()
    return {lines[number + 1] for number, line in enumerate(lines) if "PRIVATE KEY-----" in line and "BEGIN" in line}


def secrets_of_the_run(lab) -> set[str]:
    """Client secret, cookie secret, crypt keys, proxy token, keys of edge, cluster, nodes and administrators."""
    plain = {lab.secret("client_secret")}
    for secret in lab.get("secrets", "-n", HUB, "--field-selector=type=Opaque"):
        for name, value in secret.get("data", {}).items():
            if name.startswith("hub.config.") or name in ("oauth_client_secret", "hub.db.password"):
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


def found_on_nodes(lab, wanted: set[str]) -> list[str]:
    """Files and journals that hold one of these. The patterns go by standard input: on no command line, in no file."""
    patterns = "".join(f"{text}\n" for text in sorted(wanted))
    found = []
    for node in MACHINES:
        folders = f"$(ls -d {NODE_FOLDERS} 2>/dev/null)"
        # The internal CA's folder, if there is one, and the hub's database hold keys by right.
        skipped = "--exclude-dir=bin --exclude-dir=edge --exclude=jupyterhub.sqlite*"
        files = lab.ssh(node, f"grep -rslIF {skipped} --file=/dev/stdin {folders}", patterns, timeout=180)
        assert files.returncode in (0, 1), files.stderr
        found += [f"{node}: {name}" for name in files.stdout.splitlines()]
        journal = "exec 3<&0; journalctl --quiet --no-pager --boot | grep -c -F --file=/dev/fd/3"
        if lab.ssh(node, f"bash -c '{journal}'", patterns, timeout=180).stdout.strip() != "0":
            found.append(f"{node}: the journal")
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
def process_lists(wanted: set[str]) -> Iterator[list[str]]:
    """Look at the process lists of this machine and of all nodes, again and again; yields what was found."""
    found: list[str] = []
    end = threading.Event()
    needles = [text.encode() for text in wanted]
    looks = dict.fromkeys(MACHINES, 0)

    def note(place: str, line: bytes) -> None:
        for at in (line.find(needle) for needle in needles):
            if at >= 0:
                found.append(f"{place}: after {line[max(0, at - 80) : at]!r}")

    def here() -> None:
        while not end.wait(0.2):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    note("control machine", path.read_bytes())
                except OSError:
                    continue

    def there(node: str, stream) -> None:
        for line in stream:
            looks[node] += 1
            note(node, line)

    look = "while sleep 0.5; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0\\n' ' ' && echo || break; done"
    watchers = {
        node: subprocess.Popen(
            ["ssh", *ssh_options(), "-o", "ControlPath=none", f"root@{machine.fqdn}", look],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for node, machine in MACHINES.items()
    }  # fmt: skip
    threads = [threading.Thread(target=here, daemon=True)]
    threads += [threading.Thread(target=there, args=(node, it.stdout), daemon=True) for node, it in watchers.items()]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        end.set()
        for watcher in watchers.values():
            watcher.terminate()
            watcher.wait(timeout=10)
        for thread in threads:
            thread.join(timeout=10)
    assert all(looks.values()), f"nothing was seen of some node: {looks}"


@pytest.fixture
def new_secret():
    """A file with another client secret, in the folder where the lab keeps such files."""
    path = STATE / "secrets/client_secret.faults"
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(secrets.token_urlsafe(32))
    yield path
    path.unlink()


def tell_checkin(secret: str) -> None:
    session = admin_session()
    clients = f"{BASE_URL}/admin/realms/egi/clients"
    (client,) = session.get(clients, params={"clientId": CLIENT_ID}, timeout=TIMEOUT).json()
    answer = session.put(f"{clients}/{client['id']}", json=client | {"secret": secret}, timeout=TIMEOUT)
    assert answer.status_code == 204, answer.text


def test_a_changed_client_secret_is_seen_to_change_and_never_seen(lab, new_secret):
    """Case 34."""
    old, new = lab.secret("client_secret"), new_secret.read_text()
    wanted = secrets_of_the_run(lab) | spellings({new})
    changed = extra(jupyterhub_oauth_client_secret_file=str(new_secret))
    started = time.time()
    before = lab.revision()
    try:
        with process_lists(wanted) as on_command_lines:
            dry = playbook("service", "--check", "--diff", "-vv", *changed)
            assert dry.status == 0, dry.failures
            assert lab.revision() == before
            tell_checkin(new)
            real = playbook("service", "--diff", "-vv", *changed)
        assert real.status == 0, real.failures
        for result in (dry, real):
            # One sees that it changes.
            assert any("Store the secrets of the hub" in change for change in result.changes), result.changes
            assert not [number for number, text in enumerate(sorted(wanted)) if text in result.output]
            assert not JOIN_TOKEN.findall(result.output)
        assert on_command_lines == []
        # It is the new one that the hub uses.
        assert lab.revision() == before + 1
        wait_until(lambda: User(lab, "member").log_in(), 60, "a login with the new secret")
    finally:
        tell_checkin(old)
        assert playbook("service").status == 0
    wait_until(lambda: User(lab, "member").log_in(), 60, "a login with the old secret")
    assert found_on_control(wanted, started) == []
    assert found_on_nodes(lab, wanted) == []


def test_no_secret_of_the_run_lies_about(lab):
    """Case 34. Logs, journals and temporary files, whatever ran so far; bootstrap tokens are gone or short-lived."""
    wanted = secrets_of_the_run(lab)
    assert found_on_nodes(lab, wanted) == []
    documents = lab.kubectl("get", "configmaps,pods,events", "--all-namespaces", "--output=yaml")
    assert not [number for number, text in enumerate(sorted(wanted)) if text in documents]
    tokens = lab.get("secrets", "-n", "kube-system", "--field-selector=type=bootstrap.kubernetes.io/token")
    assert [token["metadata"]["name"] for token in tokens if "expiration" not in token["data"]] == []
