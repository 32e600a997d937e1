# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check-in falls silent (case 6). FAULTS_CHECKIN_SECONDS=600 makes it last ten minutes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from checkin_client import TIMEOUT, browser
from faults import wait_until
from people import VO, record, urn

from lab import network

SECONDS = float(os.environ.get("FAULTS_CHECKIN_SECONDS", "60"))

pytestmark = pytest.mark.harsh


@contextmanager
def silence() -> Iterator[None]:
    """Check-in's machine takes connections and never says a word."""
    process = network.pid("keycloak")
    os.killpg(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process, signal.SIGCONT)


def test_who_is_inside_goes_on_working_and_the_others_are_told(lab, person):
    member = person(urn(VO)).log_in()
    member.start()
    slowest = 0.0
    with member.kernel() as kernel:
        with silence():
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                started = time.monotonic()
                assert member.http.get(f"{lab.url}/hub/home", timeout=TIMEOUT).status_code == 200
                slowest = max(slowest, time.monotonic() - started)
                assert kernel.run("print(6 * 7)") == "42\n"
                page = browser().get(f"{lab.url}/hub/oauth_login", allow_redirects=False, timeout=TIMEOUT)
                assert page.status_code == 503
                assert "EGI Check-in does not answer at the moment" in page.text
                time.sleep(3)
        assert kernel.run("print(6 * 7)") == "42\n"
    wait_until(lambda: person(urn(VO)).visit().status_code == 200, 60, "a login after the outage")
    assert not member.is_sent_to_login()
    record(slowest_page_while_checkin_is_silent=slowest)
