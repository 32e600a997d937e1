# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that speak to a hub."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment."""

    DOCUMENTATION = r"""
options:
  hub_url:
    description:
      - Address of the service, such as V(https://notebooks.example.org). The API is below C(/hub/api).
      - Without TLS only on the host where the module runs, by V(localhost) or V(127.0.0.1), as in
        V(http://localhost:8000).
    type: str
    required: true
  token:
    description:
      - A token of the hub's API, of an admin or of a service; made at C(/hub/token) or by C(jupyterhub token).
    type: str
    required: true
"""
