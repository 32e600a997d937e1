# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts are built: those that are missing, or made of something else than now."""

from __future__ import annotations

import pytest
import yaml

from lab import build


@pytest.fixture
def tree(monkeypatch, tmp_path):
    """Two parts, the second of which needs the first."""
    monkeypatch.setattr(build, "LAB", tmp_path / "lab")
    monkeypatch.setattr(build, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(build, "TOOLS", {"sh": "a shell"})
    recipes = tmp_path / "lab/recipes"
    recipes.mkdir(parents=True)
    (recipes / "lib.sh").touch()
    (recipes / "flour.sh").write_text('echo $VERSION >"$OUT/flour"; echo x >>"$CACHE/flour"')
    (recipes / "bread.sh").write_text('cat "$DEP_flour/flour" - >"$OUT/bread"; echo x >>"$CACHE/bread"')
    parts = {"flour": {"version": 1}, "bread": {"version": 1, "needs": ["flour"]}}
    (tmp_path / "lab/parts.yml").write_text(yaml.safe_dump(parts))
    return tmp_path


def times(tree, name: str) -> int:
    return (tree / "cache" / name).read_text().count("x")


def test_a_part_is_built_once_and_anew_when_what_it_is_made_of_changes(tree):
    (tree / "lab/recipes/flour.sh").touch()
    made = build.build()
    assert (made["bread"] / "bread").read_text() == "1\n"
    assert build.build() == made
    assert (times(tree, "flour"), times(tree, "bread")) == (1, 1)
    with (tree / "lab/recipes/bread.sh").open("a") as recipe:
        recipe.write("\n# finer")
    build.build()
    assert (times(tree, "flour"), times(tree, "bread")) == (1, 2)
    with (tree / "lab/recipes/flour.sh").open("a") as recipe:
        recipe.write("\n# finer")
    again = build.build()
    assert (times(tree, "flour"), times(tree, "bread")) == (2, 3)
    assert set(again.values()).isdisjoint(made.values())


def test_a_part_that_fails_is_named_with_its_log_and_leaves_nothing(tree):
    (tree / "lab/recipes/flour.sh").write_text('touch "$OUT/half"; echo no grain; exit 3')
    with pytest.raises(build.BuildError, match=r"part flour failed \(exit 3\), log .*/flour.log:\nno grain"):
        build.build()
    assert list((tree / "cache/parts").iterdir()) == []


def test_what_the_machine_or_the_list_lacks_is_said_first(tree, monkeypatch):
    with pytest.raises(build.BuildError, match="unknown part cake; known: bread, flour"):
        build.build(["cake"])
    monkeypatch.setattr(build, "TOOLS", {"no-such-mill": "a mill"})
    with pytest.raises(build.BuildError, match="this machine lacks a mill"):
        build.build()
    assert not (tree / "cache").exists()
