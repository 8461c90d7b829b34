#!/usr/bin/env bash
# The sanitizers of this build stop a program at each of the defects they are there for, with a nonzero exit code:
# otherwise all the tests under them would show nothing. Other builds skip this.
set -euo pipefail
. tests/tools/common.sh

case "$TAPIR_FLAGS" in
*-fsanitize=address,undefined*) ;;
*) echo "skipped: built without the sanitizers" && exit 77 ;;
esac

cat >"$tmp/planted.c" <<'END'
#include <limits.h>
#include <stdlib.h>
#include <string.h>
static int *gone(void)
{
    int here[4] = {0};
    int *volatile p = here;
    return p;
}
static int *(*volatile call)(void) = gone; /* not inlined */
int main(int argc, char **argv)
{
    const char *defect = argv[1];
    volatile int n = argc; /* 2 */
    char *volatile block = malloc(16);
    memset(block, 0, 16);
    if (strcmp(defect, "heap-buffer-overflow") == 0)
        block[14 + n] = 1;
    if (strcmp(defect, "heap-use-after-free") == 0) {
        free(block);
        return block[n];
    }
    if (strcmp(defect, "stack-use-after-return") == 0)
        return *call();
    if (strcmp(defect, "signed integer overflow") == 0)
        n += INT_MAX;
    if (strcmp(defect, "shift exponent") == 0)
        n <<= 30 + n;
    if (strcmp(defect, "index 4 out of bounds") == 0)
        n = (int[4]){1, 2, 3, 4}[n + 2];
    if (strcmp(defect, "misaligned address") == 0)
        n = *(volatile int *)(block + 1);
    if (strcmp(defect, "is outside the range of representable values") == 0)
        n = (int)(n * 1e30);
    if (strcmp(defect, "detected memory leaks") == 0)
        block = NULL;
    free(block);
    return n == 12345;
}
END
"$CC" $TAPIR_FLAGS -w "$tmp/planted.c" -o "$tmp/planted"

"$tmp/planted" nothing >"$tmp/out" 2>&1 || { cat "$tmp/out" && bad "a clean program is stopped"; }
defects=("heap-buffer-overflow" "heap-use-after-free" "stack-use-after-return" "signed integer overflow"
    "shift exponent" "index 4 out of bounds" "misaligned address"
    "is outside the range of representable values" "detected memory leaks")
for defect in "${defects[@]}"; do
    if ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_stack_use_after_return=1 \
        "$tmp/planted" "$defect" >"$tmp/out" 2>&1; then
        bad "not stopped: $defect"
    fi
    grep -qF "$defect" "$tmp/out" || { cat "$tmp/out" && bad "stopped for something else than: $defect"; }
done
echo "sanitizers: ${#defects[@]} planted defects, each stops the program"
