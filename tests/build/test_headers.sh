#!/usr/bin/env bash
# Every header compiles alone in C11, and every installed one in C++11 where there is a compiler.
set -euo pipefail
cd "$TAPIR_SOURCE"

# TAPIR_HEADERS are the installed ones; the others are for the library alone and C only.
all=$(find tensor autograd nn models -name '*.h')
[ -n "$TAPIR_HEADERS" ]

# alone NAME HEADERS COMPILER...: includes each header twice, for the guard, and uses nothing.
alone() {
    local name=$1 headers=$2 header count=0
    shift 2
    for header in $headers; do
        printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
            "$@" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I . - || failed+=" $header($name)"
        count=$((count + 1))
    done
    echo "$name: $count headers"
}

failed=
alone C11 "$all" "$CC" -std=c11 -x c
if [ -n "$CXX" ]; then
    alone C++11 "$TAPIR_HEADERS" "$CXX" -std=c++11 -x c++
else
    echo "C++: skipped, no C++ compiler"
fi
if [ -n "$failed" ]; then
    echo "do not compile alone:$failed"
    exit 1
fi
