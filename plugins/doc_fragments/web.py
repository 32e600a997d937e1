# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that asks a server over HTTPS."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment."""

    DOCUMENTATION = r"""
options:
  ca_path:
    description:
      - PEM file of the authorities that the server's certificate is checked against, on the host where the module runs.
        Without it those of the system. The certificate is always checked.
    type: path
  timeout:
    description:
      - Seconds without an answer after which a request fails.
    type: int
    default: 10
"""
