# Sourced by every recipe. A recipe fills $OUT; its working directory is empty and thrown away afterwards.
# Given: OUT, RECIPES, LAB, CACHE, VERSION (of the artifact, from meta/artifacts.yml or lab/parts.yml),
#        DEP_<name> (the output of each recipe it depends on), JOBS (cores to use).
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
export GOMODCACHE=$CACHE/downloads/go GOCACHE=$CACHE/go-build GOTOOLCHAIN=local
# Together they spare a quarter of the compiler's time: no debugging data, which `-s -w` drops in the end anyway, and
# memory in place of garbage collection.
export GOFLAGS="-mod=mod -trimpath -gcflags=all=-dwarf=false -p=$JOBS" GOGC=800

# debian_uri: the Debian mirror this machine itself uses.
debian_uri() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
        grep '/debian/*$' | head -n 1
}

# private_apt SUITE: an apt state of our own for another suite; sets APT_OPTIONS. The machine's apt is untouched.
private_apt() {
    local suite=$1 root=$CACHE/downloads/apt-$1
    mkdir -p "$root"/{lists/partial,archives/partial,etc/sources.list.d,etc/preferences.d}
    : >"$root/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_uri) $suite main" \
        >"$root/etc/sources.list"
    APT_OPTIONS=(-o Dir::Etc="$root/etc" -o Dir::State::Lists="$root/lists" -o Dir::State::status="$root/status"
        -o Dir::Cache="$root" -o Dir::Cache::archives="$root/archives" -o APT::Architecture=amd64
        -o APT::Sandbox::User=root -o Acquire::Retries=3 -qq)
    # One update per suite and hour: recipes run in parallel, and lists hardly change in between.
    (
        flock 9
        if [ ! -e "$root/updated" ] || [ -n "$(find "$root/updated" -mmin +60)" ]; then
            apt-get "${APT_OPTIONS[@]}" update
            touch "$root/updated"
        fi
    ) 9>"$root/lock"
}

# debs SUITE PACKAGE...: unpack Debian packages of SUITE into ./root, without their dependencies.
debs() {
    local suite=$1 package
    shift
    private_apt "$suite"
    apt-get "${APT_OPTIONS[@]}" download "$@"
    for package in *.deb; do
        dpkg-deb -x "$package" root
    done
}

# go_program MODULE@VERSION PACKAGE OUTPUT [LDFLAGS]: a static program from the Go module proxy, in a module of its own.
go_program() {
    mkdir -p gomod
    (
        cd gomod
        [ -e go.mod ] || go mod init lab.test/build
        go get "$1"
        CGO_ENABLED=${CGO_ENABLED:-0} go build -ldflags "-s -w ${4:-}" -o "$3" "$2"
    )
}
