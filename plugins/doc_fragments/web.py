# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that sends HTTPS requests."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment."""

    DOCUMENTATION = r"""
options:
  ca_path:
    description:
      - PEM file with the CA certificates that the server's certificate is verified with, on the host where the module
        runs. By default the system's CA certificates are used. The certificate is always verified.
    type: path
  timeout:
    description:
      - Timeout of a request in seconds.
    type: int
    default: 10
"""
