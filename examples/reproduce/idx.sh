#!/usr/bin/env bash
# Turns a text file of zeros and ones, one image a line, into idx on standard output: white is 255.
# Usage: examples/reproduce/idx.sh HEIGHT WIDTH FILE
set -euo pipefail
export LC_ALL=C
[ $# = 3 ] || { sed -n '3s/^# //p' "$0" && exit 2; }
height=$1 width=$2 file=$3
for size in "$height" "$width"; do
    [[ $size =~ ^[1-9][0-9]*$ ]] ||
        { echo "idx.sh: HEIGHT and WIDTH are whole numbers from 1, got '$height' and '$width'" >&2 && exit 2; }
done
be32() {
    printf "\\x$(printf %02x $(($1 >> 24 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))"
    printf "\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 & 255)))"
}
other=$(tr -d '01 \t\r\n' <"$file" | wc -c)
[ $((other)) = 0 ] || { echo "idx.sh: $file: $((other)) of its characters are neither 0 nor 1" >&2 && exit 1; }
images=$(awk -v height="$height" -v width="$width" '{
    got = gsub(/[01]/, "")
    if (got != height * width) {
        printf "line %d has %d values, expected %d for images of %dx%d\n", NR, got, height * width, height, width
        wrong = 1
        exit 1
    }
} END {
    if (!wrong) print NR ? NR : "no image"
    if (NR == 0) exit 1
}' <"$file") || { echo "idx.sh: $file: $images" >&2 && exit 1; }
be32 2051
be32 "$images"
be32 "$height"
be32 "$width"
tr -cd 01 <"$file" | tr 01 '\000\377'
