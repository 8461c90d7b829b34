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

# be32 N: a number as the headers of idx and PNG have it.
be32() {
    printf "\\x$(printf %02x $(($1 >> 24 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))"
    printf "\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 & 255)))"
}

# npy TYPE SHAPE: the header of an array; its bytes follow.
npy() {
    printf '\x93NUMPY\1\0\x76\0%-117s\n' "{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"
}

# size FILE: "WIDTHxHEIGHT" of a PNG.
size() {
    local b
    [ "$(od -An -tx1 -N8 "$1" | tr -d ' \n')" = 89504e470d0a1a0a ] || { echo "no PNG" && return; }
    read -r -a b <<<"$(od -An -tu1 -j16 -N8 "$1" | tr '\n' ' ')"
    echo "$((b[2] * 256 + b[3]))x$((b[6] * 256 + b[7]))"
}

# is_png FILE SIZE
is_png() {
    [ -f "$1" ] && [ "$(size "$1")" = "$2" ] || bad "$1 is $(size "$1" 2>&1), want $2"
}

# verdict: the last line of a test.
verdict() {
    [ "$failures" = 0 ] && echo "ok" && exit 0
    echo "$failures checks failed"
    exit 1
}
