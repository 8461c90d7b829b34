#!/usr/bin/env bash
# The programs that the fuzzer prints compile without warnings and do what it says: one call of every row of the
# table runs; an operation that is broken on purpose shows its fault outside of the fuzzer.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
strict="-std=c11 -Wall -Wextra -Wpedantic -Werror -I$TAPIR_SOURCE"
library="$TAPIR_BUILD/lib/libtapir.so -Wl,-rpath,$TAPIR_BUILD/lib -lm"

# Flags are lists of words, hence unquoted.
# shellcheck disable=SC2086
{
    "$TAPIR_BIN/tapir-fuzz" rows
    for file in rows*.c; do
        "$CC" $strict $TAPIR_FLAGS "$file" $library -o program
        ./program
    done
    echo "ok: $(cat rows*.c | grep -c 'v\[[0-9]*\] = tp_') calls"

    "$CC" $strict $TAPIR_FLAGS -c "$TAPIR_SOURCE/tests/fuzz/broken.c" -o broken.o
    for name in mul sub reparameterize neg clamp div; do
        "$TAPIR_BIN/tapir-fuzz" broken_$name >$name.c
        "$CC" $strict $TAPIR_FLAGS $name.c broken.o $library -o program
        code=0
        ./program >out || code=$?
        [ $code -eq 1 ] || { cat $name.c out && echo "broken_$name: exit code $code, not 1" && exit 1; }
        echo "ok: broken_$name shows in $(grep -c . $name.c) lines"
    done
}
