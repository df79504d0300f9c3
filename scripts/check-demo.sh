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
python3 - "$work/demo.json" <<'PY'
import json, sys
demo = json.load(open(sys.argv[1]))
found, baseline = demo["evaluation"], demo["baseline"]
voi = found["voi_split"] + found["voi_merge"]
print(f"VOI of the demo: {voi:.3f}, by threshold and components {baseline['voi']:.3f}")
if not voi < 0.7 * baseline["voi"]:
    sys.exit("the demo's network is hardly better than a threshold")
PY
