# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode on the converged service, and what a run prints."""

from __future__ import annotations

import base64

from runs import playbook


def test_check_mode_finds_nothing_to_do_and_prints_no_secret(lab):
    result = playbook("site", "--check", "--diff", "-vv")
    assert result.status == 0, result.failures
    assert not result.changes
    assert set(result.changed.values()) == {0}
    secret = lab.secret("client_secret")
    assert secret not in result.output
    assert base64.b64encode(secret.encode()).decode() not in result.output
