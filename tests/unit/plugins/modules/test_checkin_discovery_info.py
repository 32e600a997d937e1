# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that reads what an issuer publishes."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from ansible_collections.egi.notebooks.plugins.module_utils import oidc
from ansible_collections.egi.notebooks.plugins.modules import (
    checkin_discovery_info,
)


def test_an_issuer_is_looked_at(run, issuer):
    answer = run(checkin_discovery_info, issuer=f"{issuer.issuer}/", check=True)
    assert answer["endpoints"]["token"] == f"{issuer.issuer}/protocol/openid-connect/token"
    assert answer["scopes"] == sorted(["openid", *issuer.known_scopes])
    assert answer["claims"] == ["email", "sub"]
    assert answer["clock_skew"] == 0
    assert answer["certificate_days_left"] == 30.0
    issuer.document = {"issuer": "https://elsewhere.example.org"}
    assert (
        "with issuer 'https://elsewhere.example.org'; must be exactly"
        in run(checkin_discovery_info, issuer=issuer.issuer)["msg"]
    )


@pytest.mark.parametrize("issuer", ["http://aai.example.org", "aai.example.org", "https://u:s3cret@aai.example.org/x"])
def test_an_address_without_https_is_refused(run, issuer):
    assert "must be an https:// URL" in run(checkin_discovery_info, issuer=issuer)["msg"]


def test_the_clock_is_compared_with_what_a_header_can_say():
    date = formatdate(1_000_000, usegmt=True)
    assert oidc.clock_skew(date, 1_000_000.9, 1_000_001.5) == 0
    assert oidc.clock_skew(date, 999_900, 999_901) == 99
    assert oidc.clock_skew(date, 1_000_101, 1_000_102) == -100
    assert oidc.clock_skew(None, 0, 1) is oidc.clock_skew("yesterday", 0, 1) is None


# --- Before a login ---
