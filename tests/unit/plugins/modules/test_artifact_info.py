# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that asks for files and images, against a small mirror and a small registry that gives tokens."""

from __future__ import annotations

import http.server
import json
import threading
import time
import urllib.parse
from email.message import Message

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.egi.notebooks.plugins.module_utils import registry as asking
from ansible_collections.egi.notebooks.plugins.modules import artifact_info

STATUS = {
    "/file": 200,
    "/moved": 302,
    "/v2/docker.io/library/traefik/manifests/v3": 200,
    "/v2/quay.io/private/x/manifests/1": 401,
    "http://registry.test/v2/a/b/manifests/1": 401,
}


TOKEN = "anybodys.to-ken_"


class Mirror(http.server.BaseHTTPRequestHandler):
    """Knows few paths; one of them takes its time."""

    def do_HEAD(self):
        if self.path.startswith("/slow"):
            time.sleep(3)
        self.server.seen.append((self.path, self.headers.get("Accept", "")))
        self.send_response(STATUS.get(self.path, 404))
        if self.path == "/moved":
            self.send_header("Location", "/file")
        if "registry.test" in self.path:
            self.send_header("WWW-Authenticate", 'Bearer realm="http://token.test/token",service="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, certificate, tmp_path):
    """No proxy, the authority of the test's servers, and a machine whose containerd was told nothing."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(artifact_info, "HOSTS", str(tmp_path))


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
    def call(returns="problems", **options):
        with patch_module_args(options), pytest.raises(SystemExit):
            artifact_info.main()
        output = capsys.readouterr().out
        assert TOKEN not in output
        answer = json.loads(output)
        assert answer["changed"] is False
        return answer[returns]

    return call


def test_what_is_there_is_no_problem(run, mirror):
    downloads = [f"{mirror.url}/file", f"{mirror.url}/moved", "traefik:v3", "quay.io/private/x:1"]
    assert run(downloads=downloads, mirror=mirror.url, _ansible_check_mode=True) == []
    assert "/v2/docker.io/library/traefik/manifests/v3" in dict(mirror.seen)
    assert "oci.image.index" in dict(mirror.seen)["/v2/docker.io/library/traefik/manifests/v3"]


def test_what_is_missing_is_named(run, mirror):
    problems = run(downloads=[f"{mirror.url}/nothing", "ghcr.io/a/b:v1"], mirror=f"{mirror.url}/")
    assert problems == [
        f"{mirror.url}/nothing answers 404 Not Found. Choose a version that exists, or add it to the mirror.",
        f"ghcr.io/a/b:v1 is missing: {mirror.url}/v2/ghcr.io/a/b/manifests/v1 answers 404 Not Found. "
        "Choose a version that exists, or add it to the mirror.",
    ]


def test_a_silent_server_is_told_once(run):
    (problem,) = run(downloads=["http://127.0.0.1:9/a", "http://127.0.0.1:9/b"])
    assert problem.startswith("http://127.0.0.1:9 does not answer (")


def test_a_slow_server_is_not_waited_for(run, mirror):
    start = time.monotonic()
    (problem,) = run(downloads=[f"{mirror.url}/slow{n}" for n in range(7)], timeout=1)
    assert "timed out" in problem
    assert time.monotonic() - start < 2.5


class Registry:
    """A registry and its token server in one, which knows a/b:1. It tells nothing to who has no token."""

    challenge = 'Bearer realm="{url}/token?a=b",service="the, registry",scope="repository:a/b:pull"'
    given = (200, {"token": TOKEN})
    pause = 0

    def __init__(self) -> None:
        self.seen = []
        self.answers = {"/v2/a/b/manifests/1": 200}

    def __call__(self, method, path, headers, _):
        time.sleep(self.pause)
        self.seen.append((method, path, headers.get("Authorization")))
        if path.startswith("/token?"):
            return self.given
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, b"", {"WWW-Authenticate": self.challenge.replace("{url}", self.url)}
        answer = self.answers.get(path, 404)
        return answer if isinstance(answer, tuple) else (answer, b"")


@pytest.fixture
def registry(serve, monkeypatch):
    site = Registry()
    site.url = serve(site)
    monkeypatch.setitem(artifact_info.SERVERS, "docker.io", site.url)
    return site


def test_a_registry_is_asked_with_the_token_that_everybody_gets(run, registry):
    registry.answers |= {f"/v2/library/{name}/manifests/1": 200 for name in "cde"}
    images = ["a/b:1", "docker.io/a/b:1", "c:1", "docker.io/d:1", "index.docker.io/library/e:1"]
    assert run(downloads=images) == []
    tokens = [(method, path, login) for method, path, login in registry.seen if path.startswith("/token")]
    assert {(method, login) for method, _, login in tokens} == {("GET", None)}
    assert urllib.parse.parse_qs(tokens[0][1].partition("?")[2]) == {
        "a": ["b"],
        "service": ["the, registry"],
        "scope": ["repository:a/b:pull"],
    }
    assert {method for method, path, _ in registry.seen if "/manifests/" in path} == {"HEAD"}


def test_an_access_token_is_one_too(run, registry):
    registry.given = 200, {"access_token": TOKEN}
    assert run(downloads=["a/b:1", "a/b:2"])[0].startswith("a/b:2 is missing: ")


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (400, "400 Bad Request")])
def test_what_a_registry_lacks_is_named(run, registry, status, words):
    registry.answers["/v2/a/b/manifests/2"] = status
    assert run(downloads=["docker.io/a/b:1", "docker.io/a/b:2"]) == [
        f"docker.io/a/b:2 is missing: {registry.url}/v2/a/b/manifests/2 answers {words}. "
        "Choose a version that exists, or add it to the mirror."
    ]


def test_a_mirror_may_give_tokens_too(run, registry):
    registry.answers["/v2/quay.io/a/b/manifests/1"] = 200
    problems = run(downloads=["quay.io/a/b:1", "quay.io/a/b:2"], mirror=registry.url)
    assert [problem.partition(" ")[0] for problem in problems] == ["quay.io/a/b:2"]


@pytest.mark.parametrize(
    "given",
    [
        (401, {"details": "incorrect username or password"}),
        (403, {"errors": [{"code": "DENIED"}]}),
        (429, b""),
        (503, b""),
        (200, b"<html>"),
        (200, {}),
        (200, ["token"]),
        (200, {"token": None}),
        (200, {"token": f"{TOKEN}\r\nX: y"}),
        (200, {"token": "other"}),
    ],
)
def test_who_wants_a_login_is_no_problem(run, registry, given):
    registry.given = given
    assert run(downloads=["docker.io/a/b:2"]) == []
    assert run("unknown", downloads=["docker.io/a/b:2"]) == [
        f"docker.io/a/b:2 cannot be checked, {registry.url}/v2/a/b/manifests/2 "
        "answers 401 Unauthorized (login required)"
    ]


@pytest.mark.parametrize(("status", "words"), [(403, "403 Forbidden (login required)"), (429, "429 Too Many Requests")])
def test_a_registry_that_does_not_tell_is_no_problem(run, registry, status, words):
    registry.answers["/v2/a/b/manifests/2"] = status
    assert run(downloads=["a/b:2"]) == []
    assert run("unknown", downloads=["a/b:2"])[0].endswith(f" answers {words}")


@pytest.mark.parametrize("challenge", ['Basic realm="x"', "Bearer", "Bearer realm", 'Bearer realm="nothing"'])
def test_a_challenge_that_nobody_can_answer_is_no_problem(run, registry, challenge):
    registry.challenge = challenge
    assert run(downloads=["a/b:2"]) == []
    assert len(registry.seen) == 1


def test_nobody_is_led_from_https_to_http_or_to_a_file(run, registry, mirror, tmp_path):
    (tmp_path / "token").write_text(json.dumps({"token": TOKEN}))
    for realm in (f"{mirror.url}/token", f"file://{tmp_path}/token", "https://user:password@127.0.0.1/token"):
        registry.challenge = f'Bearer realm="{realm}"'
        assert run(downloads=["a/b:2"]) == []
    registry.challenge = Registry.challenge
    registry.given = 302, b"", {"Location": f"{mirror.url}/file"}
    assert run(downloads=["a/b:2"]) == []
    assert {login for _, _, login in registry.seen} == {None}


def test_a_token_follows_no_redirect(run, registry, serve):
    told = []

    def elsewhere(method, path, headers, _):
        told.append(headers.get("Authorization"))
        return 200, b""

    registry.answers["/v2/a/b/manifests/1"] = 307, b"", {"Location": f"{serve(elsewhere)}/x"}
    assert run(downloads=["a/b:1"]) == []
    assert told == [None]


def test_who_is_led_to_a_registry_that_wants_a_token_gets_one(run, registry, serve, monkeypatch):
    leads = serve(lambda method, path, headers, _: (307, b"", {"Location": f"{registry.url}{path}"}))
    monkeypatch.setitem(artifact_info.SERVERS, "docker.io", leads)
    assert run(downloads=["a/b:1", "a/b:2"]) == [
        f"a/b:2 is missing: {leads}/v2/a/b/manifests/2 answers 404 Not Found. "
        "Choose a version that exists, or add it to the mirror."
    ]


def test_the_site_s_proxy_is_asked_for_all_of_it(run, mirror, monkeypatch):
    monkeypatch.setitem(artifact_info.SERVERS, "docker.io", "http://registry.test")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("http_proxy", mirror.url)
    assert run(downloads=["a/b:1"]) == []
    assert [path for path, _ in mirror.seen] == [
        "http://registry.test/v2/a/b/manifests/1",
        "http://token.test/token?service=x",
    ]


def test_a_silent_token_server_is_named(run, registry):
    registry.challenge = 'Bearer realm="https://127.0.0.1:9/token"'
    (problem,) = run(downloads=["a/b:1", "a/b:2"])
    assert problem.startswith("https://127.0.0.1:9 does not answer (")


def test_a_token_takes_no_time_of_its_own(run, registry):
    registry.pause = 0.7
    start = time.monotonic()
    (problem,) = run(downloads=["a/b:1"], timeout=1)
    assert problem.startswith(f"{registry.url} does not answer (")
    assert "timed out" in problem
    assert time.monotonic() - start < 1.4


def test_a_silent_registry_of_the_site_is_no_problem(run):
    assert run(downloads=["127.0.0.1:9/a/b:1"]) == []
    (sentence,) = run("unknown", downloads=["127.0.0.1:9/a/b:1"], mirror="https://127.0.0.1:9")
    assert sentence.startswith("127.0.0.1:9/a/b:1 cannot be checked, https://127.0.0.1:9 does not answer (")
    (problem,) = run(downloads=["127.0.0.1:9/a/b:1"], registries=["127.0.0.1:9"])
    assert problem.startswith("https://127.0.0.1:9 does not answer (")


def test_a_registry_of_the_site_is_asked_too(run, registry):
    (problem,) = run(downloads=[f"{registry.url[8:]}/a/b:{tag}" for tag in (1, 2)], mirror="https://127.0.0.1:9")
    assert problem.startswith(f"{registry.url[8:]}/a/b:2 is missing: {registry.url}/v2/a/b/manifests/2 answers 404")


@pytest.mark.parametrize("name", ["docker.io", "_default", "registry.example_5000_"])
def test_containerds_own_ways_are_left_to_it(run, tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "hosts.toml").touch()
    image = "registry.example:5000/a:1" if "_5000_" in name else "docker.io/a/b:1"
    assert artifact_info.urls_of([image], "", []) == {}
    assert artifact_info.urls_of(["quay.io/a/b:1"], "", []) == (
        {} if name == "_default" else {"quay.io/a/b:1": "https://quay.io/v2/a/b/manifests/1"}
    )


def test_images_without_a_mirror_are_asked_for_where_containerd_would():
    images = ["traefik:v3", "ghcr.io/a/b:1"]
    assert list(artifact_info.urls_of(images, "", []).values()) == [
        "https://registry-1.docker.io/v2/library/traefik/manifests/v3",
        "https://ghcr.io/v2/a/b/manifests/1",
    ]


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ([], {}),
        (['Basic realm="https://b"'], {}),
        (['Basic realm="https://b"', "bearer  Realm=https://r"], {"realm": "https://r"}),
        (
            ['Bearer realm="https://r" , service="a, \\"b\\"=c",scope="repository:a/b:pull,push repository:c:pull"'],
            {"realm": "https://r", "service": 'a, "b"=c', "scope": "repository:a/b:pull,push repository:c:pull"},
        ),
        (
            ['Bearer realm="https://r",error="insufficient_scope", Basic realm="https://b"'],
            {"realm": "https://r", "error": "insufficient_scope", "basic realm": "https://b"},
        ),
    ],
)
def test_challenges(headers, parameters):
    message = Message()
    for header in headers:
        message["WWW-Authenticate"] = header
    assert asking.bearer_challenge(message) == parameters


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("docker.io/library/traefik:v3", ("docker.io", "library/traefik", "v3")),
        ("registry.k8s.io/coredns/coredns:v1", ("registry.k8s.io", "coredns/coredns", "v1")),
        ("traefik", ("docker.io", "library/traefik", "latest")),
        ("docker.io/traefik:v3", ("docker.io", "library/traefik", "v3")),
        ("index.docker.io/a/b:1", ("docker.io", "a/b", "1")),
        ("jupyter/base-notebook:x", ("docker.io", "jupyter/base-notebook", "x")),
        ("localhost:5000/a:1", ("localhost:5000", "a", "1")),
        ("localhost:5000/a", ("localhost:5000", "a", "latest")),
        ("quay.io/a/b:1@sha256:aa", ("quay.io", "a/b", "sha256:aa")),
    ],
)
def test_names_of_images(image, parts):
    assert artifact_info.image_parts(image) == parts
