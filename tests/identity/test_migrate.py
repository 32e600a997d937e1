# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From plain user names to short ones, as docs/identity.md tells it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml
from access import PROJECT
from faults import extra, pick_home
from people import VO, mapper, urn
from runs import Run, playbook

CONFIRMED = extra(egi_notebooks_migrate_confirm="notebooks.lab.test")


def done(name: str, *arguments: str) -> Run:
    result = playbook(name, *arguments)
    assert result.status == 0, result.failures
    return result


@contextmanager
def plain_names() -> Iterator[None]:
    """The hub of a service whose users have plain names."""
    settings = yaml.safe_load((PROJECT / "inventories/lab/group_vars/all.yml").read_text())["jupyterhub_oauth"]
    try:
        done("service", *extra(jupyterhub_oauth=settings | {"user_names": "preferred_username"}))
        yield
    finally:
        done("service")


def plain_names_of_any_letters_work(lab, person):
    """Case 4."""
    with mapper("profile", "preferred_username", **{"user.attribute": "chosen_name"}):
        for name in ("Žofía.Ω", "o'brien+x y", "名前"):
            somebody = person(urn(VO), chosen_name=[name]).log_in()
            assert somebody.name == name.lower()
            somebody.start()
            assert somebody.owns(somebody.pod())
            home = pick_home(lab, somebody)
            somebody.stop()
            lab.run("nfs", f"rm -rf {shlex.quote(home)}")
        page = person(urn(VO), chosen_name=["https://example.org/me"]).visit()
        assert page.status_code == 403
        assert "can&#39;t be a user name here" in page.text


@pytest.mark.harsh
def test_home_and_user_get_the_short_name_together(lab, person):
    with plain_names():
        member = person(urn(VO)).log_in()
        plain = member.name
        assert plain == member.login_name
        member.start()
        member.write("kept.txt", "mine")
        home = pick_home(lab, member)

        # Who has a server stays.
        assert f"{plain} -> " not in done("migrate_users").output
        assert done("migrate_users", *CONFIRMED).changes == []
        member.stop()

        report = done("migrate_users")
        assert f"{plain} -> egi" in report.output
        assert report.changes == []
        assert lab.run("nfs", f"cat {home}/kept.txt") == "mine"

        moved = done("migrate_users", *CONFIRMED)
        assert [change.split(": ", 1)[1] for change in moved.changes] == [
            "Rename the home",
            "Rename the user in the hub",
        ]
        assert member.log_in().name != plain
        assert lab.run("nfs", f"cat /srv/homes/{member.name}/kept.txt") == "mine"
        assert lab.ssh("nfs", f"test -e {home}").returncode != 0
        member.start()
        assert member.read("kept.txt") == "mine"
        member.stop()
        assert done("migrate_users", *CONFIRMED).changes == []
        forgotten = person(urn(VO)).log_in()
        plain_names_of_any_letters_work(lab, person)

    assert forgotten.visit().status_code == 403
    name = member.name
    assert member.log_in().name == name
    member.start()
    assert member.read("kept.txt") == "mine"
