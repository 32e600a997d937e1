# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role prometheus rejects."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import prometheus

GROUPS = {"masters": ["a"], "edges": ["b"], "workers": ["c"], "nfs_servers": ["d"], "all": ["a", "b", "c", "d"]}


def facts(*hosts: str) -> dict[str, dict]:
    """What a run knows that has reached these hosts."""
    return {host: {"nodename": f"{host}.site"} for host in hosts}


def test_the_defaults_are_good(role_problems, read_check):
    assert role_problems("prometheus") == []
    images = prometheus.downloads(read_check("prometheus"))
    assert [image.partition("/")[0] for image in images] == ["quay.io", "quay.io", "registry.k8s.io"]


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"prometheus_scrape_interval": "30"}, 'prometheus_scrape_interval must be a time such as 30s; got "30".'),
        (
            {"prometheus_retention_time": "90 days"},
            'prometheus_retention_time must be a time such as 90d; got "90 days".',
        ),
        ({"prometheus_retention_time": "90d\n"}, 'prometheus_retention_time must be a time such as 90d; got "90d\\n".'),
        ({"prometheus_retention_size": "10G"}, 'prometheus_retention_size must be a size such as 10GB; got "10G".'),
        (
            {"prometheus_path": "metrics"},
            'prometheus_path must be an absolute path on the node\'s own disk, such as /srv/prometheus; got "metrics".',
        ),
        (
            {"prometheus_pod_annotations": ["a b"]},
            "prometheus_pod_annotations must be a list of annotations' names, such as [hub.jupyter.org/username]; got "
            '["a b"].',
        ),
        ({"prometheus_version": "v 3"}, 'prometheus_version must be the tag of an image, such as v3.5.3; got "v 3".'),
        (
            {"egi_notebooks_monitoring_namespace": "Metrics"},
            'egi_notebooks_monitoring_namespace must be the name of a namespace, such as monitoring; got "Metrics".',
        ),
        (
            {"egi_notebooks_node_exporter_port": "http"},
            'egi_notebooks_node_exporter_port must be of type int; got "http".',
        ),
    ],
)
def test_a_bad_setting_is_rejected(role_problems, variables, problem):
    assert role_problems("prometheus", **variables) == [problem]


def test_no_image_is_named_by_a_bad_version(read_check):
    assert prometheus.downloads(read_check("prometheus", prometheus_node_exporter_version="")) == []


def test_a_volume_s_node_goes_by_its_host_name(role_problems):
    def problems(name, *known, groups=GROUPS):
        return role_problems("prometheus", others=facts(*known), groups=groups, prometheus_node=name)

    (problem,) = problems("c", "a", "b", "c")
    assert problem == 'prometheus_node must be the host name of a node (a.site, b.site, c.site), or empty; got "c".'
    assert problems("c.site", "a", "b", "c") == problems("", "a", "b", "c") == []
    # With --limit the run knows nothing of a; the role reads the cluster's nodes.
    assert problems("c", "b", "c") == problems("c", groups={}) == []


@pytest.mark.parametrize("path", ["/", "/var", "/var/", "/var/lib/..", "/srv/./x", "srv/metrics", "", "/var/lib\n"])
def test_only_a_directory_of_its_own_may_be_deleted(read_check, path):
    (problem,) = prometheus.data_problems(read_check("prometheus", prometheus_path=path))
    assert problem.startswith("prometheus_path must be the absolute path of a directory inside another one")


@pytest.mark.parametrize("path", ["/srv/metrics", "/mnt/a.b/metrics/", "/var/lib/egi-notebooks/prometheus"])
def test_the_directory_of_the_metrics_may_be_deleted(read_check, path):
    assert prometheus.data_problems(read_check("prometheus", prometheus_path=path)) == []
