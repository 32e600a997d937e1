# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service on the cluster, as an operator sees it."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl

import pytest
from metrics import prometheus

HOST = "notebooks.lab.test"


def connect(lab, host: str = HOST, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    context = context or ssl.create_default_context(cafile=lab.ca_file)
    return context.wrap_socket(socket.create_connection((HOST, 443), timeout=10), server_hostname=host)


def redirect(lab, host: str, *, tls: bool, path: str = "/") -> tuple[int, str]:
    """Status and Location of one request that is not followed."""
    if tls:
        connection = http.client.HTTPSConnection(
            host, timeout=10, context=ssl.create_default_context(cafile=lab.ca_file)
        )
    else:
        connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.headers.get("Location", "")


def test_the_edge_s_certificate_is_for_the_domain_and_complete(lab):
    with connect(lab) as connection:
        names = {value for kind, value in connection.getpeercert()["subjectAltName"] if kind == "DNS"}
    assert HOST in names


def test_the_edge_speaks_no_old_tls(lab):
    with connect(lab) as connection:
        assert connection.version() in ("TLSv1.2", "TLSv1.3")
    context = ssl.create_default_context(cafile=lab.ca_file)
    # Without this the client itself would refuse the old version.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError) as refused:
        connect(lab, context=context)
    assert refused.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_http_leads_to_https(lab):
    status, location = redirect(lab, HOST, tls=False, path="/hub/home")
    assert status in (301, 302, 307, 308)
    assert location == f"https://{HOST}/hub/home"


def test_the_hub_knows_its_scheme_and_host(lab):
    """The way to Check-in names the https callback on the main host (a hub that believes in http would not)."""
    status, location = redirect(lab, HOST, tls=True, path="/hub/oauth_login?next=%2Fhub%2F")
    assert status == 302
    assert location.startswith("https://aai.lab.test/auth/realms/egi/protocol/openid-connect/auth?")
    assert f"redirect_uri=https%3A%2F%2F{HOST}%2Fhub%2Foauth_callback" in location


def test_no_secret_is_in_the_values_of_the_release(lab):
    helm = "KUBECONFIG=/etc/kubernetes/admin.conf /usr/local/bin/helm"
    (release,) = json.loads(lab.host("master").check_output(f"{helm} list --namespace jupyterhub --output json"))
    assert release["status"] == "deployed"
    values = lab.host("master").check_output(f"{helm} get values --namespace jupyterhub {release['name']}")
    for secret in known_secrets(lab):
        assert secret not in values


def known_secrets(lab) -> set[str]:
    """The client's secret and all that the hub keeps in its Secrets, plain and in base64."""
    plain = {lab.secret("client_secret")}
    for secret in lab.get("secrets", "--namespace", "jupyterhub", "--field-selector", "type=Opaque"):
        for key, value in secret.get("data", {}).items():
            text = base64.b64decode(value).decode(errors="replace")
            # A Secret also holds what is none: the chart's values, our own Python.
            if len(text) >= 20 and "\n" not in text.strip() and not key.endswith((".yaml", ".py", ".crt")):
                plain.add(text.strip())
    return plain | {base64.b64encode(text.encode()).decode() for text in plain}


def test_no_secret_is_in_a_configmap_a_pod_or_a_journal(lab):
    secrets = known_secrets(lab)
    documents = lab.kubectl("get", "configmaps,pods", "--all-namespaces", "--output", "yaml")
    assert not [secret for secret in secrets if secret in documents]
    client_secret = lab.secret("client_secret")
    for node in ("master", "edge", "worker", "nfs"):
        assert client_secret not in lab.host(node).check_output("journalctl --quiet --no-pager --boot")


def test_every_target_of_prometheus_is_up(lab):
    targets = prometheus(lab, "targets?state=active")["activeTargets"]
    down = {
        f"{target['scrapePool']} {target['scrapeUrl']}: {target['lastError']}"
        for target in targets
        if target["health"] != "up"
    }
    assert not down
    pools = " ".join(sorted({target["scrapePool"] for target in targets}))
    for part in ("prometheus", "node", "kube-state-metrics", "kubelet", "cadvisor", "hub", "proxy", "traefik"):
        assert part in pools


#: Who is root, and what for: the ports 80 and 443, and directories on the node that are given to their users.
ROOTS = {"traefik": ["NET_BIND_SERVICE"], "own-database": ["CHOWN"], "own-directory": ["CHOWN"]}


@pytest.mark.parametrize("namespace", ["jupyterhub", "edge", "monitoring"])
def test_pods_of_the_service_run_unprivileged(lab, namespace):
    """Only what works on the node itself is allowed more than an ordinary pod."""
    pods = lab.get("pods", "--namespace", namespace)
    assert pods
    for pod in pods:
        for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
            name = f"{pod['metadata']['name']}/{container['name']}"
            context = pod["spec"].get("securityContext", {}) | container.get("securityContext", {})
            assert not context.get("privileged"), name
            assert context.get("allowPrivilegeEscalation") is False, name
            assert context.get("capabilities", {}).get("add", []) == ROOTS.get(container["name"], []), name
            assert (context["runAsUser"] == 0) == (container["name"] in ROOTS), name
