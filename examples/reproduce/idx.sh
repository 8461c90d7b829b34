#!/usr/bin/env bash
# Turns a text file of zeros and ones, one image a line, into idx on standard output: white is 255.
# Usage: examples/reproduce/idx.sh HEIGHT WIDTH FILE
set -euo pipefail
export LC_ALL=C
[ $# = 3 ] || { sed -n '3s/^# //p' "$0" && exit 2; }
height=$1 width=$2 file=$3
be32() {
    printf "\\x$(printf %02x $(($1 >> 24 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))"
    printf "\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 & 255)))"
}
pixels=$(tr -cd 01 <"$file" | wc -c)
other=$(tr -d '01 \t\r\n' <"$file" | wc -c)
if [ "$other" != 0 ] || [ "$pixels" = 0 ] || [ $((pixels % (height * width))) != 0 ]; then
    echo "idx.sh: $file: $pixels zeros and ones and $other other characters, expected images of ${height}x$width" >&2
    exit 1
fi
be32 2051
be32 $((pixels / (height * width)))
be32 "$height"
be32 "$width"
tr -cd 01 <"$file" | tr 01 '\000\377'
