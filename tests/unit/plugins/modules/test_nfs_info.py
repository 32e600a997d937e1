# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of an export on a host that consists of files, with programs that print what the test wants."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.host import files
from ansible_collections.egi.notebooks.plugins.modules import nfs_info

XFS = {"device": "vdb", "type": "xfs", "uuid": "1", "label": "egi-homes"}
FINISHED = "inprogress = 0\nicount = 64\nifree = 61\n"
NONE = {"state": "none", "uuid": "", "signatures": [], "error": "", "mounted": False, "hides": ""}


@pytest.fixture
def info(run, monkeypatch, tmp_path):
    """Return a function that runs the module with wipefs and xfs_db as given, and files of the host."""
    monkeypatch.setattr(files, "ROOT", str(tmp_path))

    def call(signatures=None, superblock=FINISHED, error="", content=(), xfs_db="xfs_db", **options):
        programs = {
            "wipefs": (int(bool(error)), json.dumps({"signatures": signatures}) if signatures else "", error),
            "xfs_db": (0, superblock, ""),
        }
        commands = []

        def run_command(_module, command):
            commands.append(command)
            return programs[command[0]]

        monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda _, name, **__: xfs_db if name == "xfs_db" else name)
        monkeypatch.setattr(AnsibleModule, "run_command", run_command)
        for name, text in dict(content).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        answer = run(nfs_info, check=True, ca_path=None, **options)
        assert answer["changed"] is False
        return answer | {"commands": commands}

    return call


@pytest.fixture
def disk(info):
    """Return a function that gives what is on a disk."""

    def call(*arguments, **options):
        given = {"path": "/srv/homes", "disk": "/dev/no-such-disk", "label": "egi-homes"} | options
        return info(*arguments, **given)["disk"]

    return call


def test_without_a_disk_no_program_is_run(info):
    assert info(path="/srv/homes")["disk"] == NONE
    assert info()["commands"] == []


def test_a_disk_that_can_t_be_read(disk):
    assert disk(error="wipefs: error: no such file\n") == NONE | {
        "state": "missing",
        "error": "wipefs: error: no such file",
    }


def test_an_empty_disk(disk):
    assert disk() == disk([]) == NONE | {"state": "empty"}
    found = disk(content={"srv/homes/anna/file": "", "srv/homes/zoe": ""})
    assert found == NONE | {"state": "empty", "hides": "/srv/homes/anna"}


@pytest.mark.parametrize(
    ("signatures", "kinds"),
    [
        ([{"type": "ext4", "label": "egi-homes"}], ["ext4"]),
        ([XFS | {"label": "others"}], ["xfs"]),
        ([{"type": "xfs"}], ["xfs"]),
        ([XFS, {"type": "dos"}], ["xfs", "dos"]),
    ],
)
def test_a_disk_of_others(disk, signatures, kinds):
    assert disk(signatures, content={"srv/homes/anna": ""}) == NONE | {"state": "foreign", "signatures": kinds}


@pytest.mark.parametrize(
    ("superblock", "state"),
    [
        ("inprogress = 1\nicount = 0\nifree = 0\n", "unfinished"),
        ("inprogress = 1\nicount = 64\nifree = 61\n", "unfinished"),
        # A copy of a file system with one file, which was interrupted.
        ("inprogress = 1\nicount = 64\nifree = 60\n", "ours"),
        (FINISHED, "ours"),
        # xfs_db prints nothing.
        ("", "ours"),
    ],
)
def test_a_disk_of_ours_is_unfinished_only_if_mkfs_never_completed_it(disk, superblock, state):
    found = disk([XFS], superblock, content={"srv/homes/anna": ""})
    hides = "/srv/homes/anna" if state == "unfinished" else ""
    assert found == NONE | {"state": state, "signatures": ["xfs"], "uuid": "1", "hides": hides}


def test_a_disk_of_ours_on_a_host_without_xfs_db_is_finished(disk):
    assert disk([XFS], xfs_db=None)["state"] == "ours"


def test_a_disk_is_mounted_if_its_number_is_that_of_the_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", "")
    assert not nfs_info.is_mounted("/dev/no-such-disk", str(tmp_path))
    assert not nfs_info.is_mounted("/dev/null", str(tmp_path))
    status = os.stat(tmp_path)
    numbers = {"/dev/x": SimpleNamespace(st_rdev=status.st_dev)}
    monkeypatch.setattr("os.stat", lambda path: numbers.get(path, status))
    assert nfs_info.is_mounted("/dev/x", str(tmp_path))


@pytest.mark.parametrize(
    ("table", "entry"),
    [
        ("UUID=1 /srv/homes xfs defaults 0 0\n", {"source": "UUID=1", "type": "xfs", "options": "defaults"}),
        ("UUID=1\t/srv/homes/\txfs\n", {"source": "UUID=1", "type": "xfs", "options": ""}),
        ("# UUID=1 /srv/homes xfs defaults 0 0\n#UUID=1 /srv/homes xfs x\n\nUUID=2 /srv xfs x\nodd\n", {}),
        ("", {}),
    ],
)
def test_the_mount_at_boot(info, table, entry):
    assert info(path="/srv/homes", content={"etc/fstab": table})["fstab"] == entry


def test_owner_and_mode_of_the_directory(info, tmp_path):
    assert info(path="/srv/homes")["directory"] == {}
    (tmp_path / "srv/homes").mkdir(parents=True)
    (tmp_path / "srv/homes").chmod(0o2750)
    status = (tmp_path / "srv/homes").stat()
    found = info(path="/srv/homes")["directory"]
    assert found == {"uid": status.st_uid, "gid": status.st_gid, "mode": "2750"}


def test_what_the_server_exports_now(info):
    found = info(path="/srv/homes")
    assert (found["exported_to"], found["threads"]) == ([], 0)
    table = "/srv/homes\t192.0.2.12(rw,sync)\n/srv/homes\t127.0.0.0/8(rw)\n/srv/others\t192.0.2.1(ro)\n"
    found = info(path="/srv/homes", content={"var/lib/nfs/etab": table, "proc/fs/nfsd/threads": "8\n"})
    assert (found["exported_to"], found["threads"]) == (["127.0.0.0/8", "192.0.2.12"], 8)


def test_addresses_of_names(info, monkeypatch):
    monkeypatch.setattr(nfs_info, "resolve", lambda name: {"b": ["192.0.2.12"]}.get(name, []))
    assert info(names=["b", "c"])["addresses"] == {"b": ["192.0.2.12"], "c": []}
