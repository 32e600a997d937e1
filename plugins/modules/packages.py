# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: packages
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Installs Debian packages, also while others use the package manager
description:
  - Installs those that M(egi.notebooks.node_facts) has not found, without recommended packages.
  - Waits for the lock of the package manager, and first finishes what dpkg was interrupted in.
options:
  name:
    description:
      - Names of packages.
    type: list
    elements: str
    required: true
  lock_timeout:
    description:
      - Seconds to wait for the package manager while a first-boot job or an automatic upgrade holds its lock.
    type: int
    default: 600
attributes:
  check_mode:
    description: Reports the packages that are missing as a change.
    support: full
  diff_mode:
    description: Shows nothing.
    support: none
"""

EXAMPLES = r"""
- name: Install the NFS client
  egi.notebooks.packages:
    name: [nfs-common]
"""

RETURN = r"""
installed:
  description: Packages that were missing.
  type: list
  elements: str
  returned: success
  sample: [nfs-common]
"""
