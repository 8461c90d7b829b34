#!/usr/bin/env bash
# What --data takes beside idx, and --binarize: the same pictures from any format train the same model; a binarization
# is kept by config.json, by --resume, and by every command that measures. Read next: tests/nn/test_data_sources.c.
set -u
. tests/tool/common.sh

# fails TEXT ARGS...: exit 1, this on standard error, nothing left.
fails() {
    local text=$1 got
    shift
    "$vae" "$@" >stdout 2>stderr
    got=$?
    [ "$got" = 1 ] && [ "$(cat stderr)" = "vae: $text" ] ||
        bad "vae $*: exit $got$(printf '\n got  %s\n want %s' "$(cat stderr)" "vae: $text")"
    [ ! -e new ] || { bad "left behind by: vae $*" && rm -rf new; }
}

# alike A B FILES...: two runs have left the same bytes.
alike() {
    local a=$1 b=$2 file
    shift 2
    for file in "$@"; do cmp "$a/$file" "$b/$file" || bad "$file differs: $a $b"; done
}

has() { # TEXT: in standard output
    grep -qF -- "$1" stdout || bad "no '$1' in: $(cat stdout)"
}

pixels() { # SPLIT COUNT
    gzip -dc "$data/$1-images-idx3-ubyte.gz" | tail -c +17 | head -c $(($2 * 784))
}

# --- formats ------------------------------------------------------------------------------------------

mkdir idx npy
{ printf '\0\0\10\3\0\0\1\376\0\0\0\34\0\0\0\34' && pixels train 510; } >idx/train-images-idx3-ubyte
{ printf '\0\0\10\3\0\0\0\156\0\0\0\34\0\0\0\34' && pixels t10k 110; } >idx/t10k-images-idx3-ubyte
{ npy '|u1' '510, 28, 28' && pixels train 510; } >npy/train.npy
{ npy '|u1' '110, 28, 28' && pixels t10k 110; } >npy/test.npy

short=(train --hidden 8 --latent-dim 2 --batch-size 60)
good "${short[@]}" --epochs 2 --data idx --out of_idx
good "${short[@]}" --epochs 2 --data npy --out of_npy
alike of_idx of_npy model.safetensors metrics.jsonl checkpoint-18.safetensors reconstructions.png
good "${short[@]}" --epochs 2 --data npy/train.npy --out of_file
grep -qF '/npy/train.npy"' of_file/config.json || bad "--data of a file: $(cat of_file/config.json)"
alike of_idx of_file model.safetensors
cp npy/train.npy moved.npy
good train --resume of_file --epochs 3 --data moved.npy # the same images somewhere else
good eval --run of_file --data npy
has '"split": "test", "samples": 110,'
good eval --run of_idx --data npy/train.npy --split train
has '"samples": 510,'
alone="no test images (a split t10k or test): going without"
fails "$PWD/npy/train.npy: nothing to evaluate on; --split train takes the training images" \
    eval --run of_idx --data npy/train.npy

# A folder of PNG: what the tool draws is one.
mkdir png
for seed in 1 2 3; do good sample --run of_idx --count 1 --seed $seed --out png/$seed.png; done
good train --data png --epochs 1 --hidden 4 --latent-dim 2 --out of_png
grep -q '"height": 60' of_png/config.json || bad "the size of PNG: $(cat of_png/config.json)"
grep -q '^vae: .*/png: no test images (a split t10k or test): going without$' stderr ||
    bad "$(cat stderr)"
mkdir splits && cp -r png splits/train && cp -r png splits/test
good train --data splits --epochs 1 --hidden 4 --latent-dim 2 --out of_splits
alike of_png of_splits model.safetensors

good sample --run of_idx --count 4 --out png/4.png
fails "png/4.png: is 118x118 (height x width), expected 60x60 as 1.png" train --data png --out new
{ npy '<i8' '1, 2, 2' && head -c 32 /dev/zero; } >whole.npy
fails "whole.npy: elements are i64, expected u8 (0 to 255), f32 or f64" train --data whole.npy --out new
{ npy '|u1' '4, 9' && head -c 36 /dev/zero; } >flat.npy
fails "flat.npy: the train images have shape [4,9], expected count, height, width, or count, 3, height, width \
in colour" train --data flat.npy --out new
{ npy '<f4' '2, 1, 2' && printf '\0\0\200\77\0\0\0\77\0\0\200\77\0\0\0\100'; } >bright.npy # 1, 1/2, 1, 2
fails "$PWD/bright.npy: $alone
vae: $PWD/bright.npy: the data cannot be binarized: x[1,0,1] = 2, expected 0 to 1" \
    train --data bright.npy --binarize static --out new
: >empty.npy
fails "empty.npy: looks like an empty file, expected a folder, an idx or an npy file" train --data empty.npy --out new

# Fashion-MNIST where the guide says it is, if it is there.
fashion=$(sed -n 's/^vae train --data \(\/usr[^ ]*\) .*/\1/p' "$TAPIR_SOURCE/docs/guide.md")
[ -n "$fashion" ] || bad "the guide does not say where Fashion-MNIST is"
if [ -d "$fashion" ]; then
    good train --data "$fashion" --batch-size 1000 --hidden 4 --latent-dim 2 --epochs 1 --out of_fashion
    for line in '"height": 28' '"width": 28' '"channels": "grey"' '"classes": 10' '"examples": 60000'; do
        grep -qxF "  $line," of_fashion/config.json || bad "no $line: $(cat of_fashion/config.json)"
    done
    good eval --run of_fashion
    has '"samples": 10000,'
fi

# --- binarization -------------------------------------------------------------------------------------

number() { # KEY FILE
    sed "s/.*\"$1\": \\([^,}]*\\).*/\\1/" "$2" | tail -1
}

for kind in threshold static dynamic; do
    good "${short[@]}" --epochs 2 --data idx --binarize $kind --threads 1 --checkpoint-every 16 --out $kind
    grep -qF "\"binarize\": \"$kind\"" $kind/config.json || bad "config.json: $(cat $kind/config.json)"
    cmp -s of_idx/model.safetensors $kind/model.safetensors && bad "$kind is as grey"
    # From within the last epoch.
    cp -r $kind again && rm again/checkpoint-18.safetensors again/model.safetensors
    good train --resume again --threads 2
    grep -q '^vae: goes on behind step 16, in epoch 2 of 2$' stderr || bad "$kind: $(cat stderr)"
    alike $kind again model.safetensors metrics.jsonl checkpoint-18.safetensors reconstructions.png
    rm -r again
    # Measuring is of the pixels that training measured, in every command.
    good eval --run $kind
    [ "$(number loss stdout)" = "$(number test_loss $kind/metrics.jsonl)" ] || bad "$kind: $(cat stdout)"
    good reconstruct --run $kind --out again.png
    cmp again.png $kind/reconstructions.png || bad "$kind: reconstruct"
done
cmp -s static/model.safetensors dynamic/model.safetensors && bad "dynamic is as static"
good train --config dynamic/config.json --out again
alike dynamic again model.safetensors metrics.jsonl checkpoint-18.safetensors reconstructions.png config.json

# The seed of the static draw is no other seed.
good "${short[@]}" --epochs 2 --data idx --binarize static --binarize-seed 2 --out other
cmp -s static/model.safetensors other/model.safetensors && bad "--binarize-seed does nothing"
good "${short[@]}" --epochs 2 --data idx --binarize-seed 2 --out other_grey
alike of_idx other_grey model.safetensors metrics.jsonl checkpoint-18.safetensors
baseline() { good eval --run "$1" && number factorised_bernoulli stdout; }
good "${short[@]}" --epochs 1 --data idx --binarize static --seed 2 --out seed2
[ "$(baseline static)" = "$(baseline seed2)" ] || bad "the static draw depends on --seed"
[ "$(baseline static)" = "$(baseline dynamic)" ] || bad "dynamic is not measured as static"
[ "$(baseline static)" != "$(baseline of_idx)" ] || bad "the baseline is of grey pixels"

# A run is of one binarization; one from before there was any goes on.
cp -r static edited && sed -i 's/"binarize": "static"/"binarize": "dynamic"/' edited/config.json
fails "edited/config.json: its settings are not those the run began with, which are in \
edited/checkpoint-18.safetensors" train --resume edited
cp -r of_idx before && sed -i '/"binarize/d' before/config.json
grep -q binarize before/config.json && bad "the field is still there"
grep -qa binarize before/checkpoint-18.safetensors && bad "checkpoints of grey pixels are other than they were"
good eval --run before
[ "$(number loss stdout)" = "$(number test_loss of_idx/metrics.jsonl)" ] || bad "before: $(cat stdout)"
good train --resume before --epochs 3
good train --resume of_idx --epochs 3
alike before of_idx model.safetensors metrics.jsonl config.json

verdict
