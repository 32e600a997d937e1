# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role's argument_specs.yml, which is its documentation, describes what its defaults/main.yml does.

A `default` in a specification is a literal: the value that defaults/main.yml has for a site that sets nothing. A
variable whose default depends on the inventory, on facts or on what a site must set has no `default`; a sentence that
begins with "By default" describes it.
"""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml
from ansible.errors import AnsibleError

ROLES = sorted(path for path in (pathlib.Path(__file__).resolve().parents[3] / "roles").glob("*") if path.is_dir())
#: What differs from host to host or comes from the inventory.
INVENTORY = re.compile(r"\b(ansible_facts|groups|hostvars|inventory_hostname)\b")
#: Set by a run, not by a site.
INTERNAL = {"egi_notebooks_node", "egi_notebooks_preflight_passed"}
MISSING = object()


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request) -> pathlib.Path:
    return request.param


def load(path: pathlib.Path) -> dict:
    return (yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None) or {}


def entry_points(role: pathlib.Path) -> dict:
    return load(role / "meta/argument_specs.yml")["argument_specs"]


def is_of_the_inventory(name: str, defaults: dict) -> bool:
    """Return whether a default, or another default of the role that it uses, depends on the inventory or on facts."""
    text = str(defaults[name])
    used = [other for other in defaults if other != name and re.search(rf"\b{other}\b", text)]
    return bool(INVENTORY.search(text)) or any(is_of_the_inventory(other, defaults) for other in used)


def default_problem(name: str, option: dict, defaults: dict, render) -> str | None:
    """Return what is wrong with one variable's default in the specification."""
    documented = option.get("default", MISSING)
    if "{{" in str(documented):
        return f"{name}: default must be a literal; got {documented}"
    if name not in defaults:
        return None if option.get("required") else f"{name}: missing in defaults/main.yml and not required"
    if documented is not MISSING and is_of_the_inventory(name, defaults):
        return f"{name}: default must not be given, it depends on the inventory or on facts"
    if documented is MISSING and "{{" in str(defaults[name]):
        described = "By default" in str(option["description"])
        return None if described else f"{name}: default must be given, or a sentence that begins with 'By default'"
    try:
        actual = render(name)
    except AnsibleError as error:
        return f"{name}: defaults/main.yml fails for a site that sets nothing: {error}"
    if documented is MISSING:
        return f"{name}: default must be given; it is {actual!r}"
    return None if documented == actual else f"{name}: default must be {actual!r}; got {documented!r}"


def test_defaults_are_literals_and_those_of_a_site_that_sets_nothing(role, render_role):
    options, defaults = entry_points(role)["main"]["options"], load(role / "defaults/main.yml")
    found = [f"{name}: missing in argument_specs.yml" for name in defaults if name not in options]
    for name, option in options.items():
        problem = default_problem(name, option, defaults, lambda variable: render_role(role.name, variable))
        found += [problem] if problem else []
    assert not found, "\n".join(found)


def test_public_variables_carry_the_role_s_name(role):
    names = {*load(role / "defaults/main.yml"), *entry_points(role)["main"]["options"]}
    assert [name for name in names if not name.startswith(f"{role.name}_")] == []
    assert [name for name in load(role / "vars/main.yml") if not name.startswith(f"__{role.name}_")] == []


def test_every_entry_point_is_documented_and_exists(role):
    for name, entry in entry_points(role).items():
        assert (role / "tasks" / f"{name}.yml").exists()
        assert entry["short_description"]
        assert entry["description"]
        for option, details in entry.get("options", {}).items():
            assert {"type", "description"} <= set(details), option


def test_other_entry_points_take_the_same_options(role):
    entries = entry_points(role)
    for name, entry in entries.items():
        for option, details in entry.get("options", {}).items():
            assert details == entries["main"]["options"].get(option), f"{name}: {option}"


def test_the_main_entry_point_has_an_example_play(role):
    (play,) = yaml.safe_load(entry_points(role)["main"].get("examples", "[{}]"))
    assert f"egi.notebooks.{role.name}" in str(play.get("roles")), "examples must be a play that uses the role"


def test_shared_variables_are_documented(role, root):
    used = set(re.findall(r"\begi_notebooks_\w+", (role / "defaults/main.yml").read_text(encoding="utf-8")))
    documented = re.findall(r"`(egi_notebooks_\w+)`", (root / "docs/variables.md").read_text(encoding="utf-8"))
    assert used - INTERNAL <= set(documented)


def test_metadata_are_the_collection_s(role):
    meta = load(role / "meta/main.yml")
    info = meta["galaxy_info"]
    assert meta["dependencies"] == []
    assert "role_name" not in info
    assert (info["author"], info["license"]) == ("EGI Notebooks team", "GPL-3.0-or-later")
    assert info["min_ansible_version"] == "2.19"
    assert {(system["name"], *system["versions"]) for system in info["platforms"]} == {
        ("Debian", "trixie"),
        ("Ubuntu", "noble"),
    }
