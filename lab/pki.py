# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's certificates: a root that machines trust, an intermediate, and one certificate a server.

The root lies alone in ``ca/ca.crt``; a server's file holds its own certificate, then the intermediate's, as servers
must send them. The root vouches for names below the lab's domain only, so a person may trust it in a browser.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.settings import DOMAIN

ROOT_NAME = "EGI Notebooks lab CA"
#: File name below ``tls/`` and the names that its certificate is for, the main one first.
SERVERS = {
    "notebooks": (f"notebooks.{DOMAIN}", f"nb-alias.{DOMAIN}"),
    "mirror": (f"mirror.{DOMAIN}",),
    "aai": (f"aai.{DOMAIN}",),
}
CA_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)

_Key = ec.EllipticCurvePrivateKey


def ensure(state: Path) -> None:
    """Make whatever is missing, damaged, about to expire, or for other names than it should be."""
    for folder in (state / "ca", state / "tls"):
        folder.mkdir(parents=True, exist_ok=True)
    root, root_key = _authority(state / "ca/ca", ROOT_NAME, None)
    intermediate, intermediate_key = _authority(state / "ca/intermediate", f"{ROOT_NAME}, servers", (root, root_key))
    for name, hosts in SERVERS.items():
        _server(state / "tls" / name, hosts, intermediate, intermediate_key)


def _authority(path: Path, name: str, issuer: tuple[x509.Certificate, _Key] | None) -> tuple[x509.Certificate, _Key]:
    chain, key = _load(path)
    if chain and key and _good(chain[0], key, issuer[0] if issuer else chain[0]):
        return chain[0], key
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, key, issuer, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0 if issuer else 1), critical=True)
        .add_extension(_usage(ca=True), critical=True)
    )
    if not issuer:
        builder = builder.add_extension(
            x509.NameConstraints(permitted_subtrees=[x509.DNSName(DOMAIN)], excluded_subtrees=None), critical=True
        )
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    _store(path, [certificate], key)
    return certificate, key


def _server(path: Path, hosts: tuple[str, ...], issuer: x509.Certificate, issuer_key: _Key) -> None:
    chain, key = _load(path)
    if key and len(chain) == 2 and chain[1] == issuer and _good(chain[0], key, issuer) and _names(chain[0]) == hosts:
        return
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    certificate = (
        _builder(subject, key, (issuer, issuer_key), SERVER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    _store(path, [certificate, issuer], key)


def _builder(
    subject: x509.Name, key: _Key, issuer: tuple[x509.Certificate, _Key] | None, lifetime: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    end = now + lifetime
    authority = issuer[1] if issuer else key
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A node's clock may be behind a little.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(min(end, issuer[0].not_valid_after_utc) if issuer else end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(names.get_values_for_type(x509.DNSName))


def _good(certificate: x509.Certificate, key: _Key, issuer: x509.Certificate) -> bool:
    """Whether the certificate is `issuer`'s, belongs to `key` and lasts a while yet."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return (
        certificate.public_key() == key.public_key()
        and certificate.not_valid_after_utc - datetime.now(UTC) > RENEW_BEFORE
    )


def _load(path: Path) -> tuple[list[x509.Certificate], _Key | None]:
    """What lies at PATH.crt and PATH.key; nothing where a file is missing or damaged."""
    try:
        key = serialization.load_pem_private_key(path.with_suffix(".key").read_bytes(), None)
        return x509.load_pem_x509_certificates(path.with_suffix(".crt").read_bytes()), key
    except (FileNotFoundError, ValueError):
        return [], None


def _store(path: Path, chain: list[x509.Certificate], key: _Key) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(path.with_suffix(".key"), pem, 0o600)
    _write(
        path.with_suffix(".crt"),
        b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain),
        0o644,
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace the file whole; its content is never readable by more than `mode` says."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(content)
    temporary.replace(path)
