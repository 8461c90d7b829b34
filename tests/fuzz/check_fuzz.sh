#!/usr/bin/env bash
# Coverage-guided fuzzing of everything that reads what others wrote (target_*.c, see target.h).
#   short   planted bugs are found: by the replay of a corpus, by libFuzzer (if clang has it)
#   full    that, then every target by libFuzzer in a build of its own (build/fuzz), then tapir-fuzz (main.c):
#           TAPIR_FUZZ_SECONDS (60) seconds each, as many at once as there are cores; TAPIR_FUZZ_TARGETS="npy png"
#           chooses. Needs clang. What is found is kept in build/fuzz/findings, inputs in build/fuzz/corpus
#   merge   makes tests/fuzz/corpus anew, as small as gives the same coverage, from itself, build/fuzz/corpus
#           and build/fuzz/findings (after the bugs are fixed: they must not be found again)
# The last line is the figure. The corpora are replayed by tests fuzz/replay_*.
set -euo pipefail

TAPIR_SOURCE=${TAPIR_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
build=$TAPIR_SOURCE/build/fuzz
seconds=${TAPIR_FUZZ_SECONDS:-60}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export ASAN_OPTIONS=allocator_may_return_null=1:detect_stack_use_after_return=1
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm # where targets write files

fail() {
    echo "check-fuzz: $*"
    exit 1
}

has_libfuzzer() {
    command -v clang >/dev/null &&
        clang -g -DTAPIR_LIBFUZZER -fsanitize=fuzzer,address -I"$TAPIR_SOURCE" -o "$scratch/planted" \
            "$TAPIR_SOURCE/tests/fuzz/planted.c" 2>"$scratch/log"
}

# An input that ends a target ends the replay; so does nothing to replay.
check_replay() {
    local replay=$TAPIR_BUILD/tests/fuzz/fuzz-planted
    mkdir "$scratch/empty" "$scratch/good" "$scratch/bad"
    printf 'PLNT\2ab?' >"$scratch/good/a" # the count is wrong: not looked into
    printf 'STOP' >"$scratch/bad/b"
    "$replay" "$scratch/good" >/dev/null 2>&1 || fail "the replay of a good input fails"
    ! "$replay" "$scratch/empty" >/dev/null 2>&1 || fail "a replay of nothing succeeds"
    { ! "$replay" "$scratch/good" "$scratch/bad" >/dev/null || fail "the replay misses a planted bug"; } 2>/dev/null
}

# libFuzzer starts from nothing. Sets found to the number of inputs it took.
check_planted() {
    ! "$1" -seed=1 -max_total_time=30 -max_len=64 -artifact_prefix="$scratch/" \
        -print_final_stats=1 >"$scratch/planted.log" 2>&1 || fail "libFuzzer misses the planted bug"
    grep -q heap-buffer-overflow "$scratch/planted.log" || fail "libFuzzer does not see a read beyond"
    found=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/planted.log")
}

# What a target needs beyond the usual.
options_of() {
    case $1 in
    program) echo "-timeout=300 -max_len=512 -entropic=0 -use_cmp=0" ;; # a program takes its time
    idx_gz | png) echo "-timeout=10 -max_len=8192" ;;
    *) echo "-timeout=10 -max_len=4096" ;;
    esac
    [ ! -f "tests/fuzz/dictionaries/$1.dict" ] || echo "-dict=tests/fuzz/dictionaries/$1.dict"
}

run_target() {
    local name=$1 log=$build/logs/$1.log
    mkdir -p "$build/corpus/$name" "$build/findings/$name" "tests/fuzz/corpus/$name"
    # shellcheck disable=SC2046
    "$build/tests/fuzz/fuzz-$name" $(options_of "$name") -rss_limit_mb=2048 -close_fd_mask=1 \
        -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$build/findings/$name/" \
        "$build/corpus/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1 || echo "found" >>"$log"
}

report_target() {
    local name=$1 log=$build/logs/$1.log runs coverage
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    coverage=$(grep -aoE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -n 1)
    executions=$((executions + ${runs:-0}))
    if [ "$(tail -n 1 "$log")" = found ]; then
        findings=$((findings + 1))
        grep -aE 'does not hold|^last error|^SUMMARY|Test unit written' "$log" || tail -n 5 "$log"
    fi
    printf '%-12s %10s executions, %s\n' "$name" "${runs:-no}" "${coverage:-no coverage}"
}

all_targets() {
    local file
    for file in tests/fuzz/target_*.c; do
        basename "$file" .c | sed 's/^target_//'
    done
}

build_targets() {
    cmake --preset fuzz -DTAPIR_TESTS=ON -DTAPIR_EXAMPLES=ON >"$scratch/log" 2>&1 &&
        cmake --build --preset fuzz -j "$(nproc)" --target fuzz-targets >>"$scratch/log" 2>&1 ||
        { tail -n 30 "$scratch/log" && fail "the build for libFuzzer fails"; }
    mkdir -p "$build/logs"
}

full() {
    local name executions=0 findings=0 n=0 programs
    build_targets
    check_planted "$build/tests/fuzz/fuzz-planted"
    for name in $targets; do
        [ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n
        run_target "$name" &
        n=$((n + 1))
    done
    wait
    for name in $targets; do
        report_target "$name"
    done
    programs=$("$TAPIR_BIN/tapir-fuzz" | tee "$scratch/programs" | tail -n 1) ||
        findings=$((findings + 1))
    grep -v '^fuzz: ' "$scratch/programs" || true
    echo "fuzz: planted bug found after $found inputs; $n targets, $seconds s each: $executions" \
        "executions, $findings findings; random programs:${programs#fuzz:}"
    [ "$findings" -eq 0 ]
}

# Coverage is that of edges alone: counts and comparisons would keep thousands of inputs.
merge() {
    local name
    build_targets
    for name in $targets; do
        mkdir -p "$scratch/$name" "$build/corpus/$name" "$build/findings/$name"
        # shellcheck disable=SC2046
        "$build/tests/fuzz/fuzz-$name" $(options_of "$name") -merge=1 -use_counters=0 -use_cmp=0 \
            "$scratch/$name" "tests/fuzz/corpus/$name" "$build/corpus/$name" \
            >"$build/logs/$name.merge" 2>&1 || fail "$name: $(tail -n 1 "$build/logs/$name.merge")"
        rm -rf "tests/fuzz/corpus/$name"
        mkdir -p "tests/fuzz/corpus/$name"
        find "$scratch/$name" "$build/findings/$name" -type f \
            -exec cp -t "tests/fuzz/corpus/$name" {} +
    done
    echo "check-fuzz: $(find tests/fuzz/corpus -type f | wc -l) inputs," \
        "$(du -sh --apparent-size tests/fuzz/corpus | cut -f 1)"
}

cd "$TAPIR_SOURCE"
targets=${TAPIR_FUZZ_TARGETS:-$(all_targets)}
check_replay
found=no
if has_libfuzzer; then
    check_planted "$scratch/planted"
elif [ "$1" != short ]; then
    fail "needs clang with libFuzzer (Debian, Ubuntu: clang): $(tail -n 1 "$scratch/log")"
fi
case $1 in
full) full ;;
merge) merge ;;
*)
    inputs=$(find tests/fuzz/corpus -type f | wc -l)
    if [ "$found" = no ]; then
        echo "check-fuzz: $inputs inputs to replay, a planted one is noticed; clang has no libFuzzer here"
    else
        echo "check-fuzz: $inputs inputs to replay, a planted one is noticed; libFuzzer finds a planted bug after $found inputs"
    fi
    ;;
esac
