#!/usr/bin/env bash
# The book: every chapter stands beside its program, every number in its prose that has a decimal point (or an
# exponent) was printed by that program, every picture is what the program draws, every exercise has an answer,
# and the chapters lead from one to the next. Formulas and folds are written so that GitHub renders them, and links
# in README.md and docs lead to something. The blocks are compared by test_snippets.sh.
# TAPIR_UPDATE_GOLDEN=1 writes the pictures.
set -euo pipefail
case ${TAPIR_FLAGS-} in
*-fsanitize*)
    echo "skipped: compared in builds without sanitizers, where the programs take seconds"
    exit 77
    ;;
esac
cd "$TAPIR_SOURCE/docs/learn"
failed=0
complain() {
    echo "$*" >&2
    failed=1
}

# Prose: no fences, no comments, no targets of links.
prose() {
    awk '/^```/ { code = !code; next } !code && !/^<!--/' "$1" | sed -E 's/\]\([^)]*\)/]/g'
}

# Numbers as they stand, with the typographic minus as a plain one.
numbers() {
    sed 's/−/-/g' | grep -oE '[0-9]+\.[0-9]+(e[-+]?[0-9]+)?|[0-9]+e[-+]?[0-9]+' | sort -u
}

unprinted() { # chapter output: the numbers that nobody printed
    comm -23 <(prose "$1" | numbers) <(numbers <"$2")
}

picture() { # output section file: what stands under "--- section", without the blank line before the next
    local fresh
    fresh=$(mktemp)
    awk -v section="--- $2" '
        on && /^--- / { exit }
        on && $0 != "" { print }
        $0 == section { on = 1 }' "$1" >"$fresh"
    if [ -n "${TAPIR_UPDATE_GOLDEN-}" ]; then cp "$fresh" "$3"; fi
    cmp -s "$fresh" "$3" || complain "$3 is not what section $2 draws"
    rm -f "$fresh"
}

check_chapter() { # file.md
    local number=${1:0:2} out
    local program=$TAPIR_BIN/learn_$number
    [ -e "${1%.md}.c" ] || complain "$1 has no program ${1%.md}.c"
    out=$(mktemp)
    "$program" >"$out" || complain "$program failed"
    while read -r n; do
        complain "$1: $n is not printed by learn_$number"
    done < <(unprinted "$1" "$out")
    while read -r image; do
        picture "$out" "picture-$image" "../images/learn/$number-$image.svg"
    done < <(grep -oE "images/learn/$number-[a-z0-9-]+\.svg" "$1" | sed -E "s|.*/$number-(.*)\.svg|\1|" | sort -u)
    local exercises answers
    exercises=$(grep -cE '^\*\*Exercise ' "$1" || true)
    answers=$(grep -c '<summary>Answer' "$1" || true)
    [ "$exercises" -gt 0 ] && [ "$exercises" = "$answers" ] ||
        complain "$1: $exercises exercises (lines that begin with **Exercise) and $answers answers"
    rm -f "$out"
}

title() { # file.md, as the table of README.md has it
    sed -n -E "s/^\| ([0-9]+) \| \[([^]]*)\]\($1\).*/# \1. \2/p" README.md
}

# What GitHub does not render as it is meant: text on the line of a fold is no Markdown; a digit behind the closing
# dollar makes it no formula; \operatorname is refused; \, and its like lose their backslash.
unrendered() {
    awk '/^```/ { code = !code; next }
         code || /^<!--/ { next }
         /<summary>/ && !/^<details><summary>[^<]*<\/summary>$/ { print NR ": a fold needs its line to itself" }
         fold && NF { print NR ": an empty line belongs here" }
         { fold = /<summary>/; line = $0; gsub(/`[^`]*`/, "", line) }
         line ~ /\\operatorname/ { print NR ": \\operatorname" }
         line ~ /\$[^$]*[^$ ]\$[0-9]/ { print NR ": a digit behind $" }
         line ~ /\$.*\\[,;!:{}]/ { print NR ": an escape that Markdown eats" }' "$1"
}

# Links to files, without what stands behind #.
dead_links() { # file.md
    local dir target
    dir=$(dirname "$1")
    while read -r target; do
        [ -e "$dir/$target" ] || echo "$target"
    done < <(awk '/^```/ { code = !code; next } !code { gsub(/`[^`]*`/, ""); print }' "$1" |
        grep -oE '\]\([^) ]+' | sed -E 's/^\]\(//; s/#.*//' | grep -vE '^$|^[a-z]+:' | sort -u)
}

mapfile -t chapters < <(ls [0-9][0-9]_*.md)
for ((i = 0; i < ${#chapters[@]}; i++)); do
    check_chapter "${chapters[i]}"
    grep -q "(${chapters[i]})" README.md || complain "README.md does not list ${chapters[i]}"
    [ "$(head -1 "${chapters[i]}")" = "$(title "${chapters[i]}")" ] ||
        complain "${chapters[i]} does not begin with \"$(title "${chapters[i]}")\""
    while read -r line; do complain "${chapters[i]}:$line"; done < <(unrendered "${chapters[i]}")
    next=$(grep -A1 -F "(${chapters[i]})" README.md | sed -n -E '2s/.*\]\(([^)]*)\).*/\1/p')
    [ -z "$next" ] || [[ $(tail -1 "${chapters[i]}") == "Next: ["*"]($next)" ]] ||
        complain "${chapters[i]} does not end with a link \"Next: [title]($next)\""
done
for program in [0-9][0-9]_*.c; do
    [ -e "${program%.c}.md" ] || complain "$program has no chapter"
done

while read -r document; do
    while read -r target; do
        complain "${document#"$TAPIR_SOURCE"/}: nothing at $target"
    done < <(dead_links "$document")
done < <(find "$TAPIR_SOURCE/docs" -name '*.md' | sort && echo "$TAPIR_SOURCE/README.md")

# The checks can fail: a number that nobody computed, a formula that stays text, a link to nothing.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'The loss is 543.43, not 543.44.\n' >"$work/x.md"
printf 'loss 543.43\n' >"$work/out"
[ "$(unprinted "$work/x.md" "$work/out")" = 543.44 ] || complain "a wrong number was not noticed"
printf 'The ball $x^2$2 and $a\\,b$.\n<details><summary>Answer</summary>four</details>\n' >"$work/y.md"
[ "$(unrendered "$work/y.md" | wc -l)" = 3 ] || complain "a formula or a fold was not noticed"
printf 'See [one](x.md#part), [two](none.md) and [three](https://example.org).\n' >"$work/z.md"
[ "$(dead_links "$work/z.md")" = none.md ] || complain "a dead link was not noticed"

[ $failed = 0 ] || exit 1
echo "${#chapters[@]} chapters agree with their programs"
