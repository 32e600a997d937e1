# An image, as parts.yml describes it. LAYERS: parts whose layer.tar it starts with. FILES: what to put on top, as
# PART/PATH:/TARGET. The rest is how it is run: ENTRYPOINT, CMD, USER_ID, WORKDIR, VARIABLES.
. "$RECIPES/lib.sh"
. "$RECIPES/layers.sh"
folder_of() {
    local name=DEP_${1//-/_}
    echo "${!name}"
}
layers=()
for part in ${LAYERS:-}; do
    layers+=("$(folder_of "$part")/layer.tar")
done
if [ -n "${FILES:-}" ]; then
    mkdir root
    for file in $FILES; do
        source=${file%%:*} target=${file#*:}
        mkdir -p "root$(dirname "$target")"
        cp -a "$(folder_of "${source%%/*}")/${source#*/}" "root$target"
    done
    pack_layer
    layers+=("$OUT/layer.tar")
fi
python3 "$LAB/oci.py" "$OUT" "${layers[@]}" --entrypoint "${ENTRYPOINT:-}" --cmd "${CMD:-}" \
    --user "${USER_ID:-}" --workdir "${WORKDIR:-}" --env "${VARIABLES:-}"
rm -f "$OUT/layer.tar"
