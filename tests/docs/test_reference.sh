#!/usr/bin/env bash
# docs/reference/ops.md is what the rows say now. The generator fails by itself where a formula renders empty.
set -euo pipefail
cd "${TAPIR_SOURCE:?}"
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
"${TAPIR_BIN:?}/tapir-reference" "$fresh"
[ "$(wc -l <"$fresh")" -gt 1000 ]
if ! diff docs/reference/ops.md "$fresh"; then
    echo "docs/reference/ops.md is out of date: build the target reference" >&2
    exit 1
fi
# An operation without a formula does not pass.
if "$TAPIR_BIN/tapir-reference" --broken >/dev/null 2>&1; then
    echo "an empty formula was not noticed" >&2
    exit 1
fi
