# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's certificates: right from the start, kept as long as they are good, made anew in time."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from lab import pki


@pytest.fixture
def state(tmp_path: Path) -> Path:
    pki.ensure(tmp_path)
    return tmp_path


def certificates(path: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(path.read_bytes())


def verify(state: Path, server: str, host: str) -> None:
    (root,) = certificates(state / "ca/ca.crt")
    leaf, intermediate = certificates(state / f"tls/{server}.crt")
    PolicyBuilder().store(Store([root])).build_server_verifier(x509.DNSName(host)).verify(leaf, [intermediate])


def contents(state: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in state.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ("notebooks", "notebooks.lab.test"),
        ("notebooks", "nb-alias.lab.test"),
        ("mirror", "mirror.lab.test"),
        ("aai", "aai.lab.test"),
    ],
)
def test_a_client_that_trusts_the_root_verifies_the_server(state, server, host):
    verify(state, server, host)


def test_another_name_is_refused(state):
    with pytest.raises(VerificationError):
        verify(state, "mirror", "aai.lab.test")


def test_the_root_vouches_for_the_lab_only(state, monkeypatch):
    monkeypatch.setitem(pki.SERVERS, "mirror", ("www.example.org",))
    pki.ensure(state)
    with pytest.raises(VerificationError):
        verify(state, "mirror", "www.example.org")


def test_the_root_has_the_name_that_people_are_told(state):
    (root,) = certificates(state / "ca/ca.crt")
    assert root.subject == root.issuer
    assert root.subject.rfc4514_string() == "CN=EGI Notebooks lab CA"
    assert root.not_valid_after_utc - datetime.now(UTC) > timedelta(days=3649)


def test_keys_are_their_owners_alone(state):
    keys = list(state.rglob("*.key"))
    assert len(keys) == 5
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_a_second_run_changes_nothing(state):
    before = contents(state)
    pki.ensure(state)
    assert contents(state) == before


def test_a_certificate_that_ends_soon_is_renewed_alone(state, monkeypatch):
    monkeypatch.setattr(pki, "SERVER_LIFETIME", timedelta(days=29))
    (state / "tls/mirror.key").unlink()
    pki.ensure(state)
    monkeypatch.undo()
    before = contents(state)
    pki.ensure(state)
    after = contents(state)
    assert {path for path in after if after[path] != before[path]} == {
        str(state / "tls/mirror.crt"), str(state / "tls/mirror.key")}  # fmt: skip
    verify(state, "mirror", "mirror.lab.test")


def test_another_list_of_names_makes_another_certificate(state, monkeypatch):
    monkeypatch.setitem(pki.SERVERS, "mirror", ("mirror.lab.test", "other.lab.test"))
    pki.ensure(state)
    verify(state, "mirror", "other.lab.test")


@pytest.mark.parametrize("file", ["ca/ca.crt", "ca/ca.key", "ca/intermediate.crt", "tls/aai.crt", "tls/aai.key"])
def test_a_damaged_file_is_mended(state, file):
    path = state / file
    path.write_bytes(path.read_bytes()[:100])
    pki.ensure(state)
    for server in pki.SERVERS:
        verify(state, server, f"{server}.lab.test")


def test_a_foreign_key_is_noticed(state):
    (state / "tls/aai.key").write_bytes((state / "tls/mirror.key").read_bytes())
    pki.ensure(state)
    (leaf, _intermediate), key = certificates(state / "tls/aai.crt"), pki._load(state / "tls/aai")[1]
    assert leaf.public_key() == key.public_key()
