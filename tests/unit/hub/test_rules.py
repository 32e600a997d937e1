# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a person is to the hub, by what Check-in says, or by what an attacker made it say."""

from __future__ import annotations

import re

import pytest
from jupyterhub.utils import url_escape_path
from kubespawner.slugs import escape_slug, is_valid_label, safe_slug

VO = "vo.notebooks.egi.eu"
URN = "urn:mace:egi.eu:group:{}#aai.egi.eu"
IDENTIFIER = f"{'0123456789abcdef' * 4}@egi.eu"
HIGH = "https://aai.egi.eu/LoA#High"
SUBSTANTIAL = "https://aai.egi.eu/LoA#Substantial"


@pytest.fixture
def settings(configured):
    vos = [
        {"name": "vo.first", "groups": ["staff"], "assurance": [SUBSTANTIAL, HIGH], "admin": ["boss"]},
        {"name": VO, "admin": ["vm_operator"]},
    ]
    return configured(vos=vos).CheckinAuthenticator.settings


def names(vos):
    return [vo["name"] for vo in vos]


def user(*urns, **claims):
    return {"entitlements": [URN.format(urn) for urn in urns], **claims}


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("claim", ["entitlements", "eduperson_entitlement"])
def test_any_one_matching_group_admits_whatever_the_order(hub, settings, order, claim):
    """Case 1."""
    urns = [URN.format(name) for name in ("a:role=member", "b", "c", f"{VO}:role=member", "d")]
    assert names(hub.rules.admitting_vos({claim: urns[::order]}, settings)) == [VO]
    assert names(hub.rules.admitting_vos({claim: [urns[3]]}, settings)) == [VO]


def test_vos_admit_in_the_configured_order(hub, settings):
    person = user(VO, "vo.first:staff", eduperson_assurance=["x", HIGH])
    assert names(hub.rules.admitting_vos(person, settings)) == ["vo.first", VO]


@pytest.mark.parametrize("values", [None, [], f"{HIGH} {SUBSTANTIAL}", [HIGH.lower()], [None, 3, {}], {HIGH: 1}, ["x"]])
def test_without_the_assurance_a_vo_does_not_count(hub, settings, values):
    person = user("vo.first:staff:role=boss", eduperson_assurance=values)
    assert hub.rules.admitting_vos(person, settings) == []
    assert names(hub.rules.unassured_vos(person, settings)) == ["vo.first"]
    assert not hub.rules.is_admin(person, settings)
    # One bare text is that one value.
    for assurance in ([SUBSTANTIAL], SUBSTANTIAL):
        assert hub.rules.is_admin(person | {"eduperson_assurance": assurance}, settings)


@pytest.mark.parametrize(
    "urns",
    [
        [],
        [URN.format("ops")],
        [URN.format("vo.first")],
        [URN.format("vo.first:guests")],
        [URN.format(f"other:{VO}")],
        ["urn:geant:example.org:group:" + VO],
        ["urn:mace:egi.eu:res:" + VO],
        ["urn:mace:egi.eu:res:group:" + VO + ":role=vm_operator"],
        [VO],
        [URN.format(VO) + "\n"],
        [URN.format(f'{VO}"'), URN.format(f"{VO}'"), URN.format(f"{VO}\\")],
        [URN.format(f"{VO}%00")],
        [URN.format(VO.replace("o", "\u043e"))],
        [URN.format(VO + "\u200b")],
        [URN.format(VO.upper())],
        [URN.format(f"{VO}:role%3Dvm_operator").replace(VO, f"x{VO}")],
        [URN.format(VO + "v" * 100_000)],
        [None, 3, {}, [URN.format(VO)]],
        None,
        "",
        f"{URN.format('a')},{URN.format(VO)}",
        {URN.format(VO): 1},
        5,
    ],
)
def test_hostile_entitlements_give_nothing(hub, settings, urns):
    for claims in ({"entitlements": urns}, {"eduperson_entitlement": urns, "entitlements": urns}):
        assert hub.rules.admitting_vos(claims, settings) == []
        assert not hub.rules.is_admin(claims, settings)


@pytest.mark.parametrize("userinfo", [None, [], "x", 3, [{"entitlements": [URN.format(VO)]}]])
def test_userinfo_of_another_shape_gives_nothing(hub, settings, userinfo):
    assert hub.rules.groups(userinfo, settings) == []
    assert hub.rules.admitting_vos(userinfo, settings) == []
    assert hub.rules.display_name(userinfo) == ""
    with pytest.raises(hub.rules.Refused):
        hub.rules.identifier(userinfo)


def test_a_short_name_is_the_same_for_ever(hub):
    assert hub.rules.short_name(IDENTIFIER) == "egiw4ndreq74crpqgzjlvxozperlf"


def test_a_short_name_fits_everywhere_and_is_changed_nowhere(hub):
    name = hub.rules.short_name(IDENTIFIER)
    assert len(IDENTIFIER) == 71
    assert hub.rules.SHORT_NAME.fullmatch(name)
    assert is_valid_label(name)
    assert safe_slug(name) == escape_slug(name) == url_escape_path(name) == name.lower() == name


def test_short_names_differ_where_identifiers_do(hub):
    others = [IDENTIFIER.upper(), IDENTIFIER[:-1], IDENTIFIER.replace("a", "\u0430", 1), " " + IDENTIFIER]
    assert len({hub.rules.short_name(text) for text in [IDENTIFIER, *others]}) == 5


@pytest.mark.parametrize(
    "value", [None, "", " ", "a\nb", "a\x00", "\ud800", "\u202eb", "x" * 2000, ["a"], {"a": 1}, 7, True]
)
def test_an_identifier_that_is_none_is_refused_with_a_sentence(hub, value):
    with pytest.raises(hub.rules.Refused, match=r"^EGI Check-in says nothing usable about you in 'voperson_id'"):
        hub.rules.identifier({"voperson_id": value})


@pytest.mark.parametrize(
    "value", ["Žofía.Ω", "a@b.eu", "x-y", "Marta M.", "...", "a'b\"<c>", "x" * 80, "ж" * 40, "\U0001f600" * 20]
)
def test_a_legal_plain_name_makes_a_server(hub, value):
    """Case 4: the directory is valid and belongs to this name alone."""
    name = hub.rules.plain_name({"preferred_username": value})
    assert name == value.lower()
    directory = escape_slug(name)
    assert len(directory) <= 255
    assert re.fullmatch(r"[a-z0-9-]+", directory)
    assert is_valid_label(safe_slug(name, max_length=48))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (" marta", "begins or ends with whitespace"),
        ("marta\u0020", "begins or ends with whitespace"),
        (".", "not more than dots"),
        ("..", "not more than dots"),
        ("a/b", "slash"),
        ("x" * 81, "longer than 80 bytes"),
        ("ж" * 43, "longer than 80 bytes"),
        # Two bytes each, and three as small letters.
        ("Ⱥ" * 40, "longer than 80 bytes"),
    ],
)
def test_a_plain_name_that_is_refused_is_told_why(hub, value, why):
    with pytest.raises(hub.rules.Refused, match=why):
        hub.rules.plain_name({"preferred_username": value})


@pytest.mark.parametrize("value", ["https://id.example.org/0000-1", "a/b", "x" * 2000, "a\nb", None, ["x"]])
def test_another_plain_name_is_refused_with_a_sentence(hub, value):
    with pytest.raises(hub.rules.Refused, match=r"operators"):
        hub.rules.plain_name({"preferred_username": value})


def test_nobody_can_choose_somebody_s_short_name(hub):
    with pytest.raises(hub.rules.Refused):
        hub.rules.plain_name({"preferred_username": hub.rules.short_name(IDENTIFIER).upper()})


@pytest.mark.parametrize(
    ("value", "shown"),
    [("Žofía Čapková", "Žofía Čapková"), ("a\nb", ""), (None, ""), (["x"], ""), ("n" * 500, "n" * 100), ("<b>", "<b>")],
)
def test_a_display_name_is_one_short_line(hub, value, shown):
    assert hub.rules.display_name({"name": value}) == shown
