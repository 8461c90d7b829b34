#!/usr/bin/env bash
# examples/setup.sh on machines made of stub commands: it installs exactly what is missing, says so
# first, does nothing the second time, and without a way to install names the packages and exits 1.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bin=$tmp/bin
log=$tmp/log

# machine UID COMMAND...: a PATH with these stubs only. apt-get "installs" by making the stub.
machine() {
    rm -rf "$bin" && mkdir "$bin" && : >"$log"
    local uid=$1 name
    shift
    stub id "echo $uid"
    for name in "$@"; do
        case $name in
        apt-get) stub apt-get "echo \"apt-get \$*\" >>$log; [ \$1 = update ] || $tmp/install \"\$@\"" ;;
        sudo) stub sudo 'case $1 in -n) exit 0;; esac; echo sudo >>'"$log"'; exec "$@"' ;;
        *) stub "$name" 'exit 0' ;;
        esac
    done
    stub env 'while [ "${1#*=}" != "$1" ]; do shift; done; exec "$@"'
}
stub() {
    printf '#!%s\n%s\n' "$BASH" "$2" >"$bin/$1"
    chmod +x "$bin/$1"
}
printf '#!%s\n' "$BASH" >"$tmp/install"
cat >>"$tmp/install" <<'END'
for name in "$@"; do
    case $name in install | -* | no-such) continue ;; esac
    printf '#!%s\nexit 0\n' "$BASH" >"${0%/*}/bin/$name"
    /bin/chmod +x "${0%/*}/bin/$name"
done
END
chmod +x "$tmp/install"

# run THING...: the exit code of need, with its output in $out.
run() {
    local code=0
    out=$(PATH=$bin BASH=$BASH "$BASH" -c '. "$1/examples/setup.sh"; shift; need "$@"' - \
        "$TAPIR_SOURCE" "$@" 2>&1 </dev/null) || code=$?
    echo "need $*: exit $code"
    echo "$out" | sed 's/^/    /'
    return $code
}
expect() {
    grep -qF -- "$1" "$2" || { echo "expected '$1' in:" && cat "$2" && exit 1; }
}
says() {
    echo "$out" >"$tmp/out"
    expect "$1" "$tmp/out"
}

# All there: silent, apt-get untouched.
machine 0 gcc make apt-get
run gcc make
[ -z "$out" ] && [ ! -s "$log" ]

# Root: one update, one install of what is missing; then nothing more to do.
machine 0 gcc apt-get
run gcc make cmake pkg-config
says "Installing with apt-get: make cmake pkg-config"
expect "apt-get update" "$log"
expect "no-install-recommends make cmake pkg-config" "$log"
[ "$(grep -c . "$log")" -eq 2 ]
run gcc make cmake pkg-config
[ -z "$out" ] && [ "$(grep -c . "$log")" -eq 2 ]

# A user with sudo.
machine 1000 gcc apt-get sudo
run gcc make
expect sudo "$log"

# No way to install: exit 1 with the names.
machine 1000 apt-get
if run gcc libc png zlib cmocka; then exit 1; fi
says "gcc libc6-dev libpng-dev zlib1g-dev libcmocka-dev"
[ ! -s "$log" ]
machine 0
if run make clang; then exit 1; fi
says "(no apt-get): make clang"
