# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module tells about a machine that is made of files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.egi.notebooks.plugins.action.node_facts import clock_skew
from ansible_collections.egi.notebooks.plugins.modules import node_facts

FILES = {
    "proc/sys/kernel/hostname": "worker1.example.org\n",
    "etc/machine-id": "0af3c2d1b4e54f6a8c7d9e0f1a2b3c4d\n",
    "etc/os-release": 'PRETTY_NAME="Ubuntu 24.04 LTS"\nID=ubuntu\nVERSION_ID="24.04"\n',
    "proc/1/comm": "sysvinit\n",
    "proc/meminfo": "MemTotal:        4026532 kB\nMemFree:  1 kB\nSwapTotal: 0 kB\n",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n",
}
LINKS = [
    {
        "ifname": "lo",
        "flags": ["LOOPBACK", "UP"],
        "mtu": 65536,
        "address": "00:00:00:00:00:00",
        "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}],
    },
    {
        "ifname": "eth0",
        "flags": ["UP"],
        "mtu": 1500,
        "address": "02:00:00:00:00:0b",
        "addr_info": [
            {"family": "inet", "local": "10.0.2.15", "prefixlen": 24},
            {"family": "inet6", "local": "fe80::1", "prefixlen": 64},
        ],
    },
    {
        "ifname": "eth1",
        "flags": ["UP"],
        "mtu": 1400,
        "address": "02:00:00:00:00:0c",
        "addr_info": [
            {"family": "inet", "local": "192.0.2.11", "prefixlen": 24},
            {"family": "inet", "local": "192.0.2.12", "prefixlen": 24},
        ],
    },
    {"ifname": "veth1", "flags": ["UP"], "mtu": 1450, "address": "ee:ee:ee:ee:ee:ee", "addr_info": []},
    {},
]
#: Port 10250 (280A) of process 7, 2049 (0801) of the kernel, a connection, and UDP port 53.
SOCKETS = {
    "tcp": "  sl local rem st\n"
    "   0: 00000000:0801 00000000:0000 0A 0:0 0:0 0 0 0 20 1\n"
    "   1: 0100007F:BEEF 0100007F:280A 01 0:0 0:0 0 0 0 21 1\n",
    "tcp6": "  sl local rem st\n   0: 00000000000000000000000000000000:280A 0:0 0A 0:0 0:0 0 0 0 22 1\n",
    "udp": "  sl local rem st\n   0: 3500007F:0035 00000000:0000 07 0:0 0:0 0 0 0 23 1\n",
}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of files; returns a function that adds some."""
    monkeypatch.setattr(node_facts, "ROOT", str(tmp_path))

    def add(files):
        for path, content in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(content)
        return tmp_path

    add(FILES)
    return add


def test_system(machine):
    system = node_facts.system()
    assert system | {"architecture": "", "processors": 0} == {
        "nodename": "worker1.example.org",
        "machine_id": "0af3c2d1b4e54f6a8c7d9e0f1a2b3c4d",
        "distribution": "ubuntu",
        "distribution_version": "24.04",
        "architecture": "",
        "service_manager": "sysvinit",
        "memory_mb": 3932,
        "processors": 0,
        "is_node": False,
        "packages_interrupted": False,
        "container_engines": [],
        "artifacts": [],
    }
    assert system["processors"] >= 1
    machine({"run/systemd/system/x": "", "etc/kubernetes/kubelet.conf": ""})
    assert node_facts.system()["service_manager"] == "systemd"
    assert node_facts.system()["is_node"]
    machine({"usr/bin/dockerd": "", "usr/local/bin/containerd": ""})
    assert node_facts.system()["container_engines"] == ["/usr/bin/dockerd"]


def test_what_was_installed(machine):
    folder = "var/lib/egi-notebooks/artifacts"
    machine({f"{folder}/runc.json": "{}", f"{folder}/containerd.json": "{}", f"{folder}/kubelet.json.new": "{}"})
    assert node_facts.system()["artifacts"] == ["containerd", "runc"]


NO_CLUSTER = {"api": "", "admin_api": "", "ca": "", "control_plane": [], "initialised": False}


def test_a_node_tells_its_cluster(machine):
    assert node_facts.cluster() == NO_CLUSTER
    config = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: eA==\n    server: {}\n  name: x\n"
    machine({"etc/kubernetes/bootstrap-kubelet.conf": config.format("https://192.0.2.1:6443")})
    assert node_facts.cluster() == NO_CLUSTER | {"api": "https://192.0.2.1:6443"}
    machine(
        {
            "etc/kubernetes/kubelet.conf": config.format('"https://kube.example.org:6443"'),
            "etc/kubernetes/pki/ca.crt": "CA\n",
        }
    )
    assert node_facts.cluster() == NO_CLUSTER | {
        "api": "https://kube.example.org:6443",
        "ca": hashlib.sha256(b"CA").hexdigest(),
    }


@pytest.mark.parametrize("file", ["etc/kubernetes/egi-notebooks-init", "etc/kubernetes/egi-notebooks-kubeadm.yml"])
def test_a_master_tells_who_made_it(machine, file):
    machine(
        {
            "etc/kubernetes/admin.conf": "    server: https://192.0.2.1:6443\n",
            "etc/kubernetes/manifests/kube-apiserver.yaml": "",
            "var/lib/etcd/member/x": "",
        }
    )
    master = NO_CLUSTER | {
        "admin_api": "https://192.0.2.1:6443",
        "control_plane": [
            "/etc/kubernetes/admin.conf",
            "/etc/kubernetes/manifests/kube-apiserver.yaml",
            "/var/lib/etcd/member",
        ],
    }
    assert node_facts.cluster() == master
    # Also an empty one, as after a power cut.
    machine({file: ""})
    assert node_facts.cluster() == master | {"initialised": True}


def test_packages_that_are_there_as_a_whole(machine):
    entries = (
        "Package: bash\nEssential: yes\nStatus: install ok installed\nDescription: a shell\n of GNU",
        "Package: socat\nStatus: deinstall ok config-files\nConffiles:\n /etc/x 0",
        "Package: ethtool\nStatus: hold ok installed",
        "Package: kmod\nStatus: install ok half-configured",
        "Package: iptables\nStatus: install reinstreq installed",
        "Package: apt\nStatus: install ok installed",
    )
    machine({"var/lib/dpkg/status": "\n\n".join(entries) + "\n"})
    assert node_facts.installed(["ethtool", "apt", "bash", "kmod", "socat", "iptables"]) == ["apt", "bash", "ethtool"]


def test_the_packages_of_all_roles_are_of_interest(root):
    wanted = set()
    for role in ("kube_node", "nfs_server"):
        wanted |= set(yaml.safe_load((root / f"roles/{role}/vars/main.yml").read_text())[f"__{role}_packages"])
    for path in (root / "roles").glob("*/tasks/*.yml"):
        for task in yaml.safe_load(path.read_text()):
            name = task.get("ansible.builtin.apt", {}).get("name", "")
            wanted |= set() if "{{" in name else {name} - {""}
    assert wanted == set(node_facts.PACKAGES)


def test_a_kubelet_that_was_put_in_place_by_hand_is_asked(machine, tmp_path):
    def version() -> str:
        def run_command(command, handle_exceptions):
            assert not handle_exceptions
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            return answer.returncode, answer.stdout, answer.stderr

        return node_facts.kubelet_version(run_command)

    path, record = "usr/local/bin/kubelet", "var/lib/egi-notebooks/artifacts/kubelet.json"
    for broken in ('{"version": "1.3', "{}", "[]", '{"version": "1.36.3", "path": "/usr/local/bin/kubelet"}'):
        machine({record: broken})
        assert version() == ""
    machine({path: "#!/bin/sh\necho Kubernetes v1.37.1\n"})
    (kubelet,) = tmp_path.rglob("kubelet")
    kubelet.chmod(0o755)
    status = kubelet.stat()
    files = {f"/{path}": [status.st_size, status.st_mtime_ns]}
    installed = {"version": "1.36.3", "path": f"/{path}", "files": files}
    machine({record: json.dumps(installed)})
    assert version() == "1.36.3"
    machine({record: json.dumps(installed | {"files": {f"/{path}": [1, 2]}})})
    assert version() == "1.37.1"
    kubelet.write_text("#!/bin/sh\nexit 1\n")
    assert version() == ""


def test_ranges_of_the_control_plane_that_is_there(machine):
    unknown = {"pods": "", "services": ""}
    assert node_facts.cluster_networks() == unknown
    command = "spec:\n  containers:\n  - command:\n    - "
    folder = "etc/kubernetes/manifests"
    controller = f"{folder}/kube-controller-manager.yaml"
    machine({controller: f"{command}x\n    - --cluster-cidr=10.244.0.0/16\n    - --cluster-name=k\n"})
    assert node_facts.cluster_networks() == unknown | {"pods": "10.244.0.0/16"}
    machine({f"{folder}/kube-apiserver.yaml": f"{command}--service-cluster-ip-range=10.96.0.0/12\n    image: x\n"})
    known = {"pods": "10.244.0.0/16", "services": "10.96.0.0/12"}
    assert node_facts.cluster_networks() == known
    # Its making was interrupted, and is begun anew with other ranges.
    machine({"etc/kubernetes/egi-notebooks-init": "started\n"})
    assert node_facts.cluster_networks() == unknown
    machine({"etc/kubernetes/egi-notebooks-init": "finished\n"})
    assert node_facts.cluster_networks() == known


def test_an_interrupted_package_manager_is_seen(machine):
    machine({"var/lib/dpkg/updates/tmp.i": ""})
    assert not node_facts.system()["packages_interrupted"]
    machine({"var/lib/dpkg/updates/0001": ""})
    assert node_facts.system()["packages_interrupted"]


def test_a_machine_that_tells_nothing_is_no_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(node_facts, "ROOT", str(tmp_path))
    assert node_facts.system()["memory_mb"] == 0
    assert node_facts.swap() == {"active": [], "fstab": [], "units": [], "unknown": []}
    assert node_facts.cluster() == NO_CLUSTER
    assert node_facts.listeners() == []


def test_swap_wherever_it_comes_from(machine):
    generated = "[Unit]\nSourcePath=/etc/fstab\n"
    root = machine(
        {
            "proc/swaps": "Filename Type Size\n/swap.img file 1 0 -2\n/dev/zram0 partition 1 0 100\n",
            "etc/fstab": "# /old none swap sw 0 0\nUUID=1 / ext4 defaults 0 1\n /swap.img none swap sw 0 0\n\nodd\n",
            "run/systemd/generator/swap.img.swap": generated,
            "run/systemd/generator/swap.target.requires/swap.img.swap": generated,
            "run/systemd/generator/swap.target.wants/dev-zram0.swap": "",
            "etc/systemd/system/multi-user.target.wants/zramswap.service": "",
            "etc/systemd/system/multi-user.target.wants/ssh.service": "",
            "usr/lib/systemd/system/idle.swap": "",
        }
    )
    assert node_facts.swap() == {
        "active": ["/swap.img", "/dev/zram0"],
        "fstab": ["/swap.img"],
        "units": ["dev-zram0.swap", "zramswap.service"],
        "unknown": [],
    }
    os.symlink("/dev/null", root / "etc/systemd/system/zramswap.service")
    assert node_facts.swap()["units"] == ["dev-zram0.swap"]
    os.symlink("/dev/null", root / "etc/systemd/system/swap.target")
    assert node_facts.swap()["units"] == []


def test_swap_that_nobody_accounts_for(machine):
    def unknown():
        return node_facts.swap()["unknown"]

    active = ("/root/swap", "/swap.img", "/dev/sda2", "/dev/sda3", "/dev/dm-1", "/dev/zram0", "/old")
    lines = "".join(f"{name} partition 1 0 -2\n" for name in active)
    root = machine(
        {
            "proc/swaps": "Filename Type Size\n" + lines,
            "etc/fstab": "/swap.img none swap sw 0 0\nUUID=5-6 none swap sw 0 0\n/dev/mapper/swap none swap sw 0 0\n"
            # By a run that was killed before it turned swap off.
            "# egi.notebooks turned swap off: /old none swap sw 0 0\n#/root/swap none swap sw 0 0\n",
            "run/systemd/generator.late/dev-disk-by\\x2dlabel-s.swap": "[Swap]\n",
            "run/systemd/generator/x.swap": "[Swap]\nWhat=/dev/zram0\n",
        }
        | {f"dev/{name}": "" for name in ("sda2", "sda3", "dm-1", "disk/by-uuid/x", "disk/by-label/x", "mapper/x")}
    )
    os.symlink("../../sda2", root / "dev/disk/by-uuid/5-6")
    os.symlink("../../sda3", root / "dev/disk/by-label/s")
    os.symlink("../dm-1", root / "dev/mapper/swap")
    assert unknown() == ["/root/swap"]
    # It may be this service's.
    machine({"etc/systemd/system/multi-user.target.wants/dphys-swapfile.service": ""})
    assert unknown() == []


def test_addresses():
    own = node_facts.addresses(LINKS)
    assert own[0] == {
        "address": "10.0.2.15",
        "prefix": 24,
        "network": "10.0.2.0/24",
        "interface": "eth0",
        "mac": "02:00:00:00:00:0b",
        "mtu": 1500,
    }
    assert [(item["address"], item["mtu"]) for item in own[1:]] == [("192.0.2.11", 1400), ("192.0.2.12", 1400)]


@pytest.mark.parametrize(
    ("interface", "is_own"), [("cni0", False), ("flannel.1", False), ("kube-ipvs0", False), ("kubenet", True)]
)
def test_addresses_that_a_cluster_s_network_brings_are_not_the_machine_s_own(interface, is_own):
    link = LINKS[1] | {"ifname": interface}
    assert bool(node_facts.addresses([link])) is is_own


@pytest.mark.parametrize(
    ("routes", "address"),
    [
        ([{"dst": "default", "dev": "eth1"}], "192.0.2.11"),
        ([{"dst": "default", "dev": "eth1", "prefsrc": "192.0.2.12"}], "192.0.2.12"),
        ([{"dst": "default", "dev": "eth1", "metric": 200}, {"dev": "eth0", "metric": 100}], "10.0.2.15"),
        ([{"dst": "default", "nexthops": []}], None),
        ([], None),
    ],
)
def test_default_route(routes, address):
    assert node_facts.default_address(routes, node_facts.addresses(LINKS)).get("address") == address


def test_listeners(machine):
    root = machine({f"proc/net/{name}": text for name, text in SOCKETS.items()} | {"proc/7/comm": "kubelet\n"})
    (root / "proc/7/fd").mkdir()
    for number, target in enumerate(("/dev/null", "socket:[21]", "socket:[22]")):
        os.symlink(target, root / f"proc/7/fd/{number}")
    assert node_facts.listeners() == [
        {"protocol": "tcp", "port": 2049, "process": ""},
        {"protocol": "tcp", "port": 10250, "process": "kubelet"},
        {"protocol": "udp", "port": 53, "process": ""},
    ]


def test_space_of_a_directory_that_is_not_there_yet(tmp_path):
    assert node_facts.disk(str(tmp_path / "a/b")) == node_facts.disk(str(tmp_path))
    assert node_facts.disk("/")["total_mb"] >= node_facts.disk("/")["free_mb"] > 0


@pytest.mark.parametrize("path", ["data", ""])
def test_a_relative_path_is_refused(capsys, path):
    with patch_module_args({"paths": ["/", path]}), pytest.raises(SystemExit):
        node_facts.main()
    assert json.loads(capsys.readouterr().out)["msg"] == f"The path {path!r} is not absolute."


def test_one_call_tells_it_all(machine, monkeypatch, capsys, tmp_path):
    answers = {"address": LINKS, "route": [{"dst": "default", "dev": "eth0"}]}
    monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda *_, **__: "ip")
    monkeypatch.setattr(AnsibleModule, "run_command", lambda _, argv, **__: (0, json.dumps(answers[argv[2]]), ""))
    with (
        patch_module_args({"paths": [str(tmp_path)], "_ansible_check_mode": True}),
        pytest.raises(SystemExit),
    ):
        node_facts.main()
    result = json.loads(capsys.readouterr().out)
    node = result["ansible_facts"]["egi_notebooks_node"]
    assert result["changed"] is False
    assert node["default_ipv4"]["address"] == "10.0.2.15"
    assert node["cluster_networks"] == {"pods": "", "services": ""}
    assert list(node["disks"]) == [str(tmp_path)]
    assert abs(node["clock"]["time"] - time.time()) < 5
    assert node["clock"]["synchronised"] in (True, False, None)


@pytest.mark.parametrize(
    ("node", "skew"), [(100.0, 0.0), (101.5, 0.0), (102.0, 0.0), (110.25, 8.25), (90.0, -10.0), (99.9, -0.1)]
)
def test_what_the_connection_takes_is_no_skew(node, skew):
    assert clock_skew(node, before=100.0, after=102.0) == skew
