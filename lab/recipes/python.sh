# The layer with Debian's Python, compiled, on top of base.
. "$RECIPES/lib.sh"
. "$RECIPES/layers.sh"
deb_layer trixie "$DEP_base/status" python3.13-minimal libpython3.13-stdlib
ln -sf python3.13 root/usr/bin/python3
ln -sf python3 root/usr/bin/python
rm -rf root/usr/share/python3 root/usr/lib/python3.13/{pydoc_data,turtledemo,idlelib,test}
unpack_layers "$DEP_base/layer.tar"
cp -a root/. tree/
# Servers start noticeably faster with compiled modules. Unchecked: a layer's files have no time to compare with.
in_tree python3 -m compileall -q --invalidation-mode unchecked-hash /usr/lib/python3.13
cp -a tree/usr/lib/python3.13/. root/usr/lib/python3.13/
pack_layer
cp status "$OUT/status"
