#!/usr/bin/env bash
# Includes point one way: tensor <- autograd <- nn <- models <- examples. Within the library an include
# in quotes names its layer, and OpenMP stays behind tensor/parallel.h.
set -euo pipefail
cd "$TAPIR_SOURCE"

layers=(tensor autograd nn models examples)

# upward ROOT: prints each offending line; nothing if all is well.
upward() (
    cd "$1"
    for ((i = 0; i < ${#layers[@]}; i++)); do
        [ -d "${layers[i]}" ] || continue
        allowed=$(IFS='|' && echo "${layers[*]:0:i+1}")
        # The files of a program in examples/vae may name each other without the layer.
        [ "${layers[i]}" != examples ] || allowed="$allowed|[a-z0-9_]+\.h\""
        grep -rnE --include='*.[ch]' --include='*.inc' --include='*.def' \
            '^[ \t]*#[ \t]*include[ \t]*"' "${layers[i]}" |
            grep -vE "#[ \t]*include[ \t]*\"($allowed)(/|\$)" || true
    done
    find tensor autograd nn models examples -name '*.[ch]' ! -path tensor/parallel.c 2>/dev/null |
        xargs -r grep -nE '^[ \t]*#[ \t]*(pragma[ \t]+omp|include[ \t]*<omp\.h>)' || true
)

# The check itself is checked on a tree with one fault of each kind.
bad=$(mktemp -d)
trap 'rm -rf "$bad"' EXIT
mkdir -p "$bad"/{tensor/io,autograd,nn,models,examples}
echo '#include "autograd/tape.h"' >"$bad/tensor/io/a.c"
echo ' # include "models/model.h"' >"$bad/nn/b.h"
echo '#include "../tensor/tensor.h"' >"$bad/autograd/c.c"
echo '#include "tests/support/check.h"' >"$bad/models/d.def"
echo '#include "sibling.h"' >"$bad/nn/e.c"
echo '#pragma omp parallel' >"$bad/nn/f.c"
printf '#include "tensor/tensor.h"\n#include <stdio.h>\n' >"$bad/models/fine.c"
echo '#include "models/tapir.h"' >"$bad/examples/fine.c"
found=$(upward "$bad")
if [ "$(wc -l <<<"$found")" -ne 6 ] || grep -q fine <<<"$found"; then
    printf 'the check is broken, it found:\n%s\n' "$found"
    exit 1
fi

found=$(upward .)
if [ -n "$found" ]; then
    printf 'includes that point upward, name no layer, or reach OpenMP:\n%s\n' "$found"
    exit 1
fi
