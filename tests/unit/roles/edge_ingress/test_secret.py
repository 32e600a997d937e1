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
REJECTED = (
    "edge_ingress_certificate_secret must be the name of a Secret of type kubernetes.io/tls in the namespace {}, with "
    'a certificate that browsers accept and its key; got "site". '
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


def secret(certificate=CERTIFICATE, key=KEY, kind="kubernetes.io/tls", encoding="utf-8") -> dict:
    """A Secret as the API has it."""
    data = {"tls.crt": certificate, "tls.key": key}
    coded = {name: base64.b64encode(text.encode(encoding)).decode() for name, text in data.items() if text is not None}
    return {"kind": "Secret", "metadata": {"name": "site"}, "type": kind, "data": coded}


@pytest.fixture
def problems(role_problems, tmp_path):
    """Return a function that gives what the checks of a host say with this Secret in its cluster."""
    authority = tmp_path / "ca.crt"
    authority.write_text(CERTIFICATE)
    asked = []

    def call(*secrets, state="present", **variables):
        def query(module, **arguments):
            asked.append((module, arguments))
            return {"state": state, "reason": "refused", "objects": list(secrets)}

        site = SITE | {"edge_ingress_ca_file": str(authority)} | variables
        return role_problems("edge_ingress", query=query, **site)

    call.asked = asked
    return call


def test_a_good_secret_passes_and_so_does_one_that_cannot_be_read_yet(problems):
    assert problems(secret()) == []
    assert problems(secret(CERTIFICATE.replace("\n", "\r\n"))) == []
    assert problems(state="absent") == problems(state="unreachable") == []
    assert len(problems.asked) == 4
    assert problems.asked[0] == (
        "egi.notebooks.cluster_info",
        {
            "no_log": True,
            "kubeconfig": "/etc/kubernetes/admin.conf",
            "kinds": ["secrets"],
            "namespace": "edge",
            "name": "site",
            "required": False,
        },
    )
    # Without one nothing is queried.
    assert problems(edge_ingress_tls="selfsigned", edge_ingress_certificate_secret="") == []
    assert len(problems.asked) == 4


@pytest.mark.parametrize(
    ("stored", "flaw"),
    [
        ([], "There is none of this name. Create it with kubectl create secret tls."),
        ([secret(kind="Opaque")], "It is of type Opaque."),
        ([secret(CERTIFICATE[:-30])], "The certificate file has no END line for block 1 (CERTIFICATE): it is cut off."),
        ([secret(key=FOREIGN_KEY)], f"The private key does not belong to the certificate of {DOMAIN}."),
        ([secret(key=None)], "The private key file has no key; must be PEM, with a line -----BEGIN PRIVATE KEY"),
        ([secret("0\x82ÿþ", encoding="latin-1")], "The certificate file has no certificate; must be PEM"),
        # Traefik would not find it.
        ([secret("\ufeff" + CERTIFICATE)], "The certificate file has a malformed BEGIN or END in block 1"),
        ([{"type": "kubernetes.io/tls"}], "The certificate file has no certificate; must be PEM"),
    ],
)
def test_a_secret_that_cannot_be_served_is_rejected(problems, stored, flaw):
    (problem,) = problems(*stored)
    assert problem.startswith(REJECTED.format("edge") + flaw)
    assert "\n" not in problem
    assert not any(line in problem for line in (KEY + FOREIGN_KEY).splitlines() if "-----" not in line)


def test_names_dates_and_chain_of_a_secret_are_checked(problems):
    (problem,) = problems(secret(*pair("other.example.org", days=-1)))
    assert f"The certificate is for other.example.org, not for {DOMAIN}." in problem
    assert "The certificate of other.example.org expired on" in problem
    (problem,) = problems(secret(), edge_ingress_aliases=["alias.example.org"])
    assert f"The certificate is for {DOMAIN}, not for alias.example.org." in problem
    (problem,) = problems(secret(*pair()))
    assert "which is not trusted" in problem


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"edge_ingress_certificate_secret": "--all"},
            "edge_ingress_certificate_secret must be the name of a Secret: lowercase letters, digits, '-' and '.'; got",
        ),
        # The internal CA's certificate would replace the site's.
        (
            {"edge_ingress_tls": "selfsigned"},
            'edge_ingress_certificate_secret must be empty with edge_ingress_tls selfsigned; got "site". The',
        ),
        (
            {"edge_ingress_certificate_file": "/tls.crt", "edge_ingress_key_file": "/tls.key"},
            "edge_ingress_certificate_secret must be empty or the name of a Secret, and the only source of the",
        ),
    ],
)
def test_a_secret_that_must_not_be_read_or_written_is_rejected(problems, variables, sentence):
    (problem,) = problems(secret(), **variables)
    assert problem.startswith(sentence)


# Each host is a case: its kubectl prints the Secrets in the file named by the edge's namespace, and one edge.
KUBECTL = """#!/bin/sh
echo "$*" >>{folder}/asked
case "$*" in *nodes*) exec cat {folder}/nodes.json;; esac
for word; do case "$word" in --namespace=*) answer={folder}/${{word#*=}}.json;; esac; done
[ -e "$answer" ] && exec cat "$answer"
echo "The connection to the server was refused" >&2
exit 1
"""
PLAYBOOK = """
- name: Check alone, and run without that
  hosts: all
  gather_facts: false
  tasks:
    # With facts the checks query the host.
    - name: Have facts
      ansible.builtin.set_fact:
        egi_notebooks_node: {nodename: m}
        cacheable: true

    - name: Check alone
      block:
        - name: Check alone
          ansible.builtin.include_role:
            name: egi.notebooks.edge_ingress
            tasks_from: problems
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
    """Return a function that runs the role on hosts with such Secrets; the answers of its tasks by host."""
    nodes = [
        {"kind": "Node", "metadata": {"name": "e", "labels": {"egi.eu/edge": "true"}}, "status": {"addresses": []}}
    ]
    (tmp_path / "nodes.json").write_text(json.dumps({"items": nodes}))
    (tmp_path / "kubeconfig").touch()

    def call(cases, *arguments, kubeconfig="kubeconfig"):
        kubectl = tmp_path / "kubectl"
        kubectl.write_text(KUBECTL.format(folder=tmp_path))
        kubectl.chmod(0o755)
        for name, secrets in cases.items():
            if secrets is not None:
                (tmp_path / f"{name}.json").write_text(json.dumps({"items": secrets}))
        playbook = tmp_path / "play.yml"
        playbook.write_text(PLAYBOOK)
        played = ansible_playbook(
            tmp_path,
            playbook,
            *arguments,
            groups={"masters": {"hosts": {name: {"edge_ingress_namespace": name} for name in cases}}},
            site=SITE | {"edge_ingress_kubeconfig": str(tmp_path / kubeconfig), "egi_notebooks_check_downloads": False},
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
        asked = tmp_path / "asked"
        return told, asked.read_text().splitlines() if asked.exists() else []

    return call


BEFORE = "Check the settings and the certificate of edge_ingress"
LATER = "Refuse a Secret that Traefik could not serve"


def test_the_role_rejects_it_before_traefik_is_changed_also_where_the_checks_saw_no_cluster(run):
    told, asked = run({"missing": [], "damaged": [secret(CERTIFICATE[:-30])], "away": None})
    for name, flaw in (("missing", "There is none of this name"), ("damaged", "The certificate file has no END line")):
        for task in (BEFORE, LATER):
            assert told[name][task]["failed"]
            assert told[name][task]["msg"].startswith(REJECTED.format(name) + flaw)
    assert not told["away"][BEFORE].get("failed")
    assert told["away"][LATER]["msg"] == (
        "The Secret site in the namespace away can't be read: The connection to the server was refused"
    )
    for tasks in told.values():
        assert list(tasks)[-1] == LATER
        assert not any(answer.get("changed") for answer in tasks.values())
    assert all(" get secrets " in line or " get nodes," in line for line in asked), asked
    assert len(asked) == 9


def test_check_mode_needs_no_cluster(run):
    told, asked = run({"away": None}, "--check", kubeconfig="none")
    assert not told["away"][BEFORE].get("failed")
    assert told["away"]["Run Traefik on the edge nodes"]["changed"]
    assert LATER not in told["away"]
    assert asked == []


def test_check_mode_rejects_it_too(run):
    told, _asked = run({"missing": []}, "--check")
    assert told["missing"][BEFORE]["msg"].startswith(REJECTED.format("missing") + "There is none of this name")
