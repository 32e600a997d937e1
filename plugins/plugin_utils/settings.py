# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a role, as its argument specification and its defaults declare them."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.egi.notebooks.plugins.plugin_utils.check import must

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
#: A default that comes from a variable that roles share.
SHARED = re.compile(r"\{\{ (egi_notebooks_\w+)\s+\| default\(")
#: Keys of an option in a role's specification that are documentation.
DOCUMENTATION = ("description", "version_added")


@dataclass
class Settings:
    """Values by variable, the shared variables that some come from, and what is wrong with their types."""

    values: dict[str, Any] = field(default_factory=dict)
    shared_names: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_settings(
    role: str, load: Callable[[pathlib.Path], Any], template: Callable[..., Any], given: Mapping
) -> Settings:
    """Return the settings of a role.

    `load` reads a YAML file of the role. `template` returns a variable's value, on request the role's default.
    `given` are the variables of the host.
    """
    options = load(ROLES / role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = load(ROLES / role / "defaults/main.yml") or {}
    settings = Settings()
    for name, option in options.items():
        value, problem = _checked(name, _argument(option), lambda name=name: template(name))
        if problem:
            settings.problems.append(problem)
            # The other checks go on with the default.
            value, _problem = _checked(name, _argument(option), lambda name=name: template(name, default=True))
        settings.values[name] = value
        match = SHARED.match(str(defaults.get(name, "")))
        if match and match[1] in given and value == template(match[1]):
            settings.shared_names[name] = match[1]
    for full, shared in settings.shared_names.items():
        settings.problems = [re.sub(rf"^{full} ", f"{shared} ", problem) for problem in settings.problems]
    return settings


def _argument(option: Mapping[str, Any]) -> dict[str, Any]:
    """Return an option of a role's specification as the validator takes it."""
    argument = {key: value for key, value in option.items() if key not in (*DOCUMENTATION, "default", "required")}
    if "options" in argument:
        argument["options"] = {
            name: {key: value for key, value in nested.items() if key not in DOCUMENTATION}
            for name, nested in argument["options"].items()
        }
    return argument


def _checked(name: str, argument: dict[str, Any], evaluate: Callable[[], Any]) -> tuple[Any, str]:
    """Return a value as its type has it, and a message where it can't be."""
    try:
        value = evaluate()
    except AnsibleError as error:
        return None, f"{name} can't be evaluated: {' '.join(str(error).split())}"
    result = ArgumentSpecValidator({name: argument}).validate({name: value})
    if result.error_messages:
        kind = argument.get("type", "str")
        rule = f"one of {', '.join(argument['choices'])}" if "choices" in argument else f"of type {kind}"
        if "options" in argument:
            rule += f" ({'; '.join(result.error_messages)})"
        return value, must(name, rule, value)
    return result.validated_parameters[name], ""
