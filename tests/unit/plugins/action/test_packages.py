# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages are installed, how a busy package manager is waited for, and how an interrupted one is helped."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.action import packages


class Host:
    """Stands for the host: it answers as apt and dpkg do, and notes what was called."""

    def __init__(self, *answers, check_mode=False):
        self.answers, self.calls, self.check_mode = list(answers), [], check_mode

    def execute(self, module_name, module_args, task_vars):
        self.calls.append((module_name.removeprefix("ansible.builtin."), module_args))
        return self.answers.pop(0)


@pytest.fixture
def install(monkeypatch):
    """Return a function that installs packages on a host where `present` are installed."""
    monkeypatch.setattr(packages.time, "sleep", lambda _: None)

    def call(host, *names, present=(), interrupted=False, facts=True, lock_timeout=600):
        action = packages.ActionModule.__new__(packages.ActionModule)
        arguments = {"name": list(names), "lock_timeout": lock_timeout}
        monkeypatch.setattr(packages.ActionBase, "run", lambda *_: {})
        monkeypatch.setattr(action, "validate_argument_spec", lambda **_: (None, arguments), raising=False)
        monkeypatch.setattr(action, "_execute_module", host.execute, raising=False)
        action._task = type("Task", (), {"check_mode": host.check_mode})()
        node = {"packages": list(present), "packages_interrupted": interrupted}
        return action.run(task_vars={"ansible_facts": {"egi_notebooks_node": node} if facts else {}})

    return call


def test_nothing_is_called_where_all_packages_are_installed(install):
    host = Host()
    assert install(host, "socat", present=["socat", "kmod"]) == {"changed": False, "installed": []}
    assert host.calls == []


@pytest.mark.parametrize("facts", [True, False])
def test_only_missing_packages_are_installed(install, facts):
    host = Host({"changed": True, "stdout": "x"})
    found = install(host, "socat", "kmod", present=["kmod"], facts=facts, lock_timeout=60)
    missing = ["socat"] if facts else ["kmod", "socat"]
    assert (found["changed"], found["installed"]) == (True, missing)
    ((module, arguments),) = host.calls
    assert (module, arguments["name"], arguments["install_recommends"]) == ("apt", missing, False)
    assert (arguments["update_cache"], arguments["cache_valid_time"], arguments["lock_timeout"]) == (True, 3600, 60)


def test_a_failure_of_apt_is_one_of_the_task(install):
    found = install(Host({"failed": True, "msg": "no space left"}), "socat")
    assert (found["failed"], found["msg"]) == (True, "no space left")


def test_in_check_mode_a_new_host_has_no_package_lists(install):
    unknown = {"failed": True, "msg": "No package matching 'socat' is available"}
    found = install(Host(unknown, check_mode=True), "socat")
    assert (found["changed"], found.get("failed"), found["installed"]) == (True, None, ["socat"])
    assert install(Host(unknown), "socat")["failed"]
    assert install(Host({"failed": True, "msg": "x"}, check_mode=True), "socat")["failed"]


def test_an_interrupted_dpkg_is_helped_before_packages_are_installed(install):
    host = Host({"rc": 0, "changed": True}, {"changed": True})
    assert install(host, "socat", interrupted=True)["changed"]
    (command, arguments), (apt, _) = host.calls
    assert (command, apt) == ("command", "apt")
    assert arguments["_raw_params"].endswith("dpkg --configure --pending --force-confold")


def test_an_interrupted_dpkg_is_helped_where_all_packages_are_installed(install):
    host = Host({"rc": 0, "changed": True})
    assert install(host, "socat", present=["socat"], interrupted=True) == {"changed": True, "installed": []}
    assert len(host.calls) == 1


def test_whoever_holds_dpkg_s_lock_is_waited_for(install):
    locked = {"rc": 2, "failed": True, "stderr": "dpkg frontend lock was locked by another process"}
    host = Host(locked, locked, {"rc": 0})
    assert install(host, "socat", present=["socat"], interrupted=True)["changed"]
    assert len(host.calls) == 3


@pytest.mark.parametrize(
    "answer",
    [
        {"rc": 2, "failed": True, "stderr": "broken package", "msg": "non-zero return code"},
        {"failed": True, "msg": "broken package"},
        {"unreachable": True, "msg": "broken package"},
    ],
)
def test_a_dpkg_that_can_t_finish_fails_with_its_reason(install, answer):
    found = install(Host(answer), "socat", interrupted=True, lock_timeout=-1)
    assert found["failed"]
    assert found["msg"] == "dpkg can't finish an interrupted run: broken package"


@pytest.mark.parametrize("present", [[], ["socat"]])
def test_check_mode_finishes_nothing(install, present):
    host = Host({"changed": True}, check_mode=True)
    found = install(host, "socat", present=present, interrupted=True)
    assert found["changed"]
    assert [module for module, _ in host.calls] == ([] if present else ["apt"])
