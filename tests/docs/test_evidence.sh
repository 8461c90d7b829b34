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

finds() { # WHAT AWK TEXT: a result that is changed so is found, and TEXT is said of it
    awk -F'\t' -v OFS='\t' "$2" docs/evidence.tsv >"$work/changed.tsv"
    cmp -s docs/evidence.tsv "$work/changed.tsv" && bad "$1: nothing was changed"
    "$evidence" check "$work/changed.tsv" >"$work/out" 2>&1 && bad "not found: $1"
    grep -qF -- "$3" "$work/out" || bad "$1: no '$3' in: $(cat "$work/out")"
}
finds "a number" '$1 == 0 { $3 += 1e-5 } 1' "docs/evidence.md is not what its results say"
finds "a number past its gate" '$1 == 0 { $3 += 1 } 1' "changed.tsv: row 0, test: the verdict is met, its gate says missed"
finds "a verdict" '$1 == 0 { $7 = "missed" } 1' "changed.tsv: row 0, test: the verdict is missed, its gate says met"
finds "a gate" '$1 == 0 { $6 = 206 } 1' \
    "changed.tsv: row 0, test: published and gate are 205.952026 205.951926 206, the row has 205.952026 205.951926 205.952126"
finds "a row that is none" 'NR == 2 { $1 = 77 } 1' "changed.tsv, line 2: there is no row '77'"
finds "a script that is no row" 'NR == 2 { $1 = "lib" } 1' "changed.tsv, line 2: there is no row 'lib'"
finds "an item that is none" 'NR == 2 { $2 = "nothing" } 1' "changed.tsv: row 0 has no item 'nothing'"
finds "a column too few" 'NR == 2 { NF = 13 } 1' "changed.tsv, line 2: 13 columns, expected 14"
finds "a newer result" '1; $1 == 0 && $2 == "test" { last = $0 } END { split(last, f); $0 = last; $8 = 12345; print }' \
    "docs/evidence.md is not what its results say"
[ "$failures" = 0 ] && echo "ok" && exit 0
echo "$failures checks failed"
exit 1
