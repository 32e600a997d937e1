# containerd as upstream publishes it (a tar with bin/), from Debian's package.
. "$RECIPES/lib.sh"
debs forky "containerd=$VERSION*"
mkdir bin
cp root/usr/bin/{containerd,containerd-shim-runc-v2,ctr} bin/
# Compressed, since the name says so, but hardly: nodes have slow processors.
tar --sort=name --mtime=@0 --owner=0 --group=0 -c bin | gzip -1n >"$OUT/containerd-$VERSION-linux-amd64.tar.gz"
