# runc as upstream publishes it (one program), from Debian's package.
. "$RECIPES/lib.sh"
debs forky "runc=$VERSION*"
install -m 755 root/usr/sbin/runc "$OUT/runc.amd64"
