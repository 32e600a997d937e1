# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's clock."""

from __future__ import annotations

import ctypes
import time

TIME_ERROR = 5


def clock() -> dict:
    """Return the time in seconds, and whether the clock is synchronised."""
    synchronised = is_synchronised()
    # Last: the action plugin compares it with the moments before and after the module.
    return {"synchronised": synchronised, "time": time.time()}


def is_synchronised() -> bool | None:
    """Return what the kernel knows, whichever program keeps the clock right. None if it does not tell."""
    try:
        # The system call only reads if the first field of its structure is zero. The structure has 208 bytes.
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != TIME_ERROR
