# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example of the documentation runs.

Lookups and filters run with what their examples give them. Modules run against local servers, or in check mode; those
that read a node or a cluster validate the arguments. Plays of roles and of the Markdown files pass a syntax check.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import hub
import issuer
import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.testing import patch_module_args
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = pathlib.Path(__file__).resolve().parents[3]
PLUGINS = ROOT / "plugins"
#: Keys of a task that are neither its action nor matter here.
KEYWORDS = {"name", "delegate_to", "register", "vars", "notify", "loop", "when", "become", "failed_when", "run_once"}
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))


def documentation(kind: str, name: str) -> str:
    """Return the examples of a plugin, which are in a file beside it or in itself."""
    sidecar = PLUGINS / kind / f"{name}.yml"
    if sidecar.exists():
        return yaml.safe_load(sidecar.read_text(encoding="utf-8")).get("EXAMPLES", "")
    plugin = importlib.import_module(f"ansible_collections.egi.notebooks.plugins.{kind}.{name}")
    return getattr(plugin, "EXAMPLES", "")


def expressions() -> list[tuple[str, str]]:
    """Return kind and name of each filter and lookup."""
    return sorted(
        {(kind, path.stem) for kind in ("filter", "lookup", "test") for path in (PLUGINS / kind).glob("*.*")}
        - {("filter", "__init__")}
    )


class Play:
    """The tasks of an example, with files of their own, run one after another on this host."""

    def __init__(self, folder: pathlib.Path, text: str) -> None:
        self.loader = DataLoader()
        self.loader.set_basedir(str(folder))
        (folder / "example.yml").write_text(text, encoding="utf-8")
        self.tasks = self.loader.load_from_file(str(folder / "example.yml"), trusted_as_template=True)
        self.registered: dict[str, Any] = {}

    def actions(self) -> Iterator[tuple[str, Any, dict]]:
        """Yield action, templated arguments and the task itself, once for each item of a loop."""
        for task in self.tasks:
            ((action, arguments),) = [(key, value) for key, value in task.items() if key not in KEYWORDS]
            variables = self.registered | task.get("vars", {})
            for item in self.template(task.get("loop", [None]), variables):
                mine = variables | {"item": item}
                if action == "ansible.builtin.assert":
                    self.check(arguments["that"], mine)
                yield action, self.template(arguments, mine), task

    def template(self, value: Any, variables: dict) -> Any:
        return Templar(loader=self.loader, variables=variables).template(value)

    def check(self, conditions: str | list[str], variables: dict) -> None:
        templar = Templar(loader=self.loader, variables=variables)
        for condition in [conditions] if isinstance(conditions, str) else conditions:
            assert templar.evaluate_conditional(condition), condition


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    """What the examples find on the control node: a home directory with tokens, a certificate, a template."""
    home = tmp_path / "home/.config/egi-notebooks"
    home.mkdir(parents=True)
    (home / "hub_token").write_text(hub.TOKEN)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CHECKIN_TOKEN", issuer.INITIAL)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "notebooks.example.org")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("notebooks.example.org")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (tmp_path / "tls.crt").write_bytes(certificate.public_bytes(pem))
    (tmp_path / "ca.crt").write_bytes(certificate.public_bytes(pem))
    (tmp_path / "tls.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (tmp_path / "config.toml.j2").write_text("version = 3\n")
    return tmp_path


@pytest.mark.parametrize(("kind", "name"), expressions(), ids=lambda value: value)
def test_examples_of_filters_and_lookups_run(kind, name, folder):
    text = documentation(kind, name)
    assert f"egi.notebooks.{name}" in text
    # The CA of the example's certificate is one of this test.
    for action, arguments, _ in Play(folder, text.replace("/etc/ssl/certs/ca-certificates.crt", "ca.crt")).actions():
        assert action.count(".") == 2
        assert "{{" not in json.dumps(arguments)


class Validated(Exception):
    """The module has taken its arguments."""


class OnlyValidated(AnsibleModule):
    """A module that ends where its work would begin."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        raise Validated


@pytest.fixture
def servers(serve, certificate, monkeypatch) -> dict[str, str]:
    """What stands in for the addresses of the examples, by address."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    keycloak = issuer.Issuer()
    keycloak.url = serve(keycloak)
    keycloak.known_scopes |= {"voperson_id", "eduperson_entitlement", "offline_access"}
    keycloak.granted = keycloak.known_scopes
    keycloak.clients["0b1a6d0c-5d3c-4b7e-8d55-1f2f3f3a9d10"] = {
        "redirect_uris": ["https://notebooks.example.org/hub/oauth_callback"]
    }
    return {
        "https://aai-demo.egi.eu/auth/realms/egi": keycloak.issuer,
        "https://mirror.example.org": serve(lambda *_: (200, b"")),
        "https://notebooks.example.org": serve(hub.Hub()),
    }


#: How the modules whose examples talk to a server run: options in which its address stands, and check mode or not.
AGAINST_SERVERS = {
    "artifact_info": (("mirror", "downloads"), False),
    "checkin_client": (("issuer",), False),
    "checkin_client_info": ((), False),
    "checkin_discovery_info": (("issuer",), False),
    "checkin_login_info": (("issuer",), False),
    "jupyterhub_info": (("hub_url",), False),
    "jupyterhub_server": (("hub_url",), False),
    # These two need no server in check mode.
    "artifact_install": ((), True),
    "config_files": ((), True),
}


def run_module(name: str, arguments: dict[str, Any], monkeypatch) -> dict[str, Any]:
    """Run a module, or validate its arguments alone where nothing stands in for what it works on."""
    module = importlib.import_module(f"ansible_collections.egi.notebooks.plugins.modules.{name}")
    options = dict(arguments or {})
    if not hasattr(module, "AnsibleModule"):
        # The action plugin of this name is all of it.
        options.pop("_ansible_check_mode")
        result = ArgumentSpecValidator(yaml.safe_load(module.DOCUMENTATION)["options"]).validate(options)
        assert not result.error_messages
        return {}
    if name not in AGAINST_SERVERS:
        monkeypatch.setattr(module, "AnsibleModule", OnlyValidated)
    output = io.StringIO()
    with patch_module_args(options), contextlib.redirect_stdout(output), contextlib.suppress(Validated, SystemExit):
        module.main()
    answer = json.loads(output.getvalue() or "{}")
    assert not answer.get("failed"), answer.get("msg")
    return answer


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_modules_run(name, folder, servers, certificate, monkeypatch):
    text = documentation("modules", name)
    assert f"egi.notebooks.{name}:" in text
    addressed, check = AGAINST_SERVERS.get(name, ((), True))
    play = Play(folder, text)
    for action, arguments, task in play.actions():
        namespace, _, module = action.rpartition(".")
        if namespace != "egi.notebooks":
            continue
        for option in addressed:
            value = json.dumps(arguments.get(option))
            for public, local in servers.items():
                value = value.replace(public, local)
            arguments[option] = json.loads(value)
        options = dict(arguments or {}) | {"_ansible_check_mode": check}
        if module in AGAINST_SERVERS and ("hub_url" in options or "issuer" in options):
            options["ca_path"] = str(certificate)
        answer = run_module(module, options, monkeypatch)
        if task.get("register"):
            play.registered[task["register"]] = answer
        if task.get("failed_when"):
            assert not Templar(loader=play.loader, variables=play.registered).evaluate_conditional(task["failed_when"])


def plays() -> list[dict]:
    """Return the plays of the roles' specifications and of the Markdown files."""
    specs = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml"))]
    texts = [spec["argument_specs"]["main"].get("examples", "") for spec in specs]
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))):
        texts += re.findall(r"^```yaml\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    found = [yaml.safe_load(text) for text in texts]
    return [play for content in found if isinstance(content, list) for play in content if "hosts" in play]


def test_plays_of_the_documentation_pass_a_syntax_check(tmp_path):
    found = plays()
    assert found
    playbook = tmp_path / "examples.yml"
    playbook.write_text(yaml.safe_dump(found))
    command = [sys.executable, "-m", "ansible.cli.playbook", "--syntax-check", "-i", "localhost,", playbook]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
