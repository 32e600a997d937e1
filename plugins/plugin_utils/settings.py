# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a role, as its argument specification and its defaults declare them."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.egi.notebooks.plugins.plugin_utils.check import must

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
#: A default that comes from a variable that roles share.
SHARED = re.compile(r"\{\{ (egi_notebooks_\w+)\s+\| default\(")
#: Keys of an option in a role's specification that are documentation.
DESCRIBING_KEYS = ("description", "version_added")
EMPTY = {"str": "", "path": "", "int": 0, "float": 0.0, "bool": False, "list": [], "dict": {}}


class Settings(Mapping[str, Any]):
    """The settings of a role by variable. Each is evaluated when it is first read."""

    def __init__(
        self, role: str, load: Callable[[pathlib.Path], Any], template: Callable[..., Any], given: Mapping[str, Any]
    ) -> None:
        """Take the function that reads a YAML file of the role, and the host's variables before evaluation.

        `template` returns a variable's value, on request the role's default.
        """
        self._options = load(ROLES / role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
        self._template = template
        self._read: dict[str, tuple[Any, str]] = {}
        #: By a variable of the role, the shared variable that its value comes from.
        self.shared_names = shared_names(load(ROLES / role / "defaults/main.yml") or {}, given)

    def __iter__(self) -> Iterator[str]:
        """Return the names of the variables."""
        return iter(self._options)

    def __len__(self) -> int:
        """Return the number of the variables."""
        return len(self._options)

    def __getitem__(self, name: str) -> Any:
        """Return a setting with the type of the specification."""
        return self._setting(name)[0]

    @property
    def problems(self) -> list[str]:
        """What is wrong with the types of all settings."""
        return [problem for _value, problem in map(self._setting, self) if problem]

    def _setting(self, name: str) -> tuple[Any, str]:
        """Return a setting, and what is wrong with its type."""
        if name not in self._read:
            option = self._options[name]
            shown_name = self.shared_names.get(name, name)
            value, problem = _checked(shown_name, _argument(option), lambda: self._template(name))
            if problem:
                # The checks go on with a good value.
                value = _good_value(name, option, lambda: self._template(name, default=True))
            self._read[name] = (value, problem)
        return self._read[name]


def shared_names(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Return the shared variable for each variable of a role that the site has not set itself."""
    found = {name: SHARED.match(str(default)) for name, default in defaults.items()}
    return {
        name: match[1]
        for name, match in found.items()
        # Within the role its defaults are among the variables.
        if match and given.get(name, defaults[name]) == defaults[name]
    }


def _good_value(name: str, option: Mapping[str, Any], evaluate: Callable[[], Any]) -> Any:
    """Return the default of an option, or an empty value of its type: a default may come from the wrong variable."""
    if "default" in option:
        return option["default"]
    value, problem = _checked(name, _argument(option), evaluate)
    return EMPTY.get(option.get("type", "str")) if problem else value


def _argument(option: Mapping[str, Any]) -> dict[str, Any]:
    """Return an option of a role's specification as the validator takes it."""
    argument = {key: value for key, value in option.items() if key not in (*DESCRIBING_KEYS, "default", "required")}
    if "options" in argument:
        argument["options"] = {
            name: {key: value for key, value in nested.items() if key not in DESCRIBING_KEYS}
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
