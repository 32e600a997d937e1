# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make lab-open`: the service on this machine's loopback, for a browser that runs outside of the lab's network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from access import PROJECT

#: The tests run inside the lab's network, the `lab exec` that started them outside.
OUTSIDE = ["nsenter", "--target", str(os.getppid()), "--net", "--mount"]


def status(lab, address: str, url: str) -> str:
    name = url.split("/")[2]
    answer = subprocess.run(
        [*OUTSIDE, "curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "10",
         "--cacert", str(lab.ca_file), "--resolve", f"{name}:443:{address}", url],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return answer.stdout


@pytest.fixture
def opened(lab):
    # Whoever starts the tests in the background has them, and all that they start, ignore Ctrl-C.
    command = ["env", "--default-signal=INT", *OUTSIDE, sys.executable, "-m", "lab", "open"]
    # Another mount namespace has another working directory.
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    yield process
    process.send_signal(signal.SIGINT)
    process.wait(timeout=10)


def test_the_service_and_check_in_answer_on_the_loopback_until_interrupted(lab, opened):
    printed = ""
    while "Ctrl-C" not in printed and (line := opened.stdout.readline()):
        printed += line
    assert "127.0.0.1 notebooks.lab.test" in printed
    deadline = time.monotonic() + 20
    while status(lab, "127.0.0.1", f"{lab.url}/hub/login") != "200" and time.monotonic() < deadline:
        time.sleep(1)
    assert status(lab, "127.0.0.1", f"{lab.url}/hub/login") == "200"
    assert status(lab, "127.0.0.2", "https://aai.lab.test/auth/realms/egi") == "200"
    opened.send_signal(signal.SIGINT)
    opened.wait(timeout=10)
    assert status(lab, "127.0.0.1", f"{lab.url}/hub/login") == "000"
