#!/usr/bin/env bash
# Lines of code per layer, against the budget of docs/style.md: no blanks, no comments, no samples or refusals.
# Usage: tests/build/size.sh, or the CMake target "size".
set -euo pipefail
cd "$(dirname "$0")/../.."

count() { # files on standard input
    xargs cat | awk '
        { gsub(/\/\*[^*]*\*+([^\/*][^*]*\*+)*\//, "") }       # comments on one line
        /\/\*/ { sub(/\/\*.*/, ""); open = 1 }
        open && /\*\// { sub(/.*\*\//, ""); open = 0 }
        !open && /^static const tp_(sample|refusal|dist_case|dist_value|dist_refusal) / { table = 1 }
        table { if (/^};/) table = 0; next }
        !open && /[^ \t]/ { n++ }
        END { print n + 0 }'
}

layer() { # name budget files…
    printf '%-28s %6d of %d\n' "$1" "$(printf '%s\n' "${@:3}" | count)" "$2"
}

shopt -s globstar nullglob
layer "tensor" 4000 tensor/**/*.{c,h,def,inc}
mapfile -t explain < <(ls autograd/explain.h autograd/explain/*.[ch])
mapfile -t engine < <(ls autograd/**/*.{c,h,def} | grep -vF autograd/explain)
layer "autograd (with all ops)" 3500 "${engine[@]}"
layer "autograd: explain" 1500 "${explain[@]}"
layer "nn" 3500 nn/**/*.{c,h,def}
layer "models" 2500 models/**/*.{c,h,def}
