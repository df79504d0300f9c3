#!/usr/bin/env bash
# Every subset of features that people may build must compile. `cuda` needs no CUDA toolkit.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo check --quiet -p exavox-io --features remote
cargo check --quiet -p exavox-cli --no-default-features
cargo check --quiet -p exavox-cli --no-default-features --features flex
cargo check --quiet -p exavox-cli --features cuda,cpu-jit
