# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's browser: headless Chromium that trusts the lab's CA and nothing else out of the ordinary."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--no-default-browser-check", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-features=OptimizationHints,MediaRouter", "--window-size=1280,900",
)  # fmt: skip


def _trust(home: Path, ca_file: Path) -> None:
    """Put the CA where Chromium looks for a person's own authorities (newer versions: below XDG_DATA_HOME)."""
    for database in (home / ".pki/nssdb", home / ".local/share/pki/nssdb"):
        database.mkdir(parents=True)
        for arguments in (["-N", "--empty-password"], ["-A", "-n", "lab", "-t", "C,,", "-i", str(ca_file)]):
            subprocess.run(["certutil", "-d", f"sql:{database}", *arguments], check=True)


class Browser:
    """Steps of a person in one browser profile."""

    def __init__(self, driver: webdriver.Chrome, output: Path) -> None:
        self.driver = driver
        self.output = output
        self._events: list[dict] = []

    def wait(self, condition, timeout: float, what: str):
        # Pages redraw themselves: an element found a moment ago may be gone already.
        wait = WebDriverWait(self.driver, timeout, 0.1, ignored_exceptions=[StaleElementReferenceException])
        try:
            return wait.until(condition)
        except TimeoutException:
            self.shot("failure")
            (self.output / "failure.html").write_text(self.driver.page_source)
            raise AssertionError(f"{what} did not come within {timeout:.0f} s at {self.driver.current_url}") from None

    def find(self, selector: str):
        """The first visible element, or None."""
        for element in self.driver.find_elements(By.CSS_SELECTOR, selector):
            if element.is_displayed():
                return element
        return None

    def wait_for(self, selector: str, timeout: float = 30):
        return self.wait(lambda _: self.find(selector), timeout, selector)

    def shot(self, name: str) -> None:
        self.driver.save_screenshot(str(self.output / f"{name}.png"))

    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def log_in(self, url: str, user: str, password: str) -> float:
        """From the service's first page through Check-in's login form; the time at which the form was sent."""
        self.driver.get(url)
        entry = "a[href*='oauth_login'], #username"
        self.wait_for(entry)
        if not self.find("#username"):
            self.shot(f"{user}-1-entry")
            self.find(entry).click()
        self.wait_for("#username").send_keys(user)
        self.driver.find_element(By.ID, "password").send_keys(password)
        self.shot(f"{user}-2-check-in")
        clicked = time.monotonic()
        self.driver.find_element(By.ID, "kc-login").click()
        return clicked

    def wait_for_lab(self, timeout: float = 120) -> float:
        """Wait until JupyterLab can be worked with; the time at which it could.

        Chooses the first profile and presses the button where the hub asks before it starts a server.
        """

        def ready(driver) -> bool:
            if self.find(".jp-LauncherCard[data-category='Notebook']") and not self.find("#jupyterlab-splash"):
                return True
            start = self.find("#spawn_form [type=submit], a#start")
            if start and "/spawn-pending/" not in driver.current_url:
                start.click()
            return False

        self.wait(ready, timeout, "JupyterLab")
        return time.monotonic()

    def run_cell(self, code: str, expected: str, timeout: float = 60) -> str:
        """Type code into the last cell of the open notebook, run it, and return its output."""
        # What is run before the kernel has answered is lost.
        self.wait(lambda _: any(url.split("?")[0].endswith("/channels") for url in self.open_websockets()), timeout,
                  "the kernel's channel")  # fmt: skip
        self.wait_for(".jp-Notebook-ExecutionIndicator[data-status='idle']", timeout)
        self.wait_for(".jp-Notebook .jp-Cell:last-child .cm-content").click()
        ActionChains(self.driver).send_keys(code).perform()
        typed = code.splitlines()[-1]
        self.wait(lambda _: typed in self.find(".jp-Notebook .jp-Cell:last-child .cm-content").text, 10, "typed code")
        ActionChains(self.driver).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()
        found = self.wait(
            lambda driver: next(
                (
                    output
                    for output in driver.find_elements(By.CSS_SELECTOR, ".jp-OutputArea-output")
                    if expected in output.text
                ),
                None,
            ),
            timeout,
            f"output with {expected!r}",
        )
        return found.text

    def script(self, source: str, *arguments, timeout: float = 60):
        """Run the body of an async function in the page, with its cookies, and return what it returns."""
        self.driver.set_script_timeout(timeout)
        result = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1]; const args = arguments;"
            f"(async () => {{ {source} }})().then(v => done({{value: v}}), e => done({{error: String(e)}}));",
            *arguments,
        )
        assert "error" not in result, result["error"]
        return result["value"]

    def network(self) -> list[dict]:
        """All that the browser noted of its network traffic so far."""
        for entry in self.driver.get_log("performance"):
            self._events.append(json.loads(entry["message"])["message"])
        return self._events

    def redirects(self) -> list[tuple[str, str]]:
        """Address and Location of each redirect on the way so far."""
        found = []
        for event in self.network():
            response = event.get("params", {}).get("redirectResponse")
            if event["method"] == "Network.requestWillBeSent" and response:
                headers = {name.lower(): value for name, value in response["headers"].items()}
                # Without a Location the browser redirected itself (HSTS).
                found.append((response["url"], headers.get("location", event["params"]["request"]["url"])))
        return found

    def websockets(self) -> list[str]:
        return [event["params"]["url"] for event in self.network() if event["method"] == "Network.webSocketCreated"]

    def open_websockets(self) -> list[str]:
        """Those that the other side has accepted."""
        accepted = {
            event["params"]["requestId"]
            for event in self.network()
            if event["method"] == "Network.webSocketHandshakeResponseReceived"
        }
        return [
            event["params"]["url"]
            for event in self._events
            if event["method"] == "Network.webSocketCreated" and event["params"]["requestId"] in accepted
        ]


@contextmanager
def browser(lab, home: Path):
    """A browser with a fresh profile in `home`."""
    _trust(home, lab.ca_file)
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={home / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    environment = os.environ | {"HOME": str(home), "XDG_DATA_HOME": str(home / ".local/share")}
    # The driver's path is given, or selenium would try to download one.
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver", env=environment))
    person = Browser(driver, lab.output)
    try:
        yield person
    finally:
        driver.quit()
