# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge: schemes, host names and addresses are the right ones, quiet connections live, bad certificates stay out."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import yaml
from access import PROJECT, STATE
from checkin_client import browser
from faults import HUB, MACHINES, extra, wait_until
from runs import playbook
from test_bad_input import CERTIFICATE, KEY, pair, refused
from user import Kernel, Terminal, listen_quietly

from lab.settings import CHECKIN_ADDRESS, DNS_ADDRESS

MAIN = "notebooks.lab.test"
ALIAS = "nb-alias.lab.test"
CHECKIN = "aai.lab.test"
#: Longer than the 60 s after which proxies in front of such services lose quiet connections, and than the edge's own
#: time for idle ones.
QUIET = float(os.environ.get("FAULTS_QUIET_SECONDS", "200"))
IDLE = yaml.safe_load((PROJECT / "roles/edge_ingress/defaults/main.yml").read_text())["edge_ingress_idle_timeout"]
FORGED = "203.0.113.77"


@pytest.fixture(scope="module")
def alias() -> str:
    """The lab's second name, which its inventory must tell the edge."""
    settings = yaml.safe_load((PROJECT / "inventories/lab/group_vars/all.yml").read_text())
    assert ALIAS in settings["egi_notebooks_aliases"], "inventories/lab lacks it"
    return ALIAS


def way(address: str) -> list[str]:
    """The addresses that one is led to, without Check-in's."""
    session, found = browser(), [address]
    while len(found) < 8:
        answer = session.get(found[-1], allow_redirects=False, timeout=20)
        if not answer.is_redirect:
            break
        found.append(urljoin(found[-1], answer.headers["Location"]))
        if urlsplit(found[-1]).netloc == CHECKIN:
            break
    return found


@pytest.mark.quick
@pytest.mark.parametrize(("scheme", "host"), [("http", MAIN), ("https", ALIAS), ("http", ALIAS)])
def test_plain_http_and_an_alias_lead_to_the_main_name_first(lab, alias, scheme, host):
    """Case 30."""
    path = "/hub/oauth_login?next=%2Fhub%2Fhome"
    addresses = way(f"{scheme}://{host}{path}")
    first_on_main = addresses.index(f"https://{MAIN}{path}")
    # Before the main name nothing is served, and nobody is sent to log in.
    assert 1 <= first_on_main <= 2, addresses
    assert all(urlsplit(address).path == "/hub/oauth_login" for address in addresses[:first_on_main])
    callback = f"redirect_uri=https%3A%2F%2F{MAIN}%2Fhub%2Foauth_callback"
    assert callback in addresses[-1], addresses


def test_every_location_of_login_admin_page_and_server_start_is_https_on_the_main_host(lab, alias, admin):
    """Case 30."""
    admin.http.cookies.clear()
    admin.redirects.clear()
    admin.log_in(f"https://{ALIAS}/hub/oauth_login?next=%2Fhub%2Fadmin")
    admin.page("/hub/admin")
    admin.page("/hub/spawn")
    admin.start()
    page = admin.page(f"{admin.path}/lab")
    assert page.url.startswith(f"https://{MAIN}{admin.path}/lab")
    assert any("/hub/spawn-pending/" in location for _, location in admin.redirects)
    assert any("/hub/api/oauth2/authorize" in location for _, location in admin.redirects)
    for address, location in admin.redirects:
        target = urlsplit(urljoin(address, location))
        assert target.scheme == "https", (address, location)
        assert target.netloc in (MAIN, CHECKIN), (address, location)


def ask_as(lab, caller: str, edge: str, path: str) -> None:
    """Ask an edge from one of this network's addresses, with headers that claim another one."""
    forged = dict.fromkeys(("X-Forwarded-For", "X-Real-Ip", "X_Forwarded_For", "X-Client-Ip"), FORGED)
    connection = http.client.HTTPSConnection(MAIN)
    connection.sock = ssl.create_default_context(cafile=lab.ca_file).wrap_socket(
        socket.create_connection((edge, 443), timeout=10, source_address=(caller, 0)), server_hostname=MAIN
    )
    connection.request("GET", path, headers=forged | {"Forwarded": f"for={FORGED}", "X-Forwarded-Proto": "http"})
    connection.getresponse().read()
    connection.close()


def true_address_is_logged(lab, caller: str, edge: str) -> None:
    mark = f"/hub/no-such-page-{uuid.uuid4().hex}"
    ask_as(lab, caller, edge, mark)
    seen: list[str] = []

    def logged() -> bool:
        edges = lab.kubectl("logs", "-n", "edge", "-l", "app.kubernetes.io/name=traefik", "--since=2m", "--tail=-1")
        hub = lab.kubectl("logs", "-n", HUB, "deployment/hub", "--since=2m")
        seen[:] = [line for line in f"{edges}\n{hub}".splitlines() if mark in line]
        return any(line.startswith("{") for line in seen) and any(not line.startswith("{") for line in seen)

    wait_until(logged, 20, "a line of edge and hub each")
    (edge_line,) = (json.loads(line) for line in seen if line.startswith("{"))
    assert edge_line["ClientHost"] == caller
    (hub_line,) = (line for line in seen if not line.startswith("{"))
    assert f"@{caller})" in hub_line
    assert FORGED not in "\n".join(seen)


@pytest.mark.quick
@pytest.mark.parametrize("caller", [DNS_ADDRESS, CHECKIN_ADDRESS])
def test_the_caller_s_true_address_is_logged_and_no_forged_one_believed(lab, caller):
    """Case 31."""
    true_address_is_logged(lab, caller, MACHINES["edge"].address)


@pytest.fixture
def second_edge(lab):
    """The worker is an edge as well."""
    worker, rolled_out = MACHINES["worker"], ("rollout", "status", "-n", "edge", "daemonset/traefik", "--timeout=120s")
    lab.kubectl("label", "node", worker.fqdn, "egi.eu/edge=true")
    wait_until(lambda: len(traefik(lab)) == 2, 60, "a second Traefik")
    lab.kubectl(*rolled_out)
    yield worker.address
    lab.kubectl("label", "node", worker.fqdn, "egi.eu/edge-")
    wait_until(lambda: len(traefik(lab)) == 1, 120, "the end of the second Traefik")
    lab.kubectl(*rolled_out)


def test_the_caller_s_true_address_is_seen_through_each_of_two_edges(lab, second_edge):
    """Case 31. One of them runs the hub as well."""
    for edge in (MACHINES["edge"].address, second_edge):
        true_address_is_logged(lab, DNS_ADDRESS, edge)


@pytest.fixture
def reload_edge(lab):
    """A further Ingress comes and goes: Traefik builds its whole configuration anew each time."""
    name = "faults-reload"
    port = {"service": {"name": "proxy-public", "port": {"name": "http"}}}
    rule = {"path": "/", "pathType": "Prefix", "backend": port}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": HUB},
        "spec": {"ingressClassName": "traefik", "rules": [{"host": f"{name}.lab.test", "http": {"paths": [rule]}}]},
    }

    def served() -> bool:
        headers = {"Host": f"{name}.lab.test"}
        answer = browser().get(f"https://{MAIN}/hub/login", headers=headers, timeout=5, allow_redirects=False)
        return answer.status_code != 404

    def reload() -> None:
        assert not served()
        lab.kubectl_apply(ingress)
        wait_until(served, 60, "the edge's new configuration")

    yield reload
    lab.kubectl("delete", "ingress", "-n", HUB, name, "--ignore-not-found")


def be_quiet(*talkers: Kernel | Terminal, seconds: float) -> None:
    with ThreadPoolExecutor(len(talkers)) as pool:
        list(pool.map(lambda talker: listen_quietly(talker.socket, seconds), talkers))


def test_quiet_websockets_outlive_the_silence_and_a_reload_of_the_edge(lab, member, reload_edge):
    """Case 32. FAULTS_QUIET_SECONDS says how long it is quiet; 900 in a full run."""
    assert QUIET > IDLE, "what the edge does to idle connections would not show"
    member.start()
    kernel, terminal = Kernel(member), Terminal(member)
    try:
        assert kernel.run("word = 'still'; print(word)") == "still\n"
        terminal.run("WORD=here")
        be_quiet(kernel, terminal, seconds=QUIET / 2)
        reload_edge()
        be_quiet(kernel, terminal, seconds=QUIET / 2)
        started = time.monotonic()
        assert kernel.run("print(word)", timeout=10) == "still\n"
        assert "here" in terminal.run("echo $WORD", timeout=10)
        assert time.monotonic() - started < 10
    finally:
        terminal.close()
        kernel.close()


def certificates(folder: Path, variant: str) -> dict[str, str]:
    """Variables for a new certificate whose file has a flaw, or is only written in another way."""
    files = pair(folder)
    path = Path(files[CERTIFICATE])
    leaf, intermediate = re.findall("-----BEGIN.*?-----END CERTIFICATE-----\n", path.read_text(), re.DOTALL)
    root = (STATE / "ca/ca.crt").read_text()
    content = {
        "root first": root + intermediate + leaf,
        "no intermediate": leaf,
        "last line cut": (leaf + intermediate).rstrip()[:-30],
        "CRLF": (leaf + intermediate).replace("\n", "\r\n"),
    }[variant]
    path.write_bytes(content.encode())
    return files


@pytest.mark.parametrize(
    ("variant", "word"), [("root first", "order"), ("no intermediate", "intermediate"), ("last line cut", "cut off")]
)
def test_a_damaged_certificate_file_is_refused_by_a_plain_sentence(lab, variant, word, tmp_path):
    """Case 29. A foreign key, another domain and an expired one are in tests/lab/test_bad_input.py."""
    pods, serial = traefik(lab), served_serial(lab.ca_file)
    result = playbook("site", *extra(**certificates(tmp_path, variant)))
    refused(result, [CERTIFICATE, word])
    assert [message for message in result.failures if "\n" in message] == []
    assert (traefik(lab), served_serial(lab.ca_file)) == (pods, serial)


def served_serial(authority: Path) -> int:
    """Of the served certificate, which must be one of this CA's."""
    context = ssl.create_default_context(cafile=authority)
    with context.wrap_socket(socket.create_connection((MAIN, 443), timeout=10), server_hostname=MAIN) as connection:
        return int(connection.getpeercert()["serialNumber"], 16)


def test_a_good_certificate_with_other_line_ends_is_served_fully_and_without_an_interruption(lab, tmp_path):
    """Case 29. A renewal as well: the edge takes the new certificate while it runs."""
    before = served_serial(lab.ca_file)
    try:
        result = playbook("service", *extra(**certificates(tmp_path, "CRLF")))
        assert result.status == 0, result.failures
        wait_until(lambda: served_serial(lab.ca_file) != before, 180, "the new certificate")
        curl = ["curl", "--silent", "--show-error", "--fail", "--output", "/dev/null", "--cacert", str(lab.ca_file)]
        subprocess.run([*curl, f"https://{MAIN}/hub/login"], check=True, timeout=30)
    finally:
        assert playbook("service").status == 0
    wait_until(lambda: served_serial(lab.ca_file) == before, 180, "the lab's own certificate")


SECRET = "faults-certificate"


@pytest.fixture
def store(lab):
    """Return a function that puts a certificate's files into a Secret of the site's own, which goes afterwards."""

    def call(files: dict[str, str]) -> None:
        names = {"tls.crt": CERTIFICATE, "tls.key": KEY}
        data = {key: base64.b64encode(Path(files[name]).read_bytes()).decode() for key, name in names.items()}
        metadata = {"name": SECRET, "namespace": "edge"}
        lab.kubectl_apply(
            {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}
        )

    yield call
    lab.kubectl("delete", "secret", "-n", "edge", SECRET, "--ignore-not-found")


def kept(name: str = SECRET, **values) -> tuple[str, str]:
    """The site keeps its certificate in the cluster."""
    files = dict.fromkeys((CERTIFICATE, KEY), "")
    return extra(**files, edge_ingress_certificate_secret=name, **values)


def traefik(lab) -> set[str]:
    """The edge's pods, of which another configuration makes new ones."""
    return {pod["metadata"]["uid"] for pod in lab.get("pods", "-n", "edge")}


def test_a_secret_that_cannot_be_served_is_refused_and_traefik_left_alone(lab, store, tmp_path):
    """Case 29."""
    pods, serial = traefik(lab), served_serial(lab.ca_file)
    missing = ["edge_ingress_certificate_secret", "no-such-secret", "There is none of this name"]
    refused(playbook("site", *kept("no-such-secret")), missing)
    # As in a first run, whose checks find no cluster.
    refused(playbook("service", *kept("no-such-secret", edge_ingress_preflight=False)), missing)
    refused(playbook("service", "--check", *kept("no-such-secret", edge_ingress_preflight=False)), missing)
    store(certificates(tmp_path, "last line cut"))
    refused(playbook("service", *kept()), ["edge_ingress_certificate_secret", SECRET, "cut off"])
    assert traefik(lab) == pods
    assert served_serial(lab.ca_file) == serial


def test_a_good_secret_of_the_site_s_own_is_served(lab, store, tmp_path):
    before = served_serial(lab.ca_file)
    store(pair(tmp_path))
    try:
        result = playbook("service", *kept())
        assert result.status == 0, result.failures
        wait_until(lambda: served_serial(lab.ca_file) != before, 180, "the Secret's certificate")
        again = playbook("service", *kept())
        assert (again.status, again.changes) == (0, []), again.failures
    finally:
        assert playbook("service").status == 0
    wait_until(lambda: served_serial(lab.ca_file) == before, 180, "the lab's own certificate")


def test_an_edge_without_a_certificate_of_the_site_serves_one_of_its_own_ca(lab, tmp_path):
    """The setting of inventories/single_node."""
    before = served_serial(lab.ca_file)
    selfsigned = extra(edge_ingress_tls="selfsigned")
    authority = tmp_path / "ca.crt"
    try:
        result = playbook("service", *selfsigned)
        assert result.status == 0, result.failures
        # Where docs/operations.md has it.
        authority.write_text(lab.run("master", "cat /etc/egi-notebooks/edge/ca.crt"))
        wait_until(lambda: served_serial(authority) != before, 180, "a certificate of the internal CA")
        again = playbook("service", *selfsigned)
        assert (again.status, again.changes) == (0, []), again.failures
        assert served_serial(authority) != before
    finally:
        assert playbook("service").status == 0
        lab.run("master", "rm -rf /etc/egi-notebooks/edge")
    wait_until(lambda: served_serial(lab.ca_file) == before, 180, "the lab's own certificate")
