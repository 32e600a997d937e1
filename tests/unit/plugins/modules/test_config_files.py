# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that writes configuration files."""

from __future__ import annotations

import json
import os
import pathlib

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.egi.notebooks.plugins.modules import config_files


@pytest.fixture
def run(capsys):
    """Run the module with these files; return its answer and whether it failed."""

    def call(files, check=False):
        with patch_module_args({"files": files, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            config_files.main()
        return json.loads(capsys.readouterr().out)

    return call


def test_files_are_created_kept_changed_and_removed(run, tmp_path):
    first, second = tmp_path / "deep" / "a.conf", tmp_path / "b.conf"
    files = [{"path": str(first), "content": "one\n"}, {"path": str(second), "content": "two\n", "mode": "0600"}]
    paths = [str(first), str(second)]

    assert run(files, check=True)["changed_paths"] == paths
    assert not first.exists()
    assert run(files)["changed_paths"] == paths
    assert (first.read_text(), first.stat().st_mode & 0o777) == ("one\n", 0o644)
    assert second.stat().st_mode & 0o777 == 0o600
    for check in (False, True):
        assert run(files, check) == {**run(files), "changed": False, "changed_paths": []}

    files[0]["content"] = "three\n"
    assert run(files, check=True)["changed_paths"] == [str(first)]
    assert first.read_text() == "one\n"
    assert run(files)["diff"][0]["after"] == "three\n"

    files[1]["mode"] = "0640"
    assert run(files)["changed_paths"] == [str(second)]
    assert second.stat().st_mode & 0o777 == 0o640

    files[0] = {"path": str(first), "state": "absent"}
    assert run(files, check=True)["changed"]
    assert first.exists()
    assert run(files)["changed"]
    assert not first.exists()
    assert not run(files)["changed"]


@pytest.mark.parametrize("old", [None, "before\n"])
def test_a_file_is_never_there_under_another_mode(run, tmp_path, monkeypatch, old):
    path = tmp_path / "secret"
    if old:
        path.write_text(old)
        path.chmod(0o600)
    seen = []

    def watched(real):
        def call(*arguments, **options):
            real(*arguments, **options)
            if path.exists():
                seen.append((path.read_text(), path.stat().st_mode & 0o777))

        return call

    for name in ("chmod", "fchmod", "rename", "replace"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    assert run([{"path": str(path), "content": "after\n", "mode": "0600"}])["changed"]
    assert set(seen) <= {(old, 0o600), ("after\n", 0o600)}
    assert ("after\n", 0o600) in seen
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


def test_a_file_has_its_label_before_its_name(run, tmp_path, monkeypatch):
    path, seen = tmp_path / "x.conf", []
    monkeypatch.setattr(config_files.AnsibleModule, "selinux_default_context", lambda _, name: [name])

    def label(_, name, context, changed):
        seen.append((pathlib.Path(name).parent, context, path.exists()))
        return changed

    monkeypatch.setattr(config_files.AnsibleModule, "set_context_if_different", label)
    assert run([{"path": str(path), "content": "x\n"}])["changed"]
    assert seen == [(tmp_path, [str(path)], False)]


def test_a_sensitive_file_is_not_shown(run, tmp_path):
    answer = run([{"path": str(tmp_path / "x"), "content": "secret-thing\n", "sensitive": True}])
    assert "secret-thing" not in json.dumps(answer["diff"])


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"path": "/x", "mode": "rw"}, "The mode of /x must be an octal number such as '0644'; got 'rw'"),
        ({"path": "relative"}, "path must be an absolute path; got 'relative'"),
        ({"path": "/dev/null/x", "content": "x"}, "Cannot write /dev/null/x"),
    ],
)
def test_what_cannot_be_written_is_named(run, file, message):
    answer = run([file])
    assert answer["failed"]
    assert message in answer["msg"]
