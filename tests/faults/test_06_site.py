# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sites are like: a busy package manager, several interfaces, narrow links, a proxy."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults import CLUSTER, HUB, MACHINES, containers, extra, inventory, wait_until, wait_until_sound
from proxy import leads_into_the_cluster, site_proxy
from runs import playbook
from test_bad_input import CERTIFICATE, KEY, pair

from lab.nodes import ssh_options
from lab.settings import DNS_ADDRESS, MIRROR_ADDRESS

WORKER = MACHINES["worker"]
#: Longer than anything that tries a few times only. The package manager's own wait is ten minutes.
LOCK = float(os.environ.get("FAULTS_LOCK_SECONDS", "90"))
HOLD_LOCK = """
import fcntl, sys
with open(sys.argv[1], "w") as stream:
    fcntl.lockf(stream, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(lock: str, node: str, seconds: float):
    """A lock of the package manager on a node, held for a while as an unattended upgrade does."""
    holder = subprocess.Popen(
        ["ssh", *ssh_options(), "-o", "ControlPath=none", f"root@{MACHINES[node].fqdn}",
         shlex.join(["python3", "-c", HOLD_LOCK, lock])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = threading.Timer(seconds, holder.stdin.close)
    try:
        assert holder.stdout.readline() == "held\n"
        end.start()
        yield
    finally:
        end.cancel()
        holder.stdin.close()
        holder.wait(timeout=30)


@pytest.mark.parametrize("lock", ["dpkg/lock-frontend", "apt/lists/lock"])
def test_a_held_package_lock_is_waited_for(lab, lock):
    """Case 22. FAULTS_LOCK_SECONDS says for how long it is held; 180 in a full run."""
    # A package of the role's that is not there, and lists of the day before: only who needs the lock asks for it.
    lists = "/var/lib/apt/lists /var/lib/apt/periodic/update-success-stamp"
    lab.run("worker", f"dpkg --remove --force-depends socat && touch --no-create --date=yesterday {lists}")
    try:
        started = time.monotonic()
        with held(f"/var/lib/{lock}", "worker", LOCK):
            result = playbook("cluster", "--limit", WORKER.fqdn)
        assert time.monotonic() - started >= LOCK
        assert (result.status, result.failures) == (0, set())
        assert lab.run("worker", "dpkg-query --show --showformat='${db:Status-Status}' socat") == "installed"
    finally:
        lab.run("worker", "command -v socat >/dev/null || apt-get install --yes socat", timeout=180)


def test_an_interrupted_package_manager_is_helped(lab):
    """As after a power cut: dpkg wants to finish first, and apt refuses until then."""
    journal = "/var/lib/dpkg/updates/0001"
    lab.run("worker", f"dpkg --remove --force-depends socat && dpkg-query --status conntrack >{journal}")
    try:
        assert "dpkg was interrupted" in lab.ssh("worker", "apt-get install --yes socat").stderr
        result = playbook("cluster", "--limit", WORKER.fqdn)
        assert result.status == 0, result.failures
        assert lab.run("worker", "dpkg-query --show --showformat='${db:Status-Status}' socat") == "installed"
    finally:
        lab.run("worker", f"rm -f {journal}; command -v socat >/dev/null || apt-get install --yes socat", timeout=180)


def test_swap_is_turned_off_for_good(lab):
    """What images of some clouds bring: a swap file in use, and in the table for the next start."""
    entry, used = "/faults.swap none swap sw 0 0", "tail --lines=+2 /proc/swaps"
    try:
        lab.run(
            "worker",
            "cp -a /etc/fstab /etc/fstab.faults && "
            "dd if=/dev/zero of=/faults.swap bs=1M count=16 conv=fsync status=none && chmod 600 /faults.swap && "
            f"mkswap --quiet /faults.swap && swapon /faults.swap && echo '{entry}' >>/etc/fstab",
        )
        assert "/faults.swap" in lab.run("worker", used)
        result = playbook("cluster", "--limit", WORKER.fqdn)
        assert result.status == 0, result.failures
        assert lab.run("worker", used) == ""
        assert lab.run("worker", "grep /faults.swap /etc/fstab") == f"# egi.notebooks turned swap off: {entry}"
        again = playbook("cluster", "--limit", WORKER.fqdn)
        assert (again.status, again.changes) == (0, []), again.failures
        # What a start of the machine does.
        lab.ssh("worker", "systemctl daemon-reload; systemctl start swap.target; swapon --all")
        assert lab.run("worker", "systemctl show --property=LoadState --value swap.target") == "masked"
        assert lab.run("worker", used) == ""
    finally:
        lab.ssh(
            "worker",
            "swapoff /faults.swap; rm -f /faults.swap /etc/systemd/system/swap.target; "
            "mv /etc/fstab.faults /etc/fstab; systemctl daemon-reload",
        )


def internal_address(lab, node: str) -> str:
    (found,) = lab.get("node", MACHINES[node].fqdn)
    return next(item["address"] for item in found["status"]["addresses"] if item["type"] == "InternalIP")


@pytest.fixture
def second_interface(lab):
    """The worker's default route leads through another interface, with an address that no node can reach."""
    default = lab.run("worker", "ip route show default").splitlines()[0]
    lab.run(
        "worker",
        "ip link add faults0 type dummy && ip address add 192.0.2.10/24 dev faults0 && ip link set faults0 up && "
        "ip route replace default via 192.0.2.1 dev faults0",
    )
    yield
    lab.run("worker", f"ip link delete faults0; ip route replace {default}; systemctl restart kubelet")
    wait_until_sound(lab)


@pytest.mark.usefixtures("second_interface")
def test_the_address_that_the_inventory_names_is_registered(lab, tmp_path):
    """Case 20. A dummy interface stands for the second one: a lab's node has one link.

    Ansible comes by a floating address, which the machine itself does not have.
    """
    floating = {
        "ansible_host": "203.0.113.5",
        "ansible_ssh_extra_args": f"-o HostName={WORKER.address} -o HostKeyAlias={WORKER.fqdn}",
    }
    hosts = inventory(tmp_path, worker={"egi_notebooks_node_address": WORKER.address} | floating)
    result = playbook("cluster", inventory=hosts)
    assert result.status == 0, result.failures
    assert result.changes == []
    # As after a start of the machine.
    lab.run("worker", "systemctl restart kubelet")
    flannel = ("-n", "kube-flannel", "-l", "app=flannel", f"--field-selector=spec.nodeName={WORKER.fqdn}")
    lab.kubectl("delete", "pod", *flannel, "--wait=true")
    lab.kubectl("rollout", "status", "-n", "kube-flannel", "daemonset/kube-flannel", "--timeout=120s")
    time.sleep(15)
    assert internal_address(lab, "worker") == WORKER.address
    (node,) = lab.get("node", WORKER.fqdn)
    assert node["metadata"]["annotations"]["flannel.alpha.coreos.com/public-ip"] == WORKER.address
    wait_until(lambda: lab.kubectl("logs", "-n", HUB, "deployment/hub", "--tail=1"), 60, "logs of a pod on the worker")
    assert lab.kubectl("exec", "-n", HUB, "deployment/hub", "--", "echo", "works").splitlines()[-1] == "works"


SERVE = """
import socket, ssl
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
with socket.create_server(("", 8443)) as listener:
    while True:
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as stream:
                stream.sendall(bytes(10 << 20))
        except OSError as error:
            print(error, flush=True)
"""
FETCH = """
import socket, ssl, sys, time, urllib.request
started = time.monotonic()
context = ssl.create_default_context(cafile="/tls/ca.crt")
with context.wrap_socket(
    socket.create_connection((sys.argv[1], 8443), timeout=10), server_hostname="faults.lab.test"
) as stream:
    size = 0
    while block := stream.recv(1 << 16):
        size += len(block)
context = ssl.create_default_context(cafile="/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
with urllib.request.urlopen("https://kubernetes.default.svc/version", context=context, timeout=10) as answer:
    print(size, answer.status, round(time.monotonic() - started, 1))
"""


def pod(name: str, node: str, image: str, code: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "faults"},
        "spec": {
            "nodeName": MACHINES[node].fqdn,
            "tolerations": [{"operator": "Exists"}],
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "imagePullPolicy": "Always",
                    "command": ["python3", "-c", code],
                    "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
                }
            ],
            "volumes": [{"name": "tls", "secret": {"secretName": "tls", "optional": True}}],
        },
    }


def hub_image(lab) -> str:
    (hub,) = lab.get("deployment", "-n", HUB, "hub")
    return hub["spec"]["template"]["spec"]["containers"][0]["image"]


@pytest.fixture
def narrow_link(lab):
    """The worker's link takes smaller packets than the others'."""
    link = json.loads(lab.run("worker", f"ip -json address show to {WORKER.address}"))[0]["ifname"]
    lab.run("worker", f"ip link set dev {link} mtu 1400")
    yield
    lab.run("worker", f"ip link set dev {link} mtu 1500")
    assert playbook("cluster").status == 0
    lab.kubectl("rollout", "status", "-n", "kube-flannel", "daemonset/kube-flannel", "--timeout=120s")
    wait_until_sound(lab)


@pytest.mark.usefixtures("narrow_link")
def test_pods_of_all_nodes_follow_the_narrowest_link(lab, workplace, tmp_path):
    """Case 24."""
    result = playbook("cluster")
    assert result.status == 0, result.failures
    lab.kubectl("rollout", "status", "-n", "kube-flannel", "daemonset/kube-flannel", "--timeout=120s")
    files = pair(tmp_path, domain="faults.lab.test")
    data = {"tls.crt": files[CERTIFICATE], "tls.key": files[KEY], "ca.crt": str(lab.ca_file)}
    image = hub_image(lab)
    lab.kubectl_apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "tls", "namespace": workplace},
                "stringData": {name: Path(path).read_text() for name, path in data.items()},
            },
            pod("server", "edge", image, SERVE),
            pod("client", "worker", image, "import time; time.sleep(3600)"),
        ]
    )
    try:
        lab.kubectl("wait", "-n", workplace, "pod/server", "pod/client", "--for=condition=Ready", "--timeout=150s")
        for name in ("server", "client"):
            assert lab.kubectl("exec", "-n", workplace, name, "--", "cat", "/sys/class/net/eth0/mtu") == "1350"
        (server,) = lab.get("pod", "-n", workplace, "server")
        address = server["status"]["podIP"]
        answer = lab.kubectl("exec", "-n", workplace, "client", "--", "python3", "-c", FETCH, address)
        size, status, seconds = answer.split()
        assert (size, status) == (str(10 << 20), "200")
        assert float(seconds) < 20
    finally:
        lab.kubectl("delete", "pod", "-n", workplace, "server", "client", "--now")
        # The edge needs no image of the hub.
        lab.ssh("edge", f"ctr --namespace k8s.io images remove {image}")


@contextmanager
def named_in_environment(lab, proxy: str):
    """Every node's /etc/environment has the proxy, and excludes next to nothing."""
    try:
        for node in CLUSTER:
            lab.run(
                node,
                "touch /etc/environment && cp -a /etc/environment /etc/environment.faults && "
                f"printf 'http_proxy={proxy}\\nhttps_proxy={proxy}\\nno_proxy=localhost\\n' >>/etc/environment",
            )
        yield
    finally:
        for node in CLUSTER:
            lab.run(node, "mv /etc/environment.faults /etc/environment")


@contextmanager
def no_way_but_the_proxy(lab):
    """The nodes can't reach the mirror themselves, which is the Internet here."""
    route = f"unreachable {MIRROR_ADDRESS}/32"
    try:
        for node in CLUSTER:
            lab.run(
                node, f"ip route add {route} && ! curl --silent --noproxy '*' --max-time 5 https://mirror.lab.test/"
            )
        yield
    finally:
        for node in CLUSTER:
            lab.ssh(node, f"ip route delete {route}")


def test_the_cluster_s_own_ranges_are_excluded_wherever_a_proxy_is_set(lab, workplace, monkeypatch, tmp_path_factory):
    """Case 23. The checks' questions, a program, a package and an image can only come through the proxy."""
    before = containers(lab)
    proxy = f"http://{DNS_ADDRESS}:3128"
    variables = extra(egi_notebooks_http_proxy=proxy, egi_notebooks_https_proxy=proxy)
    drop_in = "/etc/systemd/system/containerd.service.d/egi-notebooks-proxy.conf"
    program = "/var/lib/egi-notebooks/artifacts/cni-plugins.json"
    try:
        with (
            site_proxy(DNS_ADDRESS) as seen,
            named_in_environment(lab, proxy),
            no_way_but_the_proxy(lab),
            monkeypatch.context() as patch,
        ):
            # Connections of their own: those that Ansible keeps open know the old environment.
            patch.setenv("ANSIBLE_SSH_CONTROL_PATH_DIR", str(tmp_path_factory.mktemp("ssh")))
            assert lab.run("worker", "echo $https_proxy") == proxy
            # As after an init that was interrupted: the role has kubeadm write the control plane anew.
            manifests = "stat --format='%n %y' /etc/kubernetes/manifests/*"
            old = lab.run("master", f"echo started >/etc/kubernetes/egi-notebooks-init && {manifests}").splitlines()
            # Without its record a program is fetched again, and the package once more as well.
            lab.run("worker", f"rm {program} && dpkg --remove --force-depends socat && apt-get clean")
            result = playbook("site", *variables)
            assert result.status == 0, result.failures
            assert "CONNECT mirror.lab.test:443" in seen
            installed = "dpkg-query --show --showformat='${db:Status-Status}' socat"
            assert lab.run("worker", f"test -e {program} && {installed}") == "installed"
            for node in CLUSTER:
                (excluded,) = re.findall(r'NO_PROXY=([^"]*)', lab.run(node, f"cat {drop_in}"))
                for part in ("10.244.0.0/16", "10.96.0.0/12", "10.77.0.0/24", ".svc", ".cluster.local", "localhost"):
                    assert part in excluded.split(","), (node, part)
            # The control plane and kube-proxy know no proxy.
            new = lab.run("master", f"{manifests} && ! grep -riE 'https?_proxy' /etc/kubernetes/manifests").splitlines()
            assert len(new) == len(old) == 4
            assert not set(new) & set(old)
            daemon_set = lab.kubectl("get", "daemonset", "-n", "kube-system", "kube-proxy", "--output=yaml")
            assert not re.search("https?_proxy", daemon_set, re.IGNORECASE)
            assert [request for request in seen if leads_into_the_cluster(request)] == []
            # An image is asked for through the proxy, and what the API asks of nodes is not.
            seen.clear()
            lab.kubectl_apply(pod("pull", "worker", hub_image(lab), "import time; time.sleep(3600)"))
            lab.kubectl("wait", "-n", workplace, "pod/pull", "--for=condition=Ready", "--timeout=90s")
            assert "CONNECT mirror.lab.test:443" in seen
            assert lab.kubectl("get", "--raw", f"/api/v1/nodes/{WORKER.fqdn}/proxy/metrics/resource")
            wait_until_sound(lab)
            assert [request for request in seen if leads_into_the_cluster(request)] == []
    finally:
        after = playbook("site")
    assert after.status == 0, after.failures
    for node in CLUSTER:
        lab.run(node, f"test ! -e {drop_in}")
        environment = "tr '\\0' '\\n' </proc/$(systemctl show --property=MainPID --value containerd)/environ"
        assert "proxy" not in lab.run(node, environment).lower()
    now = containers(lab)
    assert {name: now.get(name) for name in before} == before
