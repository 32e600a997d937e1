# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on bare machines that are killed on the way, with what they had started there. The last of the fault tests."""

from __future__ import annotations

import time

import pytest
from faults import differences, extra, pick_home, picture, record, wait_until_sound
from killed import kill_when
from runs import playbook
from user import User

DISK = "../tests/faults/playbooks/disk"
CONFIRMED = ("--extra-vars", "egi_notebooks_destroy_confirm=notebooks.lab.test")
#: On which nodes, which command, and how many seconds after it was first seen.
MOMENTS = (
    (("master",), "kubeadm config images pull", 0),
    (("master",), "kubeadm init", 0),
    (("master",), "kubeadm init", 8),
    (("master",), "kubeadm init", 18),
    (("edge", "worker"), "kubeadm join", 0),
    (("edge", "worker"), "kubeadm join", 2),
    (("master",), "linux-amd64/helm .*upgrade", 0),
    (("master",), "linux-amd64/helm .*upgrade", 6),
)


def is_over(lab, command: str) -> bool:
    """Whether no further run will come to this: an earlier one was killed too late."""
    if command == "kubeadm init":
        return lab.ssh("master", "grep -q finished /etc/kubernetes/egi-notebooks-init").returncode == 0
    if command == "kubeadm join":
        return all(lab.ssh(node, "test -e /etc/kubernetes/kubelet.conf").returncode == 0 for node in ("edge", "worker"))
    return False


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


@pytest.fixture
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
    for _ in range(2):
        if playbook("site").status == 0:
            break
    wait_until_sound(lab, 300)
    lab.run("nfs", f"rm -f {home}/faults-kept.txt")


@pytest.mark.usefixtures("bare")
def test_a_run_killed_at_any_moment_is_completed_by_the_next(lab):
    """Also case 26: the run after the completed one changes nothing."""
    kills: list[str] = []
    for nodes, command, later in MOMENTS:
        if command in kills and is_over(lab, command):
            continue
        kill_when(lab, nodes, command, "site", later=later)
        kills.append(command)
    started = time.monotonic()
    result = playbook("site")
    assert result.status == 0, result.failures
    record("run killed on the way", time.monotonic() - started, f"completed by the run after {len(kills)} kills")
    wait_until_sound(lab)
    before = picture(lab)
    again = playbook("site")
    assert (again.status, again.changes) == (0, []), again.failures
    assert differences(before, picture(lab)) == {}
    member = User(lab, "member").log_in()
    try:
        member.start()
        assert member.read("faults-kept.txt") == "kept"
    finally:
        member.stop()
