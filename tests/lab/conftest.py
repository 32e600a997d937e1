# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of a running lab share. They run inside the lab's network: ``make test-lab``."""

from __future__ import annotations

import socket

import pytest
from access import OUTPUT, Lab


@pytest.fixture(scope="session")
def lab() -> Lab:
    try:
        socket.getaddrinfo("master.lab.test", 22)
    except OSError:
        pytest.fail("no lab here: run this by `make test-lab`, after `make lab` or `make test-molecule`", pytrace=False)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    return Lab()
