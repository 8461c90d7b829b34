#!/usr/bin/env bash
# Data races: clang's thread sanitizer, which Archer (a part of LLVM's OpenMP) tells what OpenMP orders.
# First the control: two chunks that write one element are reported, and chunks that keep apart are not, which
# without Archer they would be. The full form then runs every test that sets a number of threads.
set -euo pipefail
. tests/tools/common.sh

need_tool clang clang
cat >"$tmp/race.c" <<'END'
#include <string.h>
#include "tensor/parallel.h"
static void apart(int64_t chunk, void *v) { ((double *)v)[chunk] += 1; }
static void together(int64_t chunk, void *v) { ((double *)v)[0] += (double)chunk; }
int main(int argc, char **argv)
{
    double v[8] = {0};
    if (argc != 2 || tp_set_threads(2) != TP_OK || tp_threads() != 2)
        return 1;
    for (int i = 0; i < 100; i++)
        tp_parallel(8, strcmp(argv[1], "together") == 0 ? together : apart, v);
    return 0;
}
END
clang -std=c11 -O1 -g -fsanitize=thread -fopenmp -I. "$tmp/race.c" tensor/parallel.c tensor/status.c \
    -o "$tmp/race" 2>"$tmp/out" ||
    { cat "$tmp/out" && lacking "clang's thread sanitizer with OpenMP" "libclang-rt-dev, libomp-dev"; }
export TSAN_OPTIONS=ignore_noninstrumented_modules=1

ARCHER_OPTIONS=verbose=1 "$tmp/race" apart >"$tmp/out" 2>&1 ||
    { cat "$tmp/out" && bad "a program without a race is reported, or does not run on 2 threads"; }
grep -q "^Archer detected" "$tmp/out" || lacking "Archer (libarcher.so)" libomp-dev
if "$tmp/race" together >"$tmp/out" 2>&1; then
    bad "a seeded race is not reported"
fi
grep -q "data race .*race.c:.* in together" "$tmp/out" ||
    { cat "$tmp/out" && bad "the seeded race is reported, but not as what it is"; }
if [ "$mode" = short ]; then
    echo "check-tsan: a seeded race is reported, the same program without it is not"
    exit
fi

# What sets a number of threads runs on several of them.
sources=$(cd tests && grep -lE 'tp_set_threads\(' {unit,autograd,nn,models,ops,fuzz,oracle}/test_*.c)
targets=$(sed -E 's|/|_|; s|\.c$||' <<<"$sources")
names=$(sed -E 's|/test_|/|; s|\.c$||' <<<"$sources" | paste -sd '|')
preset tsan $targets vae

export TSAN_OPTIONS="$TSAN_OPTIONS:log_path=$tmp/report" OMP_WAIT_POLICY=passive
failed=0
ctest --test-dir build/tsan -j "$(nproc)" -R "^($names)\$" --timeout 1500 --output-on-failure \
    >"$tmp/ctest" 2>&1 || failed=1
grep -E ' Test +#' "$tmp/ctest" || bad "no tests were found"
echo "vae train --threads 4"
build/tsan/bin/vae train --threads 4 --epochs 1 --out "$tmp/run" >/dev/null || failed=1
reports=$(cat "$tmp"/report* 2>/dev/null | grep -c '^SUMMARY' || true)
[ "$failed" -eq 0 ] && [ "$reports" -eq 0 ] || {
    cat "$tmp"/report* 2>/dev/null | head -n 100
    grep -A 60 'The following tests FAILED' "$tmp/ctest" || true
    bad "$reports reports of the thread sanitizer"
}
echo "check-tsan: $(grep -c . <<<"$sources") threaded tests and a training on 4 threads: 0 reports; a seeded race is reported"
