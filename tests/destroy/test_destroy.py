# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""destroy.yml takes everything away but what people stored: the last tests, no service is left after them."""

from __future__ import annotations

import pytest
from access import Lab
from runs import playbook

CONFIRMED = ("--extra-vars", "egi_notebooks_destroy_confirm=notebooks.lab.test")
KEPT = "/srv/homes/someone/kept"
NODES = ("master", "edge", "worker")
GONE = (
    "/etc/kubernetes", "/etc/containerd", "/etc/cni", "/opt/cni", "/var/lib/containerd", "/var/lib/etcd",
    "/var/lib/kubelet", "/usr/local/bin/kubeadm", "/usr/local/bin/containerd", "/usr/local/bin/helm",
)  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


@pytest.fixture(scope="module")
def destroyed(lab):
    lab.host("nfs").check_output(f"install -D /dev/null {KEPT} && echo mine >{KEPT}")
    return playbook("destroy", *CONFIRMED)


def test_without_the_service_s_name_nothing_is_destroyed(lab):
    result = playbook("destroy", "--extra-vars", "egi_notebooks_destroy_confirm=yes")
    assert result.status != 0
    assert not any(result.changed.values())
    assert all("notebooks.lab.test" in message for message in result.failures)
    assert lab.host("master").file("/etc/kubernetes/admin.conf").exists


def test_the_run_succeeds(destroyed):
    assert destroyed.status == 0, destroyed.failures


@pytest.mark.parametrize("node", NODES)
def test_nothing_of_the_cluster_is_left_on_a_node(lab, destroyed, node):
    host = lab.host(node)
    left = [path for path in GONE if host.file(path).exists]
    assert left == []
    assert host.run("pgrep -a 'kubelet|containerd|etcd|kube-|traefik'").stdout == ""
    assert host.run("grep -E '/var/lib/kubelet|/run/containerd|:/srv/homes' /proc/mounts").stdout == ""
    assert host.run("ip -oneline link | grep -E 'cni0|flannel|veth'").stdout == ""


def test_what_people_stored_is_still_there_and_no_longer_exported(lab, destroyed):
    host = lab.host("nfs")
    assert host.file(KEPT).content_string == "mine\n"
    assert host.check_output("exportfs -s") == ""
    database = lab.host("worker").run("find /var/lib/egi-notebooks -name jupyterhub.sqlite").stdout
    assert database.strip()


def test_a_second_run_finds_nothing_to_do(destroyed):
    again = playbook("destroy", *CONFIRMED)
    assert again.status == 0, again.failures
    assert again.changes == []
