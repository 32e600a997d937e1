# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that asks for files and images, against a small mirror."""

from __future__ import annotations

import http.server
import json
import threading
import time

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.egi.notebooks.plugins.modules import artifact_info

STATUS = {
    "/file": 200,
    "/moved": 302,
    "/v2/docker.io/library/traefik/manifests/v3": 200,
    "/v2/quay.io/private/x/manifests/1": 401,
}


class Mirror(http.server.BaseHTTPRequestHandler):
    """Knows few paths; one of them takes its time."""

    def do_HEAD(self):
        if self.path.startswith("/slow"):
            time.sleep(3)
        self.server.seen.append((self.path, self.headers.get("Accept", "")))
        self.send_response(STATUS.get(self.path, 404))
        if self.path == "/moved":
            self.send_header("Location", "/file")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def mirror():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.seen = []
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(capsys):
    def call(**options):
        with patch_module_args(options), pytest.raises(SystemExit):
            artifact_info.main()
        answer = json.loads(capsys.readouterr().out)
        assert answer["changed"] is False
        return answer["problems"]

    return call


def test_what_is_there_is_no_problem(run, mirror):
    downloads = [f"{mirror.url}/file", f"{mirror.url}/moved", "traefik:v3", "quay.io/private/x:1", "site.example/x:2"]
    assert run(downloads=downloads, mirror=mirror.url, _ansible_check_mode=True) == []
    assert "/v2/docker.io/library/traefik/manifests/v3" in dict(mirror.seen)
    assert "oci.image.index" in dict(mirror.seen)["/v2/docker.io/library/traefik/manifests/v3"]
    assert not [path for path, _ in mirror.seen if "site.example" in path]


def test_what_is_missing_is_named(run, mirror):
    problems = run(downloads=[f"{mirror.url}/nothing", "ghcr.io/a/b:v1"], mirror=f"{mirror.url}/")
    assert problems == [
        f"{mirror.url}/nothing answers 404 Not Found; allowed are versions and mirrors that have it",
        f"ghcr.io/a/b:v1 is missing: {mirror.url}/v2/ghcr.io/a/b/manifests/v1 answers 404 Not Found; "
        "allowed are versions and mirrors that have it",
    ]


def test_a_silent_server_is_told_once(run):
    (problem,) = run(downloads=["http://127.0.0.1:9/a", "http://127.0.0.1:9/b"])
    assert problem.startswith("http://127.0.0.1:9 does not answer (")


def test_a_slow_server_is_not_waited_for(run, mirror):
    start = time.monotonic()
    (problem,) = run(downloads=[f"{mirror.url}/slow{n}" for n in range(7)], timeout=1)
    assert "timed out" in problem
    assert time.monotonic() - start < 2.5


def test_without_a_mirror_images_are_not_asked_for(run):
    assert run(downloads=["docker.io/library/traefik:v3"]) == []


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("docker.io/library/traefik:v3", ("docker.io", "library/traefik", "v3")),
        ("registry.k8s.io/coredns/coredns:v1", ("registry.k8s.io", "coredns/coredns", "v1")),
        ("traefik", ("docker.io", "library/traefik", "latest")),
        ("jupyter/base-notebook:x", ("docker.io", "jupyter/base-notebook", "x")),
        ("localhost:5000/a:1", ("localhost:5000", "a", "1")),
        ("localhost:5000/a", ("localhost:5000", "a", "latest")),
        ("quay.io/a/b:1@sha256:aa", ("quay.io", "a/b", "sha256:aa")),
    ],
)
def test_names_of_images(image, parts):
    assert artifact_info.image_parts(image) == parts
