# One program (PROGRAM) of a Debian package (DEB) at VERSION.
. "$RECIPES/lib.sh"
debs forky "$DEB=${VERSION#v}*"
install -m 755 "root/usr/bin/$PROGRAM" "$OUT/$PROGRAM"
