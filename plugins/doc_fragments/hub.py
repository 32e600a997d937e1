# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that send requests to a hub."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment."""

    DOCUMENTATION = r"""
options:
  hub_url:
    description:
      - URL of the service, such as V(https://notebooks.example.org). The API is at C(/hub/api).
      - C(http://) is accepted only with V(localhost) or V(127.0.0.1), for example V(http://localhost:8000).
    type: str
    required: true
  token:
    description:
      - API token of an administrator or a service, created at C(/hub/token) or with C(jupyterhub token).
    type: str
    required: true
"""
