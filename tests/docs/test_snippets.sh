#!/usr/bin/env bash
# Every marked block in the documents is the code, or the output, that it claims to be; and the check can
# fail: a document with a changed block is refused.
set -euo pipefail
cd "$TAPIR_SOURCE"
mapfile -t documents < <(find README.md docs -name '*.md' | sort)
case ${TAPIR_FLAGS-} in
*-fsanitize*) # the programs of the book run there once, as tests learn/*; their output is compared elsewhere
    mapfile -t documents < <(printf '%s\n' "${documents[@]}" | grep -v '^docs/learn/[0-9]')
    ;;
esac
tests/docs/snippets.sh check "$TAPIR_BIN" "${documents[@]}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '<!-- code LICENSE -->\n```\nsomething else\n```\n' >"$work/wrong.md"
if tests/docs/snippets.sh check "$TAPIR_BIN" "$work/wrong.md" 2>/dev/null; then
    echo "a wrong block was not noticed" >&2
    exit 1
fi
tests/docs/snippets.sh write "$TAPIR_BIN" "$work/wrong.md"
tests/docs/snippets.sh check "$TAPIR_BIN" "$work/wrong.md"
printf '<!-- code LICENSE "no such line" "" -->\n```\n```\n' >"$work/empty.md"
if tests/docs/snippets.sh check "$TAPIR_BIN" "$work/empty.md" 2>/dev/null; then
    echo "an empty block was not noticed" >&2
    exit 1
fi
echo "${#documents[@]} documents agree with the code"
