# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a server certificate and its key, before anything serves them. No message has a part of the key."""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import itertools
import re
import warnings

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
except ImportError:
    MISSING = "The control node lacks the Python library cryptography, which checks certificates."
else:
    MISSING = ""

_MARK = re.compile(r"^-----(BEGIN|END) ([A-Z0-9 ]+)-----$")
_SMALLEST_RSA_KEY = 2048


class _Damaged(Exception):
    """A PEM text can't be read; the message is a sentence."""


def _pem_blocks(text: str, what: str) -> list[tuple[str, bytes]]:
    """Return the (label, DER) pairs of a PEM text. Text between blocks, CRLF and trailing whitespace are no faults."""
    blocks: list[tuple[str, bytes]] = []
    label, body = "", ""
    for number, line in enumerate((raw.strip().lstrip("\ufeff") for raw in text.splitlines()), 1):
        mark = _MARK.match(line)
        if mark is None:
            if "-----BEGIN" in line or "-----END" in line:
                # Not the line itself: a key may follow on it, also in a file that was meant to hold certificates.
                raise _Damaged(f"The {what} has a malformed BEGIN or END in block {len(blocks) + 1}: line {number}.")
            # Headers such as "Proc-Type: 4,ENCRYPTED" have a colon; base64 has none.
            body += line if label and ":" not in line else ""
        elif mark[1] == "BEGIN":
            if label:
                raise _Damaged(f"The {what} has no END line for block {len(blocks) + 1} ({label}): it is cut off.")
            label, body = mark[2], ""
        else:
            if mark[2] != label:
                raise _Damaged(f"The {what} has an END line of {mark[2]} without a BEGIN line.")
            try:
                blocks.append((label, base64.b64decode(body, validate=True)))
            except binascii.Error:
                raise _Damaged(
                    f"The {what} is damaged in block {len(blocks) + 1} ({label}): it is not valid base64."
                ) from None
            label = ""
    if label:
        raise _Damaged(f"The {what} has no END line for block {len(blocks) + 1} ({label}): it is cut off.")
    return blocks


def _certificates(text: str, what: str) -> list[x509.Certificate]:
    found = []
    for number, (label, der) in enumerate(_pem_blocks(text, what), 1):
        # Servers read blocks of this label alone.
        if label != "CERTIFICATE":
            continue
        try:
            found.append(x509.load_der_x509_certificate(der))
        except ValueError:
            raise _Damaged(f"The {what} is damaged in block {number}: it is not a readable certificate.") from None
    if not found:
        raise _Damaged(f"The {what} has no certificate; must be PEM, with a line -----BEGIN CERTIFICATE-----.")
    return found


def _trusted_certificates(text: str) -> list[x509.Certificate]:
    """Return what is readable of a system's bundle: an odd old root in it is not this certificate's fault."""
    found = []
    for block in re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL):
        with warnings.catch_warnings(), contextlib.suppress(ValueError):
            warnings.simplefilter("ignore")
            found.append(x509.load_pem_x509_certificate(block.encode()))
    return found


def _private_key(text: str):
    """Return the private key of a PEM text."""
    what = "private key"
    keys = [(label, der) for label, der in _pem_blocks(text, what) if label.endswith("PRIVATE KEY")]
    if not keys:
        raise _Damaged(f"The {what} file has no key; must be PEM, with a line -----BEGIN PRIVATE KEY-----.")
    if len(keys) > 1:
        raise _Damaged(f"The {what} file has {len(keys)} private keys; must have one.")
    label, der = keys[0]
    if label == "ENCRYPTED PRIVATE KEY" or "Proc-Type: 4,ENCRYPTED" in text:
        raise _Damaged(
            f"The {what} is encrypted; must be unencrypted, as nobody enters its passphrase when Traefik starts."
        )
    try:
        return serialization.load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _Damaged(f"The {what} is damaged: it is not a readable key.") from None


def _public_bytes(key) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _name(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string() or "(no name)"


def _signs(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _extension(certificate: x509.Certificate, kind):
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _covers(pattern: str, domain: str) -> bool:
    """Return whether a name of the certificate covers the domain; a wildcard stands for the leftmost label."""
    pattern = pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return "." in domain and domain.split(".", 1)[1] == pattern[2:]
    return pattern == domain


def _ascii_domain(domain: str) -> str:
    domain = domain.strip().rstrip(".").lower()
    try:
        return domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain


def _domain_problems(server: x509.Certificate, domain: str) -> list[str]:
    names = _extension(server, x509.SubjectAlternativeName)
    dns = names.get_values_for_type(x509.DNSName) if names else []
    if not dns:
        return ["The certificate has no host name in its subjectAltName; browsers ignore the common name."]
    if any(_covers(name, _ascii_domain(domain)) for name in dns):
        return []
    return [f"The certificate is for {', '.join(dns)}, not for {domain}."]


def _utc(certificate: x509.Certificate, name: str) -> datetime.datetime:
    """Return one of a certificate's dates; before cryptography 42 they have no time zone and are UTC."""
    found = getattr(certificate, f"{name}_utc", None)
    return found or getattr(certificate, name).replace(tzinfo=datetime.UTC)


def _date_problems(chain: list[x509.Certificate], now: datetime.datetime) -> list[str]:
    problems = []
    for certificate in chain:
        who = f"The certificate of {_name(certificate.subject)}"
        begin, end = _utc(certificate, "not_valid_before"), _utc(certificate, "not_valid_after")
        if now < begin:
            problems.append(f"{who} is not valid before {begin:%Y-%m-%d %H:%M} UTC.")
        if now > end:
            problems.append(f"{who} expired on {end:%Y-%m-%d %H:%M} UTC.")
    return problems


def _strength_problems(chain: list[x509.Certificate]) -> list[str]:
    problems = []
    for certificate in chain:
        who = f"The certificate of {_name(certificate.subject)}"
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < _SMALLEST_RSA_KEY:
            problems.append(f"{who} has an RSA key of {key.key_size} bits; must have at least {_SMALLEST_RSA_KEY}.")
        digest = certificate.signature_hash_algorithm
        # The signature of a root is never checked.
        if certificate.issuer != certificate.subject and digest is not None and digest.name in ("md5", "sha1"):
            problems.append(f"{who} is signed with {digest.name.upper()}, which browsers reject.")
    return problems


def _owner(chain: list[x509.Certificate], key) -> int | None:
    """Return the place of the certificate that the key belongs to."""
    ours = _public_bytes(key.public_key()) if key is not None else None
    return next((place for place, item in enumerate(chain) if _public_bytes(item.public_key()) == ours), None)


def _server_place(chain: list[x509.Certificate], owner: int | None) -> int:
    """Return the place of the server's own certificate: the key's, or the one that signed none of the others."""
    if owner is not None:
        return owner
    signed_none = (
        place for place, item in enumerate(chain) if not any(_signs(item, other) for other in chain if other != item)
    )
    return next(signed_none, 0)


def _order_problem(chain: list[x509.Certificate], place: int) -> str:
    return (
        f"The certificates are in the wrong order: the server's own ({_name(chain[place].subject)}) is number "
        f"{place + 1} and must be the first, each followed by its issuer's."
    )


def _purpose_problems(server: x509.Certificate) -> list[str]:
    usage = _extension(server, x509.ExtendedKeyUsage)
    purposes = (x509.oid.ExtendedKeyUsageOID.SERVER_AUTH, x509.oid.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if usage is not None and not any(purpose in usage for purpose in purposes):
        return [f"The certificate of {_name(server.subject)} is not valid for servers (extended key usage)."]
    return []


def _chain_problems(chain: list[x509.Certificate], trusted: list[x509.Certificate]) -> list[str]:
    for number, (subject, issuer) in enumerate(itertools.pairwise(chain), 1):
        if not _signs(issuer, subject):
            return [
                f"The chain is broken: certificate {number} ({_name(subject.subject)}) is signed by "
                f"{_name(subject.issuer)}, but the next one is that of {_name(issuer.subject)}."
            ]
    last = chain[-1]
    if not trusted or last in trusted or any(root.subject == last.issuer and _signs(root, last) for root in trusted):
        return []
    if last.issuer == last.subject:
        return [f"The chain ends at {_name(last.subject)}, which is not trusted. Set edge_ingress_ca_file to its file."]
    return [
        f"The chain is incomplete: {_name(last.subject)} is signed by {_name(last.issuer)}, which is neither in the "
        "file nor a trusted root. Append the missing intermediate certificate, or set edge_ingress_ca_file to the file "
        "of a private CA."
    ]


def certificate_problems(
    certificate: str, private_key: str, domain: str, trusted: str = "", now: datetime.datetime | None = None
) -> list[str]:
    """Return what is wrong with a PEM certificate (the server's first, then its chain) and its key.

    The chain must end at one of the trusted certificates, unless there are none.
    """
    if MISSING:
        return [MISSING]
    problems: list[str] = []
    chain: list[x509.Certificate] = []
    key = None
    try:
        chain = _certificates(certificate, "certificate file")
    except _Damaged as damage:
        problems.append(str(damage))
    try:
        key = _private_key(private_key)
    except _Damaged as damage:
        problems.append(str(damage))
    if not chain:
        return problems
    owner = _owner(chain, key)
    place = _server_place(chain, owner)
    if key is not None and owner is None:
        problems.append(f"The private key does not belong to the certificate of {_name(chain[place].subject)}.")
    # What else could be reported would be about another certificate.
    if place > 0:
        return [*problems, _order_problem(chain, place)]
    return [
        *problems,
        *_domain_problems(chain[0], domain),
        *_date_problems(chain, now or datetime.datetime.now(datetime.UTC)),
        *_purpose_problems(chain[0]),
        *_strength_problems(chain),
        *_chain_problems(chain, _trusted_certificates(trusted)),
    ]


def is_signed(
    certificate: str,
    private_key: str,
    authority: str,
    names: list[str],
    days: int,
    now: datetime.datetime | None = None,
) -> bool:
    """Return whether a CA has signed a server's certificate with this key for just these names and some more days."""
    if MISSING:
        return False
    try:
        server = _certificates(certificate, "certificate")[0]
        issuer = _certificates(authority, "CA")[0]
        key = _private_key(private_key)
    except _Damaged:
        return False
    found = _extension(server, x509.SubjectAlternativeName)
    common = [str(item.value) for item in server.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    return (
        _signs(issuer, server)
        and _owner([server], key) == 0
        and bool(found)
        and set(found.get_values_for_type(x509.DNSName)) == set(names)
        # A common name has at most 64 characters.
        and common == [name for name in names[:1] if len(name) < 65]
        and _utc(server, "not_valid_after") > (now or datetime.datetime.now(datetime.UTC)) + datetime.timedelta(days)
    )
