# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles' checks say to each kind of machine, and that one run of the playbook says it all."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible.parsing.dataloader import DataLoader

ETH0 = {
    "address": "192.0.2.11",
    "prefix": 24,
    "network": "192.0.2.0/24",
    "interface": "eth0",
    "mac": "02:00:00:00:00:0b",
    "mtu": 1500,
}
ETH1 = ETH0 | {"address": "10.0.0.11", "network": "10.0.0.0/24", "interface": "eth1", "mac": "02:00:00:00:00:0c"}
MACHINE = {
    "nodename": "a.example.org",
    "machine_id": "1",
    "distribution": "debian",
    "distribution_version": "13",
    "architecture": "x86_64",
    "service_manager": "systemd",
    "memory_mb": 2000,
    "processors": 2,
    "is_node": False,
    "cluster_networks": {"pods": "", "services": ""},
    "cluster": {"api": "", "admin_api": "", "ca": "", "control_plane": [], "initialised": False},
    "artifacts": [],
    "kubelet_version": "",
    "packages": [],
    "packages_interrupted": False,
    "container_engines": [],
    "swap": {"active": [], "fstab": [], "units": [], "unknown": []},
    "addresses": [ETH0, ETH1],
    "default_ipv4": ETH0,
    "disks": {"/var/lib/containerd": {"total_mb": 12000, "free_mb": 9000}},
    "listeners": [],
    "clock": {"time": 1.0, "synchronised": True, "skew": 0.0, "uncertainty": 1.0},
}
GROUPS = {"masters": ["a"], "edges": ["b"], "workers": ["c"], "nfs_servers": ["d"], "all": ["a", "b", "c", "d"]}


def port(number, process):
    return {"protocol": "tcp", "port": number, "process": process}


@pytest.fixture
def say(render_role):
    """Return a function that gives what a role's checks say to a machine like MACHINE, but for these facts."""

    def call(role, facts=(), others=(), **variables):
        machine = MACHINE | dict(facts)
        known = {"a": machine} | dict(others)
        site = {
            "groups": GROUPS,
            "inventory_hostname": "a",
            # Of b, c and d this run knows nothing, as with --limit.
            "hostvars": {host: {"ansible_facts": {"egi_notebooks_node": facts}} for host, facts in known.items()}
            | {host: {} for host in GROUPS["all"] if host not in known},
            "ansible_facts": {"egi_notebooks_node": machine},
        }
        return render_role(role, f"__{role}_bad_inputs + __{role}_findings", **(site | variables))

    return call


def test_a_good_machine_passes(say):
    assert say("nfs_server") == []


def test_a_finished_host_s_own_programs_are_no_problem(say):
    listeners = [
        *(port(number, "etcd") for number in (2379, 2380)),
        port(6443, "kube-apiserver"),
        port(10257, "kube-controller"),
        port(10259, "kube-scheduler"),
        port(10248, "kubelet"),
        port(10250, "kubelet"),
        port(9080, "netpol"),
        port(9100, "node_exporter"),
        port(80, "traefik"),
        port(443, "traefik"),
        port(9101, "traefik"),
        port(2049, ""),
        port(8472, "") | {"protocol": "udp"},
    ]
    facts = {
        "listeners": listeners,
        "is_node": True,
        "cluster": {
            "api": "https://192.0.2.11:6443",
            "admin_api": "https://192.0.2.11:6443",
            "ca": "1",
            "control_plane": ["/etc/kubernetes/admin.conf"],
            "initialised": True,
        },
        "disks": {"/var/lib/etcd": {"total_mb": 12000, "free_mb": 100}},
    }
    assert say("nfs_server", facts) == []


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"distribution": "rocky"}, "operating system is rocky 13; allowed are"),
        ({"service_manager": "sysvinit"}, "service manager is sysvinit; allowed is systemd"),
        ({"clock": MACHINE["clock"] | {"skew": 6}}, "clock is at least 6.0 s ahead of the control"),
        ({"listeners": [port(2049, "ganesha.nfsd")]}, "port 2049 is taken by ganesha.nfsd; allowed is the kernel's"),
    ],
)
def test_a_bad_nfs_server_is_refused_with_one_sentence(say, facts, sentence):
    (problem,) = say("nfs_server", facts)
    assert problem.startswith(sentence)


def test_an_nfs_server_in_the_cluster_s_ranges_or_with_a_node_s_identity_is_refused(say):
    inside = {"addresses": [ETH0 | {"address": "10.244.3.9", "network": "10.244.3.0/24"}]}
    sentence = "egi_notebooks_pod_cidr is '10.244.0.0/16'; allowed is a network that no machine is in, eth0 is in 10.24"
    alone = {"inventory_hostname": "d", "others": {}}
    (problem,) = say("nfs_server", inside, **alone)
    assert problem.startswith(sentence)
    assert say("nfs_server", inside, **alone, egi_notebooks_pod_cidr="172.20.0.0/16") == []
    services = {"egi_notebooks_pod_cidr": "172.20.0.0/16", "egi_notebooks_service_cidr": "10.244.0.0/16"}
    (problem,) = say("nfs_server", inside, **alone, **services)
    assert problem.startswith("egi_notebooks_service_cidr is '10.244.0.0/16'; allowed is a network that no machine is")
    copy = MACHINE | {"nodename": "d", "addresses": [ETH0 | {"mac": "x"}]}
    (problem,) = say("nfs_server", others={"d": copy}, inventory_hostname="d")
    assert problem.startswith("machine-id is 1 on a and d; allowed is one of its own for each")


def test_of_an_nfs_server_that_is_a_node_the_node_s_checks_tell_it(say):
    inside = {"addresses": [ETH0 | {"network": "10.244.3.0/24"}]}
    twin = {"others": {"b": MACHINE | {"addresses": []}}}
    assert say("nfs_server", inside, **twin) == []
    assert len(say("kube_node", inside, **twin)) == 3


def test_a_disk_that_cannot_be_read_is_told_once(say):
    failed = {"rc": 1, "stderr": "no such file", "stdout": ""}
    (problem,) = say("nfs_server", nfs_server_disk="/dev/x", __nfs_server_wipefs=failed)
    assert problem.startswith('nfs_server_disk is "/dev/x", which the machine can\'t read (no such file); allowed is')


def test_an_empty_disk_must_not_hide_homes(say):
    empty = {"rc": 0, "stdout": ""}
    at = {"nfs_server_disk": "/dev/vdb", "__nfs_server_wipefs": empty}
    assert say("nfs_server", **at, __nfs_server_hidden={"stdout": ""}) == []
    (problem,) = say("nfs_server", **at, __nfs_server_hidden={"stdout": "/srv/homes/anna"})
    assert problem.startswith('nfs_server_disk is "/dev/vdb", an empty disk, and /srv/homes holds files that it would')


def test_an_empty_disk_must_not_take_the_place_of_one_that_is_missing(say):
    at = {"nfs_server_disk": "/dev/vdb", "__nfs_server_wipefs": {"rc": 0, "stdout": ""}}
    assert say("nfs_server", **at, __nfs_server_expected={"stdout": "", "rc": 1}) == []
    (problem,) = say("nfs_server", **at, __nfs_server_expected={"stdout": "UUID=1", "rc": 0})
    assert problem.startswith('nfs_server_disk is "/dev/vdb", an empty disk, and by /etc/fstab /srv/homes is on UUID=1')


@pytest.mark.parametrize(
    ("label", "said", "unfinished"),
    [
        ("egi-homes", ["inprogress = 1", "icount = 0", "ifree = 0"], True),
        ("egi-homes", ["inprogress = 1", "icount = 64", "ifree = 61"], True),
        # A copy of a file system with one file, which was interrupted.
        ("egi-homes", ["inprogress = 1", "icount = 64", "ifree = 60"], False),
        ("egi-homes", ["inprogress = 0", "icount = 64", "ifree = 61"], False),
        # xfs_db says nothing.
        ("egi-homes", [], False),
        ("others", ["inprogress = 1", "icount = 0", "ifree = 0"], False),
    ],
)
def test_a_file_system_is_made_anew_only_if_that_was_never_finished(render_role, label, said, unfinished):
    signature = {"type": "xfs", "label": label, "uuid": "1"}
    looks = {
        "__nfs_server_wipefs": {"rc": 0, "stdout": json.dumps({"signatures": [signature]})},
        "__nfs_server_superblock": {"stdout_lines": said},
    }
    assert render_role("nfs_server", "__nfs_server_disk_is_unfinished", **looks) is unfinished


def test_clients_mount_by_addresses_of_their_own(say):
    client = MACHINE | {"addresses": [ETH0 | {"address": "192.0.2.12"}]}
    known = {"b": client, "c": client}
    names = {"stdout_lines": ["192.0.2.12      STREAM b"]}
    assert say("nfs_server", others=known, __nfs_server_names=names) == []
    names = {"stdout_lines": ["203.0.113.7     STREAM b", "192.0.2.12      STREAM c"]}
    (problem,) = say("nfs_server", others=known, __nfs_server_names=names)
    assert "203.0.113.7 is the address here and no address of the machine itself" in problem
    # Of c this run knows nothing.
    assert say("nfs_server", others={"b": client}, __nfs_server_names=names) == []


@pytest.mark.parametrize(
    ("facts", "leads_to", "sentences"),
    [
        ({}, "203.0.113.7", []),
        ({"egi_notebooks_node": MACHINE}, "192.0.2.11", []),
        ({"egi_notebooks_node": MACHINE}, "127.0.1.1", []),
        (
            {"egi_notebooks_node": MACHINE},
            "203.0.113.7",
            ['nfs_volumes_server is "d", which leads to 203.0.113.7 and to no address of d itself; allowed is one by'],
        ),
    ],
)
def test_users_mount_from_an_address_of_the_nfs_server_s_own(render_role, facts, leads_to, sentences):
    site = {"groups": GROUPS, "hostvars": {"d": {"ansible_facts": facts}}}
    answer = {"rc": 0, "stdout_lines": [f"{leads_to}     STREAM d", f"{leads_to}     DGRAM"]}
    problems = render_role("nfs_volumes", "__nfs_volumes_bad_inputs", **site, __nfs_volumes_lookup=answer)
    assert len(problems) == len(sentences)
    assert all(map(str.startswith, problems, sentences))


def test_users_mount_from_the_address_that_the_inventory_names(render_role):
    site = {"groups": GROUPS, "hostvars": {"d": {"kube_node_address": "192.0.2.11"}}}
    assert render_role("nfs_volumes", "nfs_volumes_server", **site) == "192.0.2.11"
    assert render_role("nfs_volumes", "nfs_volumes_server", **(site | {"hostvars": {"d": {}}})) == "d"
    assert render_role("nfs_volumes", "nfs_volumes_server", groups={}, hostvars={}) == ""


@pytest.mark.parametrize(
    ("role", "variable"), [("jupyterhub", "jupyterhub_db_node"), ("prometheus", "prometheus_node")]
)
def test_a_volume_s_node_goes_by_its_host_name(render_role, role, variable):
    def say(name, *known, **site):
        machines = {
            host: {"ansible_facts": {"egi_notebooks_node": {"nodename": f"{host}.site"}}} if host in known else {}
            for host in GROUPS["all"]
        }
        site = {"groups": GROUPS, "hostvars": machines} | site
        told = render_role(role, f"__{role}_checks", **{variable: name}, **site, **SITE)
        return [check["problem"] for check in told if check["problem"].startswith(variable) and not check["ok"]]

    (problem,) = say("c", "a", "b", "c")
    assert problem == f'{variable} is "c"; allowed is the host name of a node (a.site, b.site, c.site), or nothing'
    assert say("c.site", "a", "b", "c") == say("", "a", "b", "c") == []
    # Of a this run knows nothing, as with --limit; the role asks the cluster.
    assert say("c", "b", "c") == say("c", groups={}) == []


def test_the_metrics_node_is_one_and_their_volume_stays(render_role):
    def problems(*volumes, **variables):
        nodes = [{"kind": "Node", "metadata": {"name": name}, "spec": {}} for name in ("w1", "w2")]
        cluster = {"stdout": json.dumps({"items": [*nodes, *volumes]})}
        return render_role("prometheus", "__prometheus_volume_problems", __prometheus_cluster=cluster, **variables)

    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["w2"]}]}
    there = {
        "kind": "PersistentVolume",
        "metadata": {"name": "monitoring-prometheus"},
        "spec": {
            "hostPath": {"path": "/var/lib/egi-notebooks/prometheus"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        },
    }
    assert problems() == problems(there) == problems(there, prometheus_node="w2") == []
    (problem,) = problems(prometheus_node="w3")
    assert problem == 'prometheus_node is "w3"; allowed is the name of a node of the cluster (w1, w2), or nothing'
    for changed in ({"prometheus_node": "w1"}, {"prometheus_path": "/srv/metrics"}):
        (problem,) = problems(there, **changed)
        assert 'allowed are "w2" and "/var/lib/egi-notebooks/prometheus", where the volume' in problem


def test_the_homes_volume_stays_as_it_is(render_role):
    spec = {"nfs": {"server": "d", "path": "/srv/homes"}, "claimRef": {"namespace": "jupyterhub", "name": "homes"}}
    volume = {"kind": "PersistentVolume", "spec": spec, "status": {"phase": "Bound"}}
    claim = {"kind": "PersistentVolumeClaim", "spec": {"resources": {"requests": {"storage": "1Ti"}}}}

    def problems(*items, **variables):
        told = {"stdout": json.dumps({"items": items})}
        site = {"nfs_volumes_server": "d", "__nfs_volumes_cluster": told} | variables
        return render_role("nfs_volumes", "__nfs_volumes_moves", **site)

    assert problems() == problems(volume, claim) == problems(volume, claim, nfs_volumes_size="1024Gi") == []
    (problem,) = problems(volume, claim, nfs_volumes_server="e")
    assert problem.startswith(
        'nfs_volumes_server is "e" and nfs_volumes_path is "/srv/homes"; allowed are "d" and "/srv/homes" of the volume'
    )
    assert len(problems(volume, egi_notebooks_homes_path="/homes")) == 1
    (problem,) = problems(volume, claim, nfs_volumes_size="2Ti")
    assert problem.startswith('nfs_volumes_size is "2Ti"; allowed is "1Ti" of the claim homes, which Kubernetes never')
    # A claim that is made anew may have another size.
    assert problems(volume, nfs_volumes_size="2Ti") == []
    (problem,) = problems(volume, nfs_volumes_namespace="second")
    assert problem.startswith('nfs_volumes_namespace is "second"; allowed is "jupyterhub", whose claim has the volume')
    # Nobody has it any more.
    assert problems(volume | {"status": {"phase": "Released"}}, nfs_volumes_namespace="second") == []


def test_a_certificate_of_another_system_is_stored_as_servers_read_it(render_role, tmp_path):
    files = {name: tmp_path / name for name in ("edge_ingress_certificate_file", "edge_ingress_key_file")}
    for path in files.values():
        path.write_bytes("\ufeff-----BEGIN X-----\r\n  QUJD \r\n-----END X-----\r\n".encode())
    site = {name: str(path) for name, path in files.items()}
    for name in ("__edge_ingress_certificate", "__edge_ingress_key"):
        assert render_role("edge_ingress", name, **site) == "-----BEGIN X-----\nQUJD\n-----END X-----"


def test_all_about_the_edge_is_told_at_once(render_role, tmp_path):
    binary = tmp_path / "tls.der"
    binary.write_bytes(b"\x30\x82\xff\xfe")
    problems = render_role(
        "edge_ingress",
        "__edge_ingress_bad_inputs",
        egi_notebooks_domain="notebooks.invalid",
        egi_notebooks_ca_file="/no/ca",
        edge_ingress_tls="provided",
        edge_ingress_certificate_file=str(binary),
        edge_ingress_key_file=str(binary),
        edge_ingress_tls_min_version="1.0",
    )
    assert [problem.split(" is ")[0] for problem in problems] == [
        "egi_notebooks_ca_file",
        "edge_ingress_tls_min_version",
        "egi_notebooks_domain",
        "edge_ingress_certificate_file",
    ]
    assert "The certificate file holds no certificate" in problems[-1]
    assert "The private key file holds no key" in problems[-1]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            {"unreachable": True, "msg": "Connection refused"},
            "machine does not answer: Connection refused; allowed is one that Ansible can log in to and be root on",
        ),
        (
            {"failed": False, "msg": 'Failed to find required executable "ip"'},
            'machine could not be asked: Failed to find required executable "ip"; allowed is one on which Ansible can',
        ),
        ({"ansible_facts": {}}, None),
        ({"skipped": True}, None),
    ],
)
def test_a_machine_that_answers_is_not_called_silent(root, evaluate, answer, sentence):
    path = root / "playbooks/vars/preflight.yml"
    variables = DataLoader().load_from_file(str(path), trusted_as_template=True)
    told = evaluate("egi_notebooks_silence", variables | {"egi_notebooks_machine": answer})
    assert [problem[: len(sentence)] for problem in told] == ([sentence] if sentence else [])


# --- The playbook, on hosts that are this machine ---
SITE = {
    "egi_notebooks_domain": "notebooks.invalid",
    "egi_notebooks_vos": ["vo.a"],
    "egi_notebooks_mirror": "http://127.0.0.1:9",
    "jupyterhub_oauth": {"client_id": "x", "issuer": "https://127.0.0.1:9/auth/realms/egi"},
    "jupyterhub_oauth_client_secret": "correct-horse-battery-staple",
}
# Named, since a machine need not have a way out, by which the default is chosen.
LINKS = json.loads(subprocess.check_output(["ip", "-json", "-4", "address", "show", "up"]))
OWN = next(link["addr_info"][0]["local"] for link in LINKS if "LOOPBACK" not in link["flags"])
# Made of a variable that other hosts don't have.
ENDPOINT = "{{ kube_master_address }}:6443"
MACHINES = {
    "masters": {
        "hosts": {
            "m": {
                "kube_node_address": OWN,
                "kube_master_endpoint": ENDPOINT,
                "kube_master_pod_mtu": 9999,
                "jupyterhub_db_path": "hub",
            }
        }
    },
    "edges": {
        "hosts": {
            "e": {
                "kube_node_address": "203.0.113.5",
                "kube_node_containerd_version": "2",
                "kube_node_extra_images": ["quay.io/team/more:1"],
            }
        }
    },
    "workers": {
        "hosts": {
            "w": {"kube_node_address": "203.0.113.5"},
            "odd": {"kube_node_minimum_memory": "much"},
            "gone": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9},
        }
    },
    "nfs_servers": {"hosts": {"n": {"nfs_server_path": "homes"}, "n2": {}}},
    "cooks": {
        "hosts": {
            "stranger": {},
            "bastion": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9},
        }
    },
}


class Empty(BaseHTTPRequestHandler):
    """A mirror that has nothing."""

    def do_HEAD(self):
        self.send_error(404)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def empty_mirror():
    """The address of a mirror that has nothing."""
    with HTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def refused(ansible_playbook, tmp_path, empty_mirror):
    """Return a function that runs a playbook and gives the lines with which its checks end it."""
    groups = copy.deepcopy(MACHINES)
    for group, host in (("masters", "m"), ("edges", "e")):
        groups[group]["hosts"][host]["kube_node_mirror"] = empty_mirror

    def run(playbook, *arguments):
        played = ansible_playbook(tmp_path, playbook, *arguments, groups=groups, site=SITE)
        ends = [message for task, message in played.failures if task == "Tell all that is wrong"]
        assert played.status != 0
        assert not any(counts["changed"] for counts in played.report["stats"].values())
        assert len(ends) == 1, played.output
        return ends[0].splitlines()

    return run


def test_one_run_tells_all_about_all_hosts(refused):
    lines = refused("preflight")
    text = "\n".join(lines)
    assert len(lines) == len(set(lines))
    for line in (
        "^inventory has bastion, stranger in no known group; allowed are masters, edges, workers, nfs_servers$",
        "^e, w: kube_node_address is '203.0.113.5'; allowed is an address that the machine itself has",
        "^m: kube_master_pod_mtu is 9999; allowed is at most [0-9]+, the narrowest link",
        r'^m: egi_notebooks_domain is "notebooks.invalid", which the control machine can\'t resolve',
        "^odd: kube_node stopped its checks: .*kube_node_minimum_memory",
        # Said by ssh, or by Ansible to an ssh that has ended already.
        "^gone: machine does not answer: .*(port 9|could not be sent to remote host)",
        '^n: nfs_server_path is "homes"; allowed is an absolute path',
        "^nfs_servers has n, n2; allowed is one machine, or nfs_volumes_server says whose export users get",
        "^m, w: http://127.0.0.1:9 does not answer",
        # What does not depend on a wrong input is asked for in the same run.
        '^m: jupyterhub_db_path is "hub"; allowed is an absolute path',
        "^m: quay.io/jupyterhub/k8s-singleuser-sample:4.4.0 is missing: .* answers 404",
        "^m: registry.k8s.io/kube-apiserver:v.* is missing: .* answers 404",
        "^e: kube_node_containerd_version is '2'; allowed is",
        "^e: quay.io/team/more:1 is missing: .* answers 404",
        "^m: issuer https://127.0.0.1:9/auth/realms/egi is of no use to this host: .*; open the way to it",
    ):
        assert re.search(line, text, re.MULTILINE), f"{line}\n{text}"
    assert text.count("notebooks.invalid") == 1


def test_the_service_alone_is_checked_before_its_first_part(refused):
    lines = refused("service")
    text = "\n".join(lines)
    for line in (
        '^n: nfs_server_path is "homes"',
        r'^m: egi_notebooks_domain is "notebooks.invalid"',
        "^m: issuer https://127.0.0.1:9/auth/realms/egi is of no use",
    ):
        assert re.search(line, text, re.MULTILINE), f"{line}\n{text}"
    assert not re.search("kube_node|kube_master|^(e|w|odd|gone): ", text, re.MULTILINE), text


@pytest.mark.parametrize(
    ("playbook", "host", "told"),
    [
        ("preflight", "bastion", "machine does not answer: "),
        ("service", "stranger", "http://127.0.0.1:9 does not answer"),
    ],
)
def test_the_host_that_speaks_with_the_cluster_is_asked_whatever_its_group(refused, playbook, host, told):
    text = "\n".join(refused(playbook, "--extra-vars", f"egi_notebooks_kube_host={host}"))
    assert re.search(f"^(.*, )?{host}(, .*)?: {told}", text, re.MULTILINE), text
    # What only a node has to be.
    assert not re.search(f"^(.*, )?{host}(, .*)?: (kube_|memory|architecture|port )", text, re.MULTILINE), text


@pytest.mark.parametrize("playbook", ["preflight", "site"])
def test_an_inventory_without_hosts_is_no_success(ansible_playbook, tmp_path, playbook):
    played = ansible_playbook(tmp_path, playbook, groups={})
    assert played.status != 0
    ((_task, message),) = played.failures
    assert re.match("inventory \\(.*hosts.json\\) has no host; allowed is one with the groups masters, edges", message)


def test_a_run_for_one_host_needs_no_facts_of_others_and_no_wrong_mirror_is_asked(refused):
    wrong = {"kube_node_mirror": "http://me:word@127.0.0.1:9", "kube_node_extra_images": ["quay.io/team/more:1"]}
    lines = refused("cluster", "--limit", "w", "--extra-vars", json.dumps(wrong))
    assert all(line.startswith("w: ") for line in lines), lines
    assert "w: kube_node_mirror is 'http://***@127.0.0.1:9'; allowed is" in "\n".join(lines)
    assert not [line for line in lines if "word" in line or "does not answer" in line], lines
    assert not [line for line in lines if "stopped its checks" in line]


@pytest.mark.parametrize(
    ("variables", "is_asked", "known"),
    [
        ({"jupyterhub_db_path": "hub", "jupyterhub_user_image": "image"}, True, ["files", "vo"]),
        ({"egi_notebooks_domain": ""}, False, ["files", "user", "vo"]),
        ({"egi_notebooks_ca_file": "ca.crt"}, False, ["files", "user", "vo"]),
        ({"egi_notebooks_mirror": "mirror"}, True, ["user", "vo"]),
        ({"egi_notebooks_vos": ["urn:vo"]}, False, ["files", "user"]),
        ({"egi_notebooks_vos": []}, False, ["files", "user"]),
    ],
)
def test_what_does_not_depend_on_a_wrong_input_is_asked_for(render_role, variables, is_asked, known):
    site = SITE | {
        "egi_notebooks_mirror": "https://m",
        "egi_notebooks_vos": [{"name": "v", "images": {"R": "quay.io/r:2"}}],
    }
    site |= variables
    assert render_role("jupyterhub", "__jupyterhub_bad_inputs", **site)
    assert render_role("jupyterhub", "__jupyterhub_login_is_told", **site) is is_asked
    told = "__jupyterhub_files + __jupyterhub_images | select('match', __jupyterhub_image_name)"
    downloads = "\n".join(render_role("jupyterhub", told, **site))
    marks = {"files": "https://m/", "user": "k8s-singleuser-sample:", "vo": "quay.io/r:2"}
    assert [name for name, mark in marks.items() if mark in downloads] == known
    assert "k8s-hub:" in downloads


def test_the_playbooks_know_every_role_that_notes_problems(root):
    noting = DataLoader().load_from_file(str(root / "playbooks/vars/preflight.yml"))["egi_notebooks_noting"]
    roles = {path.parents[1].name for path in (root / "roles").glob("*/tasks/problems.yml")}
    assert set(noting) == roles
    for role in roles:
        assert f"__{role}_problems:" in (root / f"roles/{role}/tasks/problems.yml").read_text()
