# common.sh: for sourcing by the scripts of this folder. Each proves on planted defects that its tool works
# ("short"), and then lets the tool judge the library ("full"). Read next: check_tsan.sh.

mode=${1:-short}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# need_tool COMMAND PACKAGE: without it the short form is skipped, which ctest shows; the full form fails.
need_tool() {
    command -v "$1" >/dev/null || lacking "$1" "$2"
}

lacking() {
    echo "$1 is not here; in Debian and Ubuntu it is in the package $2"
    [ "$mode" != short ] && exit 1
    echo "skipped" && exit 77
}

bad() {
    echo "FAILED: $*"
    exit 1
}

# preset NAME TARGET...: configures and builds a preset with tests and examples.
preset() {
    local name=$1
    shift
    { cmake --preset "$name" -DTAPIR_TESTS=ON -DTAPIR_EXAMPLES=ON &&
        cmake --build --preset "$name" -j "$(nproc)" --target "$@"; } >"$tmp/build" 2>&1 ||
        { tail -n 40 "$tmp/build" && bad "preset $name does not build"; }
}
