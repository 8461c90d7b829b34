#!/usr/bin/env bash
# What vae says when data, a run or a path is not what it should be, where test_vae.sh and check_command_line.sh do
# not come by: each with its exit code, its whole message, and nothing left behind.
set -uo pipefail

. tests/tool/common.sh

# says CODE TEXT ARGS...: the exit code, and a line of standard error.
says() {
    local code=$1 text=$2 got
    shift 2
    "$vae" "$@" >stdout 2>stderr
    got=$?
    if [ "$got" != "$code" ] || ! grep -qxF -- "$text" stderr; then
        printf 'FAILED: vae %s\n exit %d, want %d, and\n got  %s\n want %s\n' "$*" "$got" "$code" "$(cat stderr)" "$text"
        failures=$((failures + 1))
    fi
}

# 60 training images of 28x28 and no test images.
mkdir few empty flat
{
    printf '\0\0\10\3\0\0\0\74\0\0\0\34\0\0\0\34'
    gzip -dc "$data/train-images-idx3-ubyte.gz" | tail -c +17 | head -c $((60 * 784))
} >few/train-images-idx3-ubyte
printf '\0\0\10\2\0\0\0\2\0\0\0\2abcd' >flat/train-images-idx3-ubyte

# Data that are no pictures.
says 1 "vae: flat: the train images have shape [2,2], expected count, height, width, or count, 3, height, width \
in colour" train --data flat --out new
[ ! -e new ] || { echo "FAILED: a run was begun" && failures=$((failures + 1)); }

# A run of images without a test set has nothing to be evaluated on, and says how.
"$vae" train --data few --epochs 1 --hidden 8 --latent-dim 2 --out run >/dev/null 2>&1 ||
    { echo "FAILED: no run" && exit 1; }
says 1 "vae: $tmp/few: nothing to evaluate on; --split train takes the training images" eval --run run
"$vae" eval --run run --split train >stdout 2>&1 || { cat stdout && failures=$((failures + 1)); }
says 1 "vae: empty: no images: none of the splits train, t10k and test is there, as idx, npy or PNG" \
    eval --run run --data empty

# Settings without the size of the pictures.
cp -r run sizeless && sed -i '/"height"/d' sizeless/config.json
says 1 "vae: sizeless/config.json: \"height\" or \"width\" is missing" sample --run sizeless --out x.png
[ ! -e x.png ] || { echo "FAILED: a picture was drawn" && failures=$((failures + 1)); }

# Paths: below a file, and longer than the program keeps.
says 1 "vae: --out few/train-images-idx3-ubyte/x: Not a directory" \
    train --data few --epochs 1 --out few/train-images-idx3-ubyte/x
says 1 "vae: --out /proc/none/run: cannot be made: No such file or directory" \
    train --data few --epochs 1 --hidden 8 --out /proc/none/run
part=$(printf 'd%.0s' $(seq 200))
mkdir -p "$part/$part/$part/$part/$part" && ln -s "$part/$part/$part/$part/$part" long
cp few/train-images-idx3-ubyte long/
says 1 "vae: long: its absolute path cannot be found or is too long" train --data long --out new
says 2 "vae: --seed: 'abc' is not a whole number" train --seed abc --out new

verdict
