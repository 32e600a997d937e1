# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input is refused before the first change, by one line each: which variable, what was given, what is allowed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from access import STATE
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from runs import inventory, lab_hosts, playbook

DOMAIN = "notebooks.lab.test"
ALIAS = "nb-alias.lab.test"
CERTIFICATE = "edge_ingress_certificate_file"
KEY = "edge_ingress_key_file"


def pair(folder, domain: str = DOMAIN, days: int = 30, foreign_key: bool = False) -> dict[str, str]:
    """Variables for a certificate of the lab's CA, its chain, and its key (or another one)."""
    issuer = x509.load_pem_x509_certificate((STATE / "ca/intermediate.crt").read_bytes())
    issuer_key = serialization.load_pem_private_key((STATE / "ca/intermediate.key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    names = (domain, ALIAS) if domain == DOMAIN else (domain,)
    end = datetime.now(UTC) + timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=60))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    if foreign_key:
        key = ec.generate_private_key(ec.SECP256R1())
    files = {CERTIFICATE: folder / "bad.crt", KEY: folder / "bad.key"}
    chain = (certificate, issuer)
    files[CERTIFICATE].write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain))
    files[KEY].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {name: str(path) for name, path in files.items()}


def refused(result, *faults: list[str]) -> None:
    """The run ended with one message, in which some line has all words of each fault, and changed nothing."""
    assert result.status != 0, result.output
    assert not any(result.changed.values()), result.changes
    assert len(result.failures) == 1, result.failures
    (message,) = result.failures
    for words in faults:
        assert any(all(word in line for word in words) for line in message.splitlines()), message


# One run tells all faults, so that a run here tries several; what excludes one another is in another run.
NO_VO = {"egi_notebooks_vos": []}
NO_DOMAIN = {"egi_notebooks_domain": ""}
UNKNOWN_DOMAIN = {"egi_notebooks_domain": "no-such-host.lab.test"}


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("variables", "flaw", "faults"),
    [
        (NO_DOMAIN | NO_VO, {}, [["egi_notebooks_domain"], ["egi_notebooks_vos", "[]"]]),
        (UNKNOWN_DOMAIN, {"foreign_key": True}, [["egi_notebooks_domain", "no-such-host.lab.test"], [KEY, "bad.key"]]),
        ({}, {"domain": "other.lab.test", "days": -1}, [[CERTIFICATE, "other.lab.test", DOMAIN, "expired"]]),
    ],
    ids=["no domain and no VO", "unknown domain and foreign key", "expired certificate of another domain"],
)
def test_bad_settings_are_refused(variables, flaw, faults, tmp_path):
    given = variables | (pair(tmp_path, **flaw) if flaw else {})
    refused(playbook("site", "--extra-vars", json.dumps(given)), *faults)


@pytest.mark.usefixtures("lab")
def test_a_host_in_no_known_group_and_the_lack_of_a_master_are_refused(tmp_path):
    hosts = {group: content for group, content in lab_hosts().items() if group != "masters"}
    hosts |= {"cooks": {"hosts": {"nfs2.lab.test": None}}}
    result = playbook("site", inventory=inventory(tmp_path, hosts))
    refused(result, ["nfs2.lab.test", "masters", "workers"], ["masters must not be empty"])


NODES = ("master", "edge", "worker", "nfs")
MARK = "/run/lab-before-the-run"
#: Where the collection writes.
KEPT = "/etc /opt /usr/local /var/lib/apt /var/lib/dpkg"

# Beside the kubelet's own socket, which is on the loopback interface; for ten minutes at most.
LISTEN = "import socket, time; listener = socket.create_server(('10.77.0.13', 10248)); time.sleep(600)"


@pytest.fixture
def stranger(lab):
    """A program listens on a port of the kubelet's on the worker."""
    worker = lab.host("worker")
    worker.check_output(
        f'systemd-run --quiet --collect --unit=lab-stranger python3 -c "{LISTEN}" && '
        "timeout 30 sh -c 'until ss -Hltn | grep -q 10.77.0.13:10248; do sleep 0.2; done'"
    )
    yield
    worker.check_output("systemctl stop lab-stranger.service")


def move_clock(lab, node: str, seconds: int) -> None:
    """By a difference, so that the clock is right again after the opposite one."""
    code = f"import time; time.clock_settime(time.CLOCK_REALTIME, time.time() + {seconds})"
    lab.host(node).check_output(f'python3 -c "{code}"')


@pytest.fixture
def slow_clock(lab):
    """The NFS server's clock is behind. Of all nodes it has the fewest programs that mind."""
    move_clock(lab, "nfs", -30)
    yield
    move_clock(lab, "nfs", 30)


@pytest.mark.usefixtures("stranger", "slow_clock")
def test_all_faults_of_all_hosts_are_told_at_once(lab, tmp_path):
    hosts = lab_hosts()
    # A floating address, a link that is too narrow, an image that the mirror lacks, and a machine that is not there.
    floating = {"egi_notebooks_node_address": "203.0.113.5"}
    hosts["workers"]["hosts"] |= {"worker.lab.test": floating, "gone.lab.test": None}
    hosts["masters"]["hosts"]["master.lab.test"] = {"kube_master_pod_mtu": 1500, "prometheus_version": "v0.0.0"}
    hosts["edges"]["hosts"]["edge.lab.test"] = {"kube_node_containerd_version": "2.99.0"}
    hosts["nfs_servers"]["hosts"]["nfs.lab.test"] = {"nfs_server_disk": "/dev/ubda"}
    for node in NODES:
        lab.host(node).check_output(f"touch {MARK}")
    result = playbook("site", inventory=inventory(tmp_path, hosts))
    refused(
        result,
        ["worker.lab.test: ", "egi_notebooks_node_address", "203.0.113.5", "10.77.0.13"],
        ["gone.lab.test: ", "host is unreachable"],
        ["master.lab.test: ", "kube_master_pod_mtu", "1450"],
        ["master.lab.test: ", "prometheus:v0.0.0", "404"],
        ["edge.lab.test: ", "containerd-2.99.0", "404"],
        ["nfs.lab.test: ", "nfs_server_disk", "/dev/ubda"],
        ["worker.lab.test: ", "port 10248 by ", "is in use"],
        ["nfs.lab.test: ", "clock is", "s behind the control node's"],
    )
    # Whatever Ansible counts as a change.
    for node in NODES:
        assert lab.host(node).check_output(f"find {KEPT} -newer {MARK}") == ""


# A master that others made, with a name, swap and a program that it must not have.
OCCUPY = """set -e
mkdir /etc/kubernetes
echo 'clusters: [{name: other, cluster: {server: "https://10.77.0.14:6443"}}]' >/etc/kubernetes/admin.conf
hostname Nfs.lab.test
dd if=/dev/zero of=/root/lab.swap bs=1M count=16 conv=fsync status=none
chmod 600 /root/lab.swap
mkswap --quiet /root/lab.swap
swapon /root/lab.swap
printf 'ID=debian\\nVERSION_ID=11\\n' >/run/lab-release
mount --bind /run/lab-release /usr/lib/os-release
systemd-run --quiet --collect --unit=lab-stranger python3 -c \
  'import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("", 8472)); time.sleep(600)'
timeout 30 sh -c 'until ss -Hlun | grep -q :8472; do sleep 0.2; done'
"""
LEAVE = """
systemctl stop lab-stranger.service
swapoff /root/lab.swap
umount /usr/lib/os-release
hostname nfs.lab.test
rm -f /root/lab.swap /etc/kubernetes/admin.conf
rmdir /etc/kubernetes
"""


@pytest.fixture
def others_master(lab):
    """The NFS server is the master of somebody else's cluster."""
    nfs = lab.host("nfs")
    occupied = nfs.run(OCCUPY)
    yield occupied
    assert nfs.run(LEAVE).succeeded


def test_machines_of_others_are_refused(others_master, tmp_path):
    """The lab's edge and worker are of a cluster already, which is not that of this inventory's master."""
    assert others_master.succeeded, others_master.stderr
    hosts = lab_hosts()
    hosts["masters"]["hosts"] = {"nfs.lab.test": None}
    twin = {"ansible_host": "edge.lab.test", "kube_node_minimum_memory": 10**6}
    hosts["workers"]["hosts"] |= {"twin.lab.test": twin}
    refused(
        playbook("site", "--extra-vars", "egi_notebooks_pod_cidr=10.77.0.0/16", inventory=inventory(tmp_path, hosts)),
        ["nfs.lab.test: ", "/etc/kubernetes/admin.conf of a control plane that this collection did not make"],
        ["nfs.lab.test: ", "host name is 'Nfs.lab.test'"],
        ["nfs.lab.test: ", "operating system is debian 11", "must be Debian 13"],
        ["nfs.lab.test: ", "swap is on (/root/lab.swap)", "/etc/rc.local"],
        ["nfs.lab.test: ", "port 8472 (UDP) by python3 is in use"],
        ["egi_notebooks_pod_cidr", "10.77.0.0/16", "no host is in"],
        ["edge.lab.test", "node of the cluster at https://", "the cluster of nfs.lab.test"],
        ["worker.lab.test", "node of the cluster at https://", "the cluster of nfs.lab.test"],
        ["twin.lab.test: ", "memory is ", "must be at least 1000000 MB (kube_node_minimum_memory)"],
        ["machine-id is ", "edge.lab.test and twin.lab.test"],
        ["MAC address is ", "edge.lab.test and twin.lab.test"],
    )
