# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swap that is on, and what turns it on at each boot."""

from __future__ import annotations

import os

from ansible_collections.egi.notebooks.plugins.module_utils.host.swap import TURNED_OFF, swap


def test_swap_wherever_it_comes_from(host):
    generated = "[Unit]\nSourcePath=/etc/fstab\n"
    root = host(
        {
            "proc/swaps": "Filename Type Size\n/swap.img file 1 0 -2\n/dev/zram0 partition 1 0 100\n",
            "etc/fstab": "# /old none swap sw 0 0\nUUID=1 / ext4 defaults 0 1\n /swap.img none swap sw 0 0\n\nodd\n",
            "run/systemd/generator/swap.img.swap": generated,
            "run/systemd/generator/swap.target.requires/swap.img.swap": generated,
            "run/systemd/generator/swap.target.wants/dev-zram0.swap": "",
            "etc/systemd/system/multi-user.target.wants/zramswap.service": "",
            "etc/systemd/system/multi-user.target.wants/ssh.service": "",
            "usr/lib/systemd/system/idle.swap": "",
        }
    )
    assert swap() == {
        "active": ["/swap.img", "/dev/zram0"],
        "fstab": ["/swap.img"],
        "units": ["dev-zram0.swap", "zramswap.service"],
        "unknown": [],
    }
    os.symlink("/dev/null", root / "etc/systemd/system/zramswap.service")
    assert swap()["units"] == ["dev-zram0.swap"]
    os.symlink("/dev/null", root / "etc/systemd/system/swap.target")
    assert swap()["units"] == []


def test_swap_of_unknown_origin(host):
    def unknown():
        return swap()["unknown"]

    active = ("/root/swap", "/swap.img", "/dev/sda2", "/dev/sda3", "/dev/dm-1", "/dev/zram0", "/old")
    lines = "".join(f"{name} partition 1 0 -2\n" for name in active)
    root = host(
        {
            "proc/swaps": "Filename Type Size\n" + lines,
            "etc/fstab": "/swap.img none swap sw 0 0\nUUID=5-6 none swap sw 0 0\n/dev/mapper/swap none swap sw 0 0\n"
            # By a run that was killed before it turned swap off.
            "# egi.notebooks turned swap off: /old none swap sw 0 0\n#/root/swap none swap sw 0 0\n",
            "run/systemd/generator.late/dev-disk-by\\x2dlabel-s.swap": "[Swap]\n",
            "run/systemd/generator/x.swap": "[Swap]\nWhat=/dev/zram0\n",
        }
        | {f"dev/{name}": "" for name in ("sda2", "sda3", "dm-1", "disk/by-uuid/x", "disk/by-label/x", "mapper/x")}
    )
    os.symlink("../../sda2", root / "dev/disk/by-uuid/5-6")
    os.symlink("../../sda3", root / "dev/disk/by-label/s")
    os.symlink("../dm-1", root / "dev/mapper/swap")
    assert unknown() == ["/root/swap"]
    # This service may have turned it on.
    host({"etc/systemd/system/multi-user.target.wants/dphys-swapfile.service": ""})
    assert unknown() == []


def test_lines_that_are_turned_off_are_those_of_the_role(root):
    assert TURNED_OFF in (root / "roles/kube_node/tasks/system.yml").read_text()
