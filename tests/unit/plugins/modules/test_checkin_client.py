# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that registers a client, against an issuer that treats clients as Keycloak does."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import pytest
from issuer import CALLBACK, OTHER, kept

from ansible_collections.egi.notebooks.plugins.module_utils import registration
from ansible_collections.egi.notebooks.plugins.modules import (
    checkin_client,
    checkin_client_info,
)


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
    assert answer["diff"]["after"].endswith("client_secret: (new)\n")
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
    wish = "set scope to ['entitlements']; requested was ['entitlements', 'profile']"
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
        assert "Request a token from the Check-in team" in answer["msg"]
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
    assert "The current secret is probably pending_client_secret" in answer["msg"]
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
        assert "is revoked or the client is deleted. Request a new token" in answer["msg"]
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
        assert "Choose a file that this module wrote" in answer["msg"]
        assert "s3cret" not in str(answer)


def test_a_file_of_another_issuer_is_refused(client):
    client()
    assert "Choose another file for each client" in client(issuer="https://aai.egi.eu/auth/realms/egi")["msg"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((201, b'{"client_secret": "half-a-document'), "with 34 bytes (no content type) that are not JSON"),
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
    told = f"The registration_endpoint of {issuer.issuer} must be an https:// URL"
    assert answer["msg"].startswith(told)
    assert (answer["changed"], issuer.changes()) == (False, [])
    (problem,) = login()
    assert f"The authorization_endpoint of {issuer.issuer} must be an https:// URL" in problem


def test_a_client_s_address_without_https_gets_no_token(client, run, issuer, files, monkeypatch):
    told = f"The registration_client_uri in {files['credentials_file']} must be an https:// URL"
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
    assert "RFC 7592 cannot change a secret, and this is not Keycloak" in answer["msg"]
    assert "pending_client_secret" not in kept(files)


# --- Looking ---


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
