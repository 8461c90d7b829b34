#!/usr/bin/env bash
# Installs the built tree into a fresh prefix, moves it, and builds and runs a small program outside the
# source tree against it: by pkg-config (shared and static) and by find_package, in C and in C++.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$CMAKE" --install "$TAPIR_BUILD" --prefix "$tmp/first" >"$tmp/log" || { cat "$tmp/log" && exit 1; }
mv "$tmp/first" "$tmp/prefix" # nothing in it may know where it was installed
mkdir "$tmp/user"
cd "$tmp/user"

cat >main.c <<'END'
#include <stdio.h>
#include <tapir.h>

/* y = x·x + x at x = 3: y = 12, dy/dx = 7. */
int main(void)
{
    const double three = 3;
    tp_tape *t = NULL;
    tp_tensor x;
    tp_shape none = {0};
    if (tp_tape_new(&t) || tp_tensor_from(&x, TP_F64, none, &three))
        return 1;
    tp_var v = tp_leaf(t, &x), y = tp_add(tp_mul(v, v), v);
    if (tp_backward(y))
        return 2;
    printf("%g %g\n", tp_item_of(y), tp_item(tp_leaf_grad(v)));
    tp_tape_free(t);
    tp_tensor_free(&x);
    return 0;
}
END

# runs COMMAND...: the program prints what it should.
runs() {
    local out
    out=$("$@")
    [ "$out" = "12 7" ] || { echo "$*: printed '$out', want '12 7'" && exit 1; }
    echo "ok: ${*##*/}"
}

pc=$(find "$tmp/prefix" -name tapir.pc)
libdir=$(cd "$(dirname "$pc")/.." && pwd)
export PKG_CONFIG_PATH=$libdir/pkgconfig
export LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
strict="-std=c11 -Wall -Wextra -Wpedantic -Werror"

# Flags are lists of words, hence unquoted.
# shellcheck disable=SC2046,SC2086
{
    "$CC" $strict $TAPIR_FLAGS main.c -o shared $(pkg-config --cflags --libs tapir)
    runs ./shared
    # With both kinds installed the linker would take the shared one: name the archive.
    "$CC" $strict $TAPIR_FLAGS main.c -o static \
        $(pkg-config --static --cflags --libs tapir | sed 's/-ltapir/-l:libtapir.a/')
    LD_LIBRARY_PATH='' runs ./static
    if [ -n "$CXX" ]; then
        cp main.c main.cpp
        "$CXX" -std=c++11 -Wall -Wpedantic -Werror $TAPIR_FLAGS main.cpp -o cxx \
            $(pkg-config --cflags --libs tapir)
        runs ./cxx
    else
        echo "C++: skipped, no C++ compiler"
    fi
}
[ "$(pkg-config --modversion tapir)" = 0.1.0 ]

cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES C)
find_package(tapir 0.1 REQUIRED)
add_executable(with_static main.c)
target_link_libraries(with_static tapir::tapir)
add_executable(with_shared main.c)
target_link_libraries(with_shared tapir::tapir_shared)
END
{
    "$CMAKE" -S . -B build -DCMAKE_PREFIX_PATH="$tmp/prefix" -DCMAKE_C_COMPILER="$CC" \
        -DCMAKE_C_FLAGS="$TAPIR_FLAGS"
    "$CMAKE" --build build
} >"$tmp/log" 2>&1 || { cat "$tmp/log" && exit 1; }
LD_LIBRARY_PATH='' runs build/with_static
runs build/with_shared
