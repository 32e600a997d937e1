# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of host names."""

from __future__ import annotations

import pytest

from ansible_collections.egi.notebooks.plugins.module_utils.host.names import resolve


@pytest.mark.parametrize(
    ("name", "addresses"), [("127.0.0.1", ["127.0.0.1"]), ("no-such-host.invalid", []), ("x" * 70 + ".example", [])]
)
def test_names_that_can_t_be_resolved_have_no_addresses(name, addresses):
    assert resolve(name) == addresses


def test_a_name_has_each_of_its_addresses_once(monkeypatch):
    answers = [
        (2, 1, 6, "", ("192.0.2.1", 0)),
        (10, 1, 6, "", ("2001:db8::1", 0, 0, 0)),
        (2, 1, 6, "", ("192.0.2.1", 0)),
    ]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: answers)
    assert resolve("a.example.org") == ["192.0.2.1", "2001:db8::1"]
