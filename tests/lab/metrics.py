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
