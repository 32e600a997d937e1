# nginx, run from here and not installed: Debian's program with its libraries and their loader, so it runs on any host.
. "$RECIPES/lib.sh"
. "$RECIPES/layers.sh"
: >nothing
deb_layer trixie nothing nginx
libraries=root/usr/lib/x86_64-linux-gnu
mkdir -p "$OUT/lib"
cp root/usr/sbin/nginx "$OUT/program"
cp -L root/usr/lib64/ld-linux-x86-64.so.2 "$OUT/lib/"
LD_LIBRARY_PATH=$PWD/$libraries "$OUT/lib/ld-linux-x86-64.so.2" --list "$OUT/program" |
    sed -n 's|.*=> \(/.*/lib/.*\) (0x.*|\1|p' | grep -v ld-linux | xargs -I{} cp -L {} "$OUT/lib/"
cat >"$OUT/nginx" <<'SCRIPT'
#!/bin/sh
here=$(dirname "$(realpath "$0")")
exec "$here/lib/ld-linux-x86-64.so.2" --library-path "$here/lib" "$here/program" "$@"
SCRIPT
chmod 755 "$OUT/nginx"
"$OUT/nginx" -v
