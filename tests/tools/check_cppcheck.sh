#!/usr/bin/env bash
# cppcheck over the library and the programs (not the tests: it does not know that a failing assertion leaves a
# function): no finding is allowed but those of which cppcheck_suppressions.txt says why they are none. First the
# control: planted defects must be found.
set -euo pipefail
. tests/tools/common.sh

need_tool cppcheck cppcheck
cat >"$tmp/planted.c" <<'END'
#include <stdlib.h>
int outside(int n);
int unset(int n);
int leak(int n);
int outside(int n)
{
    int four[4] = {n, n, n, n};
    return four[4];
}
int unset(int n)
{
    int x;
    return x + n;
}
int leak(int n)
{
    char *p = malloc(4);
    if (p == NULL)
        return 0;
    p[0] = (char)n;
    return p[0];
}
END
cppcheck=(cppcheck --quiet --std=c11 --enable=warning,performance,portability --error-exitcode=1
    --inline-suppr --suppressions-list=tests/tools/cppcheck_suppressions.txt -I. -D__x86_64__
    "--template={file}:{line}: {id}: {message}")
if "${cppcheck[@]}" "$tmp/planted.c" >"$tmp/out" 2>&1; then
    bad "no planted defect is found"
fi
for id in arrayIndexOutOfBounds uninitvar memleak; do
    grep -q ": $id: " "$tmp/out" || { cat "$tmp/out" && bad "a planted defect is not found: $id"; }
done
"${cppcheck[@]}" tensor/shape.c >"$tmp/out" 2>&1 || { cat "$tmp/out" && bad "tensor/shape.c"; }
if [ "$mode" = short ]; then
    echo "check-cppcheck: planted defects are found"
    exit
fi

"${cppcheck[@]}" -j "$(nproc)" tensor autograd nn models examples >"$tmp/out" 2>&1 ||
    { cat "$tmp/out" && bad "cppcheck has findings"; }
files=$(find tensor autograd nn models examples -name '*.c' | grep -c .)
reasons=$(grep -cvE '^(#|$)' tests/tools/cppcheck_suppressions.txt)
echo "check-cppcheck: $files files, 0 findings, $reasons of its rules or places suppressed with a reason"
