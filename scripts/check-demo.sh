#!/usr/bin/env bash
# Runs the demo with the tested binary and looks at what it leaves.
set -euo pipefail
cd "$(dirname "$0")/.."

exavox="$CARGO_TARGET_DIR/release/exavox"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$exavox" --device cpu --json demo "$work/demo" | tee "$work/demo.json"
for file in image.zarr truth.zarr labels.zarr labels.segments.csv labels.report.html overview.png; do
    [ -e "$work/demo/$file" ] || { echo "the demo left no $file" >&2; exit 1; }
done
error=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["evaluation"]["adapted_rand_error"])' <"$work/demo.json")
python3 -c "import sys; sys.exit(0 if $error < 0.05 else 'adapted Rand error of the demo: $error')"
echo "adapted Rand error of the demo: $error"
