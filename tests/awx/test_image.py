# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of the execution environment, as far as it can be made without a container engine."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.awx.job import ROOT


@pytest.fixture(scope="module")
def context(environment, tmp_path_factory):
    """What `ansible-builder create` makes: all that a container engine gets."""
    folder = tmp_path_factory.mktemp("context")
    command = [environment / "venv/bin/ansible-builder", "create", "--context", folder]
    result = subprocess.run(
        [*command, "--output-filename", "Containerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="module")
def dependencies(environment, context, tmp_path_factory):
    """The Python and system packages that the image's own introspection finds, as files."""
    folder = tmp_path_factory.mktemp("dependencies")
    scripts = context / "_build/scripts"
    subprocess.run(
        [
            *(environment / "venv/bin/python", scripts / "introspect.py", "introspect", environment / "collections"),
            *("--user-pip", context / "_build/requirements.txt", "--user-bindep", context / "_build/bindep.txt"),
            *("--write-pip", folder / "requirements.txt", "--write-bindep", folder / "bindep.txt"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def test_the_context_has_what_the_definition_says(context, definition):
    text = (context / "Containerfile").read_text()
    assert f'EE_BASE_IMAGE="{definition["images"]["base_image"]["name"]}"' in text
    refs = [definition["dependencies"][name]["package_pip"] for name in ("ansible_core", "ansible_runner")]
    assert f'ANSIBLE_INSTALL_REFS="{" ".join(refs)}"' in text
    assert "USER 1000" in text
    galaxy = yaml.safe_load((context / "_build/requirements.yml").read_text())
    assert galaxy == definition["dependencies"]["galaxy"]


def test_the_image_has_every_collection_that_the_playbooks_need(definition):
    wanted = yaml.safe_load((ROOT / "collections/requirements.yml").read_text())["collections"]
    there = definition["dependencies"]["galaxy"]["collections"]
    assert [item for item in there if item["name"] != "awx.awx"] == wanted
    assert "awx.awx" in [item["name"] for item in there]


def test_the_collection_s_own_dependencies_are_the_image_s(definition):
    own = yaml.safe_load((ROOT / "meta/execution-environment.yml").read_text())["dependencies"]
    assert own == {name: definition["dependencies"][name] for name in ("python", "system")}
    assert all((ROOT / path).is_file() for path in own.values())


def test_ansible_and_its_runner_are_those_of_the_tests(environment, definition):
    locked = (ROOT / "tests/awx/requirements.txt").read_text()
    for name in ("ansible_core", "ansible_runner"):
        assert f"{definition['dependencies'][name]['package_pip']} \\" in locked


def test_all_python_packages_resolve_and_are_what_jobs_here_run_with(environment, dependencies):
    result = subprocess.run(
        [environment / "venv/bin/pip", "install", "--dry-run", "--no-index", "-r", dependencies / "requirements.txt"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Would install" not in result.stdout
    subprocess.run([environment / "venv/bin/pip", "check"], check=True)


def test_the_list_of_system_packages_is_readable_and_has_what_the_control_node_needs(environment, dependencies):
    command = [environment / "venv/bin/bindep", "-f", dependencies / "bindep.txt", "-l", "newline", "platform:rpm"]
    packages = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {"openssh-clients", "iproute", "glibc-common", "openssl"} <= set(packages)


def test_the_collections_that_pip_brings_satisfy_the_definition(environment, definition):
    command = [environment / "venv/bin/ansible-galaxy", "collection", "list", "--format", "yaml"]
    listed = subprocess.run(
        [*command, "-p", environment / "collections"], capture_output=True, text=True, check=True
    ).stdout
    found = {name: item["version"] for path in yaml.safe_load(listed).values() for name, item in path.items()}
    for item in definition["dependencies"]["galaxy"]["collections"]:
        least = item["version"].removeprefix(">=")
        assert numbers(found[item["name"]]) >= numbers(least), item["name"]


def numbers(version):
    return [int(part) for part in version.split(".")]
