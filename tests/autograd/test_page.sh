#!/usr/bin/env bash
# The page of a derivation in headless Chromium: keys and clicks (page_driver.js), no error in the console, a link to a step.
set -euo pipefail
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ -n "$browser" ] || { echo "skipped: no chromium" && exit 77; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$TAPIR_BUILD/tests/autograd/test_explain_html" page >"$tmp/plain.html"

# drive PAGE HASH: the title that the driver leaves; what it needs is put around the page's own script.
drive() {
    sed 's|<head>|<head><script>const failures = []; addEventListener("error", e => failures.push(e.message));</script>|
         s|</body>|<script src="driver.js"></script></body>|' "$1" >"$tmp/driven.html"
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$tmp/profile" --enable-logging=stderr \
        --window-size=1400,900 --virtual-time-budget=4000 --dump-dom "file://$tmp/driven.html$2" >"$tmp/dom" 2>"$tmp/log" ||
        { tail -5 "$tmp/log" && return 1; }
    if grep CONSOLE "$tmp/log"; then
        return 1
    fi
    grep -o '<title>[^<]*' "$tmp/dom" | head -1
}

# expect PAGE HASH PATTERN
expect() {
    local title
    title=$(drive "$1" "$2") || { echo "$title" && exit 1; }
    [[ $title =~ $3 ]] || { echo "'$title' is not '$3'" && exit 1; }
}

cp "$TAPIR_SOURCE/tests/autograd/page_driver.js" "$tmp/driver.js"
expect "$tmp/plain.html" "" '^<title>[0-9]+ checks of the page'
total=$(grep -o '<title>[0-9]*' "$tmp/dom" | tr -dc 0-9)
expect "$tmp/plain.html" "#s7" '^<title>[0-9]+ checks of the page'

# The driver is checked on a page whose steps have lost their numbers in the graph.
sed 's/data-ids="[0-9 ]*"/data-ids="0"/' "$tmp/plain.html" >"$tmp/broken.html"
expect "$tmp/broken.html" "#s7" '^<title>FAILED: s7: not in the graph'
echo "$total checks"
