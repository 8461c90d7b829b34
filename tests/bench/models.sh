#!/usr/bin/env bash
# Trains every model on statically binarized MNIST for a stated budget and writes tests/docs/mnist.txt, which
# docs/reference/models.md shows. Usage: tests/bench/models.sh BIN DATA [NAME...]
# BIN is the folder of the built programs, DATA that of the idx files with the splits train and test. About a
# minute a model on two cores. With names only those are measured, and the others' lines stay.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -ge 2 ] || { sed -n '2,6p' "$0" && exit 2; }
vae=$1/vae data=$2
shift 2
out=tests/docs/mnist.txt epochs=${EPOCHS:-10} samples=${SAMPLES:-100}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

figure() { # KEY FILE
    sed -nE 's/.*"'"$1"'": (-?[0-9.e+-]+|null).*/\1/p' "$2"
}

names=$("$vae" models --names)
touch "$out"
for name in ${*:-$names}; do
    "$vae" train --model "$name" --data "$data" --epochs "$epochs" --batch-size 128 --out "$tmp/$name" >"$tmp/log" ||
        { cat "$tmp/log" && exit 1; }
    "$vae" eval --run "$tmp/$name" --importance "$samples" >"$tmp/eval"
    line=$(printf '%s %s %s %s' "$name" "$(figure loss "$tmp/eval")" "$(figure nll "$tmp/eval")" \
        "$(figure active_units "$tmp/eval")" |
        awk '{ for (i = 2; i <= 3; i++) $i = $i == "null" ? "—" : sprintf("%.2f", $i)
               if ($4 == "null" || $4 == "") $4 = "—"; print }')
    echo "$line"
    { grep -v "^$name " "$out" || true; } >"$tmp/new"
    echo "$line" >>"$tmp/new"
    for each in $names; do grep "^$each " "$tmp/new" || true; done >"$out"
done
