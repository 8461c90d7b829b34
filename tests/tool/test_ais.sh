#!/usr/bin/env bash
# "vae ais": bounds of log p(x) of images and of data that the model draws, one JSON object, the same on any number of
# threads; what it cannot measure, and how it is stopped. Whether bounds are true is tested in tests/models/test_ais.c.
set -uo pipefail

. tests/tool/common.sh

# says CODE TEXT ARGS...: the exit code and all of standard error.
says() {
    local code=$1 text=$2 got
    shift 2
    "$vae" "$@" >stdout 2>stderr
    got=$?
    sed -i '/^vae: about .* to go$/d' stderr
    [ "$got" = "$code" ] || bad "exit $got, want $code: vae $*: $(cat stderr)"
    [ "$(cat stderr)" = "$text" ] || bad "vae $*: $(printf '\n got  %s\n want %s' "$(cat stderr)" "$text")"
    [ "$code" = 0 ] || [ ! -s stdout ] || bad "vae $* fails and prints $(cat stdout)"
}

# number KEY: its value in stdout; empty for null.
number() { sed -n "s/.*\"$1\": \\(-\\?[0-9][^],}]*\\).*/\\1/p" stdout; }

# holds EXPRESSION NAME=KEY…: true of the numbers in stdout.
holds() {
    local expression=$1 pair args=()
    shift
    for pair; do args+=(-v "${pair%%=*}=$(number "${pair#*=}")"); done
    awk "${args[@]}" "BEGIN { exit !($expression) }" || bad "$expression: $(cat stdout)"
}

# Pictures of 6x5, black ones first, then white ones: 20 of them, with labels.
mkdir sorted
{ npy '|u1' '20, 6, 5' && head -c 300 /dev/zero && head -c 300 /dev/zero | tr '\0' '\377'; } >sorted/train.npy
{ npy '|u1' '20,' && head -c 10 /dev/zero && head -c 10 /dev/zero | tr '\0' '\1'; } >sorted/train-labels.npy

small=(--data sorted --epochs 30 --batch-size 5 --hidden 8 --latent-dim 2 --threads 1)
good train "${small[@]}" --binarize static --out run
brief=(--chains 4 --steps 12 --leapfrog 4 --threads 1)

# --- data of its own ----------------------------------------------------------------------------------------

says 0 "" ais --run run --simulate 7 "${brief[@]}" --importance 20
for key in samples:7 chains:4 steps:12 leapfrog:4 importance_samples:20; do
    [ "$(number "${key%:*}")" = "${key#*:}" ] || bad "$key: $(cat stdout)"
done
grep -q '"run": "run", "split": "simulated".*"start": "prior"' stdout || bad "$(cat stdout)"
holds "u > l && (g - (u - l)) ^ 2 < 1e-12 && le > 0 && ue > 0 && ge > 0 && i < u && ie > 0 && (b - (l - i)) ^ 2 < 1e-12 && a > 0.3 && a <= 1 && e >= 1 && e <= 4 && s > 0" \
    l=log_p_lower u=log_p_upper g=gap le=log_p_lower_error ue=log_p_upper_error ge=gap_error i=log_p_importance ie=log_p_importance_error b=importance_below_lower \
    a=acceptance e=effective_chains s=seconds
if command -v python3 >/dev/null; then
    python3 -c 'import json, sys; json.load(open("stdout"))' || bad "no JSON: $(cat stdout)"
fi
sed 's/, "seconds.*//' stdout >one
for threads in 2 3; do
    good ais --run run --simulate 7 "${brief[@]::6}" --threads $threads --importance 20
    sed 's/, "seconds.*//' stdout | cmp - one || bad "another result on $threads threads"
done
good ais --run run --simulate 7 "${brief[@]}" --importance 20 --seed 5
sed 's/, "seconds.*//' stdout | cmp -s - one && bad "another seed, the same result"

# More temperatures, and a start that is nearer, make it tighter.
good ais --run run --simulate 40 --chains 4 --steps 2 --threads 1
wide=$(number gap)
good ais --run run --simulate 40 --chains 4 --steps 60 --threads 1
holds "g < $wide / 4" g=gap
good ais --run run --simulate 40 --chains 4 --steps 60 --pilot 0 --threads 1
holds "g < $wide / 4" g=gap
good ais --run run --simulate 40 --chains 4 --steps 2 --start posterior --threads 1
grep -q '"start": "posterior"' stdout || bad "$(cat stdout)"
holds "g < $wide" g=gap

# One image has no standard error, one temperature no acceptance.
good ais --run run --simulate 1 --chains 1 --steps 1 --threads 1
grep -q '"gap_error": null.*"acceptance": null' stdout || bad "$(cat stdout)"

# A model that knows log p(x): the truth is between the bounds.
good train --model linear_vae "${small[@]}" --out linear
good ais --run linear --simulate 60 --chains 8 --steps 60 --threads 1 --importance 1
holds "l < t + 0.3 && t < u + 0.3 && u - l < 3" l=log_p_lower u=log_p_upper t=log_p_importance
grep -q '"importance_samples": "exact"' stdout || bad "$(cat stdout)"

# --- images ---------------------------------------------------------------------------------------------------

says 0 "" ais --run run --split train --count 2 "${brief[@]}"
[ "$(number samples)" = 2 ] && ! grep -q upper stdout || bad "$(cat stdout)"
says 0 "" ais --run run --split train "${brief[@]}" # all there are
[ "$(number samples)" = 20 ] || bad "$(cat stdout)"
# From all over the split: two are a black and a white one, of which a model that is trained on white ones likes one.
mkdir white
{ npy '|u1' '20, 6, 5' && head -c 600 /dev/zero | tr '\0' '\377'; } >white/train.npy
good train "${small[@]/sorted/white}" --binarize static --out white_run
good ais --run white_run --data sorted --split train --count 2 "${brief[@]}"
holds "e > 4" e=log_p_lower_error
good ais --run white_run --data white --split train --count 2 "${brief[@]}"
holds "e < 1" e=log_p_lower_error

# Pictures of bits are as good as made ones; shades are not.
good train --data sorted --epochs 1 --hidden 8 --latent-dim 2 --out bits
says 0 "" ais --run bits --split train --count 3 "${brief[@]}"
mkdir shades
{ npy '|u1' '20, 6, 5' && head -c 600 /dev/zero | tr '\0' '\100'; } >shades/train.npy
good train --data shades --epochs 1 --hidden 8 --latent-dim 2 --out grey
says 0 "vae: of grey pixels the Bernoulli likelihood makes no log p(x): what comes out can be compared with itself only" \
    ais --run grey --split train --count 3 "${brief[@]}"

# --- models of other kinds, and what is refused -----------------------------------------------------------------

good train --model conditional_vae "${small[@]}" --binarize static --out labelled
says 0 "" ais --run labelled --simulate 5 "${brief[@]}" --importance 3
holds "u > l - 0.3" l=log_p_lower u=log_p_upper
says 0 "" ais --run labelled --split train --count 5 "${brief[@]}"
for name in ae gumbel_vae made hierarchical_vae; do
    good train --model $name --data sorted --epochs 1 --batch-size 5 --hidden 8 --latent-dim 2 --out $name
    says 1 "vae: ais: $name has no prior over real vectors with a decoder" ais --run $name --simulate 5
done
good train --model planar_vae --data sorted --epochs 1 --hidden 8 --latent-dim 2 --out planar
says 1 "vae: annealed importance sampling: the posterior of 'planar_vae' goes through flows: its density at any z is not known" \
    ais --run planar --simulate 5 --start posterior "${brief[@]}"
says 0 "" ais --run planar --simulate 5 "${brief[@]}"
says 2 "vae: --simulate: the model draws the images; --count and --split are for others" ais --run run --simulate 3 --count 3
says 2 "vae: --simulate: the model draws the images; --count and --split are for others" ais --run run --simulate 3 --split train
says 2 "vae: ais needs --run DIR: folder that 'train' wrote" ais
says 1 "vae: $PWD/sorted: nothing to measure; --split train takes the training images, --simulate some that the model draws" \
    ais --run run "${brief[@]}"

# --- stopping ------------------------------------------------------------------------------------------------------

timeout 60 "$vae" ais --run run --simulate 3 --steps 1000000 --threads 1 >stdout 2>stderr &
pid=$!
for _ in $(seq 100); do grep -q "to go" stderr && break; sleep 0.1; done
kill -TERM $pid # a shell lets its background jobs ignore SIGINT
wait $pid
code=$?
[ $code = 143 ] && [ ! -s stdout ] && grep -qx "vae: stopped by SIGTERM behind 0 of 3 images" stderr ||
    bad "stopped: exit $code: $(cat stdout stderr)"

verdict
