# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that keeps the metrics is chosen once."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import prometheus

PATH = "/var/lib/egi-notebooks/prometheus"


def node(name: str, **spec) -> dict:
    return {"kind": "Node", "metadata": {"name": name}, "spec": spec}


def volume(name: str = "w2", path: str = PATH, phase: str = "Bound") -> dict:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}]}
    return {
        "kind": "PersistentVolume",
        "metadata": {"name": "monitoring-prometheus"},
        "spec": {"hostPath": {"path": path}, "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}},
        "status": {"phase": phase},
    }


NODES = [node("w2"), node("w1"), node("m", taints=[{"key": "node-role.kubernetes.io/control-plane"}])]


@pytest.fixture
def problems(read_check):
    def call(*volumes, nodes=NODES, **variables):
        return prometheus.volume_problems(read_check("prometheus", **variables), [*nodes, *volumes])

    return call


def test_the_metrics_node_is_one_and_their_volume_stays(problems):
    assert problems() == problems(volume()) == problems(volume(), prometheus_node="w2") == []
    assert problems(prometheus_node="w3") == [
        'prometheus_node must be the name of a node of the cluster (m, w1, w2), or empty; got "w3".'
    ]
    moved = "The volume monitoring-prometheus is there, and Kubernetes never moves a volume. See docs/operations.md."
    assert problems(volume(), prometheus_node="w1") == [f'prometheus_node must be w2; got "w1". {moved}']
    assert problems(volume(), prometheus_path="/srv/metrics") == [
        f'prometheus_path must be {PATH}; got "/srv/metrics". {moved}'
    ]
    # Its node is away, and comes back.
    assert problems(volume("w9")) == []


def test_a_cluster_without_an_ordinary_node_is_rejected(problems):
    (problem,) = problems(nodes=NODES[2:])
    assert problem == (
        'prometheus_node must be the name of a node that keeps the metrics; got "". No node takes ordinary pods.'
    )
    assert problems(nodes=NODES[2:], prometheus_node="m") == []


def test_the_first_ordinary_node_by_name_is_chosen_and_kept(read_check):
    check = read_check("prometheus")
    assert prometheus.volume_node(check, NODES) == "w1"
    assert prometheus.volume_node(check, [*NODES, volume("w2")]) == "w2"
    assert prometheus.volume_node(read_check("prometheus", prometheus_node="m"), NODES) == "m"
    assert prometheus.volume_node(check, []) == ""


def test_a_volume_of_another_shape_is_nobody_s(read_check):
    other = volume() | {"spec": {"nfs": {"server": "d", "path": "/"}}}
    assert prometheus.volume(read_check("prometheus"), [other]) == {}


@pytest.mark.parametrize(("phase", "lines"), [("Bound", 0), ("Released", 2)])
def test_a_released_volume_is_bound_to_the_next_claim(render_role, phase, lines):
    template = "lookup('ansible.builtin.template', role_path ~ '/templates/server.yml.j2')"
    config = {"__prometheus_config": "a: b", "__prometheus_rules": "c: d"}
    cluster = {"__prometheus_cluster": {"state": "present", "objects": [*NODES, volume(phase=phase)]}}
    text = render_role("prometheus", template, **cluster | config, inventory_hostname="m")
    assert text.count(": null") == lines
    assert 'values: ["w2"]' in text
