# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the NFS server, and what it exports to whom."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.plugins.filter.core import to_uuid

from ansible_collections.egi.notebooks.plugins.modules import nfs_info
from ansible_collections.egi.notebooks.plugins.plugin_utils import nfs_server

ETH0 = {
    "address": "192.0.2.11",
    "prefix": 24,
    "network": "192.0.2.0/24",
    "interface": "eth0",
    "mac": "02:00:00:00:00:0b",
    "mtu": 1500,
}
HOST = {
    "nodename": "a.example.org",
    "machine_id": "1",
    "distribution": "debian",
    "distribution_version": "13",
    "architecture": "aarch64",
    "service_manager": "systemd",
    "addresses": [ETH0],
    "default_ipv4": ETH0,
    "listeners": [],
    "clock": {"time": 1.0, "synchronised": True, "skew": 0.0, "uncertainty": 1.0},
}
GROUPS = {"masters": ["a"], "edges": ["b"], "workers": ["c"], "nfs_servers": ["d"], "all": ["a", "b", "c", "d"]}
CLIENT = HOST | {"nodename": "b", "machine_id": "2", "addresses": [ETH0 | {"address": "192.0.2.12", "mac": "b"}]}
DISK = {"state": "none", "uuid": "", "signatures": [], "error": "", "mounted": False, "hides": ""}
FOUND = {
    "disk": DISK,
    "fstab": {},
    "directory": {},
    "exported_to": [],
    "threads": 0,
    "addresses": {"b": ["192.0.2.12"], "c": ["192.0.2.12"]},
}


def port(number, process):
    return {"protocol": "tcp", "port": number, "process": process}


def found(**changes):
    """Return what the host returns, with a disk of this state."""
    return FOUND | changes


def on_disk(state, **changes):
    return {"disk": DISK | {"state": state} | changes}


@pytest.fixture
def problems(role_problems):
    """Return a function that gives the problems of host d with these facts, which returns `answer` to the query."""

    def call(facts=(), others=None, answer=FOUND, **variables):
        site = {"inventory_hostname": "d", "groups": GROUPS} | variables
        return role_problems("nfs_server", HOST | dict(facts), others, lambda _module, **_: answer, **site)

    return call


@pytest.fixture
def check(read_check):
    """Return a function that gives the settings of host d."""

    def call(**variables):
        site = {"inventory_hostname": "d", "groups": GROUPS} | variables
        return read_check("nfs_server", **site)

    return call


def test_a_good_host_passes(problems):
    assert problems({"listeners": [port(2049, ""), port(22, "sshd")]}) == []


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"nfs_server_path": "srv"}, "nfs_server_path must be an absolute path such as /srv/homes, of letters, digits"),
        ({"egi_notebooks_homes_path": "/a b"}, "egi_notebooks_homes_path must be an absolute path"),
        ({"nfs_server_path": "/srv/homes\n"}, "nfs_server_path must be an absolute path"),
        ({"nfs_server_disk": "vdb"}, "nfs_server_disk must be a block device such as /dev/vdb, or empty"),
        ({"groups": {}}, "nfs_server_clients must be a list of the hosts that mount the homes, by name, address or"),
        (
            {"nfs_server_clients": ["*.example.org"]},
            'nfs_server_clients must be names, addresses and networks; got ["*.example.org"]. Patterns, netgroups and',
        ),
        ({"nfs_server_clients": ["@hosts"]}, "nfs_server_clients must be names, addresses and networks; got"),
        ({"nfs_server_clients": ["0.0.0.0/0"]}, "nfs_server_clients must be names, addresses and networks; got"),
    ],
)
def test_bad_settings_are_rejected_without_a_query_of_the_host(problems, variables, sentence):
    (problem,) = problems(answer=None, **variables)
    assert problem.startswith(sentence)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"distribution": "rocky"}, "operating system is rocky 13; must be"),
        ({"service_manager": "sysvinit"}, "service manager is sysvinit; must be systemd"),
        ({"clock": HOST["clock"] | {"skew": 6}}, "clock is at least 6.0 s ahead of the control"),
        (
            {"listeners": [port(2049, "ganesha.nfsd")]},
            "port 2049 by ganesha.nfsd is in use. This port is for the kernel's NFS server.",
        ),
    ],
)
def test_a_bad_host_is_rejected_with_one_sentence(problems, facts, sentence):
    (problem,) = problems(facts)
    assert problem.startswith(sentence)


def test_a_server_in_the_cluster_s_networks_is_rejected(problems):
    inside = {"addresses": [ETH0 | {"address": "10.244.3.9", "network": "10.244.3.0/24"}]}
    (problem,) = problems(inside)
    assert problem.startswith(
        "egi_notebooks_pod_cidr must be a network that no host is in (eth0 is in 10.244.3.0/24); got"
    )
    assert problems(inside, egi_notebooks_pod_cidr="172.20.0.0/16") == []
    services = {"egi_notebooks_pod_cidr": "172.20.0.0/16", "egi_notebooks_service_cidr": "10.244.0.0/16"}
    (problem,) = problems(inside, **services)
    assert problem.startswith("egi_notebooks_service_cidr must be a network that no host is in")


def test_a_server_with_a_node_s_identity_is_rejected(problems):
    (problem,) = problems({"nodename": "d", "addresses": [ETH0 | {"mac": "x"}]}, others={"a": HOST})
    assert problem.startswith("machine-id is 1 on a and d; must be unique.")


def test_the_checks_of_kube_node_report_the_neighbours_of_a_server_that_is_a_node(problems):
    inside = {"addresses": [ETH0 | {"network": "10.244.3.0/24"}]}
    assert problems(inside, others={"b": HOST | {"addresses": []}}, inventory_hostname="a") == []


def test_a_host_that_is_unreachable_is_checked_for_its_settings(role_problems):
    site = {"inventory_hostname": "d", "groups": GROUPS, "nfs_server_path": "srv"}
    assert len(role_problems("nfs_server", **site)) == 1


def test_a_query_that_failed_is_reported(problems):
    assert problems(answer={"failed": True, "msg": "no wipefs"}) == ["state of the NFS server can't be read: no wipefs"]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            on_disk("missing", error="no such file"),
            'nfs_server_disk must be a block device that the host can read (no such file); got "/dev/vdb". See lsblk.',
        ),
        (
            on_disk("foreign", signatures=["ext4", "dos"]),
            "nfs_server_disk must be an empty disk, or one of this role (XFS with the label egi-homes); got "
            '"/dev/vdb". '
            "It holds ext4, dos and is left alone. To empty it and destroy what is there, run wipefs --all /dev/vdb.",
        ),
        (
            on_disk("empty", hides="/srv/homes/anna"),
            "nfs_server_disk must be the disk that holds the files in /srv/homes, as an empty one would hide them; got "
            '"/dev/vdb". To begin with an empty disk, move the files away.',
        ),
        (
            on_disk("unfinished", hides="/srv/homes/anna"),
            "nfs_server_disk must be the disk that holds the files in /srv/homes, as an empty one would hide them; got",
        ),
        (
            on_disk("empty") | {"fstab": {"source": "UUID=1", "type": "xfs", "options": "defaults"}},
            "nfs_server_disk must be UUID=1, which /etc/fstab has for /srv/homes, as the other disk is empty; got "
            '"/dev/vdb". Attach that disk. To begin with an empty one, remove the line from /etc/fstab.',
        ),
    ],
)
def test_a_disk_that_the_role_must_not_use_is_rejected_with_one_sentence(problems, answer, sentence):
    (problem,) = problems(answer=found(**answer), nfs_server_disk="/dev/vdb")
    assert problem.startswith(sentence)


@pytest.mark.parametrize("state", ["empty", "ours", "unfinished"])
def test_a_good_disk_passes(problems, state):
    fstab = {} if state == "empty" else {"source": "UUID=1", "type": "xfs", "options": "defaults"}
    assert problems(answer=found(**on_disk(state), fstab=fstab), nfs_server_disk="/dev/vdb") == []


def test_clients_mount_by_addresses_of_their_own(problems):
    known = {
        "b": CLIENT,
        "c": CLIENT | {"nodename": "c", "machine_id": "3", "addresses": [ETH0 | {"address": "192.0.2.13"}]},
    }
    own = {"addresses": [ETH0 | {"address": "192.0.2.14", "mac": "d"}]}
    right = found(addresses={"b": ["192.0.2.12"], "c": ["127.0.1.1", "192.0.2.13"]})
    assert problems(own, others=known, answer=right) == []
    wrong = found(addresses={"b": ["203.0.113.7"], "c": ["192.0.2.13"]})
    (problem,) = problems(own, others=known, answer=wrong)
    assert problem == (
        'nfs_server_clients must be names of the hosts\' own addresses (203.0.113.7 is none of them); got ["b", "c"]. '
        "Their mounts would be denied. Set egi_notebooks_node_address for a host with a floating address."
    )
    # The run has no facts of c.
    assert problems(own, others={"b": CLIENT}, answer=wrong) == []


def test_clients_must_have_names_that_the_server_can_resolve(problems):
    (problem,) = problems(answer=found(addresses={"b": [], "c": ["192.0.2.13"]}))
    assert problem.startswith(
        'nfs_server_clients must be names that the NFS server can resolve, or addresses (unknown: b); got ["b", "c"].'
    )


def test_clients_are_edges_and_workers_and_masters_that_run_servers(check):
    groups = GROUPS | {"workers": ["b", "c"]}
    assert nfs_server.clients(check(groups=groups)) == ["b", "c"]
    assert nfs_server.clients(check(groups=groups, egi_notebooks_schedulable_masters=True)) == ["b", "c", "a"]
    assert nfs_server.clients(check(nfs_server_clients=["192.0.2.0/24"])) == ["192.0.2.0/24"]


def test_names_are_resolved_unless_the_inventory_has_an_address(check):
    hosts = {"b": {"egi_notebooks_node_address": "192.0.2.12"}, "c": {}}
    clients = ["b", "c", "homes.example.org", "10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "b"]
    settings = check(hostvars=hosts, nfs_server_clients=clients, nfs_server_disk="/dev/vdb")
    assert nfs_server.query(settings) == {
        "path": "/srv/homes",
        "disk": "/dev/vdb",
        "names": ["c", "homes.example.org"],
    }
    answers = found(addresses={"c": ["127.0.1.1", "192.0.2.13"], "homes.example.org": ["192.0.2.12"]})
    assert nfs_server.client_addresses(settings, answers) == [
        "10.0.0.0/8",
        "127.0.0.0/8",
        "192.0.2.1",
        "192.0.2.12",
        "192.0.2.13",
        "2001:db8::/32",
    ]


def test_the_export_is_squashed_and_keeps_its_identity(check):
    options = f"rw,sync,no_subtree_check,all_squash,anonuid=1000,anongid=100,sec=sys,fsid={to_uuid('/srv/homes')}"
    assert nfs_server.exports(check(), FOUND) == [f"192.0.2.12({options})"]
    assert nfs_server.exports(check(nfs_server_disk="/dev/vdb"), FOUND) == [f"192.0.2.12({options},mp)"]


def test_no_client_loses_its_export_while_its_name_can_t_be_resolved(check):
    with pytest.raises(AnsibleError, match="can't resolve b, so the export stays as it is"):
        nfs_server.exports(check(), found(addresses={"b": [], "c": ["192.0.2.13"]}))


def test_the_exports_file(render_role):
    site = {
        "groups": GROUPS,
        "inventory_hostname": "d",
        "hostvars": {},
        "__nfs_server_plan": {"exports": ["192.0.2.12(rw,sync)", "192.0.2.13(rw)"]},
    }
    text = render_role("nfs_server", "lookup('ansible.builtin.template', role_path ~ '/templates/exports.j2')", **site)
    assert text.endswith('\n"/srv/homes" 192.0.2.12(rw,sync) 192.0.2.13(rw)\n')


def test_a_file_system_is_created_on_an_empty_disk_and_again_only_if_that_was_interrupted(check):
    settings = check(nfs_server_disk="/dev/vdb")
    new = f"uuid={to_uuid('d/srv/homes')}"
    command = ["mkfs.xfs", "-q", "-L", "egi-homes", "-m", new, "/dev/vdb"]
    assert nfs_server.mkfs(settings, found(**on_disk("empty"))) == command
    assert nfs_server.mkfs(settings, found(**on_disk("unfinished", uuid="1"))) == [
        "mkfs.xfs",
        "-q",
        "-f",
        *["-L", "egi-homes", "-m", "uuid=1", "/dev/vdb"],
    ]


def test_a_mount_is_current_if_it_is_there_now_and_at_boot(check):
    settings = check(nfs_server_disk="/dev/vdb")
    fstab = {"source": "UUID=1", "type": "xfs", "options": "defaults,nodev,nosuid,prjquota,nofail"}
    mounted = on_disk("ours", uuid="1", mounted=True)
    directory = {"uid": 1000, "gid": 100, "mode": "0770"}
    current = found(**mounted, fstab=fstab, directory=directory)
    assert nfs_server.mount(settings, current) == fstab | {"is_current": True}
    assert nfs_server.directory_is_current(settings, current)
    for changes in (on_disk("ours", uuid="1"), {"fstab": {}}, {"fstab": fstab | {"options": "defaults"}}):
        assert not nfs_server.mount(settings, current | changes)["is_current"]
        # It is another directory than that of the disk.
        assert not nfs_server.directory_is_current(settings, current | changes)
    for wrong in ({}, directory | {"mode": "0755"}, directory | {"uid": 0}):
        assert not nfs_server.directory_is_current(settings, current | {"directory": wrong})
    assert nfs_server.directory_is_current(check(), found(directory=directory))


def test_what_is_to_be_changed(render_role):
    """As the role's tasks get it."""
    site = {"groups": GROUPS, "inventory_hostname": "d", "hostvars": {}, "nfs_server_disk": "/dev/vdb"}
    expression = "lookup('egi.notebooks.decision', 'nfs_server.plan', found=found)"
    plan = render_role("nfs_server", expression, **site, found=found(**on_disk("empty")))
    assert (plan["mkfs"][0], plan["mount"]["is_current"], plan["directory"]) == ("mkfs.xfs", False, True)
    (export,) = plan["exports"]
    assert export.startswith("192.0.2.12(rw,")
    assert render_role("nfs_server", expression, **site, found=found(**on_disk("ours", uuid="1")))["mkfs"] == []


def test_the_module_knows_the_disk_by_the_label_that_it_gets():
    assert yaml.safe_load(nfs_info.DOCUMENTATION)["options"]["label"]["default"] == nfs_server.LABEL


def test_faults_of_the_export(check):
    settings = check(nfs_server_disk="/dev/vdb")
    works = found(**on_disk("ours", mounted=True), threads=8, exported_to=["192.0.2.12"])
    assert nfs_server.faults(settings, works) == []
    assert nfs_server.faults(settings, works | {"threads": 0} | on_disk("missing") | {"exported_to": []}) == [
        "NFS server does not run. See journalctl -u nfs-server.",
        "/dev/vdb is not mounted on /srv/homes. See lsblk and /etc/fstab.",
        "/srv/homes is not exported to 192.0.2.12. Run site.yml again.",
    ]


def test_the_files_of_the_role_have_one_name(root: pathlib.Path, render_role):
    paths = render_role("nfs_server", "[__nfs_server_config, __nfs_server_drop_in, __nfs_server_exports]")
    for file in (root / "roles/nfs_server/tasks").glob("*.yml"):
        assert not [path for path in paths if path in file.read_text()]
