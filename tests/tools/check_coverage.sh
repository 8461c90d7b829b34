#!/usr/bin/env bash
# Lines that the tests run, counted by gcc and gcov: all lines of the loaders, of checkpoints, status codes and
# memory, all lines anywhere that report an error, and 95 % of everything. The few that cannot run stand in
# coverage_reasons.txt. First the control, on a made-up library: a line that no test runs must be found.
# TAPIR_COVERAGE_SHOW=1 lists the other lines that do not run too. Read next: coverage.awk.
set -euo pipefail
. tests/tools/common.sh

need_tool gcc gcc
need_tool gcov gcc
must='^tensor/(io/|status\.c|mem\.c)|^nn/checkpoint'

# judge DIRECTORY REASONS: what coverage.awk says of the objects below a directory; from the source root.
judge() {
    local objects
    mapfile -d '' objects < <(find "$1" -name '*.gcno' \
        \( -not -path '*/tests/*' -o -path '*/examples/vae/*' \) -print0)
    gcov -t "${objects[@]}" >"$tmp/gcov" 2>"$tmp/gcov.err" || { cat "$tmp/gcov.err" && return 2; }
    awk -v must="$must" -v least=95 -v reasons="$2" -v show="${TAPIR_COVERAGE_SHOW:-}" \
        -f "$awk_file" "$2" "$tmp/gcov"
}
awk_file=$PWD/tests/tools/coverage.awk

control() {
    mkdir -p "$tmp/control/tensor/io" "$tmp/control/nn" && cd "$tmp/control"
    echo 'int load(int x);
int load(int x)
{
    if (x > 1)
        return 7;
    return 0;
}' >tensor/io/load.c
    {
        echo 'int load(int x);
int never(int x);
int main(int argc, char **argv)
{
    (void)argv;'
        for i in $(seq 100); do echo "    argc += load($i - $i);"; done
        echo '    return argc == 0;
}
int never(int x)
{
    return x > 0 ?
        tp_fail(x) : 0;
}'
    } | sed '1i int tp_fail(int x);' >nn/main.c
    echo 'int tp_fail(int x); int tp_fail(int x) { return x; }' >fail.c
    gcc -O0 -g --coverage tensor/io/load.c nn/main.c fail.c -o main && ./main
    : >"$tmp/reasons"
    judge . "$tmp/reasons" >"$tmp/out" && bad "a loader's line that does not run is not found"
    grep -qF 'tensor/io/load.c:5: no test runs this: return 7;' "$tmp/out" ||
        { cat "$tmp/out" && bad "the line that does not run is not named"; }
    grep -q 'nn/main.c:[0-9]*: no test runs this: .*tp_fail' "$tmp/out" ||
        { cat "$tmp/out" && bad "an error path that does not run is not named"; }

    echo 'tensor/io/load.c | return 7; | a control' >"$tmp/reasons"
    sed -n 's/^\(nn.*\):[0-9]*: no test runs this: \(.*\)/\1 | \2 | a control/p' "$tmp/out" >>"$tmp/reasons"
    judge . "$tmp/reasons" >"$tmp/out" || { cat "$tmp/out" && bad "lines with reasons are not excused"; }
    grep -q 'nn 9[0-9.]*), .* [23] lines excused$' "$tmp/out" || { cat "$tmp/out" && bad "a wrong figure"; }

    echo 'tensor/io/load.c | return 0; | a control' >>"$tmp/reasons"
    judge . "$tmp/reasons" >"$tmp/out" && bad "a reason that is not true is not found"
    sed -i '$d' "$tmp/reasons"
    rm -f ./*.gcda && sed -i '/argc += /d' nn/main.c
    gcc -O0 -g --coverage tensor/io/load.c nn/main.c fail.c -o main && ./main
    judge . "$tmp/reasons" >"$tmp/out" && bad "too few lines are not noticed"
    grep -q 'less than 95' "$tmp/out" || { cat "$tmp/out" && bad "too few lines are not named"; }
}
(control)
if [ "$mode" = short ]; then
    echo "check-coverage: lines that do not run are found, and so are reasons that are not true"
    exit
fi

# Programs that only show something (examples, bench) prove nothing about the lines they run. Kills and full disks at
# the n-th file call of the program vae are left out: what counts lines has file calls of its own.
preset coverage all
find build/coverage -name '*.gcda' -delete
ctest --preset coverage -j "$(nproc)" -LE '^(examples|bench|build|docs|tools)$' \
    -E '^fault/(kill|disk)$' >"$tmp/ctest" 2>&1 ||
    { tail -n 40 "$tmp/ctest" && bad "a test fails"; }
# The short forms let some of the allocations fail; a line that answers to one needs all of them.
build/coverage/tests/fault/check_oom full >"$tmp/oom" 2>&1 || { tail -n 40 "$tmp/oom" && bad "check-oom fails"; }
TAPIR_SOURCE=$PWD TAPIR_BUILD=$PWD/build/coverage bash tests/fault/check_oom_tool.sh full >"$tmp/oom" 2>&1 ||
    { tail -n 40 "$tmp/oom" && bad "check-oom_tool fails"; }
judge build/coverage tests/tools/coverage_reasons.txt
