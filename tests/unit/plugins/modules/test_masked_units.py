# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Masked units, with folders of a test in place of systemd's."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.modules import masked_units

#: Prints as systemctl does: a line for each unit, and code 3 unless all are active.
SYSTEMCTL = """#!/bin/sh
case $1 in
    is-active)
        shift
        for unit; do if grep -qx "$unit" %(folder)s/running; then echo active; else echo inactive; fi; done
        exit 3 ;;
    *) echo "$*" >>%(folder)s/calls ;;
esac
"""
UNITS = ["rpcbind.socket", "rpcbind.service"]


@pytest.fixture
def units(run, monkeypatch, tmp_path):
    """Return a function that runs the module, and gives the changed units and what systemctl was called with."""
    folder = tmp_path / "system"
    folder.mkdir()
    monkeypatch.setattr(masked_units, "FOLDER", str(folder))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "systemctl").write_text(SYSTEMCTL % {"folder": tmp_path})
    (tmp_path / "systemctl").chmod(0o755)

    def call(*running, check=False, **options):
        calls = tmp_path / "calls"
        calls.write_text("")
        (tmp_path / "running").write_text("".join(f"{unit}\n" for unit in running))
        found = run(masked_units, check, ca_path=None, **({"name": UNITS} | options))
        assert found["changed"] == bool(found["changed_units"])
        return found["changed_units"], calls.read_text().splitlines()

    call.folder = folder
    return call


def test_units_are_masked_before_their_package_comes_and_only_once(units):
    assert units(check=True) == (sorted(UNITS), [])
    assert list(units.folder.iterdir()) == []
    assert units() == (sorted(UNITS), ["daemon-reload"])
    for name in UNITS:
        assert (units.folder / name).read_bytes() == b""
        assert (units.folder / name).stat().st_mode & 0o777 == 0o644
    assert units() == ([], [])


def test_a_unit_that_runs_is_stopped(units):
    assert units("rpcbind.socket") == (sorted(UNITS), ["daemon-reload", "stop rpcbind.socket"])
    assert units("rpcbind.service", check=True) == (["rpcbind.service"], [])
    assert units("rpcbind.service") == (["rpcbind.service"], ["stop rpcbind.service"])


def test_a_mask_of_the_site_stays(units):
    (units.folder / "rpcbind.socket").symlink_to("/dev/null")
    assert units() == (["rpcbind.service"], ["daemon-reload"])
    assert units(state="absent") == (["rpcbind.service"], ["daemon-reload"])
    assert (units.folder / "rpcbind.socket").is_symlink()
    assert not (units.folder / "rpcbind.service").exists()


def test_masks_are_removed_once(units):
    units()
    assert units(state="absent", check=True) == (sorted(UNITS), [])
    assert units(state="absent") == (sorted(UNITS), ["daemon-reload"])
    assert units(state="absent") == ([], [])
    assert list(units.folder.iterdir()) == []


def test_a_unit_of_the_site_is_not_removed(units):
    own = units.folder / "rpcbind.service"
    own.write_text("[Service]\n")
    assert units(state="absent") == ([], [])
    assert own.read_text() == "[Service]\n"


def test_a_unit_that_somebody_wrote_is_masked_too(units):
    (units.folder / "rpcbind.service").write_text("[Service]\n")
    assert units() == (sorted(UNITS), ["daemon-reload"])
    assert (units.folder / "rpcbind.service").read_bytes() == b""
