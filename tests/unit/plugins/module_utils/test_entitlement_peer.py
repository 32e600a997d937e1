# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our parser against the AARC community's own, aarc-entitlement of PyPI, which the collection can't bring along."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest

pytest.importorskip("hypothesis")

from aarc_entitlement import G069
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.egi.notebooks.plugins.module_utils.entitlement import Entitlement, EntitlementError, parse

NAMESPACES = st.sampled_from(["urn:mace:egi.eu", "URN:Mace:EGI.eu", "urn:geant:example.org:sub"])
#: Few different names, so that two entitlements often have something in common. None is "group": for the peer the last
#: ":group:" ends the namespace, for us the first one behind "urn:NID:NSS", so that no group can pretend to be one.
NAMES = st.sampled_from(["vo", "VO", "a b", "ä", "role", "grouped", "x=y", "c:d", "50%", "e/f", "#"])
GROUPS = st.builds(
    lambda path, role: ":".join(
        ["group", *(quote(part, safe="") for part in path)] + ([f"role={quote(role, safe='')}"] if role else [])
    ),
    st.lists(NAMES, min_size=1, max_size=3),
    st.none() | NAMES,
)
AUTHORITIES = st.sampled_from(["", "#aai.egi.eu"])


def as_peer_reads_it(text: str) -> Entitlement:
    peer = G069(text)
    namespace = ":".join(["urn", peer.namespace_id, peer.delegated_namespace, *peer.subnamespaces])
    path = tuple(unquote(part) for part in (peer.group, *peer.subgroups))
    return Entitlement(namespace, path, None if peer.role is None else unquote(peer.role), peer.group_authority)


@given(NAMESPACES, GROUPS, AUTHORITIES)
def test_both_read_the_same(namespace, group, authority):
    text = f"{namespace}:{group}{authority}"
    assert parse(text) == as_peer_reads_it(text)
    assert parse(text).authority == as_peer_reads_it(text).authority


@given(GROUPS, GROUPS, AUTHORITIES)
def test_both_admit_the_same_users(has, wants, authority):
    has, wants = f"urn:mace:egi.eu:{has}{authority}", f"urn:mace:egi.eu:{wants}"
    assert (parse(wants).name in parse(has).implied_names) == G069(has).satisfies(G069(wants))


@given(NAMESPACES, st.text(st.sampled_from("vo:=%+,/ role41Ff"), max_size=40), AUTHORITIES)
def test_what_we_take_the_peer_takes_as_the_same(namespace, rest, authority):
    text = f"{namespace}:group:{rest}{authority}"
    try:
        found = parse(text)
    except EntitlementError:
        return
    assert found == as_peer_reads_it(text)
