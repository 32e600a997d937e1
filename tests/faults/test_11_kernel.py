# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why lab/kernel has a patch: the same kernel without it, under the same load."""

from __future__ import annotations

import subprocess

import pytest
from faults import MACHINES, machine, wait_until, wait_until_sound
from test_kernel import stress

from lab import nodes

NFS = MACHINES["nfs"]


@pytest.fixture
def unpatched_kernel(lab):
    """The NFS server's node runs Debian's kernel as it is."""
    wait_until_sound(lab)
    kernel, image = machine(NFS)

    def start(program) -> None:
        nodes.power_off(NFS)
        nodes.start(NFS, program, image)
        wait_until(lambda: lab.ssh("nfs", "true").returncode == 0, 120, "the NFS server's node")

    start(kernel.with_name("linux-unpatched"))
    yield
    start(kernel)
    wait_until_sound(lab)


@pytest.mark.usefixtures("unpatched_kernel")
def test_the_unpatched_kernel_hangs_under_disk_and_network_load_at_once():
    """With the patch the same load is one of the lab's own tests, tests/lab/test_kernel.py."""
    with pytest.raises(subprocess.TimeoutExpired):
        stress(seconds=300)
