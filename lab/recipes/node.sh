# The layer with Debian's Node.js on top of base.
. "$RECIPES/lib.sh"
. "$RECIPES/layers.sh"
deb_layer trixie "$DEP_base/status" nodejs
pack_layer
