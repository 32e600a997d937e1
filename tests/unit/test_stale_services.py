# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles find out about services by themselves, with a systemctl that says what the test wants."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

SYSTEMCTL = """#!/bin/sh
case $* in
    "show --property=ExecMainStartTimestamp --value "*) cat %(folder)s/started ;;
    "--quiet is-active "* | "--quiet is-enabled "*) grep --quiet --line-regexp "$3" %(folder)s/running ;;
    *) echo "systemctl $*" >&2; exit 9 ;;
esac
"""
UNITS = "etc/systemd/system"


@pytest.fixture
def stale(render_role, tmp_path):
    """Return a function that gives what a role's script prints on a machine with these files and running services."""
    tool = tmp_path / "systemctl"
    tool.write_text(SYSTEMCTL % {"folder": tmp_path})
    tool.chmod(0o755)

    def call(role: str, template: str, *files: str, running=(), started: float = 0) -> list[str]:
        script = render_role(role, f"lookup('ansible.builtin.template', role_path ~ '/templates/{template}')")
        for folder in ("/etc/", "/usr/local/", "/var/lib/"):
            script = script.replace(folder, f"{tmp_path}{folder}")
        for name in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "running").write_text("".join(f"{unit}\n" for unit in running))
        (tmp_path / "started").write_text(time.strftime("%a %Y-%m-%d %H:%M:%S %Z\n", time.localtime(started)))
        environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        run = subprocess.run(["sh", "-c", script], text=True, env=environment, capture_output=True, check=False)
        assert (run.stderr, run.returncode) == ("", 0)
        return run.stdout.split()

    return call


@pytest.mark.parametrize(
    ("files", "running", "said"),
    [
        # A dry run on a machine where a run was killed between the programs and the units.
        (["usr/local/bin/containerd", "usr/local/bin/kubelet"], [], []),
        ([f"{UNITS}/containerd.service"], [], ["containerd"]),
        ([f"{UNITS}/containerd.service", f"{UNITS}/kubelet.service"], ["containerd"], ["kubelet"]),
        ([f"{UNITS}/containerd.service", f"{UNITS}/kubelet.service"], ["containerd", "kubelet"], []),
    ],
)
def test_services_of_a_node_that_are_off_are_found_where_they_are_there(stale, files, running, said):
    assert stale("kube_node", "stale_services.sh.j2", *files, running=running, started=time.time() + 60) == said


def test_services_of_a_node_that_are_older_than_their_files_are_found(stale):
    units = [f"{UNITS}/containerd.service", f"{UNITS}/kubelet.service", "var/lib/kubelet/config.yaml"]
    both = ["containerd", "kubelet"]
    assert stale("kube_node", "stale_services.sh.j2", *units, running=both, started=time.time() - 60) == both
