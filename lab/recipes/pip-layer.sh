# A layer with Python packages (PACKAGES) in /usr/local, on top of base and python; compiled, without tests and pip.
# DEBS: Debian packages that go with them. OWNED: folders that belong to the image's user.
. "$RECIPES/lib.sh"
. "$RECIPES/layers.sh"
if [ -n "${DEBS:-}" ]; then
    deb_layer trixie "$DEP_python/status" $DEBS
fi
unpack_layers "$DEP_base/layer.tar" "$DEP_python/layer.tar"
mkdir -p root/usr "$CACHE/downloads/pip"
python3 -m pip download -q --no-deps --dest pip pip==26.3
cp pip/*.whl tree/pip.whl
rm -rf tree/usr/local
in_tree python3 /pip.whl/pip install --no-cache-dir --no-compile --break-system-packages \
    --root-user-action=ignore --only-binary=:all: $PACKAGES
# Tests, source maps, other languages, icon formats that no page uses: a third of the layer.
find tree/usr/local \( -path '*/dist-packages/*' -type d \( -name tests -o -name test -o -name galata \) \
    -o -name '*.map' -o -path '*/@fortawesome/*' \( -name 'svgs*' -o -name js -o -name 'sprites*' -o -name metadata \) \
    -o -path '*/babel/locale-data/*' ! -name 'en*' ! -name 'root.dat' \) -prune -exec rm -rf {} +
find tree/usr/local -name '*.so' -exec strip --strip-unneeded {} + || true
in_tree python3 -m compileall -q --invalidation-mode unchecked-hash /usr/local/lib/python3.13
mv tree/usr/local root/usr/local
for folder in ${OWNED:-}; do
    install -d -o 1000 -g 100 "root$folder"
done
pack_layer
(cd root/usr/local/lib/python3.13/dist-packages && du -sm -- * | sort -rn | head -n 25)
