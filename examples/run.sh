#!/usr/bin/env bash
# Builds tapir and trains the variational autoencoder on the digits in examples/data.
# Usage: examples/run.sh [options of "vae train"]
# Missing packages are installed with apt. Results go to runs/first; if that exists, to runs/first-2 …
set -euo pipefail

cd "$(dirname "$0")/.."
. examples/setup.sh
need "${build_needs[@]}"

cmake --preset release -DTAPIR_TESTS=OFF
cmake --build --preset release -j "$(nproc)"

case " $* " in
*" --out "* | *" --out="* | *" --resume "* | *" --resume="* | *" --help "* | *" -h "*)
    exec build/release/bin/vae train "$@" # a folder of your own, or just the list of options
    ;;
esac
out=runs/first
for ((i = 2; ; i++)); do
    [ -e "$out" ] || break
    out=runs/first-$i
done
mkdir -p runs
build/release/bin/vae train --out "$out" "$@"

echo
echo "Look at:"
for picture in reconstructions samples manifold; do
    [ ! -e "$out/$picture.png" ] || echo "  $out/$picture.png"
done
