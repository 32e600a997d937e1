#!/bin/sh
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Removes from a node what stays in the kernel when its services have stopped, and prints each thing that it removed.
set -u

mounts() { grep -o ' /\(var/lib/kubelet\|run/containerd\|run/netns/cni-\)[^ ]*' /proc/mounts | sort -r; }

mounts | while read -r mount; do
    umount "$mount" && echo "mount $mount"
done
# Below these directories all is deleted next: a home that is still mounted there would go with them.
if [ -n "$(mounts)" ]; then
    echo "still mounted, so nothing is deleted:" $(mounts) >&2
    exit 1
fi

for link in flannel.1 cni0; do
    if ip link show "$link" >/dev/null 2>&1; then
        ip link delete "$link" && echo "interface $link"
    fi
done

command -v nft >/dev/null || exit 0
nft list tables 2>/dev/null | while read -r _ family name; do
    case $name in
        kube-proxy | kube-network-policies | flannel-ipv4 | flannel-ipv6)
            nft delete table "$family" "$name" && echo "packet filter $family $name" ;;
    esac
done
