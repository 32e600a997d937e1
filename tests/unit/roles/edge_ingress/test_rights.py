# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Traefik may read, and that namespaces of the site's own stay as they are."""

from __future__ import annotations

import json

import yaml


def binding(name: str, namespace: str, of: str) -> dict:
    subject = {"kind": "ServiceAccount", "name": "traefik", "namespace": of}
    return {"kind": "RoleBinding", "metadata": {"name": name, "namespace": namespace}, "subjects": [subject]}


def known(*items: dict) -> dict:
    return {"__edge_ingress_cluster": {"stdout": json.dumps({"items": items})}}


def test_rights_are_taken_back_where_traefik_serves_nothing_any_more(render_role):
    cluster = known(
        binding("edge-ingress", "jupyterhub", "edge"),
        binding("edge-ingress", "old", "edge"),
        binding("edge-ingress", "others", "another-edge"),
        binding("other", "old", "edge"),
        {"kind": "RoleBinding", "metadata": {"name": "edge-ingress", "namespace": "bare"}},
    )
    left = render_role("edge_ingress", "__edge_ingress_left_rights", **cluster)
    assert [(item["kind"], item["metadata"]["namespace"]) for item in left] == [("RoleBinding", "old"), ("Role", "old")]


def test_a_namespace_that_is_there_is_not_applied(render_role):
    template = "lookup('ansible.builtin.template', role_path ~ '/templates/manifests.yml.j2')"

    def namespaces(*names):
        cluster = known(*({"kind": "Namespace", "metadata": {"name": name}} for name in names))
        site = {"egi_notebooks_domain": "notebooks.example.org", "__edge_ingress_node_addresses": []}
        documents = yaml.safe_load_all(render_role("edge_ingress", template, **cluster | site))
        return [item["metadata"]["name"] for item in documents if item and item["kind"] == "Namespace"]

    assert namespaces() == ["edge", "jupyterhub"]
    assert namespaces("edge", "jupyterhub") == ["edge"]
