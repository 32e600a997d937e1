# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a tarball: what is in it, and that it works where nothing else of the repository is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
PLAYBOOKS = sorted(path.stem for path in (PROJECT / "playbooks").glob("*.yml"))
CODE = {"meta", "plugins", "roles", "playbooks"}
WANTED = CODE | {"MANIFEST.json", "FILES.json", "README.md", "LICENSE", "CHANGELOG.rst", "changelogs"}
REPOSITORY = yaml.safe_load((PROJECT / "galaxy.yml").read_text())["repository"]
RAW = REPOSITORY.replace("github.com", "raw.githubusercontent.com")


def galaxy(*arguments: str | Path) -> None:
    command = [BIN / "ansible-galaxy", "collection", *arguments]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def tarball(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    galaxy("build", "--output-path", folder)
    (built,) = folder.glob("egi-notebooks-*.tar.gz")
    return built


@pytest.fixture(scope="module")
def installed(tarball, tmp_path_factory) -> Path:
    """A collections path with nothing but this collection; its dependencies are this Python's."""
    folder = tmp_path_factory.mktemp("collections")
    # --force: the clone itself counts as installed.
    galaxy("install", "--force", "--no-deps", "--offline", "--collections-path", folder, tarball)
    return folder


def test_the_tarball_holds_what_runs_by_name_and_nothing_else(tarball):
    with tarfile.open(tarball) as archive:
        members = archive.getnames()
    assert CODE <= {name.split("/")[0] for name in members} <= WANTED
    assert not [name for name in members if "__pycache__" in name]


def test_every_role_and_playbook_is_in_the_tarball(tarball):
    with tarfile.open(tarball) as archive:
        members = archive.getnames()
    for path in (*(PROJECT / "playbooks").glob("*.yml"), *(PROJECT / "roles").glob("*/tasks/main.yml")):
        assert str(path.relative_to(PROJECT)) in members


def test_links_of_the_installed_readme_lead_to_files_of_the_repository(installed):
    text = (installed / "ansible_collections/egi/notebooks/README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert [target for target in targets if not target.startswith("https://")] == []
    own = re.findall(rf"\]\((?:{REPOSITORY}/blob|{RAW})/main/([^)#]+)", text)
    assert len(own) > 10
    assert [path for path in own if not (PROJECT / path).is_file()] == []


def test_commands_of_the_readme_name_playbooks_of_the_collection():
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\$ ansible-playbook .*?egi\.notebooks\.(\w+)", text, re.MULTILINE)
    assert "site" in named
    assert set(named) <= set(PLAYBOOKS)


@pytest.fixture
def by_name(installed, tmp_path):
    """A function that runs a playbook of the installed collection on four machines that do not answer."""
    groups = ("masters", "edges", "workers", "nfs_servers")
    hosts = {group: {"hosts": {f"{group}.example.org": {"ansible_port": 9}}} for group in groups}
    inventory, configuration = tmp_path / "hosts.json", tmp_path / "ansible.cfg"
    inventory.write_text(json.dumps({"all": {"vars": {"ansible_host": "127.0.0.1"}, "children": hosts}}))
    configuration.touch()
    environment = os.environ | {
        "ANSIBLE_COLLECTIONS_PATH": str(installed),
        "ANSIBLE_CONFIG": str(configuration),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "ansible"),
    }

    def run(playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [BIN / "ansible-playbook", *arguments, "-i", inventory, f"egi.notebooks.{playbook}"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_the_installed_playbook_is_found_by_name(playbook, by_name):
    result = by_name(playbook, "--syntax-check")
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_installed_site_yml_checks_all_hosts_and_inputs(by_name):
    result = by_name("site")
    output = result.stdout + result.stderr
    assert result.returncode == 2, output
    *_, last = re.findall("^fatal: .* => (.*)$", output, re.MULTILINE)
    lines = json.loads(last)["msg"].splitlines()
    wanted = (
        "host is unreachable",
        "egi_notebooks_domain",
        "egi_notebooks_vos",
        "jupyterhub_oauth_client_secret",
        "jupyterhub_oauth.issuer",
        "jupyterhub_oauth.client_id",
    )
    for words in wanted:
        assert any(words in line for line in lines), (words, lines)
    assert all(f"{group}.example.org" in lines[0] for group in ("masters", "edges", "workers", "nfs_servers"))


def test_every_collection_that_is_used_is_a_dependency():
    declared = set(yaml.safe_load((PROJECT / "galaxy.yml").read_text())["dependencies"]) | {
        "ansible.builtin",
        "egi.notebooks",
    }
    for path in (*(PROJECT / "roles").rglob("*.yml"), *(PROJECT / "playbooks").glob("*.yml")):
        used = {".".join(key.split(".")[:2]) for key in _action_names(yaml.safe_load(path.read_text()))}
        assert used <= declared, path


def _action_names(node) -> set[str]:
    """Every key that looks like a fully qualified module name."""
    if isinstance(node, list):
        return {name for item in node for name in _action_names(item)}
    if not isinstance(node, dict):
        return set()
    own = {key for key in node if isinstance(key, str) and key.count(".") == 2 and key.replace(".", "").isidentifier()}
    return own | {name for value in node.values() for name in _action_names(value)}
