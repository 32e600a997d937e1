# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes of every module that changes something."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    support: full
    description: Reports what it would change.
  diff_mode:
    support: none
    description: Shows no differences.
  idempotent:
    support: full
    description: A second run changes nothing.
"""
