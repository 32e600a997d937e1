# The layer with configurable-http-proxy, laid out as in upstream's image.
. "$RECIPES/lib.sh"
. "$RECIPES/layers.sh"
# npm comes with Node.js itself on most machines; Debian's package of it would fight with that one.
command -v npm >/dev/null || { echo "npm is missing on this machine: install Node.js with npm"; exit 1; }
app=root/srv/configurable-http-proxy
mkdir -p "$app" root/usr/local/bin
npm install --prefix "$app" --omit=dev --no-fund --no-audit --ignore-scripts "configurable-http-proxy@$VERSION"
rm -f "$app"/package*.json
bin=/srv/configurable-http-proxy/node_modules/.bin/configurable-http-proxy
ln -s "$bin" root/usr/local/bin/configurable-http-proxy
cat >"$app/chp-docker-entrypoint" <<'SCRIPT'
#!/bin/sh
# As in upstream's image: listen on all addresses unless told otherwise.
case "$*" in
    *--ip*) exec configurable-http-proxy "$@" ;;
    *) exec configurable-http-proxy --ip=0.0.0.0 "$@" ;;
esac
SCRIPT
chmod 755 "$app/chp-docker-entrypoint"
find "$app" \( -name test -o -name '*.md' -o -name '*.map' \) -prune -exec rm -rf {} +
pack_layer
