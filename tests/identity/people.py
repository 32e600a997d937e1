# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People whom a test invents at Check-in, and what Check-in says about them."""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from access import OUTPUT
from checkin_client import BASE_URL, TIMEOUT, admin_session, browser, follow, login
from faults import wait_until
from user import User

REALM = f"{BASE_URL}/admin/realms/egi"
VO = "vo.notebooks.egi.eu"
TRAINING = "vo.training.lab.test"
COURSE = f"{TRAINING}:course"
DATA = "vo.data.lab.test"
ASSURED = "vo.assured.lab.test"
FIGURES = OUTPUT / "identity.json"


def urn(group: str, role: str = "member") -> str:
    return f"urn:mace:egi.eu:group:{group}:role={role}#aai.egi.eu"


def record(**seconds: float) -> None:
    """Print figures and add them to tests/output/identity.json."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    figures |= {name: round(value, 1) for name, value in seconds.items()}
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
    print(*(f"\n{name}: {value:.0f} s" for name, value in seconds.items()))


class Person(User):
    """Somebody with an account at Check-in that a test may change."""

    def __init__(self, lab, **attributes: Any) -> None:
        super().__init__(lab, f"person-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex)
        self.identifier = f"{uuid.uuid4().hex * 2}@egi.eu"
        self.attributes = {"voperson_id": [self.identifier], "entitlements": []} | attributes
        answer = admin_session().post(
            f"{REALM}/users",
            timeout=TIMEOUT,
            json={
                "username": self.login_name,
                "email": f"{self.login_name}@users.lab.test",
                "emailVerified": True,
                "enabled": True,
                "attributes": self.attributes,
                "credentials": [{"type": "password", "value": self.password, "temporary": False}],
            },
        )
        assert answer.status_code == 201, answer.text
        self.account = answer.headers["Location"]

    def become(self, **attributes: Any) -> bool:
        """Change what Check-in says; no if Check-in itself does not take it."""
        admin, wanted = admin_session(), self.attributes | attributes
        account = admin.get(self.account, timeout=TIMEOUT).json() | {"attributes": wanted}
        if not admin.put(self.account, json=account, timeout=TIMEOUT).ok:
            return False
        self.attributes = wanted
        return True

    def visit(self) -> requests.Response:
        """Log in with a browser of its own; the page where that ends."""
        return login(browser(), f"{self.lab.url}/hub/oauth_login?next=%2Fhub%2Fhome", self.login_name, self.password)

    def is_sent_to_login(self) -> bool:
        """Whether the hub has forgotten the session."""
        answer = self.http.get(f"{self.lab.url}/hub/home", allow_redirects=False, timeout=TIMEOUT)
        return answer.is_redirect and "/hub/login" in answer.headers["Location"]

    def start_profile(self, profile: str) -> dict:
        """Start a server of a profile and return its pod."""
        answer = self.hub("POST", "/server", json={"profile": profile})
        assert answer.status_code in (201, 202), answer.text
        wait_until(self.server_answers, 180, "the server")
        return self.pod()

    def pod(self) -> dict:
        (pod,) = [pod for pod in self.lab.user_pods() if self.owns(pod)]
        return pod

    def owns(self, pod: dict) -> bool:
        return pod["metadata"]["annotations"]["hub.jupyter.org/username"] == self.name

    def vanish(self, admin: User) -> None:
        """Leave nothing at Check-in, in the hub and on the NFS server."""
        if self.name:
            admin.api.delete(f"{self.lab.url}/hub/api/users/{self.name}", timeout=TIMEOUT)
            self.lab.run("nfs", f"rm -rf {shlex.quote(f'/srv/homes/{self.name}')}")
        admin_session().delete(self.account, timeout=TIMEOUT)


@contextmanager
def mapper(scope: str, name: str, **config: str) -> Iterator[None]:
    """Let Check-in write a claim in another way for a while."""
    admin = admin_session()
    (found,) = [each for each in admin.get(f"{REALM}/client-scopes", timeout=TIMEOUT).json() if each["name"] == scope]
    (before,) = [each for each in found["protocolMappers"] if each["name"] == name]
    url = f"{REALM}/client-scopes/{found['id']}/protocol-mappers/models/{before['id']}"
    changed = before | {"config": before["config"] | config}
    assert admin.put(url, json=changed, timeout=TIMEOUT).ok
    try:
        yield
    finally:
        assert admin_session().put(url, json=before, timeout=TIMEOUT).ok


@contextmanager
def client_attributes(**attributes: str) -> Iterator[None]:
    """Change attributes of the service's client for a while."""
    query = f"{REALM}/clients?clientId=egi-notebooks"
    (before,) = admin_session().get(query, timeout=TIMEOUT).json()
    url = f"{REALM}/clients/{before['id']}"
    changed = before | {"attributes": before["attributes"] | attributes}
    assert admin_session().put(url, json=changed, timeout=TIMEOUT).ok
    try:
        yield
    finally:
        # An attribute that is left out stays as it is.
        kept = dict.fromkeys(attributes, "") | before["attributes"]
        assert admin_session().put(url, json=before | {"attributes": kept}, timeout=TIMEOUT).ok


def asks_for_a_password(lab, session: requests.Session) -> bool:
    """Whether the way to Check-in ends at a form, and not in the hub."""
    page = follow(session, session.get(f"{lab.url}/hub/oauth_login", allow_redirects=False, timeout=TIMEOUT))
    return page.url.startswith(BASE_URL) and "kc-form-login" in page.text
