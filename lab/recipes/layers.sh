# Sourced after lib.sh by recipes that make image layers or sets of Debian packages.
DROP="usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian usr/share/bug usr/share/doc-base
    usr/lib/x86_64-linux-gnu/gconv usr/lib/x86_64-linux-gnu/audit"

# deb_closure SUITE STATUS PACKAGE...: into ./debs, the packages and what they depend on, less what the dpkg status
# file STATUS has.
deb_closure() {
    local suite=$1 status
    status=$(realpath "$2")
    shift 2
    private_apt "$suite"
    mkdir -p debs/partial
    # No package cache on disk: another recipe may be using the same lists with another status.
    apt-get "${APT_OPTIONS[@]}" -o Dir::State::status="$status" -o Dir::Cache::archives="$PWD/debs" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        --no-install-recommends --download-only -y install "$@"
    rm -rf debs/partial debs/lock
}

# deb_layer SUITE STATUS PACKAGE...: unpack that closure into ./root without running the packages' scripts, and say in
# ./status what is there now. Docs and locales stay out.
deb_layer() {
    local deb
    deb_closure "$@"
    mkdir -p root
    cp "$2" status
    for deb in debs/*.deb; do
        dpkg-deb -x "$deb" root
        { dpkg-deb -f "$deb"; echo "Status: install ok installed"; echo; } >>status
    done
    (cd root && rm -rf $DROP)
}

# pack_layer: ./root as $OUT/layer.tar, the same bytes for the same files. Uncompressed: nodes have slow processors.
pack_layer() {
    tar --sort=name --mtime=@0 --numeric-owner --format=gnu -cf "$OUT/layer.tar" -C root .
}

# unpack_layers LAYER...: layers of other parts as one file system in ./tree, for chroot.
unpack_layers() {
    local layer
    mkdir -p tree
    for layer in "$@"; do
        tar -xf "$layer" -C tree
    done
}

# in_tree COMMAND...: run a command in ./tree. It gets what it takes to reach this machine's package index: names,
# trust and pip's settings. Whoever packs the result takes only the folders that the command was to fill.
in_tree() {
    local path
    for path in /etc/resolv.conf /etc/hosts /etc/pip.conf ${PIP_CERT:-} ${PIP_FIND_LINKS:-}; do
        if [ -e "$path" ]; then
            mkdir -p "tree$(dirname "$path")"
            cp -rL "$path" "tree$(dirname "$path")"
        fi
    done
    unshare --mount bash -euc 'mount --rbind /dev tree/dev; exec chroot tree "$@"' in_tree "$@"
}
