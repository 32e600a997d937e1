# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the finished service: repeated, limited, dry, killed on the way, under another locale."""

from __future__ import annotations

import json
import subprocess

import pytest
from faults import (
    HUB,
    MACHINES,
    containers,
    differences,
    edge_answers,
    extra,
    picture,
    wait_until,
    wait_until_sound,
)
from killed import kill_at
from runs import playbook
from user import Kernel

#: Tasks after which runs are killed: in the checks, in the cluster's part, in the service's part. None that is skipped,
#: which is not printed.
MOMENTS = (
    "Report all problems of all hosts",
    "egi.notebooks.kube_worker : Query the cluster for its nodes",
    "egi.notebooks.jupyterhub : Make this Helm the host's helm command",
)


def unchanged(lab, before: dict, *arguments: str) -> None:
    result = playbook("site", *arguments)
    assert result.status == 0, result.failures
    assert result.changes == []
    assert differences(before, picture(lab)) == {}


def users_servers(lab) -> list[tuple]:
    pods = lab.user_pods()
    return [(pod["metadata"]["uid"], [it["restartCount"] for it in pod["status"]["containerStatuses"]]) for pod in pods]


def test_three_runs_change_nothing_and_restart_nothing(lab, member):
    """Case 26. The reboot of all nodes is in test_08_power.py."""
    member.start()
    wait_until_sound(lab)
    before, servers = picture(lab), users_servers(lab)
    assert servers
    for _ in range(3):
        unchanged(lab, before)
    assert users_servers(lab) == servers


@pytest.mark.parametrize("node", MACHINES)
def test_a_run_limited_to_one_host_works_and_changes_nothing(lab, node):
    """Case 16, on a host that is there already. A new one is in test_07_new_worker.py."""
    unchanged(lab, picture(lab), "--limit", MACHINES[node].fqdn)


def test_a_dry_run_shows_the_one_real_change_and_makes_none(lab):
    """Case 18. With nothing to change it is in tests/lab/test_check_mode.py, on bare machines in molecule."""
    before = picture(lab)
    result = playbook("service", "--check", "--diff", *extra(jupyterhub_user_memory_limit="1100M"))
    assert result.status == 0, result.failures
    assert [change.split(": ", 1)[1] for change in result.changes] == [
        "egi.notebooks.jupyterhub : Deploy the hub and wait until it is ready"
    ]
    assert differences(before, picture(lab)) == {}


def test_runs_that_are_killed_do_no_harm_and_the_next_completes(lab):
    """Kills on the way to a new service are in test_10_interrupted.py."""
    before = picture(lab)
    for task in MOMENTS:
        kill_at("site", task=task)
        assert edge_answers(lab)
    unchanged(lab, before)


def test_what_the_nfs_server_was_told_is_in_force_though_that_run_was_killed(lab):
    lab.run(
        "nfs",
        "rm /etc/systemd/system/rpcbind.socket /etc/systemd/system/rpcbind.service /etc/nfs.conf.d/egi-notebooks.conf; "
        "systemctl daemon-reload; systemctl restart nfs-server rpcbind.socket",
    )
    assert "+3" in lab.run("nfs", "cat /proc/fs/nfsd/versions")
    kill_at("site", task="egi.notebooks.nfs_server : Install the NFS server's packages")
    result = playbook("site")
    assert result.status == 0, result.failures
    assert "-3" in lab.run("nfs", "cat /proc/fs/nfsd/versions")
    assert lab.run("nfs", "ss -Hltn 'sport = :111'") == ""
    unchanged(lab, picture(lab))


def ends_within(lab, days: int) -> list[str]:
    """The control plane's certificates that end so soon, and the one that its API shows."""
    check = f"openssl x509 -noout -checkend {days * 86400} >/dev/null"
    return lab.run(
        "master",
        f"for file in $(find /etc/kubernetes/pki -name '*.crt'); do {check} -in $file || echo $file; done; "
        f"openssl s_client -connect localhost:6443 </dev/null 2>/dev/null | {check} || echo API",
    ).split()


def test_certificates_that_end_soon_are_renewed_and_nobody_notices(lab, member):
    member.start()
    kernel = Kernel(member)
    assert kernel.run("word = 'kept'; print(word)") == "kept\n"
    period = "apiVersion: kubeadm.k8s.io/v1beta4\\nkind: ClusterConfiguration\\ncertificateValidityPeriod: 24h\\n"
    lab.run(
        "master",
        f"printf '{period}kubernetesVersion: %s\\n' $(kubeadm version -o short) >/run/day.yml; "
        "kubeadm certs renew all --config=/run/day.yml; rm /run/day.yml",
    )
    assert "/etc/kubernetes/pki/etcd/server.crt" in ends_within(lab, 2)
    dry = playbook("cluster", "--check")
    assert dry.status == 0, dry.failures
    assert len(ends_within(lab, 2)) > 5
    result = playbook("cluster")
    assert result.status == 0, result.failures
    assert ends_within(lab, 300) == []
    wait_until_sound(lab)
    # Nobody has answered the server's pings meanwhile.
    kernel.connect()
    assert kernel.run("print(word)") == "kept\n"
    member.stop()
    unchanged(lab, picture(lab))


def test_a_master_that_is_no_worker_any_more_is_kept_to_itself(lab):
    name, taint = MACHINES["master"].fqdn, "node-role.kubernetes.io/control-plane"
    (before,) = lab.get("node", name)
    lab.kubectl("taint", "node", name, f"{taint}-")
    lab.kubectl("label", "node", name, "egi.eu/worker=true", "egi.eu/edge=true")
    result = playbook("cluster")
    assert result.status == 0, result.failures
    (after,) = lab.get("node", name)
    assert after["spec"]["taints"] == before["spec"]["taints"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    # Traefik has come for the label, and goes with it.
    wait_until(lambda: not any(one.startswith("edge/") for one in containers(lab, "master")), 60, "a master alone")
    wait_until_sound(lab)
    unchanged(lab, picture(lab))


def test_homes_are_found_again_after_their_claim_was_deleted(lab, member):
    member.start()
    member.write("faults-kept.txt", "kept")
    member.stop()
    lab.kubectl("delete", "persistentvolumeclaim", "homes", "-n", HUB, "--timeout=90s")
    result = playbook("service")
    assert result.status == 0, result.failures
    member.start()
    assert member.read("faults-kept.txt") == "kept"
    member.server("DELETE", "contents/faults-kept.txt")


def test_a_run_works_under_locale_c(lab, monkeypatch):
    """The nodes know no other locale."""
    for name in ("LC_ALL", "LC_CTYPE", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C")
    unchanged(lab, picture(lab))
    monkeypatch.setenv("LC_ALL", "C")
    assert "requires the locale encoding to be UTF-8" in playbook("preflight").output


@pytest.mark.quick
def test_nodes_have_no_internet_and_no_other_locale_than_c(lab):
    """All that stands here was made without: no route leads out, no name outside is known."""
    routes = json.loads(subprocess.check_output(["ip", "-json", "route", "show"]))
    assert {route["dst"] for route in routes} == {"10.77.0.0/24"}
    for node in MACHINES:
        assert lab.ssh(node, "getent hosts registry.k8s.io deb.debian.org quay.io").stdout == ""
        assert set(lab.run(node, "locale -a").split()) <= {"C", "C.utf8", "POSIX"}
    sources = lab.run("worker", "cat /etc/apt/sources.list.d/*")
    assert "mirror.lab.test" in sources
    assert "deb.debian.org" not in sources
