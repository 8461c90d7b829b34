#!/usr/bin/env bash
# Valgrind's memcheck: values that were never written but decide something, accesses outside of blocks, and
# leaks, in tests and in the program vae. Valgrind knows no AVX-512 and says so to the library, which then
# runs the AVX2 kernels. First the control: a read of what was not written, and a leak, must be reported.
set -euo pipefail
. tests/tools/common.sh

need_tool valgrind valgrind
need_tool gcc gcc
memcheck=(valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect
    --errors-for-leak-kinds=definite,indirect)

cat >"$tmp/planted.c" <<'END'
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
    (void)argc;
    int *block = malloc(16);
    if (strcmp(argv[1], "unwritten") != 0)
        block[1] = 1;
    int code = block[1] == 7 ? 1 : 0;
    if (strcmp(argv[1], "leak") != 0)
        free(block);
    block = NULL;
    return code;
}
END
gcc -O0 -g "$tmp/planted.c" -o "$tmp/planted"
"${memcheck[@]}" "$tmp/planted" clean >"$tmp/out" 2>&1 ||
    { cat "$tmp/out" && bad "a clean program is reported"; }
for defect in unwritten:uninitialised leak:"definitely lost"; do
    code=0
    "${memcheck[@]}" "$tmp/planted" "${defect%%:*}" >"$tmp/out" 2>&1 || code=$?
    [ "$code" -eq 99 ] && grep -q "${defect#*:}" "$tmp/out" ||
        { cat "$tmp/out" && bad "a planted defect is not reported: ${defect%%:*}"; }
done
if [ "$mode" = short ]; then
    echo "check-valgrind: a planted unwritten value and a planted leak are reported, a clean program is not"
    exit
fi

# All tests but those that would take more than a few minutes each: sweeps whose code others here run too.
too_long='unit/test_(map_reduce|numbers)$|nn/test_train$|autograd/test_graphs$|^fuzz/'
too_long+='|ops/test_ops_(gradients|layouts|adjoint|adjoint_large|quad|mutants|f32|reads)$|ops/test_coverage$'
# And those that do on purpose what valgrind reports: they replace malloc, ask for more than there is, look at their own
# stack, lose blocks as a control, or start processes without valgrind, which use other kernels.
on_purpose='nn/test_malloc$|fault/test_(huge|stack)$|unit/test_check$|fault/check_oom$|determinism/check_threads$'
sources=$(cd tests && printf '%s\n' */test_*.c */check_*.c | sed 's/\.c$//' | grep -vE "$too_long|$on_purpose")
preset valgrind $(tr / _ <<<"$sources") vae

# one TEST: its last line says what became of it.
one() {
    local log=$tmp/${1//\//_} code=0 arg=()
    case $1 in */check_*) arg=(short) ;; esac
    "${memcheck[@]}" "build/valgrind/tests/$1" "${arg[@]}" >"$log" 2>&1 || code=$?
    [ "$code" -eq 0 ] && echo "clean $1" || { echo "FAILED $1, exit $code" && tail -n 60 "$log"; }
}
export -f one
export tmp OMP_WAIT_POLICY=passive
memcheck_text=$(declare -p memcheck)
export memcheck_text
xargs -P "$(nproc)" -n 1 bash -c 'eval "$memcheck_text"; one "$0"' <<<"$sources" | tee "$tmp/results"

# The program, command by command.
vae() {
    "${memcheck[@]}" "--log-file=$tmp/vae.%p" build/valgrind/bin/vae "$@" >"$tmp/out" 2>&1 ||
        { cat "$tmp"/vae.* | head -n 60 && tail -n 20 "$tmp/out" && bad "vae $*"; }
    commands=$((commands + 1))
}
commands=0 run=$tmp/run
vae train --out "$run" --epochs 1 --hidden 8 --latent-dim 2 --binarize static
vae train --resume "$run" --epochs 2
vae eval --run "$run"
vae sample --run "$run" --out "$tmp/samples.png"
vae reconstruct --run "$run" --out "$tmp/reconstructions.png"
vae manifold --run "$run" --out "$tmp/manifold.png"
vae traverse --run "$run" --out "$tmp/traversals.png"
vae interpolate --run "$run" --spherical --out "$tmp/interpolations.png"
vae scatter --run "$run" --out "$tmp/scatter.svg"
vae curves --run "$run" --out "$tmp/curves.svg"
vae report --run "$run" --importance 3 --out "$tmp/report.html"
vae info --run "$run"
ran=$(grep -c '^clean' "$tmp/results" || true)
[ "$ran" -eq "$(grep -c . <<<"$sources")" ] || bad "not all tests are clean"
echo "check-valgrind: $ran tests and $commands commands of vae: nothing unwritten is used, no block is lost"
