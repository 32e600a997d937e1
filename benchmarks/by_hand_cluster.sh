#!/usr/bin/env bash
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The cluster by hand: what playbooks/cluster.yml does, as a person would type it over ssh, on bare nodes. It is the
# measure that the playbook is held against: same nodes, same packages, files, images and manifests.
#
#   benchmarks/by_hand_cluster.sh [-m MIRROR] [-i SSH_KEY] [-k KNOWN_HOSTS] [-t STEP_LIMIT] MASTER NODE...
#
# Without arguments it takes the lab's nodes. Rendering the roles' texts beforehand is not counted.
# Prints a line with the seconds of every step and ends with the sum. Every step is ended after STEP_LIMIT seconds (900).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -eq 0 ]; then
    lab=${EGI_NOTEBOOKS_LAB:-${EGI_NOTEBOOKS_CACHE:-$HOME/.cache/egi-notebooks}/lab}
    set -- -m https://mirror.lab.test -i "$lab/ssh/id_ed25519" -k "$lab/ssh/known_hosts" \
        master.lab.test edge.lab.test worker.lab.test
fi
mirror='' key='' known_hosts='' limit=900
while getopts m:i:k:t: option; do
    case $option in
        m) mirror=${OPTARG%/} ;;
        i) key=$OPTARG ;;
        k) known_hosts=$OPTARG ;;
        t) limit=$OPTARG ;;
        *) sed -n 's/^#   //p' benchmarks/by_hand_cluster.sh >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || { sed -n 's/^#   //p' benchmarks/by_hand_cluster.sh >&2; exit 2; }
master=$1 nodes=("$@") workers=("${@:2}")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
options=(-o BatchMode=yes -o ConnectTimeout=20 -o ControlMaster=auto -o ControlPersist=120 -o "ControlPath=$work/%C")
[ -z "$key" ] || options+=(-i "$key" -o IdentitiesOnly=yes)
[ -z "$known_hosts" ] || options+=(-o "UserKnownHostsFile=$known_hosts")

# Runs the script on its standard input on one host; what it says goes to a log that is shown if it fails.
on() {
    # As a file there: a program that reads its standard input must not swallow the rest of the script.
    if ! timeout "$limit" ssh "${options[@]}" "root@$1" \
        'file=$(mktemp) && cat >"$file" && bash -eu "$file" </dev/null; code=$?; rm "$file"; exit $code' \
        >"$work/$1.log" 2>&1; then
        echo "$1 failed or took over $limit s:" >&2
        tail -n 20 "$work/$1.log" >&2
        return 1
    fi
}

# The same on several hosts at once.
on_all() {
    local script pids=() host pid
    script=$(cat)
    for host in "$@"; do
        on "$host" <<<"$script" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
}

total=0
step() {
    local name=$1 began
    began=$(date +%s%N)
    "${@:2}"
    local took=$((($(date +%s%N) - began) / 1000000))
    total=$((total + took))
    printf '%-40s %4d.%01d s\n' "$name" $((took / 1000)) $((took % 1000 / 100))
}

# Not timed: the texts that a person would have at hand, the very ones the roles write.
address=$(getent ahostsv4 "$master" | awk 'NR == 1 {print $1}')
[ -n "$address" ] || { echo "$master can't be resolved" >&2; exit 1; }
render() {
    ansible localhost --connection local --module-name ansible.builtin.template \
        --args "src=$PWD/roles/$1 dest=$work/$2" --extra-vars "@roles/${1%%/*}/defaults/main.yml" \
        --extra-vars "@roles/${1%%/*}/vars/main.yml" --extra-vars "$3" >"$work/render.log" 2>&1 ||
        { cat "$work/render.log" >&2; return 1; }
}
variables=$(
    cat <<JSON
{"ansible_facts": {"egi_notebooks_node": {"nodename": "NODENAME"}}, "kube_node_mirror": "$mirror", "kube_master_address": "$address",
 "kube_node_address": "ADDRESS", "kube_master_schedulable": false, "__kube_master_plan": {"link_mtu": 1500},
 "kube_master_kube_proxy_config": {"conntrack": {"maxPerCore": 0}}, "kube_node_registries": ["REGISTRY"]}
JSON
)
for file in config.toml containerd.service kubelet.service 10-kubeadm.conf kubelet modules.conf sysctl.conf registries.yml; do
    render "kube_node/templates/$file.j2" "$file" "$variables" &
done
for file in kubeadm.yml flannel.yml network-policies.yml; do
    render "kube_master/templates/$file.j2" "$file" "$variables" &
done
wait
# Of the list of files for registries, the content of the one.
sed -n 's/^    //p' "$work/registries.yml" >"$work/hosts.toml"
files=$(
    for name in kubeadm kubelet kubectl containerd runc cni-plugins; do
        ansible localhost --module-name ansible.builtin.debug --args \
            "msg=\"{{ lookup('egi.notebooks.artifact', '$name', mirror='$mirror').url }}\"" |
            grep -o "http[^\" ]*" | sed "s/^/$name /"
    done
)

packages() {
    on_all "${nodes[@]}" <<'SH'
[ ! -e /etc/kubernetes/manifests ] || { echo 'not a bare node: /etc/kubernetes is there'; exit 1; }
export DEBIAN_FRONTEND=noninteractive
apt-get -q -o DPkg::Lock::Timeout=600 update
apt-get -q -y -o DPkg::Lock::Timeout=600 install --no-install-recommends \
    conntrack ethtool iptables kmod nfs-common procps socat
SH
}

downloads() {
    on_all "${nodes[@]}" <<SH
mkdir -p /root/downloads
cd /root/downloads
while read -r name url; do
    curl --fail --silent --show-error --location --retry 3 --output "\$name" "\$url" &
done <<'LIST'
$files
LIST
for job in \$(jobs -p); do wait "\$job"; done
SH
}

# Defined by what the node reads: the rendered files travel inside the script.
install_node() {
    {
        echo 'place() { mkdir -p "$(dirname "$1")"; cat >"$1"; }'
        while read -r file path; do
            printf "place %s <<'END_OF_FILE'\n" "$path"
            cat "$work/$file"
            printf '\nEND_OF_FILE\n'
        done <<'LIST'
config.toml /etc/containerd/config.toml
containerd.service /etc/systemd/system/containerd.service
kubelet.service /etc/systemd/system/kubelet.service
10-kubeadm.conf /etc/systemd/system/kubelet.service.d/10-kubeadm.conf
kubelet /etc/default/kubelet
modules.conf /etc/modules-load.d/egi-notebooks-kubernetes.conf
sysctl.conf /etc/sysctl.d/90-egi-notebooks-kubernetes.conf
hosts.toml /root/downloads/hosts.toml
LIST
        cat <<SH
sed -i "s/ADDRESS/\$(hostname -I | cut -d' ' -f1)/" /etc/default/kubelet
if [ -n '$mirror' ]; then
    for registry in docker.io ghcr.io quay.io registry.k8s.io; do
        sed "s/REGISTRY/\$registry/" /root/downloads/hosts.toml | place "/etc/containerd/certs.d/\$registry/hosts.toml"
    done
fi
SH
        cat <<'SH'
modprobe --all overlay br_netfilter || true
sysctl --load /etc/sysctl.d/90-egi-notebooks-kubernetes.conf
swapoff --all
cd /root/downloads
mkdir -p /usr/local/bin /usr/local/sbin /opt/cni/bin
install kubeadm kubelet kubectl /usr/local/bin
install runc /usr/local/sbin/runc
tar -xf containerd -C /usr/local
tar -xf cni-plugins -C /opt/cni/bin
systemctl daemon-reload
systemctl enable kubelet
systemctl enable --now containerd
SH
    } | on_all "${nodes[@]}"
}

control_plane() {
    {
        printf "cat >/root/kubeadm.yml <<'END_OF_FILE'\n"
        cat "$work/kubeadm.yml"
        printf 'END_OF_FILE\n'
        cat <<'SH'
sed -i "s/NODENAME/$(uname -n)/" /root/kubeadm.yml
kubeadm config images pull --config=/root/kubeadm.yml
kubeadm init --config=/root/kubeadm.yml --skip-token-print --ignore-preflight-errors=NumCPU,Mem
SH
    } | on "$master"
}

network() {
    {
        printf "kubectl --kubeconfig=/etc/kubernetes/admin.conf apply -f - <<'END_OF_FILE'\n"
        cat "$work/flannel.yml"
        echo ---
        cat "$work/network-policies.yml"
        printf 'END_OF_FILE\n'
    } | on "$master"
}

join() {
    local invitation
    # A token for a quarter of an hour; this measure runs on test beds alone.
    invitation=$(timeout "$limit" ssh "${options[@]}" "root@$master" \
        kubeadm token create --kubeconfig=/etc/kubernetes/admin.conf --ttl=15m --print-join-command)
    on_all "${workers[@]}" <<<"$invitation --ignore-preflight-errors=NumCPU,Mem"
}

ready() {
    on "$master" <<SH
until [ "\$(kubectl --kubeconfig=/etc/kubernetes/admin.conf get nodes -o name | wc -l)" = ${#nodes[@]} ]; do sleep 1; done
kubectl --kubeconfig=/etc/kubernetes/admin.conf wait nodes --all --for=condition=Ready --timeout=${limit}s
SH
}

step 'packages' packages
step 'downloads' downloads
step 'install and configure' install_node
step 'kubeadm init' control_plane
step 'network' network
step 'kubeadm join' join
step 'nodes ready' ready
printf '%-40s %4d.%01d s\n' 'by hand, all steps' $((total / 1000)) $((total % 1000 / 100))
