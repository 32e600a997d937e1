# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX starts them: by ansible-runner, with AWX's variables, a read-only project and a user who is not root."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import shlex
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.awx.job import ROOT

SECRET = "correct-horse-battery-staple"
DOMAIN = "notebooks.invalid"
# The hosts are this machine; Check-in and downloads are not there.
LOCAL = {
    "ansible_connection": "local",
    "ansible_become": False,
    "egi_notebooks_domain": DOMAIN,
    "egi_notebooks_mirror": "http://127.0.0.1:9",
    "jupyterhub_oauth": {"client_id": "x", "issuer": "https://127.0.0.1:9/auth/realms/egi"},
}
VARIABLES = ("jupyterhub_oauth_client_secret", "edge_ingress_certificate", "edge_ingress_key", "edge_ingress_tls")


@pytest.fixture(scope="module")
def pair():
    """A certificate for the service, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, DOMAIN)])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(DOMAIN)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return {
        "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    }


def names(problems):
    """Which of the credentials' variables the problems are about."""
    return {name for name in VARIABLES for text in problems if name in text}


def report(result):
    """Return the lines in which preflight.yml reports all problems."""
    assert result.status == "failed", result.stdout
    assert "Traceback" not in result.artifacts
    return result.failures[-1].splitlines()


def test_preflight_takes_what_the_credentials_inject(new_job, credential_types, pair):
    job = new_job()
    job.import_inventory("inventories/awx/hosts.yml", LOCAL)
    assert "jupyterhub_oauth_client_secret" in names(report(job.run("playbooks/preflight.yml")))

    job = new_job("with_credentials")
    job.import_inventory("inventories/awx/hosts.yml", LOCAL)
    job.inject(credential_types["checkin"], {"client_secret": SECRET})
    job.inject(credential_types["certificate"], pair)
    result = job.run("playbooks/preflight.yml", answers={"egi_notebooks_site_name": "{{ nothing }}"})
    # The certificate is right but for its CA, which no system knows.
    assert [line for line in report(result) if names([line]) and "is not trusted" not in line] == []
    assert not any(result.changed.values())
    assert SECRET not in result.artifacts
    assert pair["key"].splitlines()[1] not in result.artifacts


def test_a_wrong_certificate_of_a_credential_is_reported(new_job, credential_types, pair):
    job = new_job()
    job.import_inventory("inventories/awx/hosts.yml", LOCAL)
    job.inject(credential_types["checkin"], {"client_secret": SECRET})
    job.inject(credential_types["certificate"], pair | {"certificate": "no certificate"})
    assert "edge_ingress_certificate" in names(report(job.run("playbooks/preflight.yml")))


def test_every_file_of_a_credential_is_readable_by_the_job_alone(new_job, credential_types):
    """With all credentials at once, no variable of one is another's."""
    job = new_job()
    inputs = {
        kind: {field["id"]: f"{kind} {field['id']}" for field in item["fields"]}
        for kind, item in credential_types.items()
    }
    for kind, item in credential_types.items():
        job.inject(item, inputs[kind])
    wanted = {
        "jupyterhub_oauth_client_secret_file": "checkin client_secret",
        "egi_notebooks_kubeconfig": "kubeconfig kubeconfig",
        "edge_ingress_certificate_file": "certificate certificate",
        "edge_ingress_key_file": "certificate key",
        "egi_notebooks_known_hosts_file": "known_hosts known_hosts",
    }
    injected = [name for item in credential_types.values() for name in item["injectors"]["extra_vars"]]
    assert sorted(injected) == sorted([*wanted, "edge_ingress_tls", "egi_notebooks_kube_host"])
    job.set_inventory({"_meta": {"hostvars": {}}})
    checks = [
        f"lookup('ansible.builtin.file', {name}) | hash('sha256') == '{hashlib.sha256(text.encode()).hexdigest()}'"
        for name, text in wanted.items()
    ]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {
                "ansible.builtin.stat": {"path": "{{ item }}"},
                "loop": [f"{{{{ {name} }}}}" for name in wanted],
                "register": "files",
            },
            {
                "ansible.builtin.assert": {
                    "that": [
                        *checks,
                        "files.results | map(attribute='stat.mode') | unique == ['0600']",
                        "files.results | map(attribute='stat.pw_name') | unique == ['runner']",
                        "edge_ingress_tls == 'provided'",
                        "egi_notebooks_kube_host == 'localhost'",
                    ]
                }
            },
        ],
    }
    job.write("files.yml", json.dumps([play]))
    result = job.run("/runner/files.yml")
    assert result.status == "successful", result.stdout


def test_destroy_refuses_without_the_name_of_the_service(new_job):
    job = new_job()
    job.import_inventory("inventories/awx/hosts.yml", LOCAL)
    for number, answers in enumerate(({}, {"egi_notebooks_destroy_confirm": "other.example.org"})):
        result = new_run(job, number, answers)
        assert result.status == "failed"
        assert any("egi_notebooks_destroy_confirm" in text for text in result.failures), result.stdout
        assert not any(result.changed.values())


def new_run(job, number, answers):
    """Run destroy.yml with the answers of its survey; the artifacts of each run are its own."""
    artifacts = job.private / "artifacts"
    if artifacts.exists():
        artifacts.rename(job.private / f"artifacts{number}")
    return job.run("playbooks/destroy.yml", answers={"egi_notebooks_destroy_data": "false"} | answers)


def test_every_playbook_of_a_job_template_parses_in_the_job(new_job):
    job = new_job()
    job.import_inventory("inventories/awx/hosts.yml")
    for name in ("preflight", "site", "verify", "destroy"):
        result = job.run_command(
            *("ansible-playbook", "-i", "/runner/inventory", f"/runner/project/playbooks/{name}.yml", "--syntax-check"),
            ANSIBLE_COLLECTIONS_PATH=f"/runner/project/.collections:{job.variables()['ANSIBLE_COLLECTIONS_PATH']}",
        )
        assert result.returncode == 0, result.stderr


def test_what_awx_adds_to_the_environment_leads_to_the_project_s_collection(new_job):
    paths = new_job().variables()["ANSIBLE_COLLECTIONS_PATH"].split(":")
    assert paths[:2] == ["/runner/requirements_collections", ".collections"]


# --- Host keys, with and without a jump ---
def ssh_settings(arguments):
    """Return what ssh makes of a command line."""
    output = subprocess.run(["ssh", "-G", *arguments], capture_output=True, text=True, check=True).stdout
    return dict(line.split(" ", 1) for line in output.splitlines() if " " in line)


@pytest.fixture
def ssh_calls(new_job, credential_types):
    """The arguments of ssh in a job for each host of the inventory, by its address."""
    job = new_job()
    job.import_inventory("inventories/awx/hosts.yml", {"egi_notebooks_mirror": "http://127.0.0.1:9"})
    job.inject(credential_types["known_hosts"], {"known_hosts": "notebooks.example.org ssh-ed25519 AAAA\n"})
    job.write("ssh", '#!/bin/sh\nprintf "%s\\n" "$*" >> /runner/calls\necho refused >&2\nexit 255\n', 0o700)
    job.run("playbooks/preflight.yml", ANSIBLE_SSH_EXECUTABLE="/runner/ssh")
    lines = (job.private / "calls").read_text().splitlines()
    return job, lines


def test_every_hop_checks_host_keys_although_awx_turns_that_off(ssh_calls):
    """AWX sets ANSIBLE_HOST_KEY_CHECKING=False for all jobs."""
    job, lines = ssh_calls
    hosts = {}
    for line in lines:
        # ssh's own splitting of arguments was lost in the log; a quoted one is the proxy's.
        command = re.sub(r"(ProxyCommand=)(ssh .*?notebooks\.example\.org)", r"\1'\2'", line)
        arguments = shlex.split(command.split(" /bin/sh -c ")[0])
        settings = ssh_settings(arguments)
        hosts[settings["hostname"]] = settings
    behind = {"192.168.10.11", "192.168.10.21", "192.168.10.31"}
    assert set(hosts) == behind | {"notebooks.example.org"}, lines
    for host, settings in hosts.items():
        hops = [settings]
        if host in behind:
            # ssh has no jump host of its own: ProxyJump would start one without these options.
            assert "proxyjump" not in settings
            program, *arguments = shlex.split(settings["proxycommand"].replace("%h", host).replace("%p", "22"))
            assert program == "ssh"
            hops.append(ssh_settings(arguments))
            assert (hops[1]["hostname"], hops[1]["user"]) == ("notebooks.example.org", "debian")
        for hop in hops:
            assert hop["stricthostkeychecking"] == "true"
            assert hop["userknownhostsfile"].startswith("/runner/env/")
            path = job.private / hop["userknownhostsfile"].removeprefix("/runner/")
            assert path.read_text().startswith("notebooks.example.org ")


def test_a_jump_by_option_loses_the_options_of_the_first_ssh():
    """Why the example has no ProxyJump: the command that ssh makes of it has none of them."""
    options = ["-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=/keys", "-o", "ConnectTimeout=1"]
    command = ["ssh", "-vv", *options, "-J", "debian@127.0.0.1:9", "192.0.2.1", "true"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    (made,) = set(re.findall(r"Setting implicit ProxyCommand from ProxyJump: (.*)", said))
    assert "UserKnownHostsFile" not in made


def test_the_example_sets_nothing_that_a_credential_or_a_survey_answers(new_job, credential_types):
    job = new_job()
    inventory = job.import_inventory("inventories/awx/hosts.yml")
    injected = {name for item in credential_types.values() for name in item["injectors"]["extra_vars"]}
    groups = [group.get("vars", {}) for group in inventory.values() if isinstance(group, dict)]
    variables = {name for known in (*groups, *inventory["_meta"]["hostvars"].values()) for name in known}
    assert not variables & (injected | {"jupyterhub_oauth_client_secret", "edge_ingress_certificate_secret"})
    assert (ROOT / "inventories/awx/group_vars/all.yml").is_file()
