#!/bin/sh
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# restart_control_plane.sh TIMEOUT API_PORT: ends each program of the control plane and waits until the kubelet has
# started it again. The API server may take a minute to end by itself.
set -u
timeout=$1 api_port=$2

restart() {
    name=$1 port=$2
    old=$(pgrep --oldest --full "^$name .*/etc/kubernetes/") || return 0
    kill "$old"
    for second in $(seq "$timeout"); do
        if [ "$second" = 10 ]; then kill -KILL "$old" 2>/dev/null; fi
        if ! kill -0 "$old" 2>/dev/null && ss -Hltn "sport = :$port" | grep -q .; then return 0; fi
        sleep 1
    done
    echo "$name did not start again within $timeout s" >&2
    exit 1
}

restart etcd 2379
restart kube-apiserver "$api_port"
restart kube-controller-manager 10257
restart kube-scheduler 10259
