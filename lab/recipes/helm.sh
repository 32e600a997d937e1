# helm as upstream publishes it: a tar with linux-amd64/helm.
. "$RECIPES/lib.sh"
mkdir -p linux-amd64 gomod
(cd gomod && go mod init lab.test/build && go get "helm.sh/helm/v3@v$VERSION")
# As upstream's Makefile: the Kubernetes version that charts see without a cluster is that of the client library.
minor=$(cd gomod && go list -m -f '{{.Version}}' k8s.io/client-go | cut -d. -f2)
module=helm.sh/helm/v3
flags="-X $module/internal/version.version=v$VERSION -X $module/internal/version.metadata="
flags+=" -X $module/internal/version.gitTreeState=clean"
for package in pkg/lint/rules pkg/chartutil; do
    flags+=" -X $module/$package.k8sVersionMajor=1 -X $module/$package.k8sVersionMinor=$minor"
done
go_program "$module@v$VERSION" "$module/cmd/helm" "$PWD/linux-amd64/helm" "$flags"
tar --sort=name --mtime=@0 --owner=0 --group=0 -c linux-amd64 | gzip -1n >"$OUT/helm-v$VERSION-linux-amd64.tar.gz"
cp linux-amd64/helm "$OUT/helm"
