# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of docs/architecture.md and docs/style.md that a search can check. Each test reports every place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
PRODUCT = ("plugins", "roles", "playbooks")
#: With the documentation in specs and modules. A change that needs more explains why.
MOST_LINES = 19_000


def files(*folders: str, suffixes: tuple[str, ...] = (".yml", ".py", ".j2", ".sh", ".html")) -> list[Path]:
    """Return the collection's files below some folders."""
    found = (path for folder in folders for top in ROOT.glob(folder) for path in top.rglob("*"))
    return sorted(path for path in found if path.suffix in suffixes and "__pycache__" not in path.parts)


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def places(paths: list[Path], pattern: str) -> Iterator[tuple[Path, str, str]]:
    """Yield file, place and text of each match outside of comments."""
    for path in paths:
        for number, line in enumerate(lines(path), 1):
            if not line.lstrip().startswith("#"):
                for match in re.finditer(pattern, line):
                    yield path, f"{path.relative_to(ROOT)}:{number}", match[0]


def report(found: list[str]) -> None:
    assert not found, "\n".join([f"{len(found)} places", *found])


def owner(name: str) -> str | None:
    """Return the role that a variable belongs to: the longest role name that it begins with."""
    return max((role for role in ROLES if name.lstrip("_").startswith(f"{role}_")), key=len, default=None)


def test_jinja_statements_are_in_templates_alone():
    folders = [f"roles/*/{kind}" for kind in ("vars", "defaults", "tasks", "handlers", "meta")]
    found = places(files(*folders, "playbooks", suffixes=(".yml",)), r"\{%")
    report([place for _, place, _ in found])


@pytest.mark.parametrize(
    ("folders", "suffix", "most"),
    [(("roles/*/vars",), ".yml", 100), (("plugins", "roles"), ".py", 400)],
)
def test_files_are_short(folders, suffix, most):
    sizes = {path: len(lines(path)) for path in files(*folders, suffixes=(suffix,))}
    report([f"{path.relative_to(ROOT)}: {size} lines, at most {most}" for path, size in sizes.items() if size > most])


def test_the_product_does_not_grow():
    size = sum(len(lines(path)) for path in files(*PRODUCT))
    assert size <= MOST_LINES


@pytest.mark.parametrize("role", ROLES)
def test_a_role_uses_its_own_variables_alone(role):
    pattern = r"(?<![\w./-])_{0,2}(?:" + "|".join(ROLES) + r")_[a-z]\w*"
    mine = [path for path in files(f"roles/{role}", suffixes=(".yml", ".j2")) if "meta" not in path.parts]
    report([f"{place} {name}" for _, place, name in places(mine, pattern) if owner(name) != role])


def test_playbooks_use_no_internal_variables_of_roles():
    pattern = r"(?<!\w)__(?:" + "|".join(ROLES) + r")_\w+"
    report([f"{place} {name}" for _, place, name in places(files("playbooks"), pattern)])


def test_messages_say_what_must_be():
    found = places(files(*PRODUCT), r"; allowed (?:is|are|for)\b")
    report([place for _, place, _ in found])


@pytest.mark.parametrize("role", ROLES)
def test_a_role_owns_its_whole_life(role):
    existing = {path.stem for path in (ROOT / "roles" / role / "tasks").glob("*.yml")}
    assert {"main", "problems", "verify", "remove"} - existing == set()
