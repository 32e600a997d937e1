# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of identity share. They run inside the lab's network: ``make test-identity``, on a lab that is up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from access import require_lab
from faults import FaultyLab
from people import Person
from user import User


@pytest.fixture(scope="session")
def lab() -> FaultyLab:
    require_lab("make test-identity`, after `make lab")
    return FaultyLab()


@pytest.fixture(scope="session")
def admin(lab) -> User:
    """The admin of the hub."""
    return User(lab, "admin").log_in()


@pytest.fixture
def person(lab, admin) -> Iterator[Callable[..., Person]]:
    """A function that invents people with attributes at Check-in; they are gone afterwards."""
    made: list[Person] = []

    def make(*entitlements: str, **attributes) -> Person:
        made.append(Person(lab, **{"entitlements": list(entitlements)} | attributes))
        return made[-1]

    yield make
    for each in made:
        each.vanish(admin)
