# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Traefik may read, where it runs, and that namespaces of the site's own stay as they are."""

from __future__ import annotations

import base64

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import edge_ingress


def binding(name: str, namespace: str, of: str) -> dict:
    subject = {"kind": "ServiceAccount", "name": "traefik", "namespace": of}
    return {"kind": "RoleBinding", "metadata": {"name": name, "namespace": namespace}, "subjects": [subject]}


def node(name: str, address: str, **labels) -> dict:
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
    return {"kind": "Node", "metadata": {"name": name, "labels": labels}, "status": {"addresses": addresses}}


NODES = [
    node("w", "192.0.2.3"),
    node("e", "192.0.2.2", **{"egi.eu/edge": "true"}),
    node("f", "192.0.2.1", **{"egi.eu/edge": "false"}),
]


def test_rights_are_taken_back_where_traefik_serves_nothing_any_more(read_check):
    cluster = [
        *NODES,
        binding("edge-ingress", "jupyterhub", "edge"),
        binding("edge-ingress", "old", "edge"),
        binding("edge-ingress", "others", "another-edge"),
        binding("other", "old", "edge"),
        {"kind": "RoleBinding", "metadata": {"name": "edge-ingress", "namespace": "bare"}},
    ]
    left = edge_ingress.left_rights(read_check("edge_ingress"), cluster)
    assert [(item["kind"], item["metadata"]["namespace"]) for item in left] == [("Role", "old"), ("RoleBinding", "old")]


@pytest.fixture
def manifests(render_role):
    """Return a function that gives the role's objects of a kind, with these objects in the cluster."""

    def call(kind, *cluster, **variables):
        site = {
            "egi_notebooks_domain": "notebooks.example.org",
            "inventory_hostname": "m",
            "__edge_ingress_cluster": {"state": "present", "objects": list(cluster)},
        }
        template = (
            "lookup('ansible.builtin.template', role_path ~ '/templates/manifests.yml.j2') | from_yaml_all | list"
        )
        variables = site | variables | {"ansible_search_path": []}
        return [item for item in render_role("edge_ingress", template, **variables) if item["kind"] == kind]

    return call


def test_a_namespace_that_exists_is_not_applied(manifests):
    def namespaces(*names):
        cluster = [{"kind": "Namespace", "metadata": {"name": name}} for name in names]
        return [item["metadata"]["name"] for item in manifests("Namespace", *cluster)]

    assert namespaces() == ["edge", "jupyterhub"]
    assert namespaces("edge", "jupyterhub") == ["edge"]


def test_a_namespace_of_its_own_is_applied_once(manifests):
    found = manifests("Namespace", edge_ingress_watched_namespaces=["edge"])
    assert [item["metadata"]["name"] for item in found] == ["edge"]


def test_a_secret_of_the_site_s_own_is_none_of_the_role_s_objects(manifests):
    assert [item["metadata"]["name"] for item in manifests("Secret")] == ["edge-certificate"]
    assert manifests("Secret", edge_ingress_certificate_secret="site") == []


def test_the_address_of_each_node_may_read_the_metrics(manifests):
    (config,) = manifests("ConfigMap", *NODES)
    assert '["10.244.0.0/16", "192.0.2.1", "192.0.2.2", "192.0.2.3"]' in config["data"]["edge.yml"]


def test_a_node_is_an_edge_by_its_label(read_check):
    check = read_check("edge_ingress")
    assert edge_ingress.edges(check, NODES) == ["e"]
    assert edge_ingress.node_addresses(check, NODES, edges_only=True) == ["192.0.2.2"]


def traefik(ready: int, wanted: int) -> dict:
    status = {"numberReady": ready, "desiredNumberScheduled": wanted}
    return {"kind": "DaemonSet", "metadata": {"name": "traefik", "namespace": "edge"}, "status": status}


@pytest.mark.parametrize(
    ("answer", "faults"),
    [
        ({"state": "present", "objects": [*NODES, traefik(2, 2)]}, []),
        (
            {"state": "present", "objects": [traefik(1, 2)]},
            ["Traefik is ready on 1 of 2 edges. See kubectl --namespace edge describe pods."],
        ),
        (
            {"state": "present", "objects": [traefik(0, 0)]},
            ["Traefik runs on no node; must run on one with the label egi.eu/edge=true."],
        ),
        (
            {"state": "present", "objects": NODES},
            ["There is no DaemonSet traefik in the namespace edge. Run the role edge_ingress."],
        ),
        ({"state": "unreachable", "reason": "refused"}, ["The cluster can't be queried: refused"]),
    ],
)
def test_verify_reports_an_edge_without_traefik(read_check, answer, faults):
    assert edge_ingress.verify_problems(read_check("edge_ingress"), answer) == faults


def test_the_secret_s_data_stays_out_of_the_manifests(manifests):
    (secret,) = manifests("Secret")
    assert "data" not in secret
    assert base64.b64encode(b"PRIVATE KEY").decode() not in str(manifests("DaemonSet"))
