# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types that settings of a role must have, as its argument specification declares them."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import settings as module

OPTIONS = {
    "role_count": {"type": "int", "description": "d", "default": 1, "required": True, "version_added": "1"},
    "role_kind": {"choices": ["a", "b"], "default": "a"},
    "role_items": {"type": "list", "elements": "dict", "options": {"size": {"type": "int", "description": ["d"]}}},
    "role_mirror": {"type": "str", "default": ""},
    "role_hosts": {"type": "list"},
}
DEFAULTS = {
    "role_count": 1,
    "role_kind": "a",
    "role_items": [],
    "role_mirror": "{{ egi_notebooks_mirror | default('') }}",
    "role_hosts": "{{ egi_notebooks_hosts | default(groups['all']) }}",
}


@pytest.fixture
def read():
    """Return a function that reads the settings of a role with these options, defaults and variables."""

    def load(path):
        return {"argument_specs": {"main": {"options": OPTIONS}}} if path.name == "argument_specs.yml" else DEFAULTS

    def call(evaluated=None, **given):
        def template(name, default=False):
            if evaluated is not None:
                evaluated.append(name)
            if name in ("role_mirror", "role_hosts") and (default or name not in given):
                return given.get(f"egi_notebooks_{name[5:]}", "" if name == "role_mirror" else ["a"])
            return DEFAULTS[name] if default else given.get(name, DEFAULTS.get(name))

        return module.Settings("role", load, template, given)

    return call


def test_values_have_the_types_of_the_specification(read):
    found = read(role_count="5", role_items=[{"size": "3"}])
    assert dict(found) == {
        "role_count": 5,
        "role_kind": "a",
        "role_items": [{"size": 3}],
        "role_mirror": "",
        "role_hosts": ["a"],
    }
    assert found.problems == []


def test_a_setting_is_evaluated_when_it_is_first_read(read):
    evaluated: list[str] = []
    found = read(evaluated, role_count="many")
    assert [found["role_kind"], found["role_kind"]] == ["a", "a"]
    assert evaluated == ["role_kind"]
    assert len(found) == len(OPTIONS)


@pytest.mark.parametrize(
    ("given", "problem", "value"),
    [
        ({"role_count": "many"}, 'role_count must be of type int; got "many".', 1),
        ({"role_kind": "c"}, 'role_kind must be one of a, b; got "c".', "a"),
        ({"role_items": [{"sise": 1}]}, "role_items must be of type list (role_items.sise", []),
        ({"role_items": [{"size": "x"}]}, "role_items must be of type list (", []),
    ],
)
def test_a_wrong_value_is_one_problem(read, given, problem, value):
    found = read(**given)
    (text,) = found.problems
    assert text.startswith(problem)
    assert found[next(iter(given))] == value


def test_a_wrong_shared_variable_is_named_and_not_used(read):
    found = read(egi_notebooks_mirror={"a": 1}, egi_notebooks_hosts={"b": 2})
    assert found.problems == [
        'egi_notebooks_hosts must be of type list; got {"b": 2}.',
    ]
    assert found["role_hosts"] == []
    # The default without the shared variable, where the site has set the role's own.
    assert read(role_hosts={"b": 2})["role_hosts"] == ["a"]


def test_the_shared_variable_is_named_unless_the_site_has_set_the_role_s_own(read):
    names = {"role_mirror": "egi_notebooks_mirror", "role_hosts": "egi_notebooks_hosts"}
    assert read(egi_notebooks_mirror="m").shared_names == read().shared_names == names
    assert read(egi_notebooks_mirror="m", role_mirror="own").shared_names == {"role_hosts": "egi_notebooks_hosts"}
