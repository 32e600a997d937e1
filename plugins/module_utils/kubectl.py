# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that run kubectl share."""

from __future__ import annotations

#: The cluster's API is never reached through a proxy.
DIRECT = {"no_proxy": "*", "NO_PROXY": "*"}
