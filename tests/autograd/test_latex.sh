#!/usr/bin/env bash
# The derivations of all operations in one LaTeX document: pdflatex takes it as it is.
set -euo pipefail
command -v pdflatex >/dev/null || { echo "skipped: no pdflatex here (Debian: texlive-latex-recommended)"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$TAPIR_BUILD/tests/autograd/test_explain_rows" tex "$work/rows.tex"
cd "$work"
if ! pdflatex -interaction=nonstopmode -halt-on-error rows.tex >log 2>&1; then
    grep -a -A5 '^!' log >&2
    exit 1
fi
if grep -aE 'Overfull \\hbox \([0-9]{3,}' log >&2; then
    echo "a line is more than 100 points too long" >&2
    exit 1
fi
grep -a '^Output written' log
