# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sites that use the role jupyterhub, and what its Python makes of them."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import jupyterhub


@pytest.fixture(scope="session")
def site():
    """A site that sets only what it must."""
    return {
        "egi_notebooks_domain": "notebooks.example.org",
        "egi_notebooks_vos": ["vo.notebooks.egi.eu"],
        "jupyterhub_oauth": {"environment": "production", "client_id": "egi-notebooks"},
        "jupyterhub_oauth_client_secret": "correct-horse-battery-staple",
    }


@pytest.fixture(scope="session")
def full_site(tmp_path_factory):
    """A site that sets everything."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    (folder / "secret").write_text("correct-horse-battery-staple\n")
    return {
        "egi_notebooks_domain": "notebooks.lab.test",
        "egi_notebooks_mirror": "https://mirror.lab.test",
        "egi_notebooks_namespace": "notebooks",
        "egi_notebooks_ca_file": str(folder / "ca.crt"),
        "jupyterhub_vos": [
            {"name": "vo.a", "admin": ["vm_operator"]},
            {"name": "vo.b", "groups": ["training"], "roles": ["member"], "assurance": ["https://aai.egi.eu/LoA#High"]},
            {
                "name": "vo.c",
                "images": {"Tensors": "registry.example.org:5000/tensors:1", "R": "quay.io/r:2"},
                "limits": {"cpu": 2, "memory": "4G", "gpu": 1},
                "storage": [{"claim": "data", "path": "/data"}],
            },
        ],
        "jupyterhub_oauth": {
            "issuer": "https://aai.lab.test/auth/realms/egi",
            "client_id": "egi-notebooks",
            "offline_access": True,
            "access_token_file": True,
            "scopes": ["openid", "voperson_id", "entitlements"],
        },
        "jupyterhub_oauth_client_secret_file": str(folder / "secret"),
        "jupyterhub_user_image": "registry.example.org:5000/notebooks/lab:2026.1",
        "jupyterhub_user_command": ["/usr/local/bin/start", "jupyterhub-singleuser"],
        "jupyterhub_user_memory_limit": "4G",
        "jupyterhub_user_memory_guarantee": "1G",
        "jupyterhub_user_cpu_limit": "1.5",
        "jupyterhub_user_cpu_guarantee": 1,
        "jupyterhub_user_start_timeout": "120",
        "jupyterhub_user_idle_timeout": 600,
        "jupyterhub_homes_pvc": "people",
        "jupyterhub_metrics_namespace": "metrics",
        "jupyterhub_ingress_class": "nginx",
        "jupyterhub_ingress_tls": [{"hosts": ["notebooks.lab.test"], "secretName": "tls"}],
        "jupyterhub_values": {"singleuser": {"memory": {"limit": "8G"}}, "cull": {"enabled": False}},
    }


@pytest.fixture(scope="session")
def helm_values(read_check, render_role, site):
    """Return a function that gives the chart's values for a site, by default the first one with these variables."""

    kept = {"data": dict.fromkeys(("hub.config.JupyterHub.cookie_secret", "hub.config.CryptKeeper.keys"), "eA==")}

    def call(objects=(), nfs_hosts=(), base=None, **variables):
        own = (site if base is None else base) | variables
        data = jupyterhub.release_data(read_check("jupyterhub", **own), list(objects), [kept], nfs_hosts)
        return render_role("jupyterhub", "__jupyterhub_helm_values", **own, __jupyterhub_data=data)

    return call


@pytest.fixture(scope="session")
def objects(read_check, render_role, site):
    """Return a function that gives the objects that the role wants on a cluster with some objects."""

    def call(found=(), **variables):
        own = site | variables
        decided = jupyterhub.cluster_decisions(read_check("jupyterhub", **own), list(found))
        return render_role("jupyterhub", "__jupyterhub_objects", **own, __jupyterhub_decided=decided)

    return call
