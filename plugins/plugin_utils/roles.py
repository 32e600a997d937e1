# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From Ansible's variables to the plain data that a role's Python gets."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check, Host, Query, Run
from ansible_collections.egi.notebooks.plugins.plugin_utils.settings import ROLES, read_settings

PACKAGE = __name__.rpartition(".")[0]


def role_module(role: str) -> ModuleType:
    """Return the Python of a role."""
    if not (ROLES / role / "meta/argument_specs.yml").is_file():
        raise AnsibleError(f"The collection has no role {role}.")
    return importlib.import_module(f"{PACKAGE}.{role}")


class Reader:
    """The variables of a host, and the plugin's means to evaluate them."""

    def __init__(self, variables: Mapping[str, Any], templar: Any, loader: Any) -> None:
        """Take what an action or lookup plugin has."""
        self.variables = variables
        self.run = read_run(variables)
        self._templar = templar
        self._loader = loader
        # Trusted as templates, like the files of any role.
        self._load = functools.cache(lambda path: loader.load_from_file(str(path), trusted_as_template=True))

    def check(self, role: str, problems: list[str] | None = None, query: Query | None = None) -> Check:
        """Return the settings of a role on this host. Problems of their types are added to the list."""
        defaults = self._load(ROLES / role / "defaults/main.yml") or {}
        merged = {**defaults, **self.variables}
        site = self._templar.copy_with_new_env(available_variables=merged)
        without_site = self._templar.copy_with_new_env(available_variables={**merged, **defaults})

        def template(name: str, default: bool = False) -> Any:
            return without_site.template(defaults.get(name)) if default else site.template(merged.get(name))

        settings = read_settings(role, self._load, template, self.variables)
        if problems is not None:
            problems += settings.problems
        return Check(role, settings.values, self.run, settings.shared_names, query, self._read)

    def _read(self, path: str) -> bytes:
        # This encoding has every byte.
        return self._loader.get_text_file_contents(path, "latin-1").encode("latin-1")


def read_run(variables: Mapping[str, Any]) -> Run:
    """Return what the run knows of the inventory and its hosts."""
    groups = {name: list(hosts) for name, hosts in variables.get("groups", {}).items()}
    own = variables.get("inventory_hostname", "")
    hostvars = variables.get("hostvars", {})
    kube_host = str(variables.get("egi_notebooks_kube_host") or "")
    run = Run(own, groups, kube_host=kube_host)
    names = [*run.nodes, *run.members("nfs_servers"), kube_host, own]
    hosts = {name: read_host(hostvars[name]) for name in dict.fromkeys(names) if name in hostvars}
    hosts.setdefault(own, read_host(variables))
    return Run(own, groups, hosts, kube_host)


def read_host(variables: Mapping[str, Any]) -> Host:
    """Return what the run knows of a host."""
    facts = variables.get("ansible_facts") or {}
    return Host(
        node=facts.get("egi_notebooks_node") or None,
        address=str(variables.get("egi_notebooks_node_address") or ""),
        endpoint=str(variables.get("egi_notebooks_kube_endpoint") or ""),
    )
