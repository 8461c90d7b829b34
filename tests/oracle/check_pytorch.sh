#!/usr/bin/env bash
# Weights and files go both ways between PyTorch and tapir: the VAE of PyTorch's examples (784-400-20), trained
# there, reconstructs here to 1e-5, and safetensors.torch reads what tapir writes. Needs PyTorch; without it
# test_interchange.c still compares with committed files. Last line: the figure.
set -euo pipefail

cd "${TAPIR_SOURCE:?}"
program=${TAPIR_BUILD:?}/tests/oracle/test_interchange
if ! python3 -c '
from importlib.util import find_spec
raise SystemExit(not all(map(find_spec, ("numpy", "torch", "safetensors"))))' 2>/dev/null; then
    echo "skipped: python3 has no torch or no safetensors (pip install torch safetensors numpy)"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 tests/oracle/interchange.py train "$work"
"$program" reconstruct "$work" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$program" write "$work" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
python3 tests/oracle/interchange.py check "$work"
if [ "${1-}" = commit ]; then # brings the committed record up to date
    cp "$work/interchange.txt" tests/oracle/interchange.txt
fi
diff <(tail -n +2 tests/oracle/interchange.txt) <(tail -n +2 "$work/interchange.txt") # versions may differ
echo "check-pytorch: 3 files of tapir's read by safetensors.torch, a VAE of PyTorch's reconstructed to 1e-5"
