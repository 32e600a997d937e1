# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of identity share. They run inside the lab's network: ``make test-identity``, on a lab that is up."""

from __future__ import annotations

import pytest
from access import Lab, require_lab


@pytest.fixture(scope="session")
def lab() -> Lab:
    require_lab("make test-identity`, after `make lab")
    return Lab()
