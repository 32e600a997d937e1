# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How verify.yml requests the website, and what it reports; the lab's tests run it on a service that works."""

from __future__ import annotations

import re

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import verify

LOGIN = {"client_id": "x", "environment": "demo"}
SITE = {"egi_notebooks_domain": "n.example.org", "egi_notebooks_vos": ["vo.a"], "jupyterhub_oauth": LOGIN}
REALM = "https://aai-demo.egi.eu/auth/realms/egi"
CALLBACK = "https://n.example.org/hub/oauth_callback"


@pytest.fixture
def website(read_reader):
    """Return a function that gives how the website of a site is requested."""

    def call(**variables):
        return verify.website(read_reader(groups={"masters": ["a"]}, **SITE | variables))

    return call


def test_the_website_is_requested_as_the_site_has_set_it(website):
    assert website() == {
        "host": "localhost",
        "internal_ca": "/etc/egi-notebooks/edge/ca.crt",
        "domain": "n.example.org",
        "issuer": REALM,
        "authorize_url": f"{REALM}/protocol/openid-connect/auth",
        "client_id": "x",
        "callback_url": CALLBACK,
        "pkce": True,
        "certificates": "",
    }
    own = website(
        jupyterhub_domain="own.example.org",
        jupyterhub_vos=["vo.own"],
        jupyterhub_oauth=LOGIN | {"pkce": False},
        edge_ingress_tls="provided",
    )
    # A variable of the role counts more than the shared one.
    assert (own["domain"], own["callback_url"]) == ("own.example.org", "https://own.example.org/hub/oauth_callback")
    assert (own["pkce"], own["internal_ca"]) == (False, "")
    moved = LOGIN | {"callback_url": "https://else.example.org/hub/oauth_callback"}
    assert website(jupyterhub_oauth=moved)["callback_url"] == moved["callback_url"]


def test_the_host_of_the_cluster_requests_a_name_that_the_control_node_can_not_resolve(website):
    assert website(edge_ingress_check_dns="false")["host"] == "a"


@pytest.mark.parametrize(
    ("given", "trusted"),
    [
        ([], []),
        (["egi_notebooks_ca_file"], ["egi_notebooks_ca_file"]),
        (["egi_notebooks_ca_file", "edge_ingress_ca_file"], ["edge_ingress_ca_file", "egi_notebooks_ca_file"]),
        (["edge_ingress_ca_file", "jupyterhub_oauth_ca_file"], ["edge_ingress_ca_file", "jupyterhub_oauth_ca_file"]),
    ],
)
def test_the_cas_of_the_edge_and_of_the_login_are_trusted(website, tmp_path, given, trusted):
    for name in given:
        (tmp_path / name).write_text(name)
    files = {name: str(tmp_path / name) for name in given}
    login = {"client_id": "x", "issuer": "https://login.example.org/auth/realms/egi"}
    assert website(jupyterhub_oauth=login, **files)["certificates"].split() == trusted


def test_all_faults_are_reported_at_the_end(ansible_playbook, tmp_path):
    """On hosts without any service, one of which is unreachable."""
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    groups = {
        "masters": {"hosts": {"m": {}}},
        "workers": {"hosts": {"w": {}, "gone": away}},
    }
    # Nothing is waited for.
    waits = ("verify_timeout", "edge_ingress_wait_timeout", "prometheus_wait_timeout", "kube_master_wait_timeout")
    settings = SITE | dict.fromkeys([*waits, "jupyterhub_timeout", "kube_worker_timeout"], 0)
    settings |= {"edge_ingress_check_dns": False, "egi_notebooks_kubeconfig": str(tmp_path / "none.conf")}
    played = ansible_playbook(tmp_path, "verify", groups=groups, site=settings)
    assert played.status != 0
    (message,) = [message for task, message in played.failures if task == "Report what does not work"]
    lines = message.splitlines()
    assert [line for line in lines if line.startswith("gone: host is unreachable: ")], message
    # After a role's fault the next role is verified.
    assert [line for line in lines if line.startswith("m: ") and "/none.conf on this host" in line], message
    for fault in (
        "m: Prometheus does not answer",
        "m: .*http://n.example.org/",
        "m: .*https://n.example.org/hub/login",
    ):
        assert re.search(f"^{fault}", message, re.MULTILINE), message
