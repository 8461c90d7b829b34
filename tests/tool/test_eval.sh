#!/usr/bin/env bash
# vae eval: what it prints fits together, as JSON and as a table, for models that know log p(x), that estimate it and that have
# none; threads change no byte; a signal ends it with a sentence and nothing else. What log p(x) is, is tested elsewhere:
# tests/models/test_evidence.c.
set -u
. tests/tool/common.sh

# number KEY [FILE]: the value of a key.
number() { sed -n "s/.*\"$1\": \([-+.e0-9]*\)[,}].*/\1/p" "${2-stdout}"; }

# holds EXPRESSION: of awk, in which @key is the value of that key.
holds() {
    local e=$1 key
    for key in $(grep -o '@[a-z_]*' <<<"$1" | sort -ru); do
        [ -n "$(number "${key#@}")" ] || { bad "no ${key#@}: $(cat stdout)" && return; }
        e=${e//$key/($(number "${key#@}"))}
    done
    awk "function abs(x) { return x < 0 ? -x : x } BEGIN { exit !($e) }" || bad "$1, $e: $(cat stdout)"
}

none() {
    for key in "$@"; do grep -q "\"$key\"" stdout && bad "$key: $(cat stdout)"; done
}

# A few digits: 300 to train on, 100 to measure.
mkdir few
npy '|u1' '300, 28, 28,' >few/train.npy && npy '|u1' '100, 28, 28,' >few/test.npy
gzip -dc "$data/train-images-idx3-ubyte.gz" | tail -c +17 | head -c $((300 * 784)) >>few/train.npy
gzip -dc "$data/t10k-images-idx3-ubyte.gz" | tail -c +17 | head -c $((100 * 784)) >>few/test.npy
small=(--data few --epochs 4 --hidden 24 --latent-dim 4 --batch-size 20 --binarize static)
for model in vae gumbel_vae made ae; do good train --model $model "${small[@]}" --out $model; done
good train --model linear_vae --data few --epochs 2 --latent-dim 4 --out linear_vae

# --- numbers --------------------------------------------------------------------------------------------------

good eval --run vae --importance 17
[ ! -s stderr ] || bad "$(cat stderr)"
holds '@elbo_draws == 17 && @nll_samples == 17'
holds 'abs(@elbo_reconstruction + @elbo_kl - @negative_elbo) < 1e-9'
holds 'abs(@negative_elbo - @nll - @elbo_gap) < 1e-9 && @elbo_gap > 0'
holds '1 <= @least_effective_samples && @least_effective_samples < @effective_samples && @effective_samples < 17'
holds '0 < @nll_draws_error && @nll_draws_error < @nll_error && @nll_error < 10 && @negative_elbo_error < 10'
holds 'abs(@negative_elbo - @loss) < 3 && abs(@elbo_reconstruction - @recon) < 3 && abs(@elbo_kl - @kl) < 1'
sum=$(sed 's/.*"kl_per_dimension": \[\([^]]*\)\].*/\1/' stdout | tr , '\n' | awk '{ s += $1 } END { print s }')
holds "abs(@elbo_kl - $sum) < 1"
cp stdout seventeen
good eval --run vae --importance 17 --threads 1
cmp stdout seventeen || bad "threads change something"

good eval --run vae
holds '@elbo_draws == 10'
none nll nll_error elbo_gap effective_samples
for k in 200 1000; do # as published protocols have it, and discrete draws
    good eval --run gumbel_vae --importance $k
    holds "@nll_samples == $k && @nll < @negative_elbo && @effective_samples < $k"
done

# Who knows log p(x) needs no draws for it; without latent variables there is no bound, without p(x) nothing.
good eval --run linear_vae
grep -q '"nll_samples": "exact"' stdout || bad "linear_vae: $(cat stdout)"
holds '@elbo_draws == 10 && @nll_draws_error == 0 && @elbo_gap > 0'
good eval --run made
grep -q '"nll_samples": "exact"' stdout || bad "made: $(cat stdout)"
holds 'abs(@nll - @loss) < 1e-3 && @nll_error > 0'
none negative_elbo elbo_gap effective_samples
good eval --run ae
none nll negative_elbo elbo_gap

# --- as a table -------------------------------------------------------------------------------------------------

good eval --run vae --importance 17 --table
grep -q '^{' stdout && bad "a table with JSON: $(cat stdout)"
want=$(printf '−log p(x)         %8.2f   ± %.2f over images; 17 draws each, which add ± %.2g' \
    "$(number nll seventeen)" "$(number nll_error seventeen)" "$(number nll_draws_error seventeen)")
grep -qxF -- "$want" stdout || bad "$want: $(cat stdout)"
for line in 'loss  ' '−ELBO  ' '  reconstruction  ' '  KL  ' 'gap  ' 'effective draws  ' 'single pixels  ' 'active units  '; do
    grep -q -- "^$line *[0-9]" stdout || bad "no line $line: $(cat stdout)"
done
[ "$(sed -n '/^KL of each/,$p' stdout | tail -n +2 | wc -w)" = 4 ] || bad "dimensions: $(cat stdout)"
sed -n '/^KL of each/,$p' stdout | tail -n +2 | tr -s ' ' '\n' | grep . | sort -c -rn || bad "not falling"
for model in gumbel_vae made ae linear_vae; do
    good eval --run $model --table
    grep -q '^loss ' stdout || bad "$model: $(cat stdout)"
    grep -qi nan stdout && bad "$model: $(cat stdout)"
done
# One draw or one image have no spread.
mkdir single
npy '|u1' '1, 28, 28,' >single/test.npy && tail -c 784 few/test.npy >>single/test.npy
good eval --run vae --importance 1 --table
grep -qx -- '−log p(x)  *[0-9.]*   ± [0-9.]* over images; 1 draws each' stdout || bad "one draw: $(cat stdout)"
good eval --run vae --importance 5 --table --data single
grep -qx -- '−log p(x)  *[0-9.]*   5 draws each, which add ± [0-9.]*' stdout || bad "one image: $(cat stdout)"
grep -qx -- '−ELBO  *[0-9.]*   5 draws each' stdout || bad "one image: $(cat stdout)"
good eval --run made --table --data single
grep -qx -- '−log p(x)  *[0-9.]*   exact' stdout || bad "one image: $(cat stdout)"
good report --run vae --importance 1 --data single --out single.html
grep -q "<td>.*nan" single.html && bad "a page of one image: $(grep "<td>.*nan" single.html)"

# --- data ---------------------------------------------------------------------------------------------------------

# Grey pixels have no log p(x), unless all are black or white.
note="vae: of grey pixels the Bernoulli likelihood makes no log p(x): nll can be compared with itself only"
mkdir bits
npy '|u1' '40, 4, 4,' >bits/train.npy && head -c 640 /dev/zero | tr '\0' '\377' >>bits/train.npy
npy '|u1' '5, 4, 4,' >bits/valid.npy && head -c 80 /dev/zero >>bits/valid.npy
npy '|u1' '20, 4, 4,' >bits/test.npy && head -c 320 /dev/zero | tr '\0' '\377' >>bits/test.npy
good train --data bits --epochs 1 --hidden 4 --latent-dim 2 --out of_bits
good eval --run of_bits --importance 2
[ ! -s stderr ] || bad "bits: $(cat stderr)"
printf '\1' | dd of=bits/test.npy bs=1 seek=200 conv=notrunc 2>/dev/null
good eval --run of_bits --importance 2
[ "$(cat stderr)" = "$note" ] || bad "grey: $(cat stderr)"
good eval --run of_bits --split valid --importance 2
grep -q '"split": "valid", "samples": 5,' stdout || bad "valid: $(cat stdout)"

# --- stopped ------------------------------------------------------------------------------------------------------

for signal in TERM:143 HUP:129; do
    "$vae" eval --run vae --importance 1000000 >stdout 2>stderr &
    process=$!
    for _ in $(seq 3000); do
        grep -q 'to go$' stderr && break
        sleep 0.01
    done
    kill "-${signal%:*}" $process
    wait $process 2>/dev/null
    got=$?
    [ $got = "${signal#*:}" ] || bad "exit $got after SIG${signal%:*}: $(cat stderr)"
    grep -qxE "vae: log p\(x\): stopped by SIG${signal%:*} behind [0-9]+ of 100 images" stderr || bad "$(cat stderr)"
    [ ! -s stdout ] || bad "stopped, and printed $(cat stdout)"
done

verdict
