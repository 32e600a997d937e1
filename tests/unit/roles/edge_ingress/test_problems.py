# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role edge_ingress rejects."""

from __future__ import annotations

import base64
import socket

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import is_host_name
from ansible_collections.egi.notebooks.plugins.plugin_utils import edge_ingress

DOMAIN = "notebooks.example.org"


@pytest.fixture
def problems(role_problems):
    def call(**variables):
        site = {"egi_notebooks_domain": DOMAIN, "edge_ingress_check_dns": False}
        return role_problems("edge_ingress", **site | variables)

    return call


def test_a_domain_is_all_that_a_site_must_set(problems, read_check):
    assert problems() == []
    assert problems(egi_notebooks_aliases=["alias.example.org"]) == []
    assert edge_ingress.downloads(read_check("edge_ingress")) == ["docker.io/library/traefik:v3.7.15"]
    assert edge_ingress.downloads(read_check("edge_ingress", edge_ingress_version="")) == []


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        (
            {"egi_notebooks_domain": ""},
            "egi_notebooks_domain must be a fully qualified host name in lowercase, such as notebooks.example.org; got "
            '"".',
        ),
        (
            {"edge_ingress_domain": "Notebooks.example.org"},
            "edge_ingress_domain must be a fully qualified host name in lowercase, such as notebooks.example.org; got "
            '"Notebooks.example.org".',
        ),
        (
            {"egi_notebooks_aliases": [DOMAIN]},
            "egi_notebooks_aliases must be a list of other host names in lowercase, such as [notebooks.example.com]; "
            'got ["notebooks.example.org"].',
        ),
        (
            {"edge_ingress_aliases": ["alias"]},
            "edge_ingress_aliases must be a list of other host names in lowercase, such as [notebooks.example.com]; "
            'got ["alias"].',
        ),
        ({"edge_ingress_tls": "acme"}, 'edge_ingress_tls must be one of provided, selfsigned; got "acme".'),
        (
            {"edge_ingress_tls": "provided", "edge_ingress_certificate_file": "/tls.crt"},
            "edge_ingress_certificate_secret must be empty or the name of a Secret, and the only source of the "
            'certificate; got "". edge_ingress_certificate_file is "/tls.crt" and edge_ingress_key_file is "".',
        ),
        (
            {"egi_notebooks_ca_file": "ca.crt"},
            "egi_notebooks_ca_file must be the absolute path of a file of PEM certificates on the control node; got "
            '"ca.crt".',
        ),
        (
            {"egi_notebooks_ca_file": "/no/ca"},
            'egi_notebooks_ca_file must be the path of a file of PEM certificates; got "/no/ca". There is no such file '
            "on the control node.",
        ),
        (
            {"edge_ingress_tls_min_version": "1.0"},
            'edge_ingress_tls_min_version must be one of 1.2, 1.3; got "1.0".',
        ),
        (
            {"edge_ingress_watched_namespaces": []},
            "edge_ingress_watched_namespaces must be a list of at least one namespace, such as [jupyterhub]; got [].",
        ),
        (
            {"edge_ingress_namespace": "a b"},
            "edge_ingress_namespace must be the name of a namespace, such as edge; got",
        ),
        ({"edge_ingress_version": "v3:7"}, "edge_ingress_version must be the tag of an image, such as v3.7.15; got"),
    ],
)
def test_a_bad_setting_is_rejected(problems, variables, problem):
    assert problems(**variables)[0].startswith(problem)
    assert len(problems(**variables)) <= 2


def test_a_number_is_a_version_of_tls(problems):
    assert problems(edge_ingress_tls_min_version=1.3) == []


@pytest.mark.parametrize(
    "name",
    ["notebooks", "Notebooks.example.org", "n.example.org\n", "n." + "a" * 70, "n.1a", "n.o", "-n.example.org"],
)
def test_what_is_no_public_host_name(problems, name):
    assert not is_host_name(name)
    (problem,) = problems(egi_notebooks_domain=name)
    assert problem.startswith("egi_notebooks_domain must be a fully qualified host name in lowercase")
    assert is_host_name(DOMAIN)
    assert not is_host_name(".".join(["a" * 60] * 5))


def test_a_name_that_the_control_node_cannot_resolve_is_rejected(problems, monkeypatch):
    def unknown(*_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert problems() == []
    (problem,) = problems(edge_ingress_check_dns=True)
    assert problem.startswith(
        'egi_notebooks_domain must be a host name that the control node can resolve; got "notebooks.example.org". Add a'
    )
    # One that is none is not looked up.
    (problem,) = problems(edge_ingress_check_dns=True, egi_notebooks_domain="")
    assert "resolve" not in problem
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [()])
    assert problems(edge_ingress_check_dns=True) == []


def test_all_about_the_edge_is_reported_at_once(problems, tmp_path, monkeypatch):
    def unknown(*_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    binary = tmp_path / "tls.der"
    binary.write_bytes(b"\x30\x82\xff\xfe")
    found = problems(
        edge_ingress_check_dns=True,
        egi_notebooks_ca_file="/no/ca",
        edge_ingress_tls="provided",
        edge_ingress_certificate_file=str(binary),
        edge_ingress_key_file=str(binary),
        edge_ingress_tls_min_version="1.0",
    )
    assert [problem.split(" must ")[0] for problem in found] == [
        "edge_ingress_tls_min_version",
        "egi_notebooks_ca_file",
        "egi_notebooks_domain",
        "edge_ingress_certificate_file",
    ]
    assert f'edge_ingress_key_file is "{binary}"' in found[-1]
    assert "The certificate file has no certificate" in found[-1]
    assert "The private key file has no key" in found[-1]


@pytest.mark.parametrize("path", ["tls.crt", "/no/tls.crt"])
def test_a_missing_file_is_rejected(problems, path):
    files = dict.fromkeys(("edge_ingress_certificate_file", "edge_ingress_key_file"), path)
    found = problems(edge_ingress_tls="provided", **files)
    assert [problem.split(" must ")[0] for problem in found] == list(files)
    assert all("on the control node" in problem for problem in found)


@pytest.fixture
def pair(tmp_path):
    """Variables for two files of another system."""
    names = ("edge_ingress_certificate_file", "edge_ingress_key_file")
    for name in names:
        (tmp_path / name).write_bytes("\ufeff-----BEGIN X-----\r\n  QUJD \r\n-----END X-----\r\n".encode())
    return {"edge_ingress_tls": "provided"} | {name: str(tmp_path / name) for name in names}


def stored(data: dict) -> list[str]:
    return [base64.b64decode(text).decode() for text in data["edge-certificate"].values()]


def test_a_certificate_of_another_system_is_stored_as_servers_read_it(read_check, pair):
    data = edge_ingress.secret_data(read_check("edge_ingress", **pair))
    assert list(data["edge-certificate"]) == ["tls.crt", "tls.key"]
    assert stored(data) == ["-----BEGIN X-----\nQUJD\n-----END X-----"] * 2


def test_a_key_that_ansible_vault_has_encrypted_is_read(pair, read_check, monkeypatch):
    secrets = [("default", VaultSecret(b"word"))]
    path = pair["edge_ingress_key_file"]
    with open(path, "wb") as file:
        file.write(VaultLib(secrets).encrypt(b"the key", secrets[0][1]))
    before = DataLoader.__init__

    def with_secrets(self):
        before(self)
        self.set_vault_secrets(secrets)

    monkeypatch.setattr(DataLoader, "__init__", with_secrets)
    assert stored(edge_ingress.secret_data(read_check("edge_ingress", **pair)))[1] == "the key"


def test_of_the_internal_ca_s_files_the_certificate_and_the_key_are_stored(read_check):
    server, authority = (f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n" for text in "SC")
    key = "-----BEGIN EC PRIVATE KEY-----\nK\n-----END EC PRIVATE KEY-----\n"
    check = read_check("edge_ingress", egi_notebooks_domain=DOMAIN)
    assert stored(edge_ingress.secret_data(check, server + authority + key)) == [server, key]
    assert not edge_ingress.is_internal(check, server + authority + key)
    assert not edge_ingress.is_internal(check, "")
    # The site keeps its own.
    assert edge_ingress.secret_data(read_check("edge_ingress", edge_ingress_certificate_secret="site")) == {}
