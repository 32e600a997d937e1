# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of preflight.yml, cluster.yml or service.yml reports all problems, on hosts that are this machine."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import inventory
from ansible_collections.egi.notebooks.plugins.plugin_utils.roles import role_module

SITE = {
    "egi_notebooks_domain": "notebooks.invalid",
    "egi_notebooks_vos": ["vo.a"],
    "egi_notebooks_mirror": "http://127.0.0.1:9",
    "jupyterhub_oauth": {"client_id": "x", "issuer": "https://127.0.0.1:9/auth/realms/egi"},
    "jupyterhub_oauth_client_secret": "correct-horse-battery-staple",
}
# Named, as a machine need not have the default route that the default comes from.
LINKS = json.loads(subprocess.check_output(["ip", "-json", "-4", "address", "show", "up"]))
OWN = next(link["addr_info"][0]["local"] for link in LINKS if "LOOPBACK" not in link["flags"])
AWAY = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
GROUPS = {
    "masters": {
        "hosts": {
            "m": {
                "egi_notebooks_node_address": OWN,
                # Made of a variable that other hosts do not have.
                "control_plane_address": OWN,
                "kube_master_endpoint": "{{ control_plane_address }}:6443",
                "kube_master_pod_mtu": 9999,
                "jupyterhub_db_path": "hub",
            }
        }
    },
    "edges": {
        "hosts": {
            "e": {
                "egi_notebooks_node_address": "203.0.113.5",
                "kube_node_containerd_version": "2",
                "kube_node_extra_images": ["quay.io/team/more:1"],
            }
        }
    },
    "workers": {
        "hosts": {
            "w": {"egi_notebooks_node_address": "203.0.113.5"},
            "odd": {"kube_node_minimum_memory": "much"},
            "gone": AWAY,
        }
    },
    "nfs_servers": {"hosts": {"n": {"nfs_server_path": "homes"}, "n2": {}}},
    "cooks": {"hosts": {"stranger": {}, "bastion": AWAY}},
}


class Empty(BaseHTTPRequestHandler):
    """A mirror that has nothing."""

    def do_HEAD(self):
        self.send_error(404)

    def log_message(self, *_):
        """Log nothing."""


@pytest.fixture
def empty_mirror():
    """The URL of a mirror that has nothing."""
    with HTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def problems(ansible_playbook, tmp_path, empty_mirror):
    """Return a function that runs a playbook and gives the lines that its checks end with."""
    groups = copy.deepcopy(GROUPS)
    for group, host in (("masters", "m"), ("edges", "e")):
        groups[group]["hosts"][host]["kube_node_mirror"] = empty_mirror

    def run(playbook, *arguments):
        played = ansible_playbook(tmp_path, playbook, *arguments, groups=groups, site=SITE)
        ends = [message for task, message in played.failures if task == "Report all problems of all hosts"]
        assert played.status != 0
        assert not any(counts["changed"] for counts in played.report["stats"].values())
        assert len(ends) == 1, played.output
        return ends[0].splitlines()

    return run


def has(text, *patterns):
    for pattern in patterns:
        assert re.search(pattern, text, re.MULTILINE), f"{pattern}\n{text}"


def test_one_run_reports_all_problems_of_all_hosts(problems):
    lines = problems("preflight")
    text = "\n".join(lines)
    assert len(lines) == len(set(lines))
    has(
        text,
        "^inventory has hosts in none of the groups masters, edges, workers, nfs_servers: bastion, stranger.$",
        '^e, w: egi_notebooks_node_address must be one of the host\'s own addresses .*; got "203.0.113.5"',
        "^m: kube_master_pod_mtu must be .*; got 9999",
        '^m: egi_notebooks_domain must be .*; got "notebooks.invalid"',
        '^odd: kube_node_minimum_memory must be of type int; got "much"',
        # Reported by ssh, or by Ansible for an ssh that has ended already.
        "^gone: host is unreachable: .*(port 9|could not be sent to remote host)",
        '^n: nfs_server_path must be .*; got "homes"',
        r'^nfs_servers must be a group of one host, unless nfs_volumes_server is set; got \["n", "n2"\]',
        "^(.*, )?w(, .*)?: http://127.0.0.1:9 does not answer",
        # What does not depend on a wrong setting is queried in the same run.
        '^m: jupyterhub_db_path must be .*; got "hub"',
        "^m: quay.io/jupyterhub/k8s-singleuser-sample:4.4.0 is missing: .* 404",
        "^m: registry.k8s.io/kube-apiserver:v.* is missing: .* 404",
        '^e: kube_node_containerd_version must be .*; got "2"',
        "^e: quay.io/team/more:1 is missing: .* 404",
        "^m: .*https://127.0.0.1:9/auth/realms/egi",
    )
    assert text.count('got "notebooks.invalid"') == 1


def test_the_service_alone_is_checked_before_its_first_part(problems):
    text = "\n".join(problems("service"))
    has(
        text,
        '^n: nfs_server_path must be .*; got "homes"',
        '^m: egi_notebooks_domain must be .*; got "notebooks.invalid"',
        "^m: .*https://127.0.0.1:9/auth/realms/egi",
    )
    assert not re.search("kube_node|kube_master|^(e|w|odd|gone): ", text, re.MULTILINE), text


@pytest.mark.parametrize(
    ("playbook", "host", "problem"),
    [
        ("preflight", "bastion", "host is unreachable: "),
        ("service", "stranger", "http://127.0.0.1:9 does not answer"),
    ],
)
def test_the_host_that_calls_the_cluster_s_api_is_checked_whatever_its_group(problems, playbook, host, problem):
    text = "\n".join(problems(playbook, "--extra-vars", f"egi_notebooks_kube_host={host}"))
    has(text, f"^(.*, )?{host}(, .*)?: {problem}")
    # What only a node must have.
    assert not re.search(f"^(.*, )?{host}(, .*)?: (kube_|memory|architecture|port )", text, re.MULTILINE), text


@pytest.mark.parametrize("playbook", ["preflight", "site"])
def test_an_inventory_without_hosts_is_no_success(ansible_playbook, tmp_path, playbook):
    played = ansible_playbook(tmp_path, playbook, groups={})
    assert played.status != 0
    ((_task, message),) = played.failures
    assert re.match("The inventory \\(.*hosts.json\\) has no hosts. It must have the groups masters, edges", message)


def test_a_run_for_one_host_needs_no_facts_of_others_and_queries_no_wrong_mirror(problems):
    wrong = {"kube_node_mirror": "http://me:word@127.0.0.1:9", "kube_node_extra_images": ["quay.io/team/more:1"]}
    lines = problems("cluster", "--limit", "w", "--extra-vars", json.dumps(wrong))
    assert all(line.startswith("w: ") for line in lines), lines
    assert "w: kube_node_mirror must be a URL without a login" in "\n".join(lines)
    assert 'got "http://***@127.0.0.1:9".' in "\n".join(lines)
    assert not [line for line in lines if "word" in line or "does not answer" in line], lines
    assert not [line for line in lines if "can't be evaluated" in line], lines


def test_the_playbooks_check_every_role(root):
    run = inventory.Run("a", dict.fromkeys(inventory.GROUPS, ["a"]))
    known = set(inventory.host_roles(run))
    assert known == {path.parent.name for path in (root / "roles").glob("*/tasks")}
    for role in known:
        assert callable(role_module(role).problems)
