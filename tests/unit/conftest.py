# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What unit tests share: the collection under its own name, and the variables of a role as Ansible sees them."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The clone is the collection egi.notebooks by the link in .collections, as for `ansible-playbook`.
init_plugin_loader([str(ROOT / ".collections")])


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def evaluate() -> Callable[[str, dict[str, Any]], Any]:
    """Return a function that gives what an expression is with these variables, as plain data."""

    def call(expression: str, variables: dict[str, Any]) -> Any:
        templar = Templar(loader=DataLoader(), variables=variables)
        return json.loads(templar.template(trust("{{ (" + expression + ") | to_json }}")))

    return call


@pytest.fixture(scope="session")
def render_role(evaluate) -> Callable[..., Any]:
    """Return a function that templates an expression with a role's defaults and vars, and variables of a site on top.

    ``render_role("jupyterhub", "__jupyterhub_helm_values", egi_notebooks_domain="n.example.org")`` gives plain data.
    """

    def render(role: str, expression: str, **variables: Any) -> Any:
        loader = DataLoader()
        folder = ROOT / "roles" / role
        merged: dict[str, Any] = {}
        for name in ("defaults", "vars"):
            path = folder / name / "main.yml"
            if path.exists():
                merged |= loader.load_from_file(str(path), trusted_as_template=True) or {}
            if name == "defaults":
                merged |= variables
        merged["role_path"] = str(folder)
        return evaluate(expression, merged)

    return render


@pytest.fixture(scope="session")
def read_check() -> Callable[..., Any]:
    """Return a function that gives a role's settings as its checks get them, with variables of a site on top.

    ``read_check("kube_node", facts=MACHINE, others={"b": MACHINE}, egi_notebooks_mirror="https://m")``: the checked
    host is `a` unless `inventory_hostname` says otherwise; `query` stands for modules run on it.
    """

    def read(
        role: str,
        facts: dict[str, Any] | None = None,
        others: dict[str, dict[str, Any]] | None = None,
        query: Callable[..., Any] | None = None,
        problems: list[str] | None = None,
        **variables: Any,
    ) -> Any:
        from ansible_collections.egi.notebooks.plugins.plugin_utils.roles import Reader

        known = (others or {}) | ({variables.get("inventory_hostname", "a"): facts} if facts else {})
        site = {"inventory_hostname": "a", "groups": {}} | variables
        hostvars = {name: {} for name in [site["inventory_hostname"], *sum(site["groups"].values(), [])]}
        hostvars |= {name: {"ansible_facts": {"egi_notebooks_node": node}} for name, node in known.items()}
        site = {"hostvars": hostvars, "ansible_facts": {"egi_notebooks_node": facts} if facts else {}} | site
        loader = DataLoader()
        return Reader(site, Templar(loader=loader, variables=site), loader).check(role, problems, query)

    return read


@pytest.fixture(scope="session")
def read_reader() -> Callable[..., Any]:
    """Return a function that gives the reader of a host's variables, as functions of playbooks get it.

    ``read_reader(facts={"a": MACHINE}, groups={"masters": ["a"]}, hostvars={"a": {...}})``: the host is `a` unless
    `inventory_hostname` says otherwise.
    """

    def read(facts: dict[str, dict[str, Any]] | None = None, **variables: Any) -> Any:
        from ansible_collections.egi.notebooks.plugins.plugin_utils.roles import Reader

        site = {"inventory_hostname": "a", "groups": {}} | variables
        names = [site["inventory_hostname"], *sum(site["groups"].values(), [])]
        known = {name: {"ansible_facts": {"egi_notebooks_node": node}} for name, node in (facts or {}).items()}
        given = variables.get("hostvars", {})
        site["hostvars"] = {name: known.get(name, {}) | given.get(name, {}) for name in [*names, *given]}
        loader = DataLoader()
        return Reader(site, Templar(loader=loader, variables=site), loader)

    return read


@pytest.fixture(scope="session")
def role_problems(read_check) -> Callable[..., list[str]]:
    """Return a function that gives all problems of a role, with the arguments of `read_check`."""

    def call(role: str, *arguments: Any, **keywords: Any) -> list[str]:
        from ansible_collections.egi.notebooks.plugins.plugin_utils.roles import role_module

        problems: list[str] = []
        check = read_check(role, *arguments, problems=problems, **keywords)
        return problems + list(role_module(role).problems(check))

    return call


@dataclass(frozen=True)
class Played:
    """What came of a run of ansible-playbook: its exit status, all that it said, and the JSON callback's report."""

    status: int
    output: str
    report: dict[str, Any]

    @property
    def failures(self) -> list[tuple[str, str]]:
        """The task and the message of each failure, rescued ones too."""
        return [
            (task["task"]["name"], answer["msg"])
            for play in self.report["plays"]
            for task in play["tasks"]
            for answer in task["hosts"].values()
            if answer.get("failed")
        ]


@pytest.fixture(scope="session")
def ansible_playbook() -> Callable[..., Played]:
    """Return a function that runs a playbook on hosts that are this machine.

    ``ansible_playbook(folder, "destroy", "--check", groups={"masters": {"hosts": {"m": {}}}}, site={...}, tools=bin)``:
    a playbook of the collection by its name or any by its path, the inventory's groups and the variables of all hosts,
    and a folder whose programs come before the machine's. The inventory is left in `folder`.
    """
    local = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}

    def run(
        folder: pathlib.Path,
        playbook: str | pathlib.Path,
        *arguments: str,
        groups: dict[str, Any],
        site: dict[str, Any] | None = None,
        tools: pathlib.Path | None = None,
    ) -> Played:
        inventory = folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"vars": local | (site or {}), "children": groups}}))
        path = playbook if isinstance(playbook, pathlib.Path) else ROOT / f"playbooks/{playbook}.yml"
        result = subprocess.run(
            [sys.executable, "-m", "ansible.cli.playbook", "-i", inventory, *arguments, path],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ
            | {
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
                "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
                "ANSIBLE_TIMEOUT": "5",
                "PATH": f"{tools}:{os.environ['PATH']}" if tools else os.environ["PATH"],
                "no_proxy": "*",
            },
        )
        output = result.stdout + result.stderr
        assert "{" in result.stdout, output
        assert "Traceback" not in output
        report = json.JSONDecoder().raw_decode(result.stdout[result.stdout.find("{") :])[0]
        return Played(result.returncode, output, report)

    return run


def trust(template: str) -> str:
    """Mark text of a test as a template."""
    from ansible.template import trust_as_template

    return trust_as_template(template)
