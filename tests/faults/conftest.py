# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fault tests share. They run inside the lab's network: ``make test-faults``, on a lab that is up."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from access import require_lab
from checkin_client import BASE_URL, TIMEOUT, admin_session
from faults import FaultyLab, pick_home, wait_until, wait_until_sound
from user import User

from lab.checkin import USERS, VO


def pytest_collection_modifyitems(items) -> None:
    """Whatever is not marked as quick is harsh, so that a run of other tests beside can leave it out by name."""
    for item in items:
        if item.path.parent == Path(__file__).parent and not item.get_closest_marker("quick"):
            item.add_marker("harsh")


@pytest.fixture(scope="session")
def lab() -> FaultyLab:
    require_lab("make test-faults`, after `make lab")
    return FaultyLab()


def _logged_in(lab, name: str):
    assert name in USERS
    user = User(lab, name).log_in()
    yield user
    user.stop()


@pytest.fixture
def member(lab):
    """A member who is logged in; a server of theirs is stopped afterwards."""
    yield from _logged_in(lab, "member")


@pytest.fixture
def member2(lab):
    yield from _logged_in(lab, "member2")


@pytest.fixture
def admin(lab):
    yield from _logged_in(lab, "admin")


@pytest.fixture
def kept(lab, member) -> Iterator[Callable[[], str]]:
    """A file that the member has stored before the fault. Asked later, it answers that nothing is lost, or fails."""
    wait_until_sound(lab)
    member.start()
    home = pick_home(lab, member)
    member.write("faults-before.txt", "before the fault")

    def lost() -> str:
        # From the NFS server itself, whose ssh may come later than its exports.
        path = f"{home}/faults-before.txt"
        wait_until(lambda: lab.run("nfs", f"cat {path}") == "before the fault", 30, "what was stored before the fault")
        return "none"

    yield lost
    lost()
    lab.run("nfs", f"rm -f {home}/faults-*.txt")


@pytest.fixture
def newcomer(lab, admin):
    """A member of the VO whom the service has never seen; gone without a trace afterwards."""
    name = f"newcomer-{uuid.uuid4().hex[:8]}"
    identifier, password = f"{uuid.uuid4().hex * 2}@egi.eu", uuid.uuid4().hex
    answer = admin_session().post(
        f"{BASE_URL}/admin/realms/egi/users",
        timeout=TIMEOUT,
        json={
            "username": name,
            "firstName": "Nina",
            "lastName": "Newcomer",
            "email": f"{name}@users.lab.test",
            "emailVerified": True,
            "enabled": True,
            "attributes": {
                "voperson_id": [identifier],
                "entitlements": [f"urn:mace:egi.eu:group:{VO}:role=member#aai.egi.eu"],
            },
            "credentials": [{"type": "password", "value": password, "temporary": False}],
        },
    )
    assert answer.status_code == 201, answer.text
    user = User(lab, name, password)
    yield user
    if user.name:
        user.stop()
        admin.api.delete(f"{lab.url}/hub/api/users/{user.name}", timeout=TIMEOUT)
        lab.run("nfs", f"rm -rf /srv/homes/{user.name}")
    admin_session().delete(answer.headers["Location"], timeout=TIMEOUT)


@pytest.fixture
def workplace(lab):
    """A namespace for pods of a test."""
    lab.kubectl("create", "namespace", "faults")
    yield "faults"
    lab.kubectl("delete", "namespace", "faults", "--wait=true", "--timeout=120s")
