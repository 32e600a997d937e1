# The CNI plugins as upstream publishes them (a tar of programs), from Debian's package.
. "$RECIPES/lib.sh"
debs forky "containernetworking-plugins=$VERSION*"
tar --sort=name --mtime=@0 --owner=0 --group=0 -c -C root/usr/lib/cni . | gzip -1n \
    >"$OUT/cni-plugins-linux-amd64-v$VERSION.tgz"
