#!/usr/bin/env bash
# The program vae short of memory: in every command one allocation of the process fails, the C library's own
# included, once or with all that follow. The program must end with 1 and messages of its own, or do without and give the
# same results; it may not crash, change a run that is there, leave a temporary, or leave a new folder
# that a run cannot go on from. Short: some of the allocations of each command; full: all of them.
set -uo pipefail
vae=$TAPIR_BUILD/bin/vae_short_of_memory
[ -x "$vae" ] || { echo "skipped: the examples are not built"; exit 77; }
tries=8
[ "${1:-}" = full ] && tries=1000000
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export GOMP_SPINCOUNT=2000 LC_ALL=C # or the program would start itself a second time

# --- a small world: 20 pictures of 6 x 6 and two trained models -----------------------------------------
mkdir data
for split in train t10k; do
    { printf '\0\0\10\3\0\0\0\24\0\0\0\6\0\0\0\6'; head -c 720 "$TAPIR_SOURCE/LICENSE"; } >"data/$split-images-idx3-ubyte"
    { printf '\0\0\10\1\0\0\0\24'; head -c 20 /dev/zero | tr '\0' '\2'; } >"data/$split-labels-idx1-ubyte"
done
settings=(--data data --hidden 5 --latent-dim 2 --batch-size 10 --threads 1 --epochs 2)
"$vae" train --out run "${settings[@]}" >/dev/null 2>&1 || { echo "the small run fails"; exit 1; }
"$vae" train --model conditional_vae --out labelled "${settings[@]}" >/dev/null 2>&1 || { echo "the run with labels fails"; exit 1; }
bits() { (cd "$1" && find . -type f ! -name timing.jsonl -exec sha256sum {} + | sort); }
all_bits() { find run labelled data -type f -exec sha256sum {} + | sort; }
world=$(all_bits)
said() { sed -E 's/"seconds": [0-9.e-]+//; s/[0-9.]+[kM]? samples.s//; s/trained in [0-9:]+//' stdout; } # without times

session=$'n\nprint z\nwhy z[0,1]\nlist' # for explain --interactive

# --- one attempt ----------------------------------------------------------------------------------------
# Runs a command with allocation $1 failing ($2 not empty: and all that follow); sets calls and hit.
attempt() # number on command…
{
    local number=$1 on=$2
    shift 2
    rm -rf out x.png x.html x.svg log
    [ "${2:-}" != --resume ] || stopped_run out
    TAPIR_FAIL_AT=$number TAPIR_FAIL_LOG=$dir/log ${on:+env TAPIR_FAIL_ON=1} \
        timeout 60 "$vae" "$@" >stdout 2>stderr <<<"$session"
    code=$?
    calls=0 hit=0
    [ -s log ] && read -r calls hit <log
}

# What is wrong after a failed attempt; nothing if all is well.
judge()
{
    [ "$code" -le 1 ] || { echo "exit code $code"; return; }
    if [ "$code" = 1 ]; then
        grep -q "^vae: " stderr || { echo "no message"; return; }
        grep -vq "^vae: \|^  \|^epoch\|^$" stderr && { echo "a line that is not its own: $(grep -v '^vae: \|^  \|^epoch\|^$' stderr | head -1)"; return; }
    else
        [ "$(said)" = "$want_out" ] || { echo "it did without, and says something else"; return; }
        [ ! -d out ] || [ "$(bits out)" = "$want_bits" ] || { echo "it did without, and gives something else"; return; }
    fi
    [ -z "$(find . -name '*.tmp-*')" ] || { echo "a temporary is left: $(find . -name '*.tmp-*')"; return; }
    [ "$(all_bits)" = "$world" ] || { echo "a run or the data changed"; return; }
    # A folder that is there has what a run goes on from, or is nothing but made.
    if [ -d out ] && [ "$code" = 1 ] && [ -n "$(ls -A out)" ]; then
        "$vae" train --resume out --threads 1 >/dev/null 2>resume || { echo "out cannot be gone on with: $(tail -1 resume)"; return; }
        [ "$(cd out && sha256sum <model.safetensors)" = "$want_model" ] ||
            { echo "gone on with, out comes to another model"; return; }
    fi
}

# The run as it was behind its first epoch.
stopped_run() { cp -r run "$1" && rm "$1"/checkpoint-4.safetensors "$1"/{model.safetensors,metrics.jsonl,timing.jsonl}; }

failures=0 tried=0 commands=0 total=0
sweep() # command…
{
    attempt -1 "" "$@"
    [ "$code" = 0 ] || { echo "vae $*: fails with memory: $(tail -1 stderr)"; failures=$((failures + 1)); return; }
    want_out=$(said)
    want_bits=$([ -d out ] && bits out)
    want_model=$([ -d out ] && sha256sum <out/model.safetensors)
    local all=$calls number=0 step on wrong
    step=$(((all + tries - 1) / tries))
    commands=$((commands + 1)) total=$((total + all))
    for ((number = 0; number < all; number += step)); do
        for on in "" 1; do
            attempt "$number" "$on" "$@"
            wrong=$(judge)
            [ -z "$wrong" ] || { echo "vae $*: allocation $number${on:+ and all that follow} of $all: $wrong"; failures=$((failures + 1)); }
        done
        tried=$((tried + 1))
    done
}

sweep train --out out "${settings[@]}"
sweep train --out out "${settings[@]}" --valid 10 --keep best --patience 5 --output-bias mean --optimizer adagrad \
    --schedule step,step_size=1
sweep train --resume out --threads 1
sweep eval --run run --data data --threads 1 --importance 3
sweep ais --run run --data data --threads 1 --count 2 --chains 2 --steps 3 --leapfrog 2 --importance 2
sweep ais --run labelled --threads 1 --simulate 3 --chains 2 --steps 3 --leapfrog 2 --start posterior
sweep sample --run run --out x.png --threads 1
sweep sample --run labelled --out x.png --threads 1
sweep reconstruct --run labelled --data data --out x.png --threads 1
sweep traverse --run run --data data --out x.png --threads 1
sweep interpolate --run labelled --data data --out x.png --threads 1
sweep reconstruct --run run --data data --draws 2 --out x.png --threads 1
sweep scatter --run run --data data --out x.svg --threads 1
sweep curves --run run --run labelled --x samples --out x.svg
sweep report --run run --data data --importance 2 --out x.html --threads 1
explaining=(explain --data data --hidden 3 --latent-dim 2 --batch-size 2 --threads 1)
sweep "${explaining[@]}" --out x.html
sweep "${explaining[@]}" --out x.svg
sweep "${explaining[@]}" --interactive
sweep explain --run run --data data --batch-size 2 --at 'z[0,1]' --threads 1
sweep info --run run
sweep models

# The controls: what judge must find.
control() { local found; found=$(judge); case $found in *"$1"*) ;; *) echo "control '$1': found '$found'"; failures=$((failures + 1)) ;; esac; }
attempt 0 1 info --run run; code=139; control "exit code"
attempt 0 1 info --run run; code=1; : >stderr; control "no message"
attempt 0 1 info --run run; code=1; echo "vae: no memory" >stderr; touch x.tmp-1-1; control "temporary"; rm x.tmp-1-1
cp run/model.safetensors keep; echo >>run/model.safetensors; control "changed"; cp keep run/model.safetensors; rm keep
want_out="another text"; code=0; control "says something else"

of=""; [ "$tried" -lt "$total" ] && of=" of $total"
echo "check-oom_tool: $commands commands, $tried$of allocations of the process, each failed once and for good: $([ $failures = 0 ] && echo all clean || echo "$failures NOT clean")"
[ $failures = 0 ]
