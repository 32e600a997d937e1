# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role's argument_specs.yml, which is its documentation, says what its defaults/main.yml does."""

from __future__ import annotations

import pathlib

import pytest
import yaml

ROLES = sorted(path for path in (pathlib.Path(__file__).resolve().parents[2] / "roles").glob("*") if path.is_dir())


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request) -> pathlib.Path:
    return request.param


def load(path: pathlib.Path) -> dict:
    return (yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None) or {}


def entry_points(role: pathlib.Path) -> dict:
    return load(role / "meta/argument_specs.yml")["argument_specs"]


def test_defaults_are_those_of_the_specification(role):
    documented = {
        name: option["default"] for name, option in entry_points(role)["main"]["options"].items() if "default" in option
    }
    assert load(role / "defaults/main.yml") == documented


def test_public_variables_carry_the_role_s_name(role):
    names = {*load(role / "defaults/main.yml"), *entry_points(role)["main"]["options"]}
    assert [name for name in names if not name.startswith(f"{role.name}_")] == []
    assert [name for name in load(role / "vars/main.yml") if not name.startswith(f"__{role.name}_")] == []


def test_every_entry_point_is_documented_and_there(role):
    for name, entry in entry_points(role).items():
        assert (role / "tasks" / f"{name}.yml").exists()
        assert entry["short_description"]
        assert entry["description"]
        for option, details in entry.get("options", {}).items():
            assert {"type", "description"} <= set(details), option
            assert "default" in details or details.get("required"), f"{option} has neither a default nor required: true"


def test_other_entry_points_take_the_same_options(role):
    entries = entry_points(role)
    for name, entry in entries.items():
        for option, details in entry.get("options", {}).items():
            assert details == entries["main"]["options"].get(option), f"{name}: {option}"


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
