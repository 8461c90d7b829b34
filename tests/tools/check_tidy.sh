#!/usr/bin/env bash
# clang-tidy over the library and the programs, with the checks of .clang-tidy: no finding is allowed. First the
# control: planted defects must be found, by a check of each family. Read next: .clang-tidy.
set -euo pipefail
. tests/tools/common.sh

need_tool clang-tidy clang-tidy
cat >"$tmp/planted.c" <<'END'
#include <stdlib.h>
#include <string.h>
int planted(const char *text, int n);
int planted(const char *text, int n)
{
    int *block = malloc(sizeof *block);
    if (strcmp(text, "x"))
        n++;
    if (n > 3)
        return 1;
    if (n > 2)
        n = 2;
    else
        n = 2;
    free(block);
    return atoi(text) + n / 2 * (int)strlen(text);
}
END
tidy=(clang-tidy --quiet --warnings-as-errors='*' "--config-file=$PWD/.clang-tidy")
if "${tidy[@]}" "$tmp/planted.c" -- -std=c11 >"$tmp/out" 2>&1; then
    bad "no planted defect is found"
fi
for check in clang-analyzer-unix.Malloc bugprone-branch-clone cert-err34-c; do
    grep -q "\[.*$check.*\]" "$tmp/out" || { cat "$tmp/out" && bad "a planted defect is not found: $check"; }
done
"${tidy[@]}" tensor/shape.c -- -std=c11 -I. >"$tmp/out" 2>&1 || { cat "$tmp/out" && bad "tensor/shape.c"; }
if [ "$mode" = short ]; then
    echo "check-tidy: planted defects are found"
    exit
fi

need_tool clang clang
cmake -S . -B "$tmp/build" -DCMAKE_C_COMPILER=clang -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DTAPIR_TESTS=OFF \
    -DTAPIR_EXAMPLES=ON >"$tmp/out" 2>&1 || { cat "$tmp/out" && bad "it cannot be configured"; }
mapfile -t files < <(sed -n 's/^ *"file": "\(.*\)".*/\1/p' "$tmp/build/compile_commands.json" | sort -u)
[ "${#files[@]}" -gt 50 ] || bad "only ${#files[@]} files are compiled"
# All but the file that defines tp_fail itself are told what it returns.
printf '%s\n' "${files[@]}" | grep -v '/tensor/status\.c$' |
    xargs -P "$(nproc)" -n 4 "${tidy[@]}" -p "$tmp/build" "--extra-arg=-include$PWD/tests/tools/analyzer.h" \
        >"$tmp/out" 2>"$tmp/err" || true
"${tidy[@]}" -p "$tmp/build" tensor/status.c >>"$tmp/out" 2>>"$tmp/err" || true
found=$(sed -nE "s#^$PWD/([^:]*):[0-9]+:[0-9]+: (warning|error): .*\[([^],]*).*#\1 \3#p" "$tmp/out" "$tmp/err" |
    sed 's/ clang-analyzer-/ /' | sort -u)
known=$(grep -vE '^(#|$)' tests/tools/tidy_known.txt | awk -F ' [|] ' 'NF == 3 { print $1, $2 }' | sort -u)
[ "$found" = "$known" ] || {
    grep -A 4 -E ': (warning|error): ' "$tmp/out" | head -n 400
    diff <(echo "$known") <(echo "$found") || true
    bad "clang-tidy has findings (>), or known ones are gone (<)"
}
echo "check-tidy: ${#files[@]} files, $("${tidy[@]}" --list-checks -- | grep -c '^    ') checks, 0 findings" \
    "but $(grep -c . <<<"$known") that are known to be none"
