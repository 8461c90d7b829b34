#!/usr/bin/env bash
# Makes the four files beside it from the full MNIST: the first 10,000 training and the first 1,000 test
# images with their labels. Usage: examples/data/cut.sh DIRECTORY-OF-THE-FULL-MNIST
set -euo pipefail

from=${1:?usage: cut.sh DIRECTORY-OF-THE-FULL-MNIST}
here=$(cd "$(dirname "$0")" && pwd)

# head_of NAME COUNT HEADER SIZE: the idx header is HEADER bytes, of which 4..7 are the count (big endian);
# each item takes SIZE bytes. gzip -n leaves out name and time, so the result depends on the input alone.
head_of() {
    local name=$1 count=$2 header=$3 size=$4 whole
    whole=$(mktemp)
    gzip -dc "$from/$name" >"$whole"
    {
        head -c 4 "$whole"
        printf "$(printf '\\x%02x' $((count >> 24 & 255)) $((count >> 16 & 255)) \
            $((count >> 8 & 255)) $((count & 255)))"
        head -c $((header + count * size)) "$whole" | tail -c +9
    } | gzip -9 -n >"$here/$name"
    rm -f "$whole"
}

head_of train-images-idx3-ubyte.gz 10000 16 784
head_of train-labels-idx1-ubyte.gz 10000 8 1
head_of t10k-images-idx3-ubyte.gz 1000 16 784
head_of t10k-labels-idx1-ubyte.gz 1000 8 1
cd "$here"
sha256sum -c SHA256SUMS
