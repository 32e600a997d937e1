# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that downloads and installs programs, against files of this machine."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.egi.notebooks.plugins.modules import artifact_install


@pytest.fixture
def site(tmp_path):
    """A place to download from, with a program, an archive and upstream's kinds of checksum file."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "tool").write_bytes(b"#!/bin/sh\necho tool\n")
    with tarfile.open(source / "pack.tgz", "w:gz") as tar:
        for name in ("./", "./bin/one", "./bin/two"):
            member = tarfile.TarInfo(name)
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            else:
                member.size, member.mode = 4, 0o755
                tar.addfile(member, io.BytesIO(b"prog"))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in source.iterdir()}
    (source / "tool.sha256").write_text(digests["tool"])
    (source / "SUMS").write_text("".join(f"{digest} *./{name}\n" for name, digest in digests.items()))
    return source


@pytest.fixture
def run(capsys, tmp_path):
    """Run the module; return its answer."""

    def call(*artifacts, check=False):
        arguments = {
            "artifacts": list(artifacts),
            "state_dir": str(tmp_path / "state"),
            "_ansible_check_mode": check,
        }
        with patch_module_args(arguments), pytest.raises(SystemExit):
            artifact_install.main()
        return json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def flaky(monkeypatch):
    """A server that answers each question with the next of `answers`; the last one is for all further ones."""
    monkeypatch.setattr(artifact_install, "PAUSES", (0, 0))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, length, body = server.answers[0] if len(server.answers) == 1 else server.answers.pop(0)
            server.asked += 1
            if status is None:
                return
            self.send_response(status)
            if length is None:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.url = 0, f"http://127.0.0.1:{server.server_port}/tool"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def artifacts(site, tmp_path):
    """One program and one archive."""
    tool = {
        "name": "tool",
        "version": "1",
        "url": (site / "tool").as_uri(),
        "checksum": f"sha256:{(site / 'tool.sha256').as_uri()}",
        "path": str(tmp_path / "bin" / "tool"),
    }
    pack = {
        "name": "pack",
        "url": (site / "pack.tgz").as_uri(),
        "checksum": f"sha256:{(site / 'SUMS').as_uri()}",
        "path": str(tmp_path / "opt"),
        "unpack": True,
    }
    return tool, pack


def test_artifacts_are_installed_kept_and_repaired(run, artifacts, tmp_path):
    tool, one = tmp_path / "bin" / "tool", tmp_path / "opt" / "bin" / "one"
    assert run(*artifacts, check=True)["installed"] == ["tool", "pack"]
    assert not tool.exists()
    assert run(*artifacts)["installed"] == ["tool", "pack"]
    assert tool.stat().st_mode & 0o777 == one.stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in (tmp_path / "opt").rglob("*")) == ["bin", "one", "two"]
    assert run(*artifacts) == {**run(*artifacts, check=True), "changed": False, "installed": []}

    one.write_text("somebody's")
    assert run(*artifacts)["installed"] == ["pack"]
    assert one.read_text() == "prog"
    tool.unlink()
    assert run(*artifacts)["installed"] == ["tool"]


def test_what_a_killed_download_left_is_deleted_by_the_next(run, artifacts):
    tool, pack = (pathlib.Path(one["path"]) for one in artifacts)
    leftovers = [tool.parent / ".artifact-abc", pack / ".artifact-def", pack / "bin/.artifact-ghi"]
    for path in leftovers:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert run(*artifacts, check=True)["changed"]
    assert all(path.exists() for path in leftovers)
    assert run(*artifacts)["installed"]
    assert not any(path.exists() for path in leftovers)


def test_a_host_that_is_right_needs_no_network(run, artifacts, site):
    run(*artifacts)
    for path in site.iterdir():
        path.unlink()
    assert not run(*artifacts)["changed"]


def test_a_new_address_or_a_new_pinned_checksum_installs_again(run, artifacts, site):
    tool, pack = artifacts
    run(tool)
    (site / "tool-2").write_bytes(b"two")
    newer = {**tool, "url": (site / "tool-2").as_uri(), "checksum": ""}
    assert run(newer)["installed"] == ["tool"]
    assert not run({**newer, "checksum": "sha256:" + hashlib.sha256(b"two").hexdigest().upper()})["changed"]
    answer = run({**newer, "checksum": "sha256:" + "0" * 64})
    assert answer["failed"]
    assert "must have SHA-256 0000" in answer["msg"]
    assert "Nothing was installed" in answer["msg"]


def test_the_same_bytes_from_another_address_are_left_in_place(run, artifacts, site):
    for artifact in artifacts:
        run(artifact)
        source = site / artifact["url"].rsplit("/", 1)[-1]
        copy = source.with_name(f"copy-of-{source.name}")
        copy.write_bytes(source.read_bytes())
        moved = {**artifact, "url": copy.as_uri(), "checksum": ""}
        place = pathlib.Path(artifact["path"])
        paths = [path for path in (place, *place.rglob("*")) if path.is_file()]
        before = {path: path.stat().st_ino for path in paths}
        assert run(moved)["changed"]
        assert {path: path.stat().st_ino for path in paths} == before
        assert not run(moved)["changed"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "file:///nowhere/tool", "checksum": ""}, "file:///nowhere/tool cannot be fetched"),
        ({"checksum": "sha256:nonsense"}, "The checksum of tool must be 'sha256:' and 64"),
        ({"unpack": True}, "is not a readable tar archive"),
    ],
)
def test_a_failure_says_what_and_leaves_nothing(run, artifacts, tmp_path, change, message):
    answer = run({**artifacts[0], **change})
    assert answer["failed"]
    assert message in answer["msg"]
    assert [path for path in (tmp_path / "bin").rglob("*") if path.is_file()] == []


def test_what_was_installed_beside_a_failure_is_told(run, artifacts):
    tool, pack = artifacts
    broken = {**tool, "name": "broken", "url": "file:///nowhere/tool", "checksum": ""}
    answer = run(broken, tool, pack)
    assert answer["failed"]
    assert "file:///nowhere/tool cannot be fetched" in answer["msg"]
    assert (answer["changed"], answer["installed"]) == (True, ["tool", "pack"])
    answer = run(broken, tool, pack)
    assert answer["failed"]
    assert (answer["changed"], answer["installed"]) == (False, [])


def test_a_checksum_file_without_the_name_is_refused(run, artifacts, site):
    (site / "SUMS").write_text("ab  other\ncd  others\n")
    assert "has no checksum for" in run(artifacts[1])["msg"]


def test_an_archive_cannot_write_outside_its_directory(run, site, tmp_path):
    with tarfile.open(site / "evil.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("../evil"))
    evil = {"name": "evil", "url": (site / "evil.tar").as_uri(), "checksum": "", "path": str(tmp_path / "opt")}
    assert "is outside of" in run({**evil, "unpack": True})["msg"]
    assert not (tmp_path / "evil").exists()


WHOLE = (200, 5, b"tool\n")
CUT, CUT_CHUNKS, CLOSED = (200, 5, b"to"), (200, None, b"5\r\nto"), (None, 0, b"")


def remote(artifacts, flaky) -> dict:
    checksum = "sha256:" + hashlib.sha256(b"tool\n").hexdigest()
    return {**artifacts[0], "url": flaky.url, "checksum": checksum}


@pytest.mark.parametrize("trouble", [(502, 0, b""), (429, 0, b""), CLOSED, CUT, CUT_CHUNKS])
def test_a_download_is_tried_again_where_that_may_help(run, artifacts, flaky, trouble):
    flaky.answers = [trouble, trouble, WHOLE]
    answer = run(remote(artifacts, flaky))
    assert answer["changed"], answer
    assert pathlib.Path(artifacts[0]["path"]).read_bytes() == b"tool\n"
    assert flaky.asked == 3


@pytest.mark.parametrize(
    ("answer", "asked", "message"),
    [
        ((404, 0, b""), 1, " answered 404 Not Found."),
        ((200, 4, b"evil"), 1, " must have SHA-256 "),
        ((503, 0, b""), 3, " answered 503 Service Unavailable."),
        (CLOSED, 3, " cannot be fetched: "),
        (CUT, 3, " cannot be fetched: "),
        (CUT_CHUNKS, 3, " cannot be fetched: IncompleteRead("),
    ],
)
def test_a_download_that_fails_for_good_says_why(run, artifacts, flaky, answer, asked, message):
    flaky.answers = [answer]
    said = run(remote(artifacts, flaky))
    assert said["failed"]
    assert said["msg"].startswith(flaky.url + message)
    assert "\n" not in said["msg"]
    assert flaky.asked == asked
    assert not pathlib.Path(artifacts[0]["path"]).exists()


def test_files_are_on_the_disk_before_their_names_and_the_record(run, artifacts, monkeypatch, tmp_path):
    """A power cut must leave neither an empty program nor a record of one."""
    on_disk, renamed = [], []
    rename, sync = os.replace, os.fsync

    def noted_sync(handle):
        on_disk.append(os.fstat(handle).st_ino)
        sync(handle)

    def noted_rename(source, target):
        if "state" in str(target):
            assert {pathlib.Path(path).parent.stat().st_ino for path in renamed} <= set(on_disk)
        else:
            renamed.append(target)
        assert os.stat(source).st_ino in on_disk
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_rename)
    for artifact in artifacts:
        assert run(artifact)["changed"]
    assert len(renamed) == 3
    assert len(list((tmp_path / "state").glob("*.json"))) == 2
