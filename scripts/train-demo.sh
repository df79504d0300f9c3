#!/usr/bin/env bash
# Trains the network of `exavox demo` again: makes the volumes, trains for at most half an hour, and puts
# the best checkpoint where the program takes it from. Prints how well it segments tubes it has not seen.
#
#   bash scripts/train-demo.sh [FOLDER]       with KEEP=1 the network in the sources stays as it is
set -euo pipefail
cd "$(dirname "$0")/.."

work=${1:-$(mktemp -d)}
exavox="${CARGO_TARGET_DIR:-target}/release/exavox"
[ -x "$exavox" ] || cargo build --release -p exavox-cli
"$exavox" --device cpu demo "$work" --training --overwrite
"$exavox" --device cpu train "$work/train.toml" --select best --overwrite
checkpoint=$(sed -n 's/^checkpoint = "\(.*\)"/\1/p' "$work/trained/segment.toml")
"$exavox" --device cpu segment "$work/validation.zarr" "$work/segments.zarr" \
    --config "$work/trained/segment.toml" --overwrite
"$exavox" evaluate "$work/segments.zarr" "$work/validation-labels.zarr"
[ "${KEEP:-}" ] || cp "$work/trained/$checkpoint" crates/pipeline/src/demo/trained.safetensors
