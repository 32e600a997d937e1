# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login that cannot work is refused before the first change, by a line that says what to ask Check-in for."""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from access import STATE
from checkin_client import CALLBACK, TIMEOUT, browser, initial_access_token
from runs import playbook
from steps import run_steps

from lab.checkin import CLIENT_ID, HOST, ISSUER
from lab.settings import CHECKIN_ADDRESS

PROXY_PORT = 8443
PUBLIC, PROXY = f"https://{HOST}", f"https://{HOST}:{PROXY_PORT}"


def preflight(**changes) -> tuple[int, list[str]]:
    """Status of a run that checks the host that asks, and the lines of what is wrong."""
    check_login = changes.pop("check_login", True)
    variables = {
        "jupyterhub_oauth": {"issuer": ISSUER, "client_id": CLIENT_ID} | changes,
        "egi_notebooks_check_downloads": False,
        "egi_notebooks_check_login": check_login,
    }
    result = playbook("preflight", "--limit", "master.lab.test", "--extra-vars", json.dumps(variables))
    assert not any(result.changed.values()), result.changes
    return result.status, [line for message in result.failures for line in message.splitlines()]


@pytest.mark.harsh
@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"issuer": f"{ISSUER}-of-nobody"},
            [f"issuer {ISSUER}-of-nobody cannot be used from this host", "404", "Correct environment or issuer"],
        ),
        ({"issuer": "https://gone.lab.test/auth/realms/egi"}, ["got no answer", "Open the firewall for it"]),
        (
            {"callback_url": "https://nb-alias.lab.test/hub/oauth_callback"},
            [
                "redirect URI https://nb-alias.lab.test/hub/oauth_callback",
                f"client {CLIENT_ID}",
                "ask the Check-in team",
            ],
        ),
        ({"client_id": "nobody"}, ["client nobody", "ask the Check-in team whether this client is registered"]),
        (
            {"scopes": ["openid", "profile", "no_such_scope"]},
            ["scopes no_such_scope are not granted", "ask the Check-in team to add them"],
        ),
    ],
    ids=["wrong issuer", "silent issuer", "unregistered redirect", "unknown client", "scope not granted"],
)
def test_a_login_that_cannot_work_is_refused_by_one_line(changes, words):
    status, lines = preflight(**changes)
    assert status != 0
    (line,) = lines
    assert all(word in line for word in words), line


@pytest.fixture
def poor_client(lab):
    """A client that may ask for little."""
    session = browser()
    answer = session.post(
        f"{ISSUER}/clients-registrations/openid-connect",
        json={"client_name": "poor", "redirect_uris": [CALLBACK], "scope": "profile email voperson_id"},
        headers={"Authorization": f"Bearer {initial_access_token()}"},
        timeout=TIMEOUT,
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    yield made["client_id"]
    session.delete(
        made["registration_client_uri"],
        headers={"Authorization": f"Bearer {made['registration_access_token']}"},
        timeout=TIMEOUT,
    )


class LateProxy(BaseHTTPRequestHandler):
    """Check-in behind a proxy whose clock is late: Keycloak itself does not tell the time."""

    def do_GET(self) -> None:
        answer = browser().get(f"{PUBLIC}{self.path}", allow_redirects=False, timeout=TIMEOUT)
        body = answer.content.replace(PUBLIC.encode(), PROXY.encode())
        self.send_response_only(answer.status_code)
        self.send_header("Date", formatdate(time.time() - 90, usegmt=True))
        for name in ("Content-Type", "Location"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class LateServer(ThreadingHTTPServer):
    def handle_error(self, request, client_address) -> None:
        """Whoever looks at the certificate alone says no word."""


@pytest.fixture
def late_issuer() -> Iterator[str]:
    """The lab's issuer by way of that proxy."""
    server = LateServer((CHECKIN_ADDRESS, PROXY_PORT), LateProxy)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(STATE / "tls/aai.crt", STATE / "tls/aai.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield ISSUER.replace(PUBLIC, PROXY)
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("lab")
def test_a_clock_that_is_off_is_told(late_issuer, tmp_path):
    (found,) = run_steps(tmp_path, "checkin_discovery_info", [({"issuer": late_issuer}, False)])
    assert -95 < found["clock_skew"] < -85
    status, (line,) = preflight(issuer=late_issuer)
    assert status != 0
    assert re.search(rf"clock of this host is [89]\d\.\d s ahead of that of {late_issuer}; must be at most 60 s", line)


def test_scopes_and_offline_access_that_a_client_lacks_are_told_at_once(poor_client):
    status, lines = preflight(client_id=poor_client, offline_access=True)
    assert status != 0
    assert len(lines) == 2, lines
    text = "\n".join(lines)
    assert f"scope offline_access is not granted to client {poor_client}" in text
    assert "ask the Check-in team to allow refresh tokens" in text
    assert "scopes entitlements, eduperson_assurance are not granted" in text
    assert "ask the Check-in team to add them" in text


@pytest.mark.harsh
@pytest.mark.usefixtures("lab")
def test_a_good_login_passes_and_the_check_can_be_spared():
    assert preflight(offline_access=True) == (0, [])
    assert preflight(client_id="nobody", check_login=False) == (0, [])
