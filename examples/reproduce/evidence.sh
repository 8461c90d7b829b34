#!/usr/bin/env bash
# Makes docs/evidence.md of docs/evidence.tsv and the rows beside this script: the page is nothing but what they say.
# Usage: examples/reproduce/evidence.sh check|write [RESULTS PAGE]
# check fails if the page is another, if a result belongs to no row or item, or if its verdict is not what its gate says.
# Of several results for one item and seed the newest, which is the last, is shown. Read next: lib.sh.
set -euo pipefail
export LC_ALL=C
root=$(cd -P "$(dirname "$0")/../.." && pwd)
. "$root/examples/reproduce/lib.sh"
mode=${1-} results=${2:-$root/docs/evidence.tsv} page=${3:-$root/docs/evidence.md} out='' smoke=''
case $mode in check | write) ;; *) sed -n '2,5s/^# //p' "$0" && exit 2 ;; esac
[ -f "$results" ] || die "$results: there is no such file"
[ "$(head -1 "$results")" = "$columns" ] || die "$results: its first line must name these columns: ${columns//$'\t'/, }"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Lines of the results that are shown: the last of each row, item and seed, in the order of the file.
awk -F'\t' 'NR > 1 { last[$1, $2, $10] = NR; line[NR] = $0; key[NR] = $1 SUBSEP $2 SUBSEP $10 }
    END { for (i = 2; i <= NR; i++) if (last[key[i]] == i) print line[i] }' "$results" >"$tmp/newest"

# A result that belongs nowhere, or contradicts its gate, is an error of the file and not shown in silence.
check_results() {
    local number=1 line fields published low high is
    while IFS= read -r line; do
        number=$((number + 1))
        IFS=$'\t' read -r -a fields <<<"$line"
        [ ${#fields[@]} = 14 ] || die "$results, line $number: ${#fields[@]} columns, expected 14"
        is_row "${fields[0]}" || die "$results, line $number: there is no row '${fields[0]}'"
    done < <(tail -n +2 "$results")
    while IFS= read -r line; do
        IFS=$'\t' read -r -a fields <<<"$line"
        [ "${row-}" = "${fields[0]}" ] || load_row "${fields[0]}"
        is=$(item_line "${fields[1]}") || die "$results: row $row has no item '${fields[1]}'"
        read -r published low high <<<"$is"
        [ "${fields[3]} ${fields[4]} ${fields[5]}" = "$published $low $high" ] ||
            die "$results: row $row, ${fields[1]}: published and gate are ${fields[*]:3:3}, the row has $published $low $high"
        is=$(verdict_of "${fields[2]}" "$low" "$high")
        [ "${fields[6]}" = "$is" ] || die "$results: row $row, ${fields[1]}: the verdict is ${fields[6]}, its gate says $is"
    done <"$tmp/newest"
}

of_row() { # ROW: its lines, items in the order of the row
    local item
    items | sed 's/ *|.*//' | while IFS= read -r item; do
        awk -F'\t' -v row="$1" -v item="$item" '$1 == row && $2 == item' "$tmp/newest"
    done
}

verdict_text() {
    case $1 in
    shown) echo "no gate" ;;
    *) echo "$1" ;;
    esac
}

# Met, missed, figures, or not run: of the file of a row's lines.
row_verdict() {
    local missed total gates
    total=$(wc -l <"$1")
    missed=$(awk -F'\t' '$7 == "missed"' "$1" | wc -l)
    gates=$(awk -F'\t' '$7 != "shown"' "$1" | wc -l)
    if [ -n "$not_run" ]; then
        echo "not run: $not_run"
    elif [ "$total" = 0 ]; then
        echo "not run yet"
    elif [ "$missed" = 0 ]; then
        echo "**met** ($gates of $gates numbers)"
    else
        echo "**missed** ($missed of $gates numbers)"
    fi
}

# The longest of the items of each training, added up: items of one training share it.
row_seconds() {
    awk -F'\t' '{
        run = $14
        sub(/ && .*/, "", run)
        run = run " " $10
        if (!(run in most) || $8 > most[run]) most[run] = $8
    } END {
        for (run in most) sum += most[run]
        if (NR > 0) printf "%.0f", sum
        else printf "—"
    }' "$1"
}

summary() {
    local each
    echo "| row | what | gate | verdict | seconds |"
    echo "|---|---|---|---|---|"
    for each in $(rows); do
        load_row "$each"
        of_row "$each" >"$tmp/row"
        echo "| [$each](#row-$each) | $title | $gate | $(row_verdict "$tmp/row") | $(row_seconds "$tmp/row") |"
    done
}

table() {
    local line fields seeds
    seeds=$(cut -f10 "$tmp/row" | sort -u | wc -l)
    echo "| item | ours | published | gate | verdict | seconds |"
    echo "|---|---|---|---|---|---|"
    while IFS= read -r line; do
        IFS=$'\t' read -r -a fields <<<"$line"
        local item=${fields[1]}
        [ "$seeds" = 1 ] || item+=", seed ${fields[9]}"
        echo "| $item | $(round "${fields[2]}" "${fields[3]}") | ${fields[3]/#-/−} |" \
            "$(gate_text "${fields[4]}" "${fields[5]}") | $(verdict_text "${fields[6]}") | ${fields[7]} |"
    done <"$tmp/row" | sed 's/| −\? |/| — |/; s/\([ |]\)-\([0-9]\)/\1−\2/g'
    echo
    awk -F'\t' '{
        split($14, part, " && ")
        if ($11 != "-") { k = $11 }
        run[$14] = $12
        if (!(($9, $10, $13) in seen)) {
            seen[$9, $10, $13] = 1
            how = how (how == "" ? "" : "; ") "seed " $10 ", " $9 ($9 == 1 ? " thread" : " threads") ", version " $13
        }
    } END { print "Measured with " how "." }' "$tmp/row"
    awk -F'\t' '$14 ~ /--keep best|--patience/ { name = $14; sub(/ && .*/, "", name); sub(/.*\//, "", name)
        if (!(name in epochs)) names[++n] = name
        if ($12 > epochs[name] + 0) epochs[name] = $12 } # an item may be of an epoch on the way
        END { for (i = 1; i <= n; i++) how = how (i == 1 ? "" : ", ") names[i] " " epochs[names[i]]
            if (n > 0) print "Epochs that were run: " how "." }' "$tmp/row"
}

commands() {
    awk -F'\t' '{
        n = split($14, part, " && ")
        for (i = 1; i <= n; i++) if (!(part[i] in seen)) { seen[part[i]] = 1; print part[i] }
    }' "$tmp/row"
}

shown_pictures() {
    local file caption any=
    while IFS='|' read -r file caption; do
        file=docs/images/evidence/$row-${file// /}
        [ -f "$root/$file" ] || continue
        printf '\n![%s](%s)\n\n*%s*\n' "${caption# }" "${file#docs/}" "${caption# }"
    done < <(pictures)
}

whole() {
    local each
    cat "$reproduce/evidence_head.md"
    summary
    for each in $(rows); do
        load_row "$each"
        of_row "$each" >"$tmp/row"
        printf '\n## Row %s\n\n**%s.** %s.\n\n%s\n' "$each" "${title^}" "$from" "$protocol"
        [ -z "$departures" ] || printf '\n**Departures:** %s\n' "$departures"
        if [ -n "$not_run" ]; then
            printf '\nNot run: %s.\n' "$not_run"
            continue
        fi
        if [ ! -s "$tmp/row" ]; then
            printf '\nNot run yet. To run it: `examples/reproduce.sh %s --data DATA`\n' "$each"
            continue
        fi
        echo
        table
        printf '\nTo repeat it: `examples/reproduce.sh %s --data DATA`, which does\n\n```\n' "$each"
        commands
        printf '```\n'
        shown_pictures
    done
}

check_results
whole >"$tmp/page"
if [ "$mode" = write ]; then
    if ! cmp -s "$tmp/page" "$page"; then
        trap 'rm -rf "$tmp" "$page.new"' EXIT
        cp "$tmp/page" "$page.new" # beside it: the page is the old one or the new one, whenever this is stopped
        mv "$page.new" "$page"
        echo "$page: brought up to date"
    fi
elif ! diff "$page" "$tmp/page" >&2; then
    die "$page is not what its results say; examples/reproduce/evidence.sh write makes it anew"
fi
