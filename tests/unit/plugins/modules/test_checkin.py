# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that speak to Check-in, against an issuer that treats clients as Keycloak does."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import uuid
from email.utils import formatdate
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from ansible_collections.egi.notebooks.plugins.module_utils import oidc, registration
from ansible_collections.egi.notebooks.plugins.modules import (
    checkin_client,
    checkin_client_info,
    checkin_discovery_info,
    checkin_login_info,
)

CALLBACK = "https://notebooks.example.org/hub/oauth_callback"
OTHER = "https://other.example.org/hub/oauth_callback"
INITIAL = "initial-access-token-of-the-tests"
REALM = "/auth/realms/egi"


class Issuer:
    """Keycloak's ways: a new registration token at each update, none at a read; another secret by its own API alone."""

    def __init__(self) -> None:
        self.clients = {}
        self.secrets = {INITIAL}
        self.calls = []
        self.url = ""
        self.known_scopes = {"profile", "email", "entitlements"}
        self.granted = set(self.known_scopes)
        self.default_scopes = set()
        self.document = {}
        self.clock = 0.0
        self.lost_answers = 0
        self.pkce = True

    @property
    def issuer(self):
        return f"{self.url}{REALM}"

    def changes(self):
        return [method for method, _, _ in self.calls if method != "GET"]

    def __call__(self, method, path, headers, body):
        self.calls.append((method, path, body))
        answer = self.answer(method, urlsplit(path), headers, body)
        if method != "GET" and self.lost_answers:
            self.lost_answers -= 1
            return None
        status, content, more = (*answer, {})[:3]
        return status, content, {"Date": formatdate(time.time() + self.clock, usegmt=True)} | more

    def answer(self, method, parts, headers, body):
        path = parts.path.removeprefix(REALM)
        token = (headers.get("Authorization") or "").removeprefix("Bearer ")
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/protocol/openid-connect/auth",
                "token_endpoint": f"{self.issuer}/protocol/openid-connect/token",
                "registration_endpoint": f"{self.issuer}/clients-registrations/openid-connect",
                "scopes_supported": ["openid", *self.known_scopes],
                "claims_supported": ["sub", "email"],
            } | self.document
        if path == "/protocol/openid-connect/auth":
            return self.authorize({key: value[0] for key, value in parse_qs(parts.query).items()})
        if path == "/clients-registrations/openid-connect":
            if token != INITIAL:
                return 401, {"error": "invalid_token", "error_description": "Failed decode token"}
            return self.register(body)
        provider, client = path.removeprefix("/clients-registrations/").split("/")
        if self.clients.get(client, {}).get("registration_access_token") != token:
            return 401, {"error": "invalid_token", "error_description": "Not authorized to view client"}
        return self.manage(method, provider, client, body)

    def register(self, body):
        assert "client_id" not in body
        scopes = set(body.get("scope", " ".join(self.known_scopes)).split())
        if scopes - self.known_scopes:
            return 403, {
                "error": "insufficient_scope",
                "error_description": "Not permitted to use specified clientScope",
            }
        name = str(uuid.uuid4())
        self.clients[name] = body | {
            "client_id": name,
            "client_secret": self.secret(),
            "client_secret_expires_at": 0,
            "registration_client_uri": f"{self.issuer}/clients-registrations/openid-connect/{name}",
            "registration_access_token": self.secret(),
            "scope": " ".join(scopes - self.default_scopes),
            "subject_type": "public",
        }
        return 201, self.shown(name)

    def shown(self, name):
        client = self.clients[name]
        return client | {
            "post_logout_redirect_uris": client.get("post_logout_redirect_uris") or client["redirect_uris"]
        }

    def secret(self):
        secret = f"secret-{uuid.uuid4()}"
        self.secrets.add(secret)
        return secret

    def manage(self, method, provider, name, body):
        client = self.clients[name]
        if method == "DELETE":
            del self.clients[name]
            return 204, b""
        if method == "PUT":
            client["registration_access_token"] = self.secret()
            if provider == "default":
                assert set(body) == {"clientId", "secret"}
                client["client_secret"] = body["secret"]
                self.secrets.add(body["secret"])
                return 200, {"secret": body["secret"], "registrationAccessToken": client["registration_access_token"]}
            assert not {"registration_access_token", "client_secret", "client_secret_expires_at"} & set(body)
            assert body["client_id"] == name
            assert body["subject_type"] == "public", "what nobody wants to change is sent back"
            client |= body
            client["scope"] = " ".join(sorted(set(client["scope"].split()) - self.default_scopes))
        return 200, self.shown(name)

    def authorize(self, query):
        assert query["prompt"] == "none"
        client = self.clients.get(query["client_id"])
        if client is None:
            link = urlencode({"redirect_uri": query["redirect_uri"]})
            return 400, f"<p>Client not found.</p><a href='?{link}'>Deutsch</a>".encode()
        if query["redirect_uri"] not in client["redirect_uris"]:
            return 400, b"<p>Invalid parameter: redirect_uri</p>"
        error = {"error": "login_required"}
        if set(query["scope"].split()) - {"openid"} - self.granted:
            error = {"error": "invalid_scope", "error_description": f"Invalid scopes: {query['scope']}"}
        elif self.pkce and query.get("code_challenge_method") != "S256":
            error = {"error": "invalid_request", "error_description": "Missing parameter: code_challenge_method"}
        return 302, b"", {"Location": f"{query['redirect_uri']}?{urlencode(error)}"}


@pytest.fixture
def issuer(serve):
    found = Issuer()
    found.url = serve(found)
    return found


@pytest.fixture
def files(tmp_path):
    """Where the module keeps things."""
    return {"credentials_file": str(tmp_path / "client.json"), "client_secret_file": str(tmp_path / "client_secret")}


@pytest.fixture
def client(run, issuer, files, tmp_path):
    """Return a function that runs checkin_client; whatever it answers, no secret is in it, and no file left over."""

    def call(check=False, **options):
        wanted = {
            "issuer": issuer.issuer,
            "initial_access_token": INITIAL,
            "client_name": "Notebooks",
            "redirect_uris": [CALLBACK],
            "scopes": ["openid", "profile", "entitlements"],
            **files,
        }
        answer = run(checkin_client, check, **(wanted | options))
        text = json.dumps({key: value for key, value in answer.items() if key != "invocation"})
        assert not [secret for secret in issuer.secrets if secret in text]
        assert {path.name for path in tmp_path.iterdir()} <= {"client.json", "client_secret"}
        for path in tmp_path.iterdir():
            assert path.stat().st_mode & 0o777 == 0o600
        return answer

    return call


def kept(files) -> dict:
    with open(files["credentials_file"]) as stream:
        return json.load(stream)


def agree(issuer, files) -> None:
    """Files and issuer know the same secrets."""
    (known,) = issuer.clients.values()
    for name in ("client_id", "client_secret", "registration_access_token"):
        assert kept(files)[name] == known[name]
    with open(files["client_secret_file"]) as stream:
        assert stream.read() == known["client_secret"]


# --- The twelve steps: create, repeat, modify, delete, each with and without check mode ---


def test_a_client_is_made_changed_and_deleted_once(client, issuer, files, tmp_path):
    created = ["created", "client_secret_file written"]
    answer = client(check=True)
    assert (answer["changed"], answer["done"], issuer.clients) == (True, created, {})
    assert answer["diff"]["before"] == ""
    assert f"redirect_uris: {CALLBACK}\n" in answer["diff"]["after"]
    assert list(tmp_path.iterdir()) == []

    answer = client()
    assert (answer["changed"], answer["done"]) == (True, created)
    assert list(issuer.clients) == [answer["client_id"]]
    assert answer["client"]["redirect_uris"] == [CALLBACK]
    assert sorted(issuer.clients[answer["client_id"]]["scope"].split()) == ["entitlements", "profile"]
    agree(issuer, files)

    for check in (True, False):
        answer = client(check=check, initial_access_token=None)
        assert (answer["changed"], answer["done"]) == (False, [])
    assert issuer.changes() == ["POST"]

    modified = {"redirect_uris": [OTHER, CALLBACK], "client_name": "Other", "initial_access_token": None}
    answer = client(check=True, **modified)
    assert (answer["changed"], answer["done"], issuer.changes()) == (True, ["updated"], ["POST"])
    assert f"redirect_uris: {OTHER}\n" not in answer["diff"]["before"]
    assert f"redirect_uris: {OTHER}\n" in answer["diff"]["after"]
    before = kept(files)
    answer = client(**modified)
    assert (answer["changed"], answer["done"]) == (True, ["updated"])
    assert kept(files)["registration_access_token"] != before["registration_access_token"]
    assert kept(files)["client_secret"] == before["client_secret"]
    agree(issuer, files)
    for check in (True, False):
        assert not client(check=check, **modified)["changed"]
    assert issuer.changes() == ["POST", "PUT"]

    answer = client(check=True, state="absent")
    assert (answer["changed"], answer["done"], len(issuer.clients)) == (True, ["deleted"], 1)
    answer = client(state="absent")
    assert (answer["changed"], answer["done"], issuer.clients) == (True, ["deleted"], {})
    assert list(tmp_path.iterdir()) == []
    for check in (True, False):
        assert not client(check=check, state="absent")["changed"]
    assert issuer.changes() == ["POST", "PUT", "DELETE"]


def test_the_secret_is_rotated(client, issuer, files):
    client()
    old = kept(files)["client_secret"]
    answer = client(check=True, rotate_secret=True)
    assert (answer["changed"], answer["done"]) == (True, ["secret rotated", "client_secret_file written"])
    assert kept(files)["client_secret"] == old
    answer = client(rotate_secret=True)
    assert answer["done"] == ["secret rotated", "client_secret_file written"]
    assert answer["diff"]["after"].endswith("client_secret: another one\n")
    assert len(kept(files)["client_secret"]) >= 43
    assert kept(files)["client_secret"] != old
    assert "pending_client_secret" not in kept(files)
    agree(issuer, files)
    assert not client()["changed"]


def test_fields_that_are_not_given_are_left_alone(client, issuer):
    client()
    assert not client(client_name=None, scopes=None)["changed"]
    (known,) = issuer.clients.values()
    known["client_name"] = "changed by somebody"
    assert not client(client_name=None)["changed"]
    assert client()["done"] == ["updated"]
    assert known["client_name"] == "Notebooks"


def test_addresses_after_a_logout_follow_until_they_are_set(client, issuer):
    client()
    client(redirect_uris=[OTHER])
    (known,) = issuer.clients.values()
    assert "post_logout_redirect_uris" not in known
    wish = {"redirect_uris": [OTHER], "post_logout_redirect_uris": ["https://other.example.org/"]}
    assert client(**wish)["done"] == ["updated"]
    assert not client(**wish)["changed"]
    client()
    assert known["post_logout_redirect_uris"] == ["https://other.example.org/"]


def test_what_the_issuer_makes_of_a_wish_is_told_once(client, issuer, monkeypatch):
    told = []
    # By a warning: here, where Ansible takes the module for a part of itself, it would go to the screen.
    monkeypatch.setattr(checkin_client.AnsibleModule, "warn", lambda _, text: told.append(text))
    issuer.default_scopes = {"profile"}
    client()
    wish = "was asked for scope ['entitlements', 'profile'] and made it ['entitlements']"
    assert told == [f"{issuer.issuer} {wish}"]
    assert not client()["changed"]
    assert len(told) == 1


def test_files_are_made_private_and_repaired(client, files):
    client()
    os.chmod(files["credentials_file"], 0o640)
    os.unlink(files["client_secret_file"])
    wanted = ["credentials_file made private", "client_secret_file written"]
    assert client()["done"] == wanted
    assert not client()["changed"]


def test_a_token_is_needed_for_a_new_client(client, issuer):
    for check in (True, False):
        answer = client(check=check, initial_access_token=None)
        assert "ask the Check-in team for a token to register a client with" in answer["msg"]
        assert not answer["changed"]
    answer = client(initial_access_token="wrong-initial-access-token")
    assert "/clients-registrations/openid-connect answered 401 (invalid_token: Failed decode token)" in answer["msg"]
    assert "wrong-initial" not in str(answer)
    assert "answered 403 (insufficient_scope: Not permitted" in client(scopes=["nonsense"])["msg"]
    assert issuer.clients == {}


# --- Interruptions ---


def test_an_interrupted_rotation_keeps_the_new_secret(client, issuer, files):
    client()
    issuer.lost_answers = 1
    answer = client(rotate_secret=True)
    assert "got no answer" in answer["msg"]
    (known,) = issuer.clients.values()
    assert kept(files)["pending_client_secret"] == known["client_secret"]
    answer = client()
    assert "the secret in force is most likely pending_client_secret" in answer["msg"]
    # The Check-in team gives a new token.
    content = kept(files) | {"registration_access_token": known["registration_access_token"]}
    with open(files["credentials_file"], "w") as stream:
        json.dump(content, stream)
    assert client()["done"] == ["client_secret_file written"]
    assert "pending_client_secret" not in kept(files)
    agree(issuer, files)


def test_an_interrupted_deletion_is_ended(client, issuer, tmp_path):
    client()
    issuer.lost_answers = 1
    assert "got no answer" in client(state="absent")["msg"]
    answer = client(state="absent")
    assert (answer["changed"], answer["done"]) == (True, ["deleted"])
    assert list(tmp_path.iterdir()) == []


def test_after_an_interrupted_deletion_a_new_client_can_be_made(client, issuer, files):
    client()
    issuer.lost_answers = 1
    client(state="absent")
    assert client()["done"] == ["created", "client_secret_file written"]
    agree(issuer, files)


def test_a_void_token_is_told_and_nothing_is_forgotten(client, issuer, files):
    client()
    before = kept(files)
    (known,) = issuer.clients.values()
    known["registration_access_token"] = "another"
    for options in ({}, {"state": "absent"}):
        answer = client(**options)
        assert "is void or the client gone; ask the Check-in team for a new token" in answer["msg"]
        assert kept(files) == before | ({"deleting": False} if options else {})


def test_without_room_nothing_is_asked_for(client, issuer, files, monkeypatch):
    client()
    calls = len(issuer.calls)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registration.os, "fsync", full)
    answer = client(client_name="Other")
    assert answer["msg"] == f"{files['credentials_file']} cannot be written: No space left on device"
    assert len(issuer.calls) == calls


def test_signals_wait_until_the_answer_is_kept(client, issuer, files, monkeypatch):
    client()
    seen = []
    old = signal.signal(signal.SIGTERM, lambda *_: seen.append(kept(files)["registration_access_token"]))
    real = issuer.manage

    def killing(method, *arguments):
        if method == "PUT":
            # To the thread of the module: a module by itself has no other.
            signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
            time.sleep(0.1)
        return real(method, *arguments)

    monkeypatch.setattr(issuer, "manage", killing)
    try:
        client(client_name="Other")
    finally:
        signal.signal(signal.SIGTERM, old)
    (known,) = issuer.clients.values()
    assert seen == [known["registration_access_token"]]


@pytest.mark.parametrize("content", ["", "[]", '{"client_id": "x"}', '{"client_secret": "s3cret-of-the-file"'])
def test_a_file_of_something_else_is_refused(client, run, files, content):
    with open(os.open(files["credentials_file"], os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
        stream.write(content)
    for answer in (client(), run(checkin_client_info, credentials_file=files["credentials_file"])):
        assert "allowed is a file of this module" in answer["msg"]
        assert "s3cret" not in str(answer)


def test_a_file_of_another_issuer_is_refused(client):
    client()
    assert "allowed is one file for each client" in client(issuer="https://aai.egi.eu/auth/realms/egi")["msg"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((201, b'{"client_secret": "half-a-document'), "with 34 bytes (of no type) that are no JSON"),
        ((500, b"<html>"), "answered 500"),
        ((201, {"client_id": "x"}), "without client_secret, registration_access_token, registration_client_uri"),
    ],
)
def test_a_broken_answer_to_a_registration_is_told(client, issuer, monkeypatch, answer, message):
    monkeypatch.setattr(issuer, "register", lambda _: answer)
    told = client()["msg"]
    assert message in told
    assert "half-a-document" not in told


def test_a_registration_without_all_that_is_needed_is_told_as_one(client, issuer, monkeypatch):
    answer = client(initial_access_token="wrong-initial-access-token")
    assert (answer["failed"], answer["changed"], answer["done"]) == (True, False, [])
    monkeypatch.setattr(issuer, "register", lambda _: (201, {"client_id": "x"}))
    answer = client()
    assert (answer["failed"], answer["changed"], answer["done"]) == (True, True, ["created"])


@pytest.mark.parametrize(
    ("options", "call", "done"),
    [
        ({"client_name": "Other"}, "replace", "updated"),
        ({"rotate_secret": True}, "replace", "secret rotated"),
        ({"state": "absent"}, "unlink", "deleted"),
    ],
)
def test_what_the_issuer_did_before_a_failure_is_told(client, issuer, monkeypatch, options, call, done):
    client()
    real = getattr(os, call)

    def broken(*arguments):
        # Else a temporary file would be left over.
        if issuer.changes()[-1] != "POST" and (call == "replace" or ".checkin_client-" not in arguments[0]):
            raise OSError(5, "Input/output error")
        real(*arguments)

    monkeypatch.setattr(registration.os, call, broken)
    answer = client(**options)
    assert (answer["failed"], answer["changed"], answer["done"]) == (True, True, [done])


# --- No token in clear ---


def test_an_endpoint_without_https_gets_no_token(client, login, issuer):
    in_clear = issuer.url.replace("https:", "http:")
    issuer.document = {f"{name}_endpoint": f"{in_clear}/x" for name in ("registration", "authorization")}
    answer = client()
    told = f"The registration_endpoint of {issuer.issuer} is no https:// address"
    assert answer["msg"].startswith(told)
    assert (answer["changed"], issuer.changes()) == (False, [])
    (problem,) = login()
    assert f"The authorization_endpoint of {issuer.issuer} is no https:// address" in problem


def test_a_client_s_address_without_https_gets_no_token(client, run, issuer, files, monkeypatch):
    told = f"The registration_client_uri in {files['credentials_file']} is no https:// address"
    real = issuer.shown
    with monkeypatch.context() as patch:
        patch.setattr(
            issuer, "shown", lambda name: real(name) | {"registration_client_uri": "http://127.0.0.1:9/x?s3cret"}
        )
        answer = client()
        assert answer["msg"].startswith(told)
        assert "s3cret" not in answer["msg"]
        # It is there, and all that is known of it in the file.
        assert (answer["changed"], answer["done"]) == (True, ["created"])
    before, calls = kept(files), len(issuer.calls)
    assert before["client_secret"]
    for options in ({}, {"rotate_secret": True}, {"state": "absent"}):
        assert client(**options)["msg"].startswith(told)
    assert run(checkin_client_info, credentials_file=files["credentials_file"])["msg"].startswith(told)
    assert (kept(files), len(issuer.calls)) == (before, calls)


def test_another_provider_s_secret_is_not_rotated(client, issuer, files):
    client()
    content = kept(files)
    uri = content["registration_client_uri"]
    (known,) = issuer.clients.values()
    known["registration_client_uri"] = uri.replace("openid-connect/", "other/")
    answer = client(rotate_secret=True)
    assert "is not Keycloak's, and RFC 7592 has no request for another secret" in answer["msg"]
    assert "pending_client_secret" not in kept(files)


# --- Looking ---


def test_a_client_is_looked_at(client, run, issuer, files):
    path = files["credentials_file"]
    assert run(checkin_client_info, credentials_file=path)["exists"] is False
    client()
    before = kept(files)
    for check in (True, False):
        answer = run(checkin_client_info, check, credentials_file=path)
        assert answer["client"]["client_name"] == "Notebooks"
        assert (answer["changed"], answer["exists"], answer["issuer"]) == (False, True, issuer.issuer)
        assert answer["client_secret_expires_at"] == 0
        assert not [secret for secret in issuer.secrets if secret in json.dumps(answer)]
    assert kept(files) == before
    # A signing key was changed.
    (known,) = issuer.clients.values()
    new = issuer.secret()
    real = issuer.manage
    issuer.manage = lambda *arguments: (200, real(*arguments)[1] | {"registration_access_token": new})
    run(checkin_client_info, check=True, credentials_file=path)
    assert kept(files)["registration_access_token"] == new
    known["registration_access_token"] = "another"
    assert "is void" in run(checkin_client_info, credentials_file=path)["msg"]


def test_a_silent_issuer_is_not_waited_for(client, run, issuer, files, monkeypatch):
    client()
    before = kept(files)
    real = issuer.manage

    def slow(method, *arguments):
        if method == "GET":
            time.sleep(2)
        return real(method, *arguments)

    monkeypatch.setattr(issuer, "manage", slow)
    for answer in (client(timeout=1), run(checkin_client_info, credentials_file=files["credentials_file"], timeout=1)):
        assert "got no answer (" in answer["msg"]
        assert "timed out" in answer["msg"]
    assert kept(files) == before


def test_a_write_that_fails_leaves_the_file_whole(client, issuer, files, monkeypatch):
    client()
    before = kept(files)

    def broken(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(registration.os, "replace", broken)
        answer = client(client_name="Other")
    assert answer["msg"] == f"{files['credentials_file']} cannot be written: Input/output error"
    assert kept(files) == before


def test_an_issuer_is_looked_at(run, issuer):
    answer = run(checkin_discovery_info, issuer=f"{issuer.issuer}/", check=True)
    assert answer["endpoints"]["token"] == f"{issuer.issuer}/protocol/openid-connect/token"
    assert answer["scopes"] == sorted(["openid", *issuer.known_scopes])
    assert answer["claims"] == ["email", "sub"]
    assert answer["clock_skew"] == 0
    assert answer["certificate_days_left"] == 30.0
    issuer.document = {"issuer": "https://elsewhere.example.org"}
    assert (
        "as issuer 'https://elsewhere.example.org'; allowed is"
        in run(checkin_discovery_info, issuer=issuer.issuer)["msg"]
    )


@pytest.mark.parametrize("issuer", ["http://aai.example.org", "aai.example.org", "https://u:s3cret@aai.example.org/x"])
def test_an_address_without_https_is_refused(run, issuer):
    assert "allowed is an https:// address" in run(checkin_discovery_info, issuer=issuer)["msg"]


def test_the_clock_is_compared_with_what_a_header_can_say():
    date = formatdate(1_000_000, usegmt=True)
    assert oidc.clock_skew(date, 1_000_000.9, 1_000_001.5) == 0
    assert oidc.clock_skew(date, 999_900, 999_901) == 99
    assert oidc.clock_skew(date, 1_000_101, 1_000_102) == -100
    assert oidc.clock_skew(None, 0, 1) is oidc.clock_skew("yesterday", 0, 1) is None


# --- Before a login ---


@pytest.fixture
def login(run, issuer):
    """Return a function that gives what checkin_login_info says of a client that is registered for CALLBACK."""
    issuer.clients["notebooks"] = {"redirect_uris": [CALLBACK]}

    def call(**options):
        wanted = {
            "issuer": issuer.issuer,
            "client_id": "notebooks",
            "redirect_uri": CALLBACK,
            "scopes": ["openid", "profile", "entitlements"],
        }
        answer = run(checkin_login_info, **(wanted | options))
        assert not answer["changed"]
        return answer["problems"]

    return call


def test_a_login_that_will_work_is_no_problem(login, issuer):
    assert login(check=True) == []
    assert len(issuer.calls) == 2


def test_the_authority_may_come_as_text(login, certificate):
    assert login(ca_path=None, ca_content=certificate.read_text()) == []
    (problem,) = login(ca_path=None)
    assert "certificate" in problem.lower()
    assert problem.endswith("give its authority if that is private, else tell the Check-in team")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"client_id": "unknown"}, "whether this client is registered there and enabled"),
        ({"redirect_uri": OTHER}, f"redirect URI {OTHER} is not registered for client notebooks at "),
        ({"scopes": ["openid", "offline_access"]}, "scope offline_access is not granted to client notebooks at "),
        ({"scopes": ["openid", "profile", "x", "y"]}, "scopes x, y are not granted to client notebooks at "),
        ({"pkce": False}, "is refused: invalid_request (Missing parameter: code_challenge_method); ask the Check-in"),
        ({"issuer": "https://127.0.0.1:9/auth/realms/egi"}, "open the way to it in the firewall, or correct"),
    ],
)
def test_each_flaw_is_one_sentence(login, options, sentence):
    (problem,) = login(**options)
    assert sentence in problem
    assert "\n" not in problem


def test_scopes_that_are_refused_together_only_are_told(login, issuer, monkeypatch):
    authorize = issuer.authorize

    def at_most_two(query):
        many = len(query["scope"].split()) > 2
        return authorize(query | {"scope": "openid unknown"} if many else query)

    monkeypatch.setattr(issuer, "authorize", at_most_two)
    (problem,) = login(scopes=["openid", "profile", "email"])
    assert "scopes openid profile email are not granted together to client notebooks at " in problem
    assert problem.endswith("ask the Check-in team why")


def test_several_flaws_are_told_at_once(login, issuer):
    issuer.clock = 90
    problems = login(scopes=["openid", "x", "offline_access"])
    assert len(problems) == 3
    assert problems[0].startswith("clock of this host is ")
    assert " s behind that of https://" in problems[0]


def test_another_issuer_and_a_wrong_page_are_told(login, issuer):
    issuer.document = {"issuer": "https://aai.egi.eu/auth/realms/egi"}
    (problem,) = login()
    assert "correct environment or issuer, or ask the Check-in team" in problem
    (problem,) = login(issuer=f"{issuer.url}/auth/realms/none/x")
    assert problem.startswith("issuer ")


def test_a_certificate_that_ends_soon_is_told(login, monkeypatch):
    monkeypatch.setattr(checkin_login_info, "certificate_days_left", lambda *_: 0.5)
    (problem,) = login()
    assert "ends within a day" in problem


def test_a_login_page_elsewhere_and_one_at_once_are_no_problem(login, issuer, monkeypatch):
    for answer in ((302, b"", {"Location": "https://discovery.example.org/"}), (200, b"<form>")):
        monkeypatch.setattr(issuer, "authorize", lambda _, answer=answer: answer)
        assert login() == []
    monkeypatch.setattr(issuer, "authorize", lambda _: (503, b"busy"))
    (problem,) = login()
    assert "cannot be checked: GET" in problem
    assert "answered 503; ask the Check-in team" in problem
