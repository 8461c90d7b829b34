#!/usr/bin/env bash
# Does what docs/new-model.md says, on a copy of the source: files and rows from its blocks, then its commands. The
# model must not be in the library, and must be listed, trained, measured and drawn afterwards.
set -euo pipefail

case "$TAPIR_FLAGS" in
*-O[23]*) ;;
*) echo "skipped: a build of its own, which is the same whatever this one is" && exit 77 ;;
esac
if [ ! -x "$TAPIR_BIN/vae" ]; then
    echo "skipped: built without the examples" && exit 77
fi
page=$TAPIR_SOURCE/docs/new-model.md
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The block behind a line "<!-- WORD -->": file PATH, append PATH, run.
blocks() {
    awk -v out="$tmp/block" '
        /^<!-- (file|append|run)/ { what = $0; sub(/^<!-- /, "", what); sub(/ -->$/, "", what); next }
        /^```/ && what != "" && !on { on = 1; n++; printf "%s\n", what >(out n ".what"); next }
        /^```/ && on { on = 0; what = ""; next }
        on { print >(out n ".text") }
        END { print n }' "$page"
}

mkdir "$tmp/tapir"
(cd "$TAPIR_SOURCE" && tar cf - --exclude=./build --exclude='./build-*' --exclude=./.git --exclude=./runs .) | tar xf - -C "$tmp/tapir"
n=$(blocks)
cd "$tmp/tapir"
"$TAPIR_BIN/vae" models --names | grep -qx laplace_vae && echo "the library has the model of the page" && exit 1
for ((i = 1; i <= n; i++)); do
    read -r what path <"$tmp/block$i.what"
    case $what in
    file)
        [ ! -e "$path" ] || { echo "$path is there already" && exit 1; }
        cp "$tmp/block$i.text" "$path"
        ;;
    append) cat "$tmp/block$i.text" >>"$path" ;;
    run)
        while read -r line; do
            echo "$ $line"
            bash -c "$line" >"$tmp/out" 2>&1 || { tail -40 "$tmp/out" && exit 1; }
            cat "$tmp/out" >>"$tmp/all"
        done <"$tmp/block$i.text"
        ;;
    esac
done
grep -qx laplace_vae "$tmp/all"
grep -q '"nll"' "$tmp/all"
for picture in samples.png reconstructions.png more.png again.png; do
    [ "$(head -c 4 "runs/laplace/$picture" | tail -c 3)" = PNG ] || { echo "no $picture" && exit 1; }
done
echo "the page's model: $(grep -c . models/laplace_vae.c) lines, built, tested, trained and drawn"
