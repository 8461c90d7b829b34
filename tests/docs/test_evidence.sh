#!/usr/bin/env bash
# docs/evidence.md is what its results and rows say, every result belongs to a row, every row is on the page; a changed number, a
# result of no row, and a verdict that its gate does not give are found.
set -u
cd "$TAPIR_SOURCE" || exit 1
evidence=examples/reproduce/evidence.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
bad() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

"$evidence" check || bad "docs/evidence.md"
for row in examples/reproduce/[0-9]*.sh; do
    row=$(basename "$row" .sh)
    grep -q "^## Row $row$" docs/evidence.md || bad "row $row is not on the page"
done
while IFS= read -r picture; do
    [ -f "docs/$picture" ] || bad "there is no docs/$picture"
done < <(sed -n 's/^!\[.*\](\(.*\))$/\1/p' docs/evidence.md)
for picture in docs/images/evidence/*; do
    [ ! -e "$picture" ] || grep -qF "(${picture#docs/})" docs/evidence.md || bad "$picture is shown nowhere"
done

finds() { # WHAT AWK: a result that is changed so is found
    awk -F'\t' -v OFS='\t' "$2" docs/evidence.tsv >"$work/changed.tsv"
    cmp -s docs/evidence.tsv "$work/changed.tsv" && bad "$1: nothing was changed"
    "$evidence" check "$work/changed.tsv" >"$work/out" 2>&1 && bad "not found: $1"
}
finds "a number" '$1 == 0 { $3 += 1e-5 } 1'
finds "a number past its gate" '$1 == 0 { $3 += 1 } 1'
finds "a verdict" '$1 == 0 { $7 = "missed" } 1'
finds "a gate" '$1 == 0 { $6 += 1 } 1'
finds "a row that is none" 'NR == 2 { $1 = 77 } 1'
finds "an item that is none" 'NR == 2 { $2 = "nothing" } 1'
finds "a column too few" 'NR == 2 { NF = 13 } 1'
finds "a newer result" '1; $1 == 0 && $2 == "test" { last = $0 } END { split(last, f); $0 = last; $8 = 12345; print }'
[ "$failures" = 0 ] && echo "ok" && exit 0
echo "$failures checks failed"
exit 1
