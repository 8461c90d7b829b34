#!/usr/bin/env bash
# Trains every model on MNIST, binarized once, for a stated budget and writes tests/docs/mnist.txt, which
# docs/reference/models.md shows. Usage: tests/bench/models.sh BIN DATA [NAME...]
# BIN is the folder of the built programs, DATA that of MNIST's idx files, with labels. Half an hour on two cores. With
# names only those are measured, and the lines of others stay. Elsewhere: OUT, EPOCHS, SAMPLES, THREADS.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -ge 2 ] || { sed -n '2,6p' "$0" && exit 2; }
vae=$1/vae data=$2
shift 2
out=${OUT:-tests/docs/mnist.txt} epochs=${EPOCHS:-10} samples=${SAMPLES:-100} threads=${THREADS:-0}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

figure() { # KEY DIGITS: the number under that key of eval's object, or a dash
    awk -v key="\"$1\": " -v digits="$2" '{
        at = index($0, key)
        value = at == 0 ? "null" : substr($0, at + length(key))
        sub(/[,}].*/, "", value)
        print value == "null" ? "—" : sprintf("%." digits "f", value) }' "$tmp/eval"
}

names=$("$vae" models --names)
touch "$out"
for name in ${*:-$names}; do
    "$vae" train --model "$name" --data "$data" --binarize static --epochs "$epochs" --batch-size 128 \
        --threads "$threads" --out "$tmp/$name" >"$tmp/log" 2>&1 || { cat "$tmp/log" && exit 1; }
    # an autoencoder has no p(x) to measure
    "$vae" eval --run "$tmp/$name" --threads "$threads" --importance "$samples" >"$tmp/eval" 2>/dev/null ||
        "$vae" eval --run "$tmp/$name" --threads "$threads" >"$tmp/eval"
    line="$name $(figure loss 2) $(figure nll 2) $(figure active_units 0)"
    echo "$line"
    { grep -v "^$name " "$out" || true; } >"$tmp/new"
    echo "$line" >>"$tmp/new"
    for each in $names; do grep "^$each " "$tmp/new" || true; done >"$out"
done
