#!/usr/bin/env bash
# Keeps code and program output in the documents equal to the real thing.
# Usage: tests/docs/snippets.sh check|write BIN FILE.md...
#
# In a document, a line of one of these forms must be followed by a fenced block:
#   <!-- code PATH -->                  the block is the whole file
#   <!-- code PATH "FROM" "TO" -->      … from the line that starts with FROM up to the one before TO
#   <!-- output PROGRAM [ARG...] -->    … what BIN/PROGRAM prints
# check says which blocks differ and fails; write replaces them.
# How small an error is depends on the compiler's rounding: behind "ok" and "error" check compares no digits.
set -euo pipefail
mode=$1 bin=$2
shift 2

cut_code() { # PATH FROM TO
    awk -v from="$2" -v to="$3" '
        from == "" || index($0, from) == 1 { on = 1 }
        on && to != "" && index($0, to) == 1 { exit }
        on { lines[++n] = $0 }
        END {
            while (n > 0 && lines[n] == "") n--
            for (i = 1; i <= n; i++) print lines[i]
        }' "$1"
}

# A section of a program of the book, out of one run of the whole: many of its sections need the same training.
pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
page() { # PROGRAM SECTION
    [ -e "$pages/$1" ] || "$bin/$1" >"$pages/$1"
    awk -v section="--- $2" '
        on && /^--- / { exit }
        on { print }
        $0 == section { on = 1 }' "$pages/$1"
}

wanted() { # the marker line
    local words
    eval "words=($(sed -E 's/^<!-- (.*) -->$/\1/; s/[$`]/\\&/g' <<<"$1"))"
    case ${words[0]} in
    code) cut_code "${words[1]}" "${words[2]-}" "${words[3]-}" ;;
    output)
        case ${words[1]}/${#words[@]} in
        learn_*/3) page "${words[1]}" "${words[2]}" ;;
        *) "$bin/${words[1]}" "${words[@]:2}" ;;
        esac
        ;;
    esac
}

mask() {
    sed -E 's/(ok|error) [0-9.]+e[-+][0-9]+/\1 …/g' "$1"
}

stale=0
for document in "$@"; do
    fresh=$(mktemp)
    inside=0
    marker=
    while IFS= read -r line || [ -n "$line" ]; do
        if [ "$inside" = 1 ]; then
            [ "$line" = '```' ] || continue
            inside=0
        fi
        printf '%s\n' "$line" >>"$fresh"
        if [ -n "$marker" ]; then
            case $line in
            '```'*)
                block=$(wanted "$marker")
                [ -n "$block" ] || { echo "$document: nothing found for $marker" >&2; stale=1; }
                printf '%s\n' "$block" >>"$fresh"
                inside=1
                ;;
            *) echo "$document: no code block follows $marker" >&2; stale=1 ;;
            esac
            marker=
        fi
        case $line in '<!-- code '*' -->' | '<!-- output '*' -->') marker=$line ;; esac
    done <"$document"
    if ! cmp -s <(mask "$document") <(mask "$fresh"); then
        if [ "$mode" = write ]; then
            cp "$fresh" "$document"
            echo "$document: brought up to date"
        else
            echo "$document differs from what the code says:" >&2
            diff "$document" "$fresh" >&2 || true
            stale=1
        fi
    fi
    rm -f "$fresh"
done
exit $stale
