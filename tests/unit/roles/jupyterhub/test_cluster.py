# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role jupyterhub derives from the cluster's objects."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import jupyterhub_cluster as cluster

NODES = [
    {"kind": "Node", "metadata": {"name": name}, "spec": {"taints": taints} if taints else {}}
    for name, taints in (("m", [{"key": "x"}]), ("w2", []), ("w1", []))
]
HOMES = {"kind": "PersistentVolumeClaim", "metadata": {"name": "homes"}, "status": {"phase": "Bound"}}
OWN = {"app.kubernetes.io/part-of": "egi-notebooks"}


@pytest.fixture
def check(read_check, site):
    """Return a function that gives the role's settings for a site with these variables."""
    return lambda **variables: read_check("jupyterhub", **site | variables)


@pytest.fixture
def volume(objects):
    """Return a function that gives the wanted volume of the database; `there` are (specification, phase)."""

    def call(*there, **variables):
        metadata = {"name": "jupyterhub-hub-db"}
        found = [
            {"kind": "PersistentVolume", "metadata": metadata, "spec": spec, "status": {"phase": phase}}
            for spec, phase in there
        ]
        return objects([*NODES, *found], **variables)[1]["spec"]

    return call


def node(spec):
    return spec["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"]


def test_the_database_s_node_is_chosen_once(volume):
    assert node(volume()) == ["w1"]
    assert node(volume(jupyterhub_db_node="w9")) == ["w9"]
    kept = volume(jupyterhub_db_node="w2")
    assert node(volume((kept, "Bound"))) == ["w2"]


def test_the_database_s_node_is_one_and_its_volume_stays(check, volume):
    def problems(*volumes, mode=False, **variables):
        return cluster.cluster_problems(check(**variables), [*NODES, HOMES, *volumes], mode)

    assert problems() == problems(jupyterhub_db_node="w2") == []
    (problem,) = problems(jupyterhub_db_node="host-of-w2")
    assert problem == (
        'jupyterhub_db_node must be the name of a node of the cluster (m, w1, w2), or empty; got "host-of-w2".'
    )
    (problem,) = cluster.cluster_problems(check(), [NODES[0], HOMES])
    assert problem.startswith("jupyterhub_db_node must be the name of a node, as no node of the cluster takes ordinary")
    # The node may have joined by then.
    assert problems(mode=True, jupyterhub_db_node="w3") == []
    there = {
        "kind": "PersistentVolume",
        "metadata": {"name": "jupyterhub-hub-db"},
        "spec": volume(jupyterhub_db_node="w2", jupyterhub_db_path="/srv/hub"),
    }
    kept = {"jupyterhub_db_path": "/srv/hub"}
    assert problems(there, **kept) == problems(there, jupyterhub_db_node="w2", **kept) == []
    for changed, name in (({"jupyterhub_db_node": "w1"} | kept, "w2"), ({"jupyterhub_db_path": "/srv/o"}, "/srv/hub")):
        for mode in (True, False):
            (problem,) = problems(there, mode=mode, **changed)
            variable = next(iter(changed))
            assert problem == (
                f'{variable} must be "{name}", where the volume jupyterhub-hub-db is; got "{changed[variable]}". '
                "Kubernetes never moves a volume; see docs/operations.md."
            )


def test_users_need_a_claim_of_the_homes(check):
    assert cluster.cluster_problems(check(), [*NODES, HOMES]) == cluster.cluster_problems(check(), NODES, True) == []
    assert cluster.cluster_problems(check(), NODES) == [
        'jupyterhub_homes_pvc must be a claim in the namespace jupyterhub; got "homes". The role nfs_volumes '
        "creates one."
    ]


def test_the_database_survives_its_claim(volume):
    spec = volume()
    assert spec["persistentVolumeReclaimPolicy"] == "Retain"
    assert "uid" not in spec["claimRef"]
    again = volume((spec, "Released"))
    assert again["claimRef"] == spec["claimRef"] | {"uid": None, "resourceVersion": None}


def test_a_volume_whose_claim_was_deleted_is_released(objects):
    volume = {"kind": "PersistentVolume", "metadata": {"name": "jupyterhub-hub-db"}, "spec": objects(NODES)[1]["spec"]}
    assert "uid" not in objects([*NODES, volume | {"status": {"phase": "Bound"}}])[1]["spec"]["claimRef"]
    released = objects([*NODES, volume | {"status": {"phase": "Released"}}])[1]["spec"]["claimRef"]
    assert released["uid"] is released["resourceVersion"] is None


def test_the_hub_may_change_secrets_only_for_access_tokens_in_files(check, objects, full_site):
    def surplus(*roles, **variables):
        found = [{"apiVersion": "v1", "kind": "Role", "metadata": {"name": name}} for name in roles]
        return cluster.surplus_objects(check(**variables), NODES + found)

    kinds = ["Namespace", "PersistentVolume", "LimitRange"]
    assert [item["kind"] for item in objects(NODES)] == [*kinds, "Secret"]
    assert [item["kind"] for item in objects(NODES, **full_site)] == [*kinds, "Role", "RoleBinding", "Secret"]
    role, binding = objects(NODES, **full_site)[3:5]
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "patch", "delete"]}]
    assert binding["subjects"][0]["name"] == "hub"
    own = {"hub": {"serviceAccount": {"name": "other"}}}
    assert objects(NODES, **full_site | {"jupyterhub_values": own})[4]["subjects"][0]["name"] == "other"
    assert surplus("hub") == surplus("egi-notebooks-access-tokens", **full_site) == []
    assert [item["kind"] for item in surplus("hub", "egi-notebooks-access-tokens")] == ["Role"]


def test_only_what_is_ours_is_removed(check):
    def removed(*items, labels=OWN):
        namespace = {"kind": "Namespace", "metadata": {"name": "jupyterhub", "labels": labels}}
        return cluster.removals(check(), [namespace, *items])

    database = {"kind": "PersistentVolumeClaim", "metadata": {"name": "hub-db-dir"}}
    own = [{"kind": "Pod", "metadata": {"name": "hub", "labels": {"app": "jupyterhub"}}}, database]
    assert removed() == removed(*own) == [["namespace", "jupyterhub"]]
    users, objects = removed({"kind": "Pod", "metadata": {"name": "other"}})
    assert users[1] == "--selector=component in (singleuser-server,singleuser-access-token)"
    assert "secret/egi-notebooks-hub" in objects
    assert objects[-1] == users[-1] == "--namespace=jupyterhub"
    # Who deletes a claim may lose its data.
    assert removed(HOMES) == removed(labels={}) == [users, objects]
    assert "volume" not in str(removed(HOMES))
    assert cluster.removals(check(), []) == []
