#!/usr/bin/env bash
# Fused multiply-add: strict C11 turns it off, the micro-kernels ask for it back. Without it the AVX2
# kernels would run at half speed and no other test would notice.
set -euo pipefail

case "$(uname -m)" in
x86_64) ;;
*) echo "skipped: not x86-64" && exit 77 ;;
esac
if ! command -v objdump >/dev/null; then
    echo "skipped: no objdump" && exit 77
fi
case "$TAPIR_FLAGS" in
*-O[23]*) ;;
*) echo "skipped: not compiled for speed" && exit 77 ;;
esac

# One line per object with fused instructions: name and count.
found=$(objdump -d --no-show-raw-insn "$TAPIR_BUILD/lib/libtapir.a" | awk '
    / file format / { object = $1; sub(/:$/, "", object) }
    /[ \t]vfn?m(add|sub)/ { count[object]++ }
    END { for (object in count) print object, count[object] }')
echo "fused instructions: ${found:-none}"

for object in avx2.c.o avx512.c.o; do
    grep -q "^$object " <<<"$found" || { echo "none in $object" && exit 1; }
done
if grep -vE '^avx(2|512)\.c\.o ' <<<"$found"; then
    echo "only the micro-kernels may have them"
    exit 1
fi
