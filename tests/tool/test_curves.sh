#!/usr/bin/env bash
# Charts of numbers that were made for it: ticks stand at the ends of a rounded axis and between whole numbers nowhere, and no
# text reaches another, whatever the numbers are. What people draw with them: test_pictures.sh.
set -uo pipefail

. tests/tool/common.sh

# curve DIR NUMBER…: a run whose training loss is these, an epoch each.
curve() {
    local dir=$1 i=0 v
    shift
    mkdir -p "$dir"
    for v in "$@"; do
        printf '{"epoch": %d, "step": %d, "train_loss": %s}\n' $((++i)) $((9 * i)) "$v"
    done >"$dir/metrics.jsonl"
}

# texts CLASS FILE: of this class, "x text" a line, with "-" for the long sign.
texts() {
    sed -n 's/.*<text x="\([0-9.]*\)" y="[0-9.]*" class="'"$1"'">\([^<]*\)<.*/\1 \2/p' "$2" | sed 's/−/-/g'
}

# same WHAT GOT WANT
same() {
    [ "$2" = "$3" ] || bad "$1: $(printf '\n got  %s\n want %s' "$2" "$3")"
}

# --- ticks ----------------------------------------------------------------------------------------------------

# ticks CLASS ARGS…: those of the axis whose numbers have this class.
ticks() {
    local class=$1
    shift
    good curves "$@" --out ticks.svg
    texts "$class" ticks.svg | sed -n 's/^[^ ]* \(-\{0,1\}[0-9][^ ]*\)$/\1/p' | tr '\n' ' '
}

# Rounded with a step of 0.05, the axis is seven of them long, for which 0.1 would do.
curve ends 1.96 2.26
same "not all ticks between the ends" "$(ticks e --run ends)" "1.95 2 2.05 2.1 2.15 2.2 2.25 2.3 "
same "the first and the last tick are not at the ends" \
    "$(sed -n 's/.*class="g" d="M[0-9.]* \([0-9.]*\)L.*/\1/p' ticks.svg | sed -n '1p;$p' | tr '\n' ' ')" \
    "$(sed -n 's/.*class="a" d="M\([0-9.]*\) \([0-9.]*\)L\1 \([0-9.]*\)".*/\3 \2 /p' ticks.svg | tail -n 1)"
curve many $(seq 100)
for case in "1:1 2" "2:1 2" "4:1 2 3 4" "7:1 2 3 4 5 6 7" "9:1 2 5" "100:1 2 5 10 20 50 100"; do
    head -n "${case%%:*}" many/metrics.jsonl >ends/metrics.jsonl
    same "--log of ${case%%:*} epochs" "$(ticks m --run ends --log)" "${case#*:} "
done
same "--log of steps" "$(ticks m --run many --log --x steps)" "10 20 50 100 200 500 "

# --- text that reaches no other text ------------------------------------------------------------------------------

# Digits are 7 wide at least; the label of the axis ends 19 from the edge.
while read -r low high; do
    curve long "$low" "$high"
    good curves --run long --terms loss,bound --out long.svg
    [ "$(texts e long.svg | wc -l)" -ge 6 ] || bad "$low to $high: $(texts e long.svg | wc -l) ticks"
    texts e long.svg | awk '{ left = $1 - 430 * int($1 / 430) - 7 * length($2)
        if (left < 20 || $2 ~ /…/) { print; wrong = 1 } } END { exit wrong }' || bad "$low to $high: the numbers above touch the label"
done <<'LIST'
104.2045 104.2055
12345.625 12345.75
0.000012345 0.000012349
-123456789.25 -123456000
LIST
[ "$(texts h long.svg | sed -n 's/^\([0-9.]*\) loss$/\1/p')" != 70.0 ] || bad "the axis stands where it always does"

# As many latents as there are have a bar each, and some of them a name.
mkdir data
for split in train t10k; do
    { printf '\0\0\10\3\0\0\0\24\0\0\0\6\0\0\0\6' && head -c 720 "$TAPIR_SOURCE/LICENSE"; } >"data/$split-images-idx3-ubyte"
done
for latents in 3 16 20 100 200 1200; do
    good train --data data --hidden 2 --epochs 1 --batch-size 20 --latent-dim $latents --threads 1 --out wide$latents
    good report --run wide$latents --threads 1
    sed -n '/id="kl"/,/<\/section>/p' wide$latents/report.html >bars.svg
    texts m bars.svg | grep '^[0-9.]* [0-9]*$' | awk -v most=$latents '{ half = 4 * length($2)
        if (NR > 1 && $1 - half < end + 1) { print; wrong = 1 }
        end = $1 + half } END { exit wrong || NR < (most < 8 ? most : 8) }' || bad "names of $latents bars touch"
done

# --- names in the legend ---------------------------------------------------------------------------------------------

# names WANT DIR…: those of the runs, a space between.
names() {
    local want=$1 dir runs=()
    shift
    for dir in "$@"; do
        curve "$dir" 3 2
        runs+=(--run "$dir")
    done
    good curves "${runs[@]}" --out names.svg
    same "names of $*" "$(texts n names.svg | sed 's/^[^ ]* //; s/, training$//' | tr '\n' ' ')" "$want "
}
tail=conv_vae_fashion_mnist_lr0.001
names "a/short b/short" a/short b/short
names "…ae_fashion_mnist_lr0.001/one …ae_fashion_mnist_lr0.001/two" $tail/one $tail/two
names "runs/beta-1… runs/beta-4…" runs/beta-1/$tail runs/beta-4/$tail
names "runs/beta-11… runs/beta-21… other" runs/beta-11/$tail runs/beta-21/$tail other
names "x/1… x/2… y/1…" x/1/$tail x/2/$tail y/1/$tail
names "p1… …_vae_fashion_mnist_lr0.001/2… p3…" p1/$tail/1/$tail p1/$tail/2/$tail p3/$tail/1/$tail
names "runs/beta-11… runs/beta-21…" runs/beta-11_$tail runs/beta-21_$tail
names "é… è…" é/$tail è/$tail
same "a run twice" "$(good curves --run é/$tail --run é/$tail --out names.svg; texts n names.svg | sed 's/^[^ ]* //' | tr '\n' ' ')" \
    "…nv_vae_fashion_mnist_lr0.001, training …nv_vae_fashion_mnist_lr0.001, training "

# --- what −loss is ---------------------------------------------------------------------------------------------------

# title WANT CONFIG ARGS…: of −loss of a run with these settings; with none if CONFIG is empty.
title() {
    local want=$1 config=$2
    shift 2
    curve bound 3 2
    rm -f bound/config.json
    [ -z "$config" ] || printf '%s\n' "$config" >bound/config.json
    good curves --run bound --terms bound "$@" --out bound.svg
    same "title of $config $*" "$(texts h bound.svg | sed 's/^[^ ]* //')" "$want"
    grep -q '>nats</text>' bound.svg || bad "−loss of $config is not in nats"
}
bound="lower bound of log p(x)"
title "$bound" '{"model": "vae"}'
title "$bound" '{"model": "vae", "set": {"warmup": 0}, "beta": 1}'
title "-loss" '{"model": "vae", "beta": 20}'
title "-loss" '{"model": "vae", "set": {"warmup": 500}}'
title "$bound" '{"model": "planar_vae"}'
title "$bound" '{"model": "hierarchical_vae"}'
title "-loss" '{"model": "hierarchical_vae", "set": {"textbook_kl": 1}}'
for name in ae wae beta_vae beta_tcvae factor_vae dip_vae info_vae vq_vae gumbel_vae; do
    title "-loss" "{\"model\": \"$name\"}"
done
title "-loss" '{"model": "conditional_vae", "classes": 10}' # log p(x|y)
title "-loss" ''
title "-loss" '{"model": "vae"' # not whole
mkdir -p other && curve other 3 2 && echo '{"model": "wae"}' >other/config.json
title "-loss" '{"model": "vae"}' --run other
echo '{"model": "vae"}' >other/config.json
title "$bound" '{"model": "vae"}' --run other

# --- what is no curve ------------------------------------------------------------------------------------------------

printf '{"epoch": 1, "step": 9, "train_loss": 3, "test_loss": 2, "best_epoch": 1, "active_units": 1}\n' >bound/metrics.jsonl
for term in epoch step best_epoch test_loss train_loss loss,epoch; do
    "$vae" curves --run bound --terms "$term" --out new >stdout 2>stderr && bad "--terms $term is drawn"
    same "--terms $term" "$(cat stderr)" "vae: --terms: no curve is called '${term#loss,}', only: loss, active_units, bound"
    [ ! -e new ] || { bad "--terms $term leaves a file" && rm -f new; }
done
good curves --run bound --terms loss,active_units,bound --out all.svg
same "all curves" "$(texts h all.svg | cut -d' ' -f2- | tr '\n' ' ')" "loss active units $bound "

verdict
