#!/usr/bin/env bash
# The arrows of ARCHITECTURE.md: io <- compute <- pipeline <- cli, and no terminal below cli.
set -euo pipefail
cd "$(dirname "$0")/.."

forbid() {
    local package=$1
    shift
    local tree
    tree=$(cargo tree --quiet -p "$package" -e normal --prefix none --features "${FEATURES:-}")
    for name in "$@"; do
        if grep -q "^$name v" <<<"$tree"; then
            echo "$package must not depend on $name" >&2
            exit 1
        fi
    done
    echo "$package: none of $*"
}

forbid exavox-io burn cubecl clap tokio reqwest object_store anyhow indicatif exavox-compute exavox-pipeline
FEATURES=remote forbid exavox-io burn cubecl clap aws-lc-rs openssl-sys anyhow indicatif exavox-compute exavox-pipeline
FEATURES=wgpu,cpu-jit forbid exavox-compute clap anyhow indicatif exavox-pipeline
FEATURES=wgpu,cpu-jit forbid exavox-pipeline clap indicatif exavox-cli

# Feature unification would turn CubeCL's backend into another type for every extension.
if cargo tree --quiet -p exavox-cli --features wgpu,cuda,cpu-jit -e normal,features --prefix none |
    grep -q '^burn feature "fusion"'; then
    echo "burn/fusion is switched on somewhere" >&2
    exit 1
fi
echo "burn/fusion is off"
