#!/usr/bin/env bash
# tapir-bench works: it lists its rows, prints JSON that holds what it promises, refuses what makes no sense, and
# trains to the same losses with the tape and without. The race works as far as it needs no peers. How fast
# anything is, is not tested.
set -euo pipefail
bench=$TAPIR_BIN/tapir-bench
export OPENBLAS_NUM_THREADS=1 # threads it starts and nobody needs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "$1" >&2
    exit 1
}

"$bench" --list >"$work/list"
for row in probe/fma probe/triad evidence/iwae-50 train/vae-400 train/vae-400-handwritten train/vae-conv matmul/1024x1024x1024 \
    matmul/128x784x400-forward/openblas conv/32x14x14-64x7x7-weight map/exp scale/hidden-400 scale/batch-64 scale/threads-1 start rss \
    $(sed -n '/^<!-- figures/,/^<!-- end/s|^\([a-z]*/[^ ]*\) .*|\1|p' docs/speed.md); do
    grep -qxF "$row" "$work/list" || fail "--list does not name $row"
done
[ -z "$(sort "$work/list" | uniq -d)" ] || fail "two rows have one name"

filter=probe/fork-join,map/add,reduce/sum-rows,dispatch/add,matmul/128x400x20-forward
"$bench" --json --rounds 1 --threads 1 --filter "$filter" >"$work/json" 2>"$work/said"
if command -v python3 >/dev/null; then
    python3 - "$work/json" <<'END'
import json, math, sys
rows = json.load(open(sys.argv[1]))
names = [row["name"] for row in rows]
for wanted in ("probe/fork-join", "map/add", "reduce/sum-rows", "dispatch/add", "dispatch/add-and-backward",
               "matmul/128x400x20-forward", "matmul/128x400x20-forward/of-probe"):
    assert wanted in names, f"no {wanted} in {names}"
for row in rows:
    assert set(row) == {"name", "value", "unit", "threads", "min", "max"}, row
    assert row["threads"] == 1 and row["unit"], row
    assert math.isfinite(row["value"]) and 0 < row["min"] <= row["value"] <= row["max"], row
END
else
    number='[0-9][-+.e0-9]*'
    object="^ \{\"name\": \"[^\"]+\", \"value\": $number, \"unit\": \"[^\"]+\", \"threads\": 1, \"min\": $number, \"max\": $number\},?$"
    [ "$(sed -n '1p;$p' "$work/json" | tr -d '\n')" = '[]' ] || fail "not an array"
    [ "$(sed '1d;$d' "$work/json" | grep -cvE "$object")" = 0 ] || fail "not a row"
    grep -q '"name": "map/add"' "$work/json" || fail "no row map/add"
fi
"$bench" --rounds 1 --threads 1 --filter map/add | grep -q '^map/add  *[0-9.]* GB/s' || fail "no table"

refuse() { # PART OF THE MESSAGE, OPTIONS...
    local part=$1 status=0
    shift
    "$bench" "$@" >"$work/out" 2>"$work/err" || status=$?
    [ "$status" = 2 ] || fail "tapir-bench $* ends with $status, not 2"
    [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -qF -e "$part" "$work/err" ||
        fail "tapir-bench $* says: $(cat "$work/out" "$work/err")"
}
refuse "no row matches 'nonesuch'" --filter nonesuch
refuse "no row matches ''" --filter ''
refuse "unknown option '--fast'" --fast
refuse "--filter wants a value" --filter
refuse "--threads wants a number from 1 to 256, not '0'" --threads 0
refuse "--threads wants a number from 1 to 256, not '2x'" --threads 2x
refuse "--rounds wants a number from 1 to 1000, not 'many'" --rounds many --list
"$bench" --help | grep -q -- --filter || fail "--help does not help"

"$bench" --check

# The peers read weights by the names that tapir's models have.
for model in vae-400 vae-conv; do
    mkdir "$work/$model"
    cp examples/data/train-images* "$work/$model/"
    printf 'plan 2\ncheck 2\n' | "$TAPIR_BIN/tapir-racer" "$work/$model" 1 "$model" >"$work/out" ||
        fail "tapir-racer does not train $model"
    [ "$(wc -l <"$work/out")" = 4 ] || fail "tapir-racer says of $model: $(cat "$work/out")"
    names=$(head -c 4096 "$work/$model/weights.safetensors" | grep -ao '"[a-z0-9.]*\.weight"' | sed 's/^"//; s/\.weight"$//')
    [ -n "$names" ] || fail "no weights of $model"
    for name in $names; do
        for racer in tests/bench/race_torch.py tests/bench/race_jax.py; do
            grep -qF "\"$name\"" "$racer" || fail "$racer does not know $model's $name"
        done
    done
done
"$TAPIR_BIN/tapir-racer" "$work" 1 nonesuch 2>/dev/null && fail "tapir-racer trains what there is not"

if command -v python3 >/dev/null; then
    python3 tests/bench/race.py --tapir "$TAPIR_BIN/tapir-racer" --data examples/data --only '' --rounds 1 \
        --seconds 0.05 --threads 1 --json "$work/race" >"$work/said" || fail "the race ends with $?"
    grep -q '"name": "race/tapir"' "$work/race" || fail "the race has no figure of tapir"
fi
