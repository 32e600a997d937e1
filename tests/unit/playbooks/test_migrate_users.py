# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that moves users to short names, with a hub that is a script."""

from __future__ import annotations

import json

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import migrate_users

PLAN = {
    "moves": [
        {"name": "marta", "new_name": "egim", "home": "marta", "new_home": "egim", "person": "Marta, m@x.eu"},
        {"name": "a@b.eu", "new_name": "egia", "home": "a-40b-2eeu", "new_home": "egia", "person": "no name, a@b.eu"},
    ],
    "stays": [{"name": "silent", "why": "has not logged in"}],
}
HUB = """#!/bin/sh
case "$*" in *" --namespace=own exec "*) ;; *) exit 1 ;; esac
case "$*" in
  *" report") cat "$0.plan" ;;
  *" check a@b.eu egia") test ! -e "$0.busy" || { echo "a@b.eu has a server" >&2; exit 1; } ;;
  *" check "*) ;;
  *" rename a@b.eu egia")
    if test -e "$0.started"; then mkdir -p "$(cat "$0.started")"; echo "a@b.eu has a server" >&2; exit 1; fi
    test ! -e "$0.broken" || { echo "the hub answers 500" >&2; exit 1; }
    test -e "$0.renamed" || echo "$*" >>"$0.log"
    touch "$0.renamed"
    # The answer to the first tries gets lost.
    if test -s "$0.lost"; then sed -i 1d "$0.lost"; exit 1; fi ;;
  *" rename "*) echo "$*" >>"$0.log" ;;
  *" which a@b.eu egia") test ! -e "$0.mute" || exit 1; test -e "$0.renamed" && echo egia || echo a@b.eu ;;
  *) exit 1 ;;
esac
"""


@pytest.fixture
def site(ansible_playbook, tmp_path):
    """A site on this machine: a function that runs the playbook, and the folder of the homes."""
    homes = tmp_path / "homes"
    for name in ("marta", "a-40b-2eeu", "silent"):
        (homes / name).mkdir(parents=True)
        (homes / name / "whose").write_text(name)
    kubectl = tmp_path / "bin/kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(HUB)
    kubectl.chmod(0o755)
    (tmp_path / "bin/kubectl.plan").write_text(json.dumps(PLAN))
    groups = {"masters": {"hosts": {"m": {"jupyterhub_namespace": "own"}}}, "nfs_servers": {"hosts": {"n": {}}}}
    settings = {"egi_notebooks_domain": "n.example.org", "nfs_server_path": str(homes)}
    hasty = ("-e", "migrate_retry_delay=0")

    def run(*arguments: str):
        return ansible_playbook(
            tmp_path, "migrate_users", *hasty, *arguments, groups=groups, site=settings, tools=kubectl.parent
        )

    return run, homes, kubectl


def whose(homes) -> dict[str, str]:
    return {path.name: (path / "whose").read_text() for path in homes.iterdir()}


CONFIRM = ("-e", "egi_notebooks_migrate_confirm=n.example.org")


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, ["--kubeconfig=/etc/kubernetes/admin.conf", "--namespace=jupyterhub"]),
        (
            {"egi_notebooks_kubeconfig": "/shared", "egi_notebooks_namespace": "shared"},
            ["--kubeconfig=/shared", "--namespace=shared"],
        ),
        (
            {"egi_notebooks_kubeconfig": "/shared", "jupyterhub_kubeconfig": "/own", "jupyterhub_namespace": "own"},
            ["--kubeconfig=/own", "--namespace=own"],
        ),
    ],
)
def test_the_hub_is_the_one_of_the_role(read_reader, given, asked):
    assert migrate_users.hub_command(read_reader(groups={"masters": ["a"]}, **given))[1:3] == asked


@pytest.mark.parametrize(
    ("confirm", "servers", "is_confirmed", "problems"),
    [
        ("", [], False, 0),
        ("n.example", ["n"], False, 0),
        ("n.example.org", ["n"], True, 0),
        ("n.example.org", [], True, 1),
        ("n.example.org", ["n", "n2"], True, 1),
    ],
)
def test_users_move_if_that_is_confirmed_and_one_host_has_the_homes(
    read_reader, confirm, servers, is_confirmed, problems
):
    reader = read_reader(groups={"masters": ["a"], "nfs_servers": servers})
    found = migrate_users.settings(reader, "n.example.org", confirm)
    assert (found["is_confirmed"], len(found["problems"])) == (is_confirmed, problems)
    # Without the service's name nothing can be confirmed.
    assert not migrate_users.settings(reader)["is_confirmed"]


def test_the_report_is_one_line_a_user(read_reader):
    assert migrate_users.report_lines(read_reader(), json.dumps(PLAN)) == [
        "marta -> egim, now of Marta, m@x.eu",
        "a@b.eu -> egia, now of no name, a@b.eu",
        "silent has not logged in",
    ]


def test_two_homes_of_one_user_are_a_problem_and_a_half_moved_one_is_not(read_reader):
    def found(*names):
        paths = [f"/srv/own/{name}" for name in names]
        return migrate_users.home_problems(read_reader(nfs_server_path="/srv/own"), PLAN["moves"], paths)

    assert found("marta", "a-40b-2eeu", "egi") == []
    assert found("egim", "a-40b-2eeu") == []
    (problem,) = found("marta", "a-40b-2eeu", "egia")
    assert problem.startswith("/srv/own has a-40b-2eeu and also egia, its new name.")


def test_nobody_is_moved_until_it_is_confirmed_and_then_once(site):
    run, homes, kubectl = site
    before = whose(homes)
    for arguments in ((), ("-e", "egi_notebooks_migrate_confirm=yes")):
        result = run(*arguments)
        assert result.status == 0, result.output
        moves = ("marta -> egim, now of Marta, m@x.eu", "a@b.eu -> egia, now of no name, a@b.eu")
        for text in (*moves, "silent has not logged in", "Nothing has been changed"):
            assert text in result.output
        assert whose(homes) == before
    result = run(*CONFIRM)
    assert result.status == 0, result.output
    assert whose(homes) == {"egim": "marta", "egia": "a-40b-2eeu", "silent": "silent"}
    assert [line.split()[-3:] for line in kubectl.with_suffix(".log").read_text().splitlines()] == [
        ["rename", "marta", "egim"],
        ["rename", "a@b.eu", "egia"],
    ]


@pytest.mark.parametrize(
    ("state", "why"), [(".broken", "the hub answers 500"), (".busy", "a@b.eu has a server")], ids=["refused", "busy"]
)
def test_a_user_whom_the_hub_does_not_rename_keeps_the_old_home(site, state, why):
    """Such as one who has started a server meanwhile."""
    run, homes, kubectl = site
    kubectl.with_suffix(state).touch()
    result = run(*CONFIRM)
    assert result.status != 0
    assert f"a@b.eu was not moved and has the old home. {why}" in result.output
    assert whose(homes) == {"egim": "marta", "a-40b-2eeu": "a-40b-2eeu", "silent": "silent"}


@pytest.mark.parametrize("answers", [1, 99])
def test_a_user_whom_the_hub_has_renamed_has_the_new_home_though_answers_got_lost(site, answers):
    run, homes, kubectl = site
    kubectl.with_suffix(".lost").write_text("x\n" * answers)
    result = run(*CONFIRM)
    assert result.status == 0, result.output
    assert whose(homes) == {"egim": "marta", "egia": "a-40b-2eeu", "silent": "silent"}


def test_a_server_that_starts_in_the_midst_of_a_move_makes_no_home_disappear(site):
    run, homes, kubectl = site
    started = kubectl.with_suffix(".started")
    started.write_text(str(homes / "a-40b-2eeu"))
    result = run(*CONFIRM)
    assert result.status != 0
    assert "a@b.eu was not moved, and a server that was started meanwhile has created an empty home." in result.output
    assert f"The files are in {homes}/egia." in result.output
    assert (homes / "egia/whose").read_text() == "a-40b-2eeu"
    started.unlink()
    # Not before somebody has looked into the new one.
    assert "has a-40b-2eeu and also egia, its new name" in run(*CONFIRM).output
    (homes / "a-40b-2eeu").rmdir()
    kubectl.with_suffix(".plan").write_text(json.dumps(PLAN | {"moves": PLAN["moves"][1:]}))
    assert run(*CONFIRM).status == 0
    assert (homes / "egia/whose").read_text() == "a-40b-2eeu"
    assert "rename a@b.eu egia" in kubectl.with_suffix(".log").read_text()


def test_homes_that_are_on_no_machine_of_the_inventory_move_nobody(ansible_playbook, tmp_path):
    played = ansible_playbook(
        tmp_path, "migrate_users", *CONFIRM, groups={"masters": {"hosts": {"m": {}}}},
        site={"egi_notebooks_domain": "n.example.org"},
    )  # fmt: skip
    assert played.status != 0
    assert "nfs_servers must be a group of one host, which has the homes; got []" in played.output


def test_a_home_stays_where_it_is_while_the_hub_does_not_say_whose_it_is(site):
    run, homes, kubectl = site
    for state in (".broken", ".mute"):
        kubectl.with_suffix(state).touch()
    result = run(*CONFIRM)
    assert result.status != 0
    assert "Whether a@b.eu was moved is unknown" in result.output
    assert whose(homes)["egia"] == "a-40b-2eeu"
    for state in (".broken", ".mute"):
        kubectl.with_suffix(state).unlink()
    # As the hub's next report has it: marta was moved.
    kubectl.with_suffix(".plan").write_text(json.dumps(PLAN | {"moves": PLAN["moves"][1:]}))
    assert run(*CONFIRM).status == 0
    assert whose(homes) == {"egim": "marta", "egia": "a-40b-2eeu", "silent": "silent"}


def test_a_home_that_is_there_already_stops_all_and_a_half_moved_one_goes_on(site):
    run, homes, _ = site
    (homes / "egia").mkdir()
    (homes / "egia/whose").write_text("another")
    result = run(*CONFIRM)
    assert result.status != 0
    assert "has a-40b-2eeu and also egia, its new name" in result.output
    assert whose(homes)["marta"] == "marta"
    # As a run that was interrupted leaves it.
    (homes / "a-40b-2eeu/whose").unlink()
    (homes / "a-40b-2eeu").rmdir()
    assert run(*CONFIRM).status == 0
    assert whose(homes) == {"egim": "marta", "egia": "another", "silent": "silent"}
