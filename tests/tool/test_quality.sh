#!/usr/bin/env bash
# Learning, measured: the default preset cut to 6 epochs, on three seeds, must beat the factorised Bernoulli
# of its own training images on the embedded test digits by 60 nats or more (of about 201: VAEs reach
# 120), use most of its latent space, and have loss = recon + KL.
set -euo pipefail

vae=$TAPIR_BIN/vae
margin=60
if [ ! -x "$vae" ]; then
    echo "skipped: built without the examples" && exit 77
fi
case "$TAPIR_FLAGS" in
*-O[23]*) ;;
*) echo "skipped: not compiled for speed" && exit 77 ;;
esac
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

for seed in 1 2 3; do
    "$vae" train --epochs 6 --seed "$seed" --out "$tmp/$seed" >/dev/null
    "$vae" eval --run "$tmp/$seed" >"$tmp/result"
    sed 's/.*"loss": \([^,]*\), "recon": \([^,]*\), "kl": \([^,]*\), "active_units": \([0-9]*\),.*"factorised_bernoulli": \([^,}]*\)}/\1 \2 \3 \4 \5/' \
        "$tmp/result" | awk -v seed="$seed" -v margin="$margin" '{
        gap = $1 - $2 - $3
        printf "seed %d: loss %.2f (recon %.2f, KL %.2f), %d active units; independent pixels %.2f\n",
            seed, $1, $2, $3, $4, $5
        if (!($1 > 50 && $1 < $5 - margin)) { print "the margin is below " margin; exit 1 }
        if (!($5 > 200.95 && $5 < 200.98)) { print "the baseline of these digits is 200.96"; exit 1 }
        if (gap > 1e-3 || gap < -1e-3) { print "loss is not recon + KL"; exit 1 }
        if ($4 < 10) { print "fewer than 10 of 20 latent dimensions are used"; exit 1 }
    }'
done
