# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of bad certificate file is reported in one sentence; good ones, however written, pass."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.egi.notebooks.plugins.plugin_utils.certificate import certificate_problems, is_signed

DOMAIN = "notebooks.example.org"
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


class Party:
    """A key and its certificate, signed by another party or by itself."""

    def __init__(
        self, name, issuer=None, names=(), key=None, start=-10, end=80, usage=(ExtendedKeyUsageOID.SERVER_AUTH,)
    ):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        issuer = issuer or self
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + start * DAY)
            .not_valid_after(NOW + end * DAY)
            .add_extension(x509.BasicConstraints(ca=not names and not usage, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(item) for item in names]), False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usage), False)
        self.certificate = builder.sign(issuer.key, hashes.SHA256())

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def private(self, encryption=None):
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption or serialization.NoEncryption()
        ).decode()


ROOT = Party("Root", usage=(), end=4000)
INTERMEDIATE = Party("Intermediate", ROOT, usage=(), end=2000)
SERVER = Party(DOMAIN, INTERMEDIATE, [DOMAIN])
STRANGER = Party("Stranger", usage=(), end=4000)


def check(certificate, key=None, domain=DOMAIN, trusted=ROOT.pem):
    return certificate_problems(certificate, key or SERVER.private(), domain, trusted, NOW)


def cut(pem):
    """The PEM text without its last line."""
    return "\n".join(pem.splitlines()[:-1]) + "\n"


@pytest.mark.parametrize(
    "certificate",
    [
        pytest.param(SERVER.pem + INTERMEDIATE.pem, id="leaf first"),
        pytest.param(SERVER.pem + INTERMEDIATE.pem + ROOT.pem, id="with the root at the end"),
        pytest.param((SERVER.pem + INTERMEDIATE.pem).replace("\n", "\r\n"), id="CRLF"),
        pytest.param("\ufeff" + SERVER.pem + "\n" + INTERMEDIATE.pem, id="byte order mark and blank line"),
        pytest.param(f"subject=/CN=x\n{SERVER.pem}issuer: y\n{INTERMEDIATE.pem}", id="text between blocks"),
        pytest.param((SERVER.pem + INTERMEDIATE.pem).rstrip(), id="no newline at the end"),
    ],
)
def test_good_files_pass(certificate):
    assert check(certificate) == []


def test_key_in_crlf_and_with_ec_parameters_passes():
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    assert check(SERVER.pem + INTERMEDIATE.pem, (parameters + SERVER.private()).replace("\n", "\r\n")) == []


@pytest.mark.parametrize(
    ("names", "domain", "good"),
    [
        (["*.example.org"], DOMAIN, True),
        (["*.example.org"], "example.org", False),
        (["*.example.org"], "a.notebooks.example.org", False),
        (["NOTEBOOKS.Example.ORG"], DOMAIN, True),
        (["other.example.org", DOMAIN], "Notebooks.Example.Org.", True),
        (["xn--bcher-kva.example.org"], "bücher.example.org", True),
        (["other.example.org"], DOMAIN, False),
    ],
)
def test_domain(names, domain, good):
    server = Party("any", INTERMEDIATE, names)
    problems = check(server.pem + INTERMEDIATE.pem, server.private(), domain)
    assert problems == ([] if good else [f"The certificate is for {', '.join(names)}, not for {domain}."])


@pytest.mark.parametrize(
    ("certificate", "key", "sentence"),
    [
        pytest.param(
            ROOT.pem + INTERMEDIATE.pem + SERVER.pem,
            None,
            f"The certificates are in the wrong order: the server's own ({DOMAIN}) is number 3 and must be the first, "
            "each followed by its issuer's.",
            id="root first",
        ),
        pytest.param(
            INTERMEDIATE.pem + SERVER.pem,
            None,
            f"The certificates are in the wrong order: the server's own ({DOMAIN}) is number 2 and must be the first, "
            "each followed by its issuer's.",
            id="intermediate first",
        ),
        pytest.param(
            SERVER.pem,
            None,
            f"The chain is incomplete: {DOMAIN} is signed by Intermediate, which is neither in the file nor a trusted "
            "root. Append the missing intermediate certificate, or set edge_ingress_ca_file to the file of a private "
            "CA.",
            id="no intermediate",
        ),
        pytest.param(
            SERVER.pem + ROOT.pem + INTERMEDIATE.pem,
            None,
            f"The chain is broken: certificate 1 ({DOMAIN}) is signed by Intermediate, but the next one is that of "
            "Root.",
            id="intermediates swapped",
        ),
        pytest.param(
            SERVER.pem + INTERMEDIATE.pem,
            STRANGER.private(),
            f"The private key does not belong to the certificate of {DOMAIN}.",
            id="foreign key",
        ),
        pytest.param(
            cut(SERVER.pem + INTERMEDIATE.pem),
            None,
            "The certificate file has no END line for block 2 (CERTIFICATE): it is cut off.",
            id="last line cut",
        ),
        pytest.param(
            cut(SERVER.pem) + INTERMEDIATE.pem,
            None,
            "The certificate file has no END line for block 1 (CERTIFICATE): it is cut off.",
            id="cut in the middle",
        ),
        pytest.param(
            SERVER.pem.replace("MII", "M!I", 1),
            None,
            "The certificate file is damaged in block 1 (CERTIFICATE): it is not valid base64.",
            id="bad base64",
        ),
        pytest.param(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            None,
            "The certificate file is damaged in block 1: it is not a readable certificate.",
            id="no certificate inside",
        ),
        pytest.param(
            SERVER.pem.replace("-----BEGIN", "----BEGIN") + INTERMEDIATE.pem,
            None,
            "The certificate file has an END line of CERTIFICATE without a BEGIN line.",
            id="dash lost in a BEGIN line",
        ),
        pytest.param(
            SERVER.pem.replace("CERTIFICATE-----", "CERTIFICATE---") + INTERMEDIATE.pem,
            None,
            "The certificate file has a malformed BEGIN or END in block 1: line 1.",
            id="dashes lost",
        ),
        pytest.param(
            SERVER.pem.replace(" CERTIFICATE", " X509 CERTIFICATE"),
            None,
            "The certificate file has no certificate; must be PEM, with a line -----BEGIN CERTIFICATE-----.",
            id="label that servers don't read",
        ),
        pytest.param(
            "",
            None,
            "The certificate file has no certificate; must be PEM, with a line -----BEGIN CERTIFICATE-----.",
            id="empty",
        ),
        pytest.param(
            SERVER.pem + INTERMEDIATE.pem,
            SERVER.pem,
            "The private key file has no key; must be PEM, with a line -----BEGIN PRIVATE KEY-----.",
            id="certificate given as key",
        ),
        pytest.param(
            SERVER.pem + INTERMEDIATE.pem,
            SERVER.private() + STRANGER.private(),
            "The private key file has 2 private keys; must have one.",
            id="two keys",
        ),
        pytest.param(
            SERVER.pem + INTERMEDIATE.pem,
            SERVER.private(serialization.BestAvailableEncryption(b"secret")),
            "The private key is encrypted; must be unencrypted, as nobody enters its passphrase when Traefik starts.",
            id="encrypted key",
        ),
        pytest.param(
            SERVER.pem + INTERMEDIATE.pem,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "The private key is damaged: it is not a readable key.",
            id="damaged key",
        ),
    ],
)
def test_bad_files_are_reported_in_one_sentence(certificate, key, sentence):
    assert check(certificate, key) == [sentence]


def test_a_foreign_key_does_not_hide_the_wrong_order():
    assert check(ROOT.pem + INTERMEDIATE.pem + SERVER.pem, STRANGER.private()) == [
        f"The private key does not belong to the certificate of {DOMAIN}.",
        f"The certificates are in the wrong order: the server's own ({DOMAIN}) is number 3 and must be the first, "
        "each followed by its issuer's.",
    ]


def test_a_damaged_key_does_not_hide_the_wrong_order():
    key, order = check(INTERMEDIATE.pem + SERVER.pem, cut(SERVER.private()))
    assert key == "The private key has no END line for block 1 (PRIVATE KEY): it is cut off."
    assert order.startswith("The certificates are in the wrong order:")


def test_a_missing_intermediate_is_not_known_without_trusted_roots():
    assert check(SERVER.pem, trusted="") == []


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        (-20, -1, f"The certificate of {DOMAIN} expired on 2026-05-31 00:00 UTC."),
        (1, 20, f"The certificate of {DOMAIN} is not valid before 2026-06-02 00:00 UTC."),
    ],
)
def test_dates(start, end, sentence):
    server = Party(DOMAIN, INTERMEDIATE, [DOMAIN], start=start, end=end)
    assert check(server.pem + INTERMEDIATE.pem, server.private()) == [sentence]


def test_an_expired_intermediate_is_reported():
    old = Party("Intermediate", ROOT, usage=(), end=-1)
    server = Party(DOMAIN, old, [DOMAIN])
    assert check(server.pem + old.pem, server.private()) == [
        "The certificate of Intermediate expired on 2026-05-31 00:00 UTC."
    ]


def test_common_name_alone_is_refused():
    server = Party(DOMAIN, INTERMEDIATE)
    assert check(server.pem + INTERMEDIATE.pem, server.private()) == [
        "The certificate has no host name in its subjectAltName; browsers ignore the common name."
    ]


def test_client_certificate_is_refused():
    client = Party(DOMAIN, INTERMEDIATE, [DOMAIN], usage=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    assert check(client.pem + INTERMEDIATE.pem, client.private()) == [
        f"The certificate of {DOMAIN} is not valid for servers (extended key usage)."
    ]


def test_short_rsa_key_is_refused():
    weak = Party(DOMAIN, INTERMEDIATE, [DOMAIN], key=rsa.generate_private_key(65537, 1024))
    assert check(weak.pem + INTERMEDIATE.pem, weak.private()) == [
        f"The certificate of {DOMAIN} has an RSA key of 1024 bits; must have at least 2048."
    ]


def test_same_name_of_another_ca_does_not_pass_for_the_issuer():
    impostor = Party("Intermediate", ROOT, usage=(), end=2000)
    assert check(SERVER.pem + impostor.pem) == [
        f"The chain is broken: certificate 1 ({DOMAIN}) is signed by Intermediate, but the next one is that of "
        "Intermediate."
    ]


def test_untrusted_roots():
    alone = Party(DOMAIN, names=[DOMAIN])
    assert check(alone.pem, alone.private()) == [
        f"The chain ends at {DOMAIN}, which is not trusted. Set edge_ingress_ca_file to its file."
    ]
    assert check(alone.pem, alone.private(), trusted=alone.pem) == []
    assert check(alone.pem, alone.private(), trusted="") == []
    assert len(check(SERVER.pem + INTERMEDIATE.pem, trusted=STRANGER.pem)) == 1
    odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert check(SERVER.pem + INTERMEDIATE.pem, trusted=odd + ROOT.pem) == []
    assert check(SERVER.pem, trusted=STRANGER.pem + INTERMEDIATE.pem) == []


def test_several_faults_are_all_reported():
    server = Party(DOMAIN, INTERMEDIATE, ["other.example.org"], end=-1)
    assert len(check(server.pem, server.private())) == 3
    assert len(check("", "nothing")) == 2


def test_no_sentence_holds_a_part_of_the_key():
    key = SERVER.private()
    secret = key.splitlines()[1]
    for broken in (cut(key), key.replace("\n-----END", "!\n-----END"), key + key):
        problems = check(SERVER.pem + INTERMEDIATE.pem, broken)
        assert problems
        assert secret[:16] not in " ".join(problems)


def test_a_key_whose_lines_ran_together_is_reported_by_the_line_s_number():
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    begin, secret, end = pem.decode().splitlines()
    dashes = "has a malformed BEGIN or END in block 1: line"
    for broken, line in (
        (f"{begin}\n{secret}{end}\n", 2),
        (f"{begin}{secret}\n{end}\n", 1),
        (f"\n{begin} {secret} {end}", 2),
    ):
        assert check(SERVER.pem + INTERMEDIATE.pem, broken) == [f"The private key {dashes} {line}."]
        # Also where somebody has mixed up the two files.
        assert check(broken, "")[0] == f"The certificate file {dashes} {line}."


def test_present_time_is_the_default():
    assert "expired on" in " ".join(certificate_problems(Party("a", names=["a"], end=-2000, start=-2001).pem, "", "a"))


@pytest.mark.parametrize(
    ("names", "days", "good"),
    [
        ([DOMAIN, "alias.example.org"], 30, True),
        ([DOMAIN], 30, False),
        # The common name is the first one.
        (["alias.example.org", DOMAIN], 30, False),
        ([DOMAIN, "alias.example.org"], 90, False),
    ],
)
def test_a_certificate_of_the_internal_ca_is_kept_as_long_as_it_fits(names, days, good):
    server = Party(DOMAIN, ROOT, ["alias.example.org", DOMAIN])
    assert is_signed(server.pem, server.private(), ROOT.pem, names, days, NOW) is good
    assert not is_signed(server.pem, STRANGER.private(), ROOT.pem, names, days, NOW)
    assert not is_signed(server.pem, server.private(), STRANGER.pem, names, days, NOW)
    assert not is_signed("", "", "", names, days, NOW)
