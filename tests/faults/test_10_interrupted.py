# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on bare machines that are killed on the way, with what they had started there. The last of the fault tests."""

from __future__ import annotations

import subprocess
import time
from functools import partial

import pytest
from faults import (
    CLUSTER,
    MACHINES,
    cut_power,
    differences,
    extra,
    pick_home,
    picture,
    record,
    wait_until,
    wait_until_sound,
)
from killed import DOWNLOADING, LOG, kill_at, kill_when, on, printed_so_far, running
from leaks import found_on_control, found_on_nodes, printed, process_lists, secrets_of_the_run, shown
from runs import playbook
from user import User

DISK = "../tests/faults/playbooks/disk"
CONFIRMED = ("--extra-vars", "egi_notebooks_destroy_confirm=notebooks.lab.test")

on_master = partial(kill_when, nodes=("master",))
on_joining = partial(kill_when, nodes=("edge", "worker"), who=running("kubeadm join"))
init = partial(on_master, who=running("kubeadm init"))
helm = partial(on_master, who=running("linux-amd64/helm .*upgrade"))


def without_power(*arguments: str) -> None:
    """The master loses its power in `kubeadm init`, and with it what was not on its disk yet."""
    init(*arguments, sign="test -e /etc/kubernetes/pki/sa.key")
    boot = cut_power(MACHINES["master"])
    time.sleep(5)
    boot()
    wait_until(lambda: subprocess.run(on("master", "true"), check=False).returncode == 0, 120, "the master")


#: In the order in which a run comes to them. Each fails if it finds nothing to kill.
MOMENTS = (
    partial(kill_when, nodes=CLUSTER, who=DOWNLOADING),
    # As it begins to fetch images, with its keys made, and with an API that listens but lacks most of its objects.
    init,
    partial(init, sign="test -e /etc/kubernetes/pki/sa.key"),
    without_power,
    partial(init, sign="ss -Hltn 'sport = :6443' | grep -q ."),
    # The playbook alone dies, as with its machine, and kubeadm goes on.
    partial(init, alone=True),
    # The pod network.
    partial(on_master, who=running("kubectl .*apply --filename=-")),
    # As it begins, and with what kubelet is to ask for its certificate with.
    on_joining,
    partial(on_joining, sign="test -e /etc/kubernetes/bootstrap-kubelet.conf"),
    partial(on_joining, alone=True),
    # While the next task makes the objects of Traefik, and of Prometheus.
    partial(kill_at, task="egi.notebooks.edge_ingress : Check that there is an edge", later=3),
    partial(kill_at, task="egi.notebooks.prometheus : Check that the metrics have a node", later=3),
    helm,
    partial(helm, later=6),
    partial(helm, alone=True),
)


@pytest.fixture
def spare_disk(lab):
    """An empty disk of the NFS server's, and a path to mount it."""
    image, path = "/var/tmp/faults.img", "/srv/faults"
    disk = lab.run("nfs", f"truncate --size=400M {image} && losetup --find --show {image}")
    yield disk, path
    lab.run(
        "nfs",
        f"umount {path}; losetup --detach {disk}; rm -rf --one-file-system {path} {image}; "
        f"sed -i '\\#{path} #d' /etc/fstab; systemctl daemon-reload",
    )


def test_a_file_system_is_made_anew_if_that_was_interrupted_and_never_if_it_has_files(lab, spare_disk):
    """A mkfs.xfs that is killed leaves nothing, or the label and a flag that it would have cleared in the end."""
    disk, path = spare_disk
    variables = extra(nfs_server_disk=disk, nfs_server_path=path)
    flag = f"xfs_db -x -c 'sb 0' -c 'write inprogress %d' {disk}"
    lab.run("nfs", f"mkfs.xfs -q -L egi-homes {disk} && {flag % 1}")
    assert lab.ssh("nfs", f"mount {disk} /mnt").returncode != 0
    result = playbook(DISK, *variables)
    assert result.status == 0, result.failures
    lab.run("nfs", f"mountpoint {path} && cd {path} && touch one")
    again = playbook(DISK, *variables)
    assert (again.status, again.changes) == (0, []), again.failures
    # As a copy that was interrupted.
    lab.run("nfs", f"umount {path} && {flag % 1}")
    result = playbook(DISK, *variables)
    assert result.status != 0
    assert result.changes == []
    assert lab.run("nfs", f"{flag % 0} >/dev/null && mount {disk} {path} && ls {path}") == "one"


@pytest.fixture(scope="module")
def bare(lab):
    """The machines without the service. What people stored stays, and is there again in the end."""
    member = User(lab, "member").log_in()
    member.start()
    home = pick_home(lab, member)
    member.write("faults-kept.txt", "kept")
    member.stop()
    result = playbook("destroy", *CONFIRMED)
    assert result.status == 0, result.failures
    yield
    result = playbook("site")
    if result.status:
        result = playbook("site")
    assert result.status == 0, result.failures
    wait_until_sound(lab, 300)
    lab.run("nfs", f"rm -f {home}/faults-kept.txt")


def test_a_dry_run_on_bare_machines_tells_what_is_to_come_and_makes_none_of_it(lab, bare):
    """Case 18. On the finished service it is in tests/lab/test_check_mode.py, with one change in test_05_runs.py."""
    result = playbook("site", "--check", "--diff")
    assert result.status == 0, result.failures
    changes = "\n".join(result.changes)
    for told in ("master", "the control plane would be created"), ("worker", "the host would join the cluster"):
        assert f"{MACHINES[told[0]].fqdn}: egi.notebooks.kube_{told[0]} : Report that {told[1]}" in changes, changes
    assert "egi.notebooks.jupyterhub : Report that the chart would be deployed" in changes, changes
    made = "/etc/kubernetes /etc/containerd /var/lib/etcd /usr/local/bin/kubeadm /usr/local/bin/containerd"
    for node in CLUSTER:
        assert lab.ssh(node, f"ls -d {made}").stdout == ""


@pytest.mark.usefixtures("bare")
def test_a_run_killed_at_any_moment_is_completed_by_the_next(lab):
    """Also case 26: the run after the completed one changes nothing.

    And case 34 for the runs that make the secrets: nothing that they printed, ran or left behind has one.
    """
    began, before_kills = time.time(), printed_so_far()
    # What a process list shows is known before the secrets are.
    with process_lists() as seen:
        for kill_run in MOMENTS:
            kill_run("site", "--diff", "-vv")
    started = time.monotonic()
    result = playbook("site", "--diff", "-vv")
    seconds = time.monotonic() - started
    assert result.status == 0, result.failures
    for node in CLUSTER:
        assert lab.run(node, "find /usr/local /opt -name '.artifact-*'") == ""
    wait_until_sound(lab)
    before = picture(lab)
    again = playbook("site")
    assert (again.status, again.changes) == (0, []), again.failures
    assert differences(before, picture(lab)) == {}
    member = User(lab, "member").log_in()
    try:
        member.start()
        assert member.read("faults-kept.txt") == "kept"
        wanted = secrets_of_the_run(lab)
    finally:
        member.stop()
    saw = f"completed by the run after {len(MOMENTS)} that were killed"
    record("run killed on the way", seconds, saw, "none")
    killed = LOG.read_bytes()[before_kills:].decode(errors="replace")
    assert printed(killed + result.output, wanted) == []
    assert shown(seen, wanted) == []
    assert found_on_control(wanted, began) == []
    assert found_on_nodes(lab, wanted) == []
