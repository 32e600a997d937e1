# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the volume of the homes, and what happens to the one that exists."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.egi.notebooks.plugins.plugin_utils import nfs_volumes

GROUPS = {"masters": ["a"], "edges": ["b"], "workers": ["c"], "nfs_servers": ["d"]}
FACTS = {"addresses": [{"address": "192.0.2.11"}]}


@pytest.fixture
def problems(role_problems):
    """Return a function that gives the problems of host a, whose resolver has these addresses for any name."""

    def call(addresses=("192.0.2.11",), others=None, **variables):
        def query(_module, names):
            return {"addresses": {name: list(addresses) for name in names}}

        return role_problems("nfs_volumes", {"nodename": "a"}, others, query, **({"groups": GROUPS} | variables))

    return call


@pytest.fixture
def check(read_check):
    """Return a function that gives the settings of host a."""

    def call(**variables):
        return read_check("nfs_volumes", **({"groups": GROUPS} | variables))

    return call


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"groups": {}},
            "nfs_volumes_server must be the NFS server's name or address as the nodes know it, by default",
        ),
        ({"nfs_volumes_server": "d:/srv homes"}, "nfs_volumes_server must be the NFS server's name"),
        ({"nfs_volumes_path": "homes"}, "nfs_volumes_path must be the absolute path that the server exports"),
        ({"egi_notebooks_homes_path": "homes"}, "egi_notebooks_homes_path must be the absolute path"),
        (
            {"nfs_volumes_size": "1T"},
            'nfs_volumes_size must be a number with Ki, Mi, Gi, Ti or Pi, such as 1Ti; got "1T"',
        ),
        ({"nfs_volumes_size": "0Ti"}, "nfs_volumes_size must be a number with"),
    ],
)
def test_bad_settings_are_rejected(problems, variables, sentence):
    (problem,) = problems(**variables)
    assert problem.startswith(sentence)


@pytest.mark.parametrize(
    ("others", "addresses", "sentences"),
    [
        ({}, ["203.0.113.7"], []),
        ({"d": FACTS}, ["192.0.2.11"], []),
        ({"d": FACTS}, ["127.0.1.1", "2001:db8::1"], []),
        (
            {"d": FACTS},
            ["203.0.113.7"],
            [
                "nfs_volumes_server must be a name of d's own addresses (203.0.113.7 is none of them); got "
                '"d". Set egi_notebooks_node_address for a host with a floating address.'
            ],
        ),
        (
            {},
            [],
            ['nfs_volumes_server must be a name that this host and the nodes can resolve, or an address; got "d".'],
        ),
    ],
)
def test_users_mount_from_an_address_of_the_nfs_server_s_own(problems, others, addresses, sentences):
    assert problems(addresses, others) == sentences


def test_an_address_needs_no_resolver(role_problems):
    site = {"groups": GROUPS, "nfs_volumes_server": "203.0.113.7"}
    (problem,) = role_problems("nfs_volumes", {"nodename": "a"}, {"d": FACTS}, None, **site)
    assert "(203.0.113.7 is none of them)" in problem


def test_users_mount_from_the_address_that_the_inventory_names(check):
    hostvars = {"a": {}, "d": {"egi_notebooks_node_address": "192.0.2.11"}}
    assert nfs_volumes.server(check(hostvars=hostvars)) == "192.0.2.11"
    assert nfs_volumes.server(check(hostvars=hostvars, nfs_volumes_server="homes.example.org")) == "homes.example.org"
    assert nfs_volumes.server(check()) == "d"
    assert nfs_volumes.server(check(groups={})) == ""


@pytest.fixture
def objects(render_role):
    """Return a function that gives the objects that the role wants."""

    def call(release=False):
        text = "lookup('ansible.builtin.template', role_path ~ '/templates/manifests.yml.j2')"
        plan = {"__nfs_volumes_plan": {"release": release}}
        return list(yaml.safe_load_all(render_role("nfs_volumes", text, groups=GROUPS, inventory_hostname="a", **plan)))

    return call


@pytest.fixture
def existing(objects):
    """The volume and the claim as the cluster has them."""
    _namespace, volume, claim = objects()
    volume["spec"]["claimRef"]["uid"] = "1"
    volume["status"] = {"phase": "Bound"}
    claim["spec"]["volumeMode"] = "Filesystem"
    claim["status"] = {"phase": "Bound"}
    return volume, claim


@pytest.fixture
def plan(check):
    """Return a function that compares the cluster's objects with the settings."""

    def call(*items, **variables):
        return nfs_volumes.plan(check(**variables), list(items))

    return call


def test_the_objects_keep_the_homes(objects):
    namespace, volume, _claim = objects()
    # As the role jupyterhub has it: each would change the other's.
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "baseline"}
    assert volume["spec"]["nfs"] == {"server": "d", "path": "/srv/homes"}
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert "uid" not in volume["spec"]["claimRef"]


def test_a_second_run_waits_for_nothing(plan, existing):
    nothing = {"problems": [], "release": False, "wait": False}
    assert plan(*existing) == nothing
    # The API shows 1024Gi as 1Ti.
    assert plan(*existing, nfs_volumes_size="1024Gi") == nothing


def test_a_claim_that_is_missing_is_waited_for(plan):
    assert plan() == {"problems": [], "release": False, "wait": True}


def test_a_volume_whose_claim_was_deleted_is_released(plan, existing, objects):
    volume, claim = existing
    volume["status"]["phase"] = "Released"
    assert plan(volume) == {"problems": [], "release": True, "wait": True}
    # That run was killed after it had created the claim.
    claim["status"]["phase"] = "Pending"
    assert plan(volume, claim) == {"problems": [], "release": True, "wait": True}
    reference = objects(release=True)[1]["spec"]["claimRef"]
    assert reference["uid"] is reference["resourceVersion"] is None


def test_the_volume_stays_as_it_is(plan, existing):
    volume, claim = existing

    def found(*objects, **variables):
        return plan(*objects, **variables)["problems"]

    (problem,) = found(volume, claim, nfs_volumes_server="e")
    assert problem == (
        'nfs_volumes_server must be "d", the server of the volume homes; got "e". Kubernetes never changes it. How '
        "homes move is described in docs/operations.md."
    )
    (problem,) = found(volume, egi_notebooks_homes_path="/homes")
    assert problem.startswith(
        'egi_notebooks_homes_path must be "/srv/homes", the path of the volume homes; got "/homes"'
    )
    (problem,) = found(volume, claim, nfs_volumes_size="2Ti")
    assert problem.startswith(
        'nfs_volumes_size must be "1Ti", the size of the claim homes; got "2Ti". Kubernetes never'
    )
    # A claim that is created again may have another size.
    assert found(volume, nfs_volumes_size="2Ti") == []
    (problem,) = found(volume, nfs_volumes_namespace="second")
    assert problem.startswith(
        'nfs_volumes_namespace must be "jupyterhub", whose claim has the volume homes; got "second". For another'
    )
    # Nobody has it any more.
    assert found(volume | {"status": {"phase": "Released"}}, nfs_volumes_namespace="second") == []


def test_faults_of_the_claim(check, existing):
    volume, claim = existing
    assert nfs_volumes.faults(check(), [volume, claim]) == []
    claim["status"]["phase"] = "Pending"
    assert nfs_volumes.faults(check(), [volume, claim]) == [
        "PersistentVolumeClaim jupyterhub/homes is Pending, not bound."
    ]
    assert nfs_volumes.faults(check(), [volume]) == [
        "PersistentVolumeClaim jupyterhub/homes does not exist. Run service.yml."
    ]


@pytest.mark.parametrize(("text", "size"), [("1Ti", 1024**4), ("1024Gi", 1024**4), ("5", 5), ("1G", "1G"), ("x", "x")])
def test_quantities(text, size):
    assert nfs_volumes.parse_quantity(text) == size
