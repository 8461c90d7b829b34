#!/usr/bin/env bash
# Builds with warnings as errors and runs every test. Usage: tests/run.sh [preset...]
# Presets: release (the default), debug, asan, clang. Missing packages are installed with apt.
# The last line counts the tests of all presets; the exit code is 0 if none failed.
set -euo pipefail

cd "$(dirname "$0")/.."
. examples/setup.sh
[ $# -gt 0 ] || set -- release
need "${build_needs[@]}" cmocka
for preset in "$@"; do
    [ "$preset" != clang ] || need clang clang-openmp
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0

for preset in "$@"; do
    echo "== $preset: build"
    start=$SECONDS
    cmake --preset "$preset" -DTAPIR_TESTS=ON -DTAPIR_EXAMPLES=ON -DTAPIR_WERROR=ON
    cmake --build --preset "$preset" -j "$(nproc)"
    echo "== $preset: test (built in $((SECONDS - start)) s)"
    status=0
    ctest --preset "$preset" -j "$(nproc)" 2>&1 | tee "$log" || status=$?

    # A line per test: " 3/20 Test  #7: unit/check .......   Passed    0.01 sec"
    lines=$(grep -E '^ *[0-9]+/[0-9]+ Test +#' "$log" || true)
    ran=$(grep -c . <<<"$lines" || true)
    ok=$(grep -cE ' Passed +[0-9.]+ sec' <<<"$lines" || true)
    skip=$(grep -cF '***Skipped' <<<"$lines" || true)
    bad=$((ran - ok - skip))
    if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$ran" -eq 0 ]; }; then
        bad=1 # ctest failed as a whole, or found nothing to run
    fi
    echo "== $preset: $ok passed, $bad failed, $skip skipped"
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
done

if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
