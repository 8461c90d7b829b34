# common.sh: for sourcing by the scripts of this folder, in the source root: where the tool and its digits are, a
# folder to work in, and how failures are counted. Read next: test_vae.sh.

vae=$TAPIR_BIN/vae
data=$TAPIR_SOURCE/examples/data
[ -x "$vae" ] || { echo "skipped: built without the examples" && exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd -P "$tmp" || exit 1

failures=0
bad() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# good ARGS...: "vae ARGS" exits 0.
good() {
    "$vae" "$@" >stdout 2>stderr || bad "exit $?: vae $*: $(cat stderr)"
}

# verdict: the last line of a test.
verdict() {
    [ "$failures" = 0 ] && echo "ok" && exit 0
    echo "$failures checks failed"
    exit 1
}
