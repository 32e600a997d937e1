# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate that the site keeps in the cluster as a Secret is checked as files are, before Traefik is touched."""

from __future__ import annotations

import base64
import datetime
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DOMAIN = "notebooks.example.org"
SITE = {
    "egi_notebooks_domain": DOMAIN,
    "edge_ingress_check_dns": False,
    "edge_ingress_tls": "provided",
    "edge_ingress_certificate_secret": "site",
}
REFUSED = (
    'edge_ingress_certificate_secret is "site"; allowed is a Secret of type kubernetes.io/tls in the namespace {}, '
    "with a certificate and its key that browsers take. "
)


def pair(domain=DOMAIN, days=30) -> tuple[str, str]:
    """A certificate that has signed itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=90))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


CERTIFICATE, KEY = pair()
FOREIGN_KEY = pair()[1]


def secret(certificate=CERTIFICATE, key=KEY, kind="kubernetes.io/tls", encoding="utf-8") -> str:
    """A Secret as kubectl tells it."""
    data = {"tls.crt": certificate, "tls.key": key}
    coded = {name: base64.b64encode(text.encode(encoding)).decode() for name, text in data.items() if text is not None}
    return json.dumps({"kind": "Secret", "type": kind, "data": coded})


@pytest.fixture
def say(render_role, tmp_path):
    """Return a function that gives what the edge's checks say to what kubectl has told, and to other variables."""
    authority = tmp_path / "ca.crt"
    authority.write_text(CERTIFICATE)

    def call(stdout="", rc=0, **variables):
        told = {"rc": rc, "stdout": stdout, "stderr": ""}
        site = SITE | {"edge_ingress_ca_file": str(authority), "__edge_ingress_stored": told} | variables
        return render_role("edge_ingress", "__edge_ingress_bad_inputs", **site)

    return call


def test_a_good_secret_passes_and_so_does_one_that_nobody_can_look_at_yet(say):
    assert say(secret()) == []
    assert say(secret(CERTIFICATE.replace("\n", "\r\n"))) == []
    assert say(rc=1) == []
    # Not asked for at all.
    assert say(edge_ingress_tls="selfsigned", edge_ingress_certificate_secret="") == []


@pytest.mark.parametrize(
    ("stdout", "flaw"),
    [
        ("", "There is none of this name: kubectl create secret tls makes one."),
        (secret(kind="Opaque"), "It is of type Opaque."),
        (secret(CERTIFICATE[:-30]), "The certificate file has no END line for block 1 (CERTIFICATE): it was cut off."),
        (secret(key=FOREIGN_KEY), f"The private key does not belong to the certificate of {DOMAIN}."),
        (secret(key=None), "The private key file holds no key: PEM is expected, with a line -----BEGIN PRIVATE KEY"),
        (secret("0\x82ÿþ", encoding="latin-1"), "The certificate file holds no certificate: PEM is expected"),
        # Traefik would not find it.
        (secret("\ufeff" + CERTIFICATE), "The certificate file has a damaged line of dashes in block 1"),
        (json.dumps({"type": "kubernetes.io/tls"}), "The certificate file holds no certificate: PEM is expected"),
    ],
)
def test_a_secret_that_can_t_be_served_is_refused(say, stdout, flaw):
    (problem,) = say(stdout)
    assert problem.startswith(REFUSED.format("edge") + flaw)
    assert "\n" not in problem
    assert not any(line in problem for line in (KEY + FOREIGN_KEY).splitlines() if "-----" not in line)


def test_names_dates_and_chain_of_a_secret_are_checked(say):
    (problem,) = say(secret(*pair("other.example.org", days=-1)))
    assert f"The certificate is for other.example.org, not for {DOMAIN}." in problem
    assert "The certificate of other.example.org expired on" in problem
    (problem,) = say(secret(), edge_ingress_aliases=["alias.example.org"])
    assert f"The certificate is for {DOMAIN}, not for alias.example.org." in problem
    (problem,) = say(secret(*pair()))
    assert "which is no trusted root" in problem


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"edge_ingress_certificate_secret": "--all"},
            'edge_ingress_certificate_secret is "--all"; allowed is the name of a Secret, of small letters',
        ),
        # The internal CA's certificate would replace the site's.
        (
            {"edge_ingress_tls": "selfsigned"},
            'edge_ingress_certificate_secret is "site" and edge_ingress_tls is "selfsigned", which would write into',
        ),
    ],
)
def test_a_secret_that_must_not_be_asked_for_or_written_is_refused(say, variables, sentence):
    (problem,) = say(**variables)
    assert problem.startswith(sentence)


# Each host is a case: its kubectl tells what the file named by the edge's namespace has.
KUBECTL = """#!/bin/sh
echo "$*" >>{folder}/asked
for word; do case "$word" in --namespace=*) told={folder}/${{word#*=}}.json;; esac; done
[ -e "$told" ] && exec cat "$told"
echo "The connection to the server was refused" >&2
exit 1
"""
PLAYBOOK = """
- name: Check alone, and run without that
  hosts: all
  gather_facts: false
  tasks:
    - name: Check alone
      block:
        - name: Check alone
          ansible.builtin.include_role:
            name: egi.notebooks.edge_ingress
            tasks_from: preflight
      rescue:
        - name: Go on
          ansible.builtin.set_fact:
            refused: "{{ ansible_failed_result.msg }}"

    - name: Run
      ansible.builtin.include_role:
        name: egi.notebooks.edge_ingress
      vars:
        edge_ingress_preflight: false
"""


@pytest.fixture
def run(ansible_playbook, tmp_path):
    """Return a function that runs the role on hosts with such Secrets; what tasks of the role told each host."""

    def call(cases, *arguments):
        kubectl = tmp_path / "kubectl"
        kubectl.write_text(KUBECTL.format(folder=tmp_path))
        kubectl.chmod(0o755)
        for name, stdout in cases.items():
            if stdout is not None:
                (tmp_path / f"{name}.json").write_text(stdout)
        playbook = tmp_path / "play.yml"
        playbook.write_text(PLAYBOOK)
        played = ansible_playbook(
            tmp_path,
            playbook,
            *arguments,
            groups={"masters": {"hosts": {name: {"edge_ingress_namespace": name} for name in cases}}},
            site=SITE | {"edge_ingress_kubeconfig": str(tmp_path / "none")},
            tools=tmp_path,
        )
        assert not any(line in played.output for line in KEY.splitlines() if "-----" not in line)
        tasks = [task for play in played.report["plays"] for task in play["tasks"]]
        told = {
            name: {
                task["task"]["name"].rsplit(" : ", 1)[-1]: answer
                for task in tasks
                if not (answer := task["hosts"].get(name, {"skipped": True})).get("skipped")
            }
            for name in cases
        }
        return told, (tmp_path / "asked").read_text().splitlines()

    return call


BEFORE = "Refuse all that is wrong at once"
LATER = "Refuse a Secret that Traefik could not serve"


def test_the_role_refuses_it_before_traefik_is_touched_also_where_the_checks_saw_no_cluster(run):
    told, asked = run({"missing": "", "damaged": secret(CERTIFICATE[:-30]), "away": None})
    for name, flaw in (("missing", "There is none of this name"), ("damaged", "The certificate file has no END line")):
        for task in (BEFORE, LATER):
            assert told[name][task]["failed"]
            assert told[name][task]["msg"].startswith(REFUSED.format(name) + flaw)
    assert not told["away"][BEFORE].get("failed")
    assert told["away"][LATER]["msg"] == (
        "The Secret site in the namespace away could not be asked for: The connection to the server was refused"
    )
    for tasks in told.values():
        assert list(tasks)[-1] == LATER
        assert not any(answer.get("changed") for answer in tasks.values())
    assert all(" get secret site " in line for line in asked), asked
    assert len(asked) == 6


def test_a_dry_run_checks_it_too_and_needs_no_cluster(run):
    told, _asked = run({"missing": "", "away": None}, "--check")
    assert told["missing"][BEFORE]["msg"].startswith(REFUSED.format("missing") + "There is none of this name")
    assert not told["away"][BEFORE].get("failed")
    assert "Report what a real run would make" in told["away"]
    assert LATER not in told["away"]
