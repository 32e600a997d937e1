# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the NFS server is started again, with a systemctl that says what the test wants."""

from __future__ import annotations

import json
import time

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.egi.notebooks.plugins.modules import current_services

SYSTEMCTL = """#!/bin/sh
case $* in
    "show --timestamp=unix --property=ExecMainStartTimestamp --value nfs-server.service") cat %(folder)s/started ;;
    "--quiet is-enabled nfs-server.service") exit %(disabled)d ;;
    "--quiet is-active nfs-server.service") exit %(stopped)d ;;
    *) echo "$*" >>%(folder)s/log ;;
esac
"""


@pytest.fixture
def service(monkeypatch, capsys, tmp_path):
    """Return a function that runs the module on a host and gives whether it reports a change, and what it ran."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    folders = (tmp_path / "etc", tmp_path / "usr")
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(current_services, "UNITS", str(folders[0]))
    monkeypatch.setattr(current_services, "UNIT_FOLDERS", tuple(map(str, folders)))

    def call(config=True, unit=True, disabled=False, stopped=False, seconds=60, check=False):
        tool = tmp_path / "systemctl"
        tool.write_text(SYSTEMCTL % {"folder": tmp_path, "disabled": disabled, "stopped": stopped})
        tool.chmod(0o755)
        (tmp_path / "started").write_text(f"@{int(time.time()) + seconds}\n")
        if unit:
            (folders[1] / "nfs-server.service").touch()
        if config:
            (tmp_path / "egi-notebooks.conf").touch()
        services = [{"name": "nfs-server", "files": [f"{tmp_path}/egi-notebooks.conf"]}]
        with patch_module_args({"services": services, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            current_services.main()
        log = tmp_path / "log"
        ran = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return json.loads(capsys.readouterr().out)["changed"], ran

    return call


RESTART = ["daemon-reload", "restart nfs-server.service"]


def test_a_server_that_is_older_than_its_settings_is_restarted(service):
    assert service(seconds=60) == (False, [])
    assert service(seconds=-60) == (True, RESTART)
    assert service(seconds=-60, check=True) == (True, [])


def test_a_server_that_does_not_run_is_started(service):
    assert service(stopped=True) == (True, RESTART)


def test_a_server_that_only_is_disabled_is_not_interrupted(service):
    assert service(disabled=True) == (True, ["daemon-reload", "enable --quiet nfs-server.service"])


def test_check_mode_reports_nothing_where_the_packages_are_still_missing(service):
    assert service(unit=False, config=False, check=True) == (False, [])


def test_check_mode_reports_the_restart_of_a_server_without_our_settings(service):
    assert service(config=False, check=True) == (True, [])


def test_the_unit_s_own_settings_count(service, tmp_path):
    drop_in = tmp_path / "etc/nfs-server.service.d"
    drop_in.mkdir()
    (drop_in / "egi-notebooks.conf").touch()
    assert service(config=False, seconds=-60) == (True, RESTART)
