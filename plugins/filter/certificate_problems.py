# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a server certificate and its key, told before anything serves them."""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import itertools
import re
import warnings

from ansible.errors import AnsibleFilterError

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    CRYPTOGRAPHY_ERROR = None
except ImportError as error:  # pragma: no cover
    CRYPTOGRAPHY_ERROR = error

_MARK = re.compile(r"^-----(BEGIN|END) ([A-Z0-9 ]+)-----$")
_SMALLEST_RSA_KEY = 2048


class _Damaged(Exception):
    """A PEM text that can't be read; the message is a sentence."""


def _pem_blocks(text: str, what: str) -> list[tuple[str, bytes]]:
    """The (label, DER) pairs of a PEM text. Text between blocks, CRLF and blanks at line ends are no fault."""
    blocks: list[tuple[str, bytes]] = []
    label, body = "", ""
    for number, line in enumerate((raw.strip().lstrip("\ufeff") for raw in text.splitlines()), 1):
        mark = _MARK.match(line)
        if mark is None:
            if "-----BEGIN" in line or "-----END" in line:
                # Not the line itself: a key may follow on it, also in a file that was meant to hold certificates.
                raise _Damaged(f"The {what} has a damaged line of dashes in block {len(blocks) + 1}: line {number}.")
            # Headers such as "Proc-Type: 4,ENCRYPTED" are told apart by their colon; base64 has none.
            body += line if label and ":" not in line else ""
        elif mark[1] == "BEGIN":
            if label:
                raise _Damaged(f"The {what} has no END line for block {len(blocks) + 1} ({label}): it was cut off.")
            label, body = mark[2], ""
        else:
            if mark[2] != label:
                raise _Damaged(f"The {what} has an END line of {mark[2]} that no BEGIN line belongs to.")
            try:
                blocks.append((label, base64.b64decode(body, validate=True)))
            except binascii.Error:
                raise _Damaged(
                    f"The {what} is damaged in block {len(blocks) + 1} ({label}): no valid base64."
                ) from None
            label = ""
    if label:
        raise _Damaged(f"The {what} has no END line for block {len(blocks) + 1} ({label}): it was cut off.")
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
            raise _Damaged(f"The {what} is damaged in block {number}: it holds no readable certificate.") from None
    if not found:
        raise _Damaged(f"The {what} holds no certificate: PEM is expected, with a line -----BEGIN CERTIFICATE-----.")
    return found


def _trusted_certificates(text: str) -> list[x509.Certificate]:
    """Whatever is readable of a system's bundle: an odd old root in it is not this certificate's fault."""
    found = []
    for block in re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL):
        with warnings.catch_warnings(), contextlib.suppress(ValueError):
            warnings.simplefilter("ignore")
            found.append(x509.load_pem_x509_certificate(block.encode()))
    return found


def _private_key(text: str):
    what = "private key"
    keys = [(label, der) for label, der in _pem_blocks(text, what) if label.endswith("PRIVATE KEY")]
    if not keys:
        raise _Damaged(f"The {what} file holds no key: PEM is expected, with a line -----BEGIN PRIVATE KEY-----.")
    if len(keys) > 1:
        raise _Damaged(f"The {what} file holds {len(keys)} private keys: one is expected.")
    label, der = keys[0]
    if label == "ENCRYPTED PRIVATE KEY" or "Proc-Type: 4,ENCRYPTED" in text:
        raise _Damaged(f"The {what} is encrypted: nobody is there to type its passphrase, so store it decrypted.")
    try:
        return serialization.load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _Damaged(f"The {what} is damaged: it can't be read as a key.") from None


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
    """Whether a name of the certificate covers the domain; a wildcard stands for one label, the leftmost."""
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
        return ["The certificate names no host in its subjectAltName: browsers no longer read the common name."]
    if any(_covers(name, _ascii_domain(domain)) for name in dns):
        return []
    return [f"The certificate is for {', '.join(dns)}, not for {domain}."]


def _utc(certificate: x509.Certificate, name: str) -> datetime.datetime:
    """One of a certificate's dates; before cryptography 42 they come without their zone, which is UTC."""
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
            problems.append(f"{who} has an RSA key of {key.key_size} bits: browsers want {_SMALLEST_RSA_KEY} or more.")
        digest = certificate.signature_hash_algorithm
        # A root's own signature is never checked, so its age is no fault.
        if certificate.issuer != certificate.subject and digest is not None and digest.name in ("md5", "sha1"):
            problems.append(f"{who} is signed with {digest.name.upper()}: browsers refuse that.")
    return problems


def _owner(chain: list[x509.Certificate], key) -> int | None:
    """The place of the certificate that the key belongs to."""
    ours = _public_bytes(key.public_key()) if key is not None else None
    return next((place for place, item in enumerate(chain) if _public_bytes(item.public_key()) == ours), None)


def _server_place(chain: list[x509.Certificate], owner: int | None) -> int:
    """The place of the server's own certificate: the key's, or the one that signed none of the others."""
    if owner is not None:
        return owner
    signed_none = (
        place for place, item in enumerate(chain) if not any(_signs(item, other) for other in chain if other != item)
    )
    return next(signed_none, 0)


def _order_problem(chain: list[x509.Certificate], place: int) -> str:
    return (
        f"The certificates are in the wrong order: the server's own ({_name(chain[place].subject)}) is number "
        f"{place + 1} and must be the first, each followed by the one that signed it."
    )


def _purpose_problems(server: x509.Certificate) -> list[str]:
    usage = _extension(server, x509.ExtendedKeyUsage)
    purposes = (x509.oid.ExtendedKeyUsageOID.SERVER_AUTH, x509.oid.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if usage is not None and not any(purpose in usage for purpose in purposes):
        return [f"The certificate of {_name(server.subject)} is not meant for servers (its extended key usage)."]
    return []


def _chain_problems(chain: list[x509.Certificate], trusted: list[x509.Certificate]) -> list[str]:
    for number, (subject, issuer) in enumerate(itertools.pairwise(chain), 1):
        if not _signs(issuer, subject):
            return [
                f"The chain is broken: certificate {number} ({_name(subject.subject)}) is signed by "
                f"{_name(subject.issuer)}, but what follows it is {_name(issuer.subject)}."
            ]
    last = chain[-1]
    if not trusted or last in trusted or any(root.subject == last.issuer and _signs(root, last) for root in trusted):
        return []
    if last.issuer == last.subject:
        return [f"The chain ends at {_name(last.subject)}, which is no trusted root: name its file as a private CA."]
    return [
        f"The chain is incomplete: {_name(last.subject)} is signed by {_name(last.issuer)}, which is neither in the "
        "file nor a trusted root. Append the missing intermediate certificate, or name the file of a private CA."
    ]


def certificate_problems(
    certificate: str,
    private_key: str,
    domain: str,
    trusted: str = "",
    now: datetime.datetime | None = None,
) -> list[str]:
    """List what is wrong with a PEM certificate (the server's first, then its chain) and its key, one sentence each."""
    if CRYPTOGRAPHY_ERROR is not None:  # pragma: no cover
        raise AnsibleFilterError(f"egi.notebooks.certificate_problems needs cryptography: {CRYPTOGRAPHY_ERROR}")
    for name, value in (
        ("certificate", certificate),
        ("private_key", private_key),
        ("domain", domain),
        ("trusted", trusted),
    ):
        if not isinstance(value, str):
            raise AnsibleFilterError(
                f"egi.notebooks.certificate_problems: {name} must be a string, not {type(value).__name__}"
            )
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
    # With the wrong one in front, whatever else could be said would be about another certificate.
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


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict:
        return {"certificate_problems": certificate_problems}
