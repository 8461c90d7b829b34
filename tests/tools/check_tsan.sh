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
flags="-std=c11 -O1 -g -fsanitize=thread -fopenmp -I."
echo 'int main(void) { return 0; }' | clang $flags -x c - -o "$tmp/nothing" 2>"$tmp/out" ||
    { cat "$tmp/out" && lacking "clang's thread sanitizer with OpenMP" "libclang-rt-dev, libomp-dev"; }
clang $flags "$tmp/race.c" tensor/parallel.c tensor/status.c tensor/utf8.c -o "$tmp/race" ||
    bad "the program with a seeded race is not built"
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

# What sets a number of threads runs on several of them. nn/test_malloc replaces malloc, as the sanitizer does; the
# large adjoints run the same code as the small ones, for half an hour here.
sources=$(cd tests && grep -lE 'tp_set_threads\(' {unit,autograd,nn,models,ops,oracle}/test_*.c determinism/*.c |
    grep -vE '^nn/test_malloc|^ops/test_ops_adjoint_large' | sed 's/\.c$//')
preset tsan $(tr / _ <<<"$sources") vae

export TSAN_OPTIONS="$TSAN_OPTIONS:log_path=$tmp/report" OMP_WAIT_POLICY=passive tmp
# one TEST: a report changes the exit code of a program that would have left with 0.
one() {
    local code=0 arg=()
    case $1 in */check_*) arg=(short) ;; esac
    "build/tsan/tests/$1" "${arg[@]}" >"$tmp/${1//\//_}" 2>&1 || code=$?
    [ "$code" -eq 0 ] && echo "clean $1" || { echo "FAILED $1, exit $code" && tail -n 40 "$tmp/${1//\//_}"; }
}
export -f one
xargs -P "$(nproc)" -n 1 bash -c 'one "$0"' <<<"$sources" | tee "$tmp/results"
for threads in 2 4; do
    build/tsan/bin/vae train --threads $threads --hidden 32 --epochs 1 --out "$tmp/run$threads" >/dev/null 2>&1 ||
        echo "FAILED vae train --threads $threads" | tee -a "$tmp/results"
done
reports=$(find "$tmp" -name 'report*' | grep -c . || true)
ran=$(grep -c '^clean' "$tmp/results" || true)
if [ "$reports" -ne 0 ] || [ "$ran" -ne "$(grep -c . <<<"$sources")" ] || grep -q FAILED "$tmp/results"; then
    find "$tmp" -name 'report*' -exec head -n 60 {} +
    bad "$reports programs with reports of the thread sanitizer"
fi
echo "check-tsan: $ran threaded tests and trainings on 2 and 4 threads: 0 reports; a seeded race is reported"
