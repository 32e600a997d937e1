# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entitlements of AARC-G002 and AARC-G069, and the group names made of them."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.egi.notebooks.plugins.module_utils.entitlement import (
    EntitlementError,
    group_name,
    group_names,
    is_namespace,
    parse,
    parse_any,
)

MEMBER = "urn:mace:egi.eu:group:vo.notebooks.egi.eu:role=member#aai.egi.eu"
VO = "vo.notebooks.egi.eu"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("urn:mace:egi.eu:group:vo.notebooks.egi.eu", VO),
        ("urn:mace:egi.eu:group:vo.notebooks.egi.eu#aai.egi.eu", VO),
        ("urn:mace:egi.eu:group:vo.notebooks.egi.eu#", VO),
        (MEMBER, f"{VO}:role=member"),
        ("urn:mace:egi.eu:group:vo:sub:subsub:role=vm_operator#aai.egi.eu", "vo/sub/subsub:role=vm_operator"),
        ("URN:MACE:EGI.EU:group:vo", "vo"),
        ("urn:mace:egi.eu:group:VO", "VO"),
        ("urn:mace:egi.eu:group:my%20vo:a%3ab:role=r%c3%a9al", "my%20vo/a%3Ab:role=r%C3%A9al"),
        ("urn:mace:egi.eu:group:%76o", "vo"),
        ("urn:mace:egi.eu:group:vo?+r?=q#authority", "vo"),
        # A subgroup that is named like the separator, or percent-encoded like a role, is no more than a subgroup.
        ("urn:mace:egi.eu:group:evil:group:vo.notebooks.egi.eu", "evil/group/vo.notebooks.egi.eu"),
        ("urn:mace:egi.eu:group:vo:role%3Dvm_operator", "vo/role%3Dvm_operator"),
        ("urn:mace:egi.eu:group:vo%2Fsub", "vo%2Fsub"),
        ("urn:mace:egi.eu:group:vo:Role=member", "vo/Role%3Dmember"),
        # A Cyrillic letter in place of the Latin one: another group.
        ("urn:mace:egi.eu:group:v\u043e.notebooks.egi.eu", "v%D0%BE.notebooks.egi.eu"),
    ],
)
def test_an_entitlement_has_one_short_name(text, name):
    assert parse(text).name == name
    assert group_name(parse(text).path, parse(text).role) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vo.notebooks.egi.eu",
        "urn:mace:egi.eu:group:",
        "urn:mace:egi.eu:group:#aai.egi.eu",
        "urn:mace:egi.eu:group:vo:",
        "urn:mace:egi.eu:group::vo",
        "urn:mace:egi.eu:group:role=member",
        "urn:mace:egi.eu:group:vo:role=",
        "urn:mace:egi.eu:group:vo:role=member:sub",
        "urn:mace:egi.eu:group:vo:role=a:role=b",
        "urn:mace:egi.eu:res:resource:act:read",
        "urn:mace:group:vo",
        "xurn:mace:egi.eu:group:vo",
        "urn:mace:egi.eu:group:vo\n",
        "urn:mace:egi.eu:group:vo%0A",
        "urn:mace:egi.eu:group:vo%00",
        "urn:mace:egi.eu:group:vo%",
        "urn:mace:egi.eu:group:vo%zz",
        "urn:mace:egi.eu:group:vo%ff",
        "urn:m\u0430ce:egi.eu:group:vo",
        "urn:mace:egi.eu:group:v?o",
        "urn:mace:egi.eu:group:vo\u202e",
        "urn:mace:egi.eu:group:" + "v" * 5000,
        None,
        7,
        ["urn:mace:egi.eu:group:vo"],
        b"urn:mace:egi.eu:group:vo",
        "\ud800",
    ],
)
def test_anything_else_is_refused_with_the_one_documented_error(text):
    with pytest.raises(EntitlementError):
        parse(text)
    assert group_names({"entitlements": [text]}) == []


CAPABILITY = "urn:mace:egi.eu:res:storage:vo.notebooks.egi.eu:act:read,write#aai.egi.eu"


@pytest.mark.parametrize(
    ("text", "path", "actions"),
    [
        (CAPABILITY, ("storage", VO), ("read", "write")),
        ("urn:mace:egi.eu:res:storage", ("storage",), ()),
        ("URN:mace:EGI.eu:res:a%3Ab:act:r%C3%A9al#", ("a:b",), ("réal",)),
        ("urn:mace:egi.eu:res:group:vo", ("group", "vo"), ()),
    ],
)
def test_a_capability_is_read(text, path, actions):
    found = parse_any(text)
    assert (found.namespace, found.path, found.actions) == ("urn:mace:egi.eu", path, actions)


@pytest.mark.parametrize(
    "text",
    [
        "urn:mace:egi.eu:res:",
        "urn:mace:egi.eu:res:act:read",
        "urn:mace:egi.eu:res:a:act",
        "urn:mace:egi.eu:res:a:act:",
        "urn:mace:egi.eu:res:a:act:read,",
        "urn:mace:egi.eu:res:a:act:read:b",
        "urn:mace:egi.eu:res:a::b",
    ],
)
def test_half_a_capability_is_refused(text):
    with pytest.raises(EntitlementError):
        parse_any(text)


@pytest.mark.parametrize(
    "text",
    [
        CAPABILITY,
        f"urn:mace:egi.eu:res:{VO}",
        f"urn:mace:egi.eu:res:group:{VO}",
        f"urn:mace:egi.eu:res:x:group:{VO}",
        f"urn:mace:egi.eu:res:group:{VO}:role=member#aai.egi.eu",
    ],
)
def test_a_capability_admits_to_no_group(text):
    with pytest.raises(EntitlementError):
        parse(text)
    assert group_names({"entitlements": [text]}) == []


def test_the_authority_is_kept_and_makes_no_difference():
    assert parse(MEMBER).authority == "aai.egi.eu"
    assert parse(MEMBER) == parse(MEMBER.replace("aai.egi.eu", "other"))
    assert str(parse(MEMBER)) == MEMBER


@pytest.mark.parametrize(("path", "role"), [((), None), (("",), None), (("vo", "a\n"), None), (("vo",), "")])
def test_a_name_needs_text(path, role):
    with pytest.raises(EntitlementError):
        group_name(path, role)


def test_membership_in_a_subgroup_proves_the_groups_around_it_and_a_role_only_its_own_group():
    claims = {"entitlements": ["urn:mace:egi.eu:group:vo:a:b:role=boss#x"]}
    assert group_names(claims) == ["vo", "vo/a", "vo/a/b", "vo/a/b:role=boss"]


@pytest.mark.parametrize("claim", ["entitlements", "eduperson_entitlement"])
def test_each_claim_counts_alone(claim):
    assert group_names({claim: [MEMBER]}) == [VO, f"{VO}:role=member"]


@pytest.mark.parametrize("claim", ["entitlements", "eduperson_entitlement"])
def test_a_claim_of_one_bare_text_is_that_one_value(claim):
    assert group_names({claim: MEMBER}) == [VO, f"{VO}:role=member"]
    assert group_names({claim: f"other {MEMBER}"}) == []


def test_both_claims_count_together():
    claims = {"entitlements": [MEMBER], "eduperson_entitlement": [MEMBER, "urn:mace:egi.eu:group:other"]}
    assert group_names(claims) == ["other", VO, f"{VO}:role=member"]


def test_order_and_number_do_not_matter():
    urns = [MEMBER, *(f"urn:mace:egi.eu:group:vo{number}:role=member#aai.egi.eu" for number in range(3))]
    found = {tuple(group_names({"entitlements": list(order)})) for order in itertools.permutations(urns)}
    assert len(found) == 1
    assert VO in group_names({"entitlements": [MEMBER]})


@pytest.mark.parametrize(
    "claims",
    [
        None,
        [],
        "",
        MEMBER,
        {"entitlements": None},
        {"entitlements": MEMBER.encode()},
        {"entitlements": {MEMBER: MEMBER}},
        {"entitlements": [[MEMBER]]},
        {"entitlements": [{"value": MEMBER}]},
        {"groups": [MEMBER]},
    ],
)
def test_claims_of_another_shape_give_no_group(claims):
    assert group_names(claims) == []


def test_a_bad_entitlement_does_not_spoil_the_good_ones():
    assert group_names({"entitlements": ["\n", None, MEMBER, 3]}) == [VO, f"{VO}:role=member"]


def test_only_trusted_namespaces_count():
    foreign = "urn:geant:example.org:group:vo.notebooks.egi.eu"
    assert group_names({"entitlements": [foreign, "urn:mace:egi.eu:sub:group:vo"]}) == []
    for namespace in (
        "urn:geant:example.org",
        "URN:geant:Example.org:group:",
        "urn:geant:example.org:group",
        "urn:geant:example.org:",
    ):
        assert group_names({"entitlements": [foreign]}, [namespace]) == [VO]


def test_a_group_of_another_trusted_namespace_is_another_group():
    namespaces = ["urn:mace:egi.eu", "urn:geant:example.org"]
    foreign = "urn:geant:example.org:group:vo.notebooks.egi.eu:role=member"
    names = [f"urn:geant:example.org:{name}" for name in (VO, f"{VO}:role=member")]
    assert group_names({"entitlements": [foreign]}, namespaces) == names
    assert group_names({"entitlements": [foreign, MEMBER]}, namespaces) == [*names, VO, f"{VO}:role=member"]
    assert group_names({"entitlements": [foreign]}, namespaces[::-1]) == [VO, f"{VO}:role=member"]


@pytest.mark.parametrize("text", ["urn:mace:egi.eu", "URN:mace:egi.eu:group:", "urn:geant:a.org:b:", "urn:x-y:z"])
def test_a_namespace_is_known(text):
    assert is_namespace(text)


@pytest.mark.parametrize(
    "text", ["", "egi.eu", "urn:mace", "urn:mace:egi.eu:group:vo", "urn:mace:egi.eu:res:x", "urn:a b:c", "urn:a:b#c", 3]
)
def test_anything_else_is_no_namespace(text):
    assert not is_namespace(text)


def test_a_name_too_long_for_the_hub_s_database_is_left_out():
    assert group_names({"entitlements": [f"urn:mace:egi.eu:group:vo:{'s' * 300}"]}) == ["vo"]


def test_a_user_with_very_many_entitlements_is_served():
    urns = [f"urn:mace:egi.eu:group:vo{number}:role=member#aai.egi.eu" for number in range(10_000)]
    assert len(group_names({"entitlements": urns})) == 20_000
