#!/usr/bin/env bash
# One file per row of dist.def and one row per file: a file that no row names would be compiled and never tested. (A
# row without a file does not link.)
set -euo pipefail
cd "$TAPIR_SOURCE"
rows=$(sed -nE 's/^TP_DIST\(([a-z_]+)\).*/\1/p' nn/dist.def | sort)
files=$(find nn/dist -name '*.c' -exec basename {} .c \; | sort)
[ "$(wc -l <<<"$rows")" -ge 9 ] || { echo "the rows are not found any more"; exit 1; }
diff <(echo "$rows") <(echo "$files") || { echo "rows of nn/dist.def (<) and files of nn/dist (>) differ"; exit 1; }
