# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold for every entitlement, tried on generated ones."""

from __future__ import annotations

import contextlib

import pytest

pytest.importorskip("hypothesis")

from hypothesis import assume, example, given
from hypothesis import strategies as st

from ansible_collections.egi.notebooks.plugins.filter.checkin_entitlement import checkin_entitlement
from ansible_collections.egi.notebooks.plugins.filter.parse_entitlement import parse_entitlement
from ansible_collections.egi.notebooks.plugins.module_utils.entitlement import (
    MAX_ENTITLEMENT,
    EntitlementError,
    group_name,
    group_names,
    parse,
    parse_any,
)

NAMES = st.text(min_size=1, max_size=12).filter(str.isprintable)
PATHS = st.lists(NAMES, min_size=1, max_size=4)
ROLES = st.none() | NAMES
#: Text that has some of what the parser looks for.
PIECES = st.sampled_from(
    ["urn", "URN", ":", "mace", "egi.eu", "group", "res", "act", "role=", "%", "%41", "%ff", "#", "?+", "?=", "vo", ","]
)
NEARLY = st.lists(PIECES | st.text(max_size=3), max_size=20).map("".join)
ANYTHING = st.text(max_size=200) | NEARLY | NEARLY.map("urn:mace:egi.eu:group:".__add__)


@given(ANYTHING)
@example("urn:mace:egi.eu:group:" + "%" * 100)
def test_there_is_one_error_and_no_other(text):
    with contextlib.suppress(EntitlementError):
        parse_any(text)
    assert isinstance(group_names({"entitlements": [text]}), list)


@given(ANYTHING)
def test_what_is_accepted_means_the_same_when_it_is_written_anew(text):
    try:
        found = parse(text)
    except EntitlementError:
        return
    # Percent-encoding makes it longer.
    assume(len(str(found)) <= MAX_ENTITLEMENT)
    assert parse(str(found)) == found


@given(PATHS, ROLES, st.sampled_from(["", "aai.egi.eu", "x:y/z"]))
def test_what_is_written_is_read_back(path, role, authority):
    urn = checkin_entitlement(path[0], path[1:], role, authority=authority)
    found = parse_entitlement(urn)
    assert (found["group"], found["role"], found["authority"]) == (path, role, authority or None)
    assert urn.isascii()


@given(PATHS, ROLES, PATHS, ROLES)
@example(["vo"], None, ["v\u043e"], None)
@example(["a", "b"], None, ["a/b"], None)
@example(["a"], "b", ["a", "role=b"], None)
@example(["\u00e9"], None, ["e\u0301"], None)
@example(["vo"], None, ["VO"], None)
@example(["a"], "b:role=c", ["a:role=b"], "c")
def test_what_differs_has_different_names(path, role, other_path, other_role):
    same = (path, role) == (other_path, other_role)
    assert (group_name(path, role) == group_name(other_path, other_role)) is same
    written = checkin_entitlement(path[0], path[1:], role)
    assert (parse(written).name == group_name(other_path, other_role)) is same


@given(PATHS, ROLES)
def test_a_namespace_that_is_not_trusted_gives_nothing(path, role):
    urn = checkin_entitlement(path[0], path[1:], role, namespace="urn:mace:egi.eu:other")
    assert group_names({"entitlements": [urn], "eduperson_entitlement": [urn]}) == []
