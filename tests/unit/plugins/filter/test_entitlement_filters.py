# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that write and read entitlements."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.egi.notebooks.plugins.filter.checkin_entitlement import checkin_entitlement
from ansible_collections.egi.notebooks.plugins.filter.parse_entitlement import parse_entitlement

VO = "vo.notebooks.egi.eu"


@pytest.mark.parametrize(
    ("given", "urn"),
    [
        ({}, "urn:mace:egi.eu:group:vo.notebooks.egi.eu#aai.egi.eu"),
        ({"role": "member"}, "urn:mace:egi.eu:group:vo.notebooks.egi.eu:role=member#aai.egi.eu"),
        ({"group": "a/b", "authority": ""}, "urn:mace:egi.eu:group:vo.notebooks.egi.eu:a:b"),
        ({"group": ["a/b", "c:d"], "authority": ""}, "urn:mace:egi.eu:group:vo.notebooks.egi.eu:a%2Fb:c%3Ad"),
        ({"group": "role=x", "authority": ""}, "urn:mace:egi.eu:group:vo.notebooks.egi.eu:role%3Dx"),
        ({"role": "ž Ω", "authority": ""}, "urn:mace:egi.eu:group:vo.notebooks.egi.eu:role=%C5%BE%20%CE%A9"),
        (
            {"namespace": "URN:geant:example.org", "authority": "x"},
            "urn:geant:example.org:group:vo.notebooks.egi.eu#x",
        ),
    ],
)
def test_names_become_the_urn_of_check_in(given, urn):
    assert checkin_entitlement(VO, **given) == urn


@pytest.mark.parametrize(
    ("vo", "given"),
    [
        ("", {}),
        (None, {}),
        ("a\n", {}),
        (VO, {"role": ""}),
        (VO, {"group": "a//b"}),
        (VO, {"group": "g" * 3000}),
        (VO, {"namespace": "egi.eu"}),
        (VO, {"namespace": "urn:mace:egi.eu:group"}),
        (VO, {"namespace": "urn:mace:egi.eu:res:x"}),
        (VO, {"authority": "a\nb"}),
    ],
)
def test_what_is_no_name_is_refused_with_one_line(vo, given):
    with pytest.raises(AnsibleFilterError, match=r"^checkin_entitlement: [^\n]+$"):
        checkin_entitlement(vo, **given)


def test_a_group_entitlement_has_parts():
    assert parse_entitlement("urn:mace:egi.eu:group:vo:my%20group:role=member#aai.egi.eu") == {
        "type": "group",
        "namespace": "urn:mace:egi.eu",
        "group": ["vo", "my group"],
        "role": "member",
        "authority": "aai.egi.eu",
        "name": "vo/my%20group:role=member",
    }
    assert parse_entitlement("urn:mace:egi.eu:group:vo")["authority"] is None


def test_a_capability_has_parts():
    assert parse_entitlement("urn:mace:egi.eu:res:storage:data:act:read,write") == {
        "type": "capability",
        "namespace": "urn:mace:egi.eu",
        "resource": ["storage", "data"],
        "actions": ["read", "write"],
        "authority": None,
    }


@pytest.mark.parametrize("urn", [VO, None, 3, "urn:mace:egi.eu:group:"])
def test_anything_else_is_refused_with_one_line(urn):
    with pytest.raises(AnsibleFilterError, match=r"^parse_entitlement: [^\n]+$"):
        parse_entitlement(urn)
