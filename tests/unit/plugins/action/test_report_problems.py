# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that reports the problems of all hosts at once."""

from __future__ import annotations

import pytest

GROUPS = {"masters": ["m"], "edges": ["e"], "workers": ["w"], "nfs_servers": ["n"], "all": ["m", "e", "w", "n"]}
HOSTS = GROUPS["all"]


@pytest.fixture
def report(act):
    """Return a function that reports the problems of a play, given by what the hosts have registered."""

    def call(answers: dict[str, dict], left=(), groups=GROUPS, **arguments):
        variables = {
            "inventory_hostname": "m",
            "groups": groups,
            "hostvars": {host: answers.get(host, {}) for host in groups["all"]},
            "ansible_play_hosts_all": HOSTS,
            "ansible_play_hosts": [host for host in HOSTS if host not in left],
        }
        return act("report_problems", {"facts": "gathered", "checks": "checked"} | arguments, variables)

    return call


def test_a_run_without_problems_goes_on(report):
    answer = report({"m": {"gathered": {"ansible_facts": {}}, "checked": {"problems": []}}})
    assert (answer["failed"], answer["changed"], answer["msg"]) == (False, False, "No problems were found.")
    assert report({}, success="All is well.")["msg"] == "All is well."


def test_all_problems_of_all_hosts_are_in_one_message(report):
    answer = report(
        {
            "m": {"checked": {"problems": ["memory is 1 MB.", "clock is wrong."]}},
            "e": {"checked": {"problems": ["memory is 1 MB."]}},
            "w": {"gathered": {"unreachable": True, "msg": "no route"}, "checked": {"problems": ["port is in use."]}},
            # Skipped by a condition.
            "n": {"gathered": {"skipped": True}},
        }
    )
    assert answer["failed"]
    lines = answer["msg"].splitlines()
    assert lines[:2] == ["m, e: memory is 1 MB.", "m: clock is wrong."]
    assert lines[2].startswith("w: host is unreachable: no route. Ansible must be able to log in")
    assert lines[3:] == ["w: port is in use."]


def test_a_host_that_was_lost_in_the_play_is_reported_once(report):
    answers = {"w": {"gathered": {"unreachable": True, "msg": "no route"}}}
    lines = report(answers, left=["w", "e"])["msg"].splitlines()
    assert lines[0] == "e: host was lost in this run; see the message above."
    assert [line.partition(":")[0] for line in lines] == ["e", "w"]


@pytest.mark.parametrize(
    ("hostvars", "is_good"),
    [({}, False), ({"m": {"nfs_volumes_server": "n"}}, True), ({"n": {"nfs_volumes_server": "n"}}, False)],
)
def test_the_groups_are_checked_with_the_settings_of_the_host_that_calls_the_api(report, hostvars, is_good):
    groups = GROUPS | {"nfs_servers": ["n", "w"]}
    assert report(hostvars, groups=groups)["msg"] == "No problems were found."
    answer = report(hostvars, groups=groups, inventory=True)
    assert answer["failed"] is not is_good
    assert answer["msg"].startswith("No problems" if is_good else "nfs_servers must be a group of one host")
