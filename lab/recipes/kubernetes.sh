# kubeadm, kubelet, kubectl and the control plane's programs, from the Go module proxy.
. "$RECIPES/lib.sh"
release=v${VERSION#v}
staging=v0.${release#v1.}
mkdir src && cd src
go mod init lab.test/kubernetes
GOFLAGS=-mod=mod go mod download -json "k8s.io/kubernetes@$release" >download.json
upstream=$(python3 -c 'import json; print(json.load(open("download.json"))["Dir"])')
{
    echo 'module lab.test/kubernetes'
    grep -E '^(go|godebug) ' "$upstream/go.mod" || true
    sed -n '/^godebug (/,/^)/p' "$upstream/go.mod"
    echo "require k8s.io/kubernetes $release"
    # Each staging module is a directory of the repository there; here it is its own published module.
    sed -n "s|^\s*\(k8s.io/[a-z0-9-]*\) => ./staging.*|replace \1 => \1 $staging|p" "$upstream/go.mod"
} >go.mod
cat >programs.go <<'GO'
//go:build tools

package programs

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-proxy"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubeadm"
	_ "k8s.io/kubernetes/cmd/kubectl"
	_ "k8s.io/kubernetes/cmd/kubelet"
)
GO
go mod tidy -e
minor=${release#v1.}
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$release -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
    flags+=" -X $package.gitTreeState=clean"
done
# One call for all programs: what they share is compiled once and both cores stay busy while others link.
CGO_ENABLED=0 go build -ldflags "$flags" -o "$OUT/" \
    k8s.io/kubernetes/cmd/{kubeadm,kubelet,kubectl,kube-apiserver,kube-controller-manager,kube-scheduler,kube-proxy}
cc -Os -Wall -static -s -o "$OUT/pause" "$upstream/build/pause/linux/pause.c"
