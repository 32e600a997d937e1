# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person without a browser: logs in through Check-in's form, starts and stops the own server, runs code in it."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote, urlsplit

import requests
import websocket
from checkin_client import TIMEOUT, browser, login
from requests.adapters import HTTPAdapter
from urllib3.util import Retry


class User:
    """The session of one person, and what they do by the hub's and their own server's API."""

    def __init__(self, lab, name: str, password: str | None = None) -> None:
        self.lab = lab
        self.login_name = name
        self.password = password or lab.secret(f"password-{name}")
        self.redirects: list[tuple[str, str]] = []
        self.http = browser()
        self.http.hooks["response"].append(self._note_redirect)
        #: Requests by token: without cookies, so that no page needs an XSRF token.
        self.api = browser()
        for session in (self.http, self.api):
            # A connection that was kept open may be gone with its machine: what only asks is asked once more.
            session.mount("https://", HTTPAdapter(max_retries=Retry(connect=0, read=1, redirect=0, status=0)))
        self.name = self.path = ""

    def _note_redirect(self, response: requests.Response, **_) -> None:
        if response.is_redirect:
            self.redirects.append((response.url, response.headers["Location"]))

    def log_in(self, entry: str = "") -> User:
        """From `entry` through Check-in to the hub's home page, then get a token for the API."""
        entry = entry or f"{self.lab.url}/hub/oauth_login?next=%2Fhub%2Fhome"
        page = login(self.http, entry, self.login_name, self.password)
        assert page.status_code == 200, (page.url, page.status_code, page.text[:500])
        assert page.url.startswith(f"{self.lab.url}/hub/"), page.url
        headers = {"X-XSRFToken": self.xsrf()}
        self.name = self.http.get(f"{self.lab.url}/hub/api/user", headers=headers, timeout=TIMEOUT).json()["name"]
        self.path = f"/user/{quote(self.name, safe='@')}"
        answer = self.http.post(
            f"{self.lab.url}/hub/api/users/{quote(self.name)}/tokens",
            json={"note": "tests/faults", "expires_in": 7200},
            headers=headers,
            timeout=TIMEOUT,
        )
        assert answer.status_code == 201, answer.text
        self.api.headers["Authorization"] = f"token {answer.json()['token']}"
        return self

    def xsrf(self) -> str:
        found = [cookie.value for cookie in self.http.cookies if cookie.name == "_xsrf" and cookie.path == "/hub/"]
        assert found, "no page of the hub has set an XSRF cookie"
        return found[0]

    def page(self, path: str) -> requests.Response:
        """A page as the browser's session sees it, wherever its redirects lead."""
        response = self.http.get(f"{self.lab.url}{path}", timeout=TIMEOUT)
        response.raise_for_status()
        return response

    def hub(self, method: str, path: str = "", timeout: float = TIMEOUT, **options) -> requests.Response:
        """The hub's API about this user."""
        url = f"{self.lab.url}/hub/api/users/{quote(self.name)}{path}"
        return self.api.request(method, url, timeout=timeout, **options)

    def server(self, method: str, path: str, timeout: float = TIMEOUT, **options) -> requests.Response:
        """The API of the user's own server."""
        url = f"{self.lab.url}{self.path}/api/{path}"
        return self.api.request(method, url, timeout=timeout, allow_redirects=False, **options)

    def state(self) -> dict:
        """What the hub says about the default server: nothing if there is none."""
        return self.hub("GET").json()["servers"].get("", {})

    def server_answers(self) -> bool:
        return self.server("GET", "status", timeout=10).status_code == 200

    def start(self, timeout: float = 180) -> float:
        """Start the server, as somebody does who presses the button again when it doesn't answer; seconds taken."""
        started = time.monotonic()
        last = ""
        while time.monotonic() - started < timeout:
            try:
                if self.server_answers():
                    return time.monotonic() - started
                answer = self.hub("POST", "/server", timeout=10)
                last = f"{answer.status_code} {answer.text[:200]}"
            except requests.RequestException as error:
                last = str(error)
            time.sleep(1)
        raise AssertionError(f"the server of {self.login_name} did not answer within {timeout:.0f} s: {last}")

    def stop(self, timeout: float = 120) -> None:
        """Stop the server and wait until the hub has forgotten it."""
        deadline = time.monotonic() + timeout
        while self.state() and time.monotonic() < deadline:
            self.hub("DELETE", "/server")
            time.sleep(1)
        assert not self.state()

    def write(self, path: str, content: str) -> None:
        body = {"type": "file", "format": "text", "content": content}
        answer = self.server("PUT", f"contents/{path}", json=body)
        assert answer.status_code in (200, 201), answer.text

    def read(self, path: str) -> str:
        answer = self.server("GET", f"contents/{path}", params={"type": "file", "format": "text"})
        assert answer.status_code == 200, answer.text
        return answer.json()["content"]

    def websocket(self, path: str, timeout: float = TIMEOUT) -> websocket.WebSocket:
        """A WebSocket of the own server, through the edge."""
        address = urlsplit(self.lab.url)
        return websocket.create_connection(
            f"wss://{address.netloc}{self.path}/{path}",
            header=[f"Authorization: {self.api.headers['Authorization']}"],
            sslopt={"ca_certs": str(self.lab.ca_file)},
            http_no_proxy=[address.hostname],
            timeout=timeout,
        )

    @contextmanager
    def kernel(self) -> Iterator[Kernel]:
        kernel = Kernel(self)
        try:
            yield kernel
        finally:
            kernel.close()


def listen_quietly(connection: websocket.WebSocket, seconds: float) -> None:
    """Send nothing for a while and answer pings, as a browser in the background does. Fails if the peer closes."""
    end = time.monotonic() + seconds
    # Pings end no wait: the next one would come before a long time-out.
    connection.settimeout(5)
    while time.monotonic() < end:
        with suppress(websocket.WebSocketTimeoutException):
            connection.recv()


class Kernel:
    """A Python kernel of the user's server, over its WebSocket."""

    def __init__(self, user: User) -> None:
        self.user = user
        answer = user.server("POST", "kernels", json={"name": "python3"})
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["id"]
        self.session = uuid.uuid4().hex
        self.connect()

    def connect(self) -> None:
        """Connect, or connect anew."""
        self.socket = self.user.websocket(f"api/kernels/{self.id}/channels?session_id={self.session}")

    def run(self, code: str, timeout: float = 60) -> str:
        """Run code and return what it printed; an exception in it is one here."""
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": "execute_request", "session": self.session, "username": "",
                  "version": "5.3", "date": ""}  # fmt: skip
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {},
                   "allow_stdin": False, "stop_on_error": True}  # fmt: skip
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.socket.settimeout(timeout)
        self.socket.send(json.dumps(message))
        printed, replied, idle = "", False, False
        deadline = time.monotonic() + timeout
        while not (replied and idle):
            self.socket.settimeout(max(0.1, deadline - time.monotonic()))
            answer = self.socket.recv()
            if not isinstance(answer, str) or not answer:
                continue
            reply = json.loads(answer)
            if reply["parent_header"].get("msg_id") != number:
                continue
            kind, content = reply["header"]["msg_type"], reply["content"]
            if kind == "stream":
                printed += content["text"]
            elif kind == "execute_reply":
                replied = True
                assert content["status"] == "ok", f"{content.get('ename')}: {content.get('evalue')}"
            elif kind == "status":
                idle = content["execution_state"] == "idle"
        return printed

    def close(self) -> None:
        self.socket.close()
        self.user.server("DELETE", f"kernels/{self.id}")


class Terminal:
    """A shell of the user's server, over its WebSocket."""

    def __init__(self, user: User) -> None:
        self.user = user
        answer = user.server("POST", "terminals", json={})
        assert answer.status_code == 200, answer.text
        self.name = answer.json()["name"]
        self.socket = user.websocket(f"terminals/websocket/{self.name}")

    def run(self, command: str, timeout: float = 30) -> str:
        """Type a command and return all that appeared until it was done."""
        mark = uuid.uuid4().hex
        # The shell's echo of what was typed has quotes inside the mark, the output has not.
        self.socket.send(json.dumps(["stdin", f"{command}; echo {mark[:8]}''{mark[8:]}\r"]))
        seen = ""
        deadline = time.monotonic() + timeout
        while mark not in re.sub(r"[\r\n]", "", seen):
            self.socket.settimeout(max(0.1, deadline - time.monotonic()))
            kind, *words = json.loads(self.socket.recv())
            if kind == "stdout":
                seen += words[0]
        return seen

    def close(self) -> None:
        self.socket.close()
        self.user.server("DELETE", f"terminals/{self.name}")
