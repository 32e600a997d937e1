# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus, asked through the cluster's API: it has no address outside the cluster."""

from __future__ import annotations

import json
from urllib.parse import urlencode


def prometheus(lab, call: str) -> dict:
    """Answer of Prometheus' HTTP API to `call`, for example ``targets`` or ``query?query=up``."""
    services = [
        service["metadata"]
        for service in lab.get("services", "--all-namespaces")
        if service["metadata"]["name"] == "prometheus"
    ]
    (service,) = services
    path = f"/api/v1/namespaces/{service['namespace']}/services/prometheus:9090/proxy/api/v1/{call}"
    answer = json.loads(lab.kubectl("get", "--raw", path))
    assert answer["status"] == "success"
    return answer["data"]


def query(lab, expression: str) -> list[dict]:
    return prometheus(lab, "query?" + urlencode({"query": expression}))["result"]


def usage(lab, metric: str) -> list[dict]:
    """Usage of every user's server, with the user's full name and VO as the pod's annotations have them."""
    return query(
        lab,
        f"sum by (namespace, pod) ({metric}) * on (namespace, pod) group_left "
        "(annotation_hub_jupyter_org_username, annotation_egi_eu_primary_group) "
        'kube_pod_annotations{annotation_hub_jupyter_org_username!=""}',
    )
