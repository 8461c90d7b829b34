#!/usr/bin/env bash
# docs/learn/step.html, for those who have built nothing: a step of a small VAE that has learned for a while. It is what
# the tool writes today, but for digits and what is coloured by them, which differ between machines.
# TAPIR_UPDATE_GOLDEN=1 writes the page.
set -euo pipefail
page=$TAPIR_SOURCE/docs/learn/step.html
[ -x "$TAPIR_BIN/vae" ] || { echo "skipped: built without the examples" && exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$TAPIR_BIN/vae" explain --preset pytorch-example --hidden 6 --latent-dim 2 --batch-size 2 --seed 9 --after 500 \
    --out "$work/step.html" 2>"$work/said"
if [ -n "${TAPIR_UPDATE_GOLDEN-}" ]; then cp "$work/step.html" "$page"; fi

# Tags and words: a line for each tag, no digits, no classes, no coordinates.
structure() {
    sed -E 's/></>\n</g' "$1" | sed -E 's/ (class|style|d|x|y|width|height|viewBox|transform|points)="[^"]*"//g
        s/-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?/#/g; s/ [0-9#]+ %/ # %/g'
}
structure "$page" >"$work/kept"
structure "$work/step.html" >"$work/fresh"
cmp -s "$work/kept" "$work/fresh" || {
    echo "docs/learn/step.html is not what the tool writes (TAPIR_UPDATE_GOLDEN=1 writes it):"
    diff "$work/kept" "$work/fresh" | head -20
    exit 1
}
grep -q ' 0 wrong, 0 skipped' "$work/said" || { cat "$work/said" && exit 1; }
bytes=$(wc -c <"$page")
[ "$bytes" -lt 1000000 ] || { echo "$page has $bytes bytes" && exit 1; }
if grep -Eo '(src|href)="(https?:)?//[^"]*"' "$page"; then
    echo "$page wants something from elsewhere"
    exit 1
fi
# The check can fail.
sed 's/reparameterize/reparametrize/' "$page" >"$work/other.html"
structure "$work/other.html" | cmp -s "$work/kept" - && { echo "another page was not noticed" && exit 1; }
echo "docs/learn/step.html: $bytes bytes, as the tool writes it"
