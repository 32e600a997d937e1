# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Surveys of AWX, made of the roles' argument specifications."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.egi.notebooks.plugins.plugin_utils.check import shown
from ansible_collections.egi.notebooks.plugins.plugin_utils.settings import ROLES, SHARED

#: By type of an option, the type of a question of AWX.
QUESTIONS = {"str": "text", "path": "text", "int": "integer", "float": "float"}
#: Ansible's marks in descriptions, such as V(false), O(name=value) and P(a.b.c#filter).
MARKS = re.compile(r"\b[A-Z]+\(([^)#=]+)[^)]*\)")

Options = Mapping[str, list[Mapping[str, Any]]]


def shared_options(load: Callable[[pathlib.Path], Any]) -> Options:
    """Return, for each shared variable, the options of roles whose defaults come from it. `load` reads a YAML file."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for folder in sorted(ROLES.glob("*/defaults")):
        options = load(folder.parent / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
        for name, default in (load(folder / "main.yml") or {}).items():
            match = SHARED.match(str(default))
            if match and name in options:
                found.setdefault(match[1], []).append(options[name])
    return found


def survey(names: Iterable[str], options: Options, site: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the questions about those shared variables that have a value: the site's own or the roles' default.

    Raise ValueError for a variable that no survey can ask for.
    """
    problems = [problem for name in names for problem in question_problems(name, options)]
    if problems:
        raise ValueError(" ".join(problems))
    values = {name: site.get(name, literal_default(options[name])) for name in names}
    return [question(name, options[name][0], value) for name, value in values.items() if value not in ("", None)]


def question_problems(name: str, options: Options) -> list[str]:
    """Return why a survey can't ask for a variable."""
    if name not in options:
        return [f"The survey must ask for shared variables of the roles; got {shown(name)}."]
    option = options[name][0]
    kind = option.get("type", "str")
    if kind in QUESTIONS or "choices" in option:
        return []
    return [f"{name} must stay in the inventory: its type is {kind}, and answers of surveys are texts and numbers."]


def literal_default(options: Iterable[Mapping[str, Any]]) -> Any:
    """Return the default on which all roles agree; none where they don't or where it is a template."""
    defaults = [option.get("default") for option in options]
    return defaults[0] if all(item == defaults[0] for item in defaults) and "{{" not in str(defaults[0]) else None


def question(name: str, option: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Return a question of AWX about a variable."""
    texts = option["description"] if isinstance(option["description"], list) else [option["description"]]
    sentences = [text.rstrip(".") for text in MARKS.sub(r"\1", " ".join(texts)).split(". ")]
    # How the role gets the value is no answer to the question.
    first, *more = [text for text in sentences if name not in text] or sentences
    kind = "multiplechoice" if "choices" in option else QUESTIONS[option.get("type", "str")]
    number = {"integer": int, "float": float}.get(kind, str)
    asked = {
        "variable": name,
        "question_name": first,
        "question_description": ". ".join([*more, name]),
        "type": kind,
        "required": False,
        "default": number(value),
    }
    return asked | ({"choices": list(option["choices"])} if "choices" in option else {})
