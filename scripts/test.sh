#!/usr/bin/env bash
# Installs what the tests need and runs them all. Arguments go to `cargo test`.
#
#   EXAVOX_DATA=DIR   also runs the tests against reference data that is not part of the project
#   CARGO_TARGET_DIR  where to build; default: a folder under the user's cache directory
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${XDG_CACHE_HOME:-$HOME/.cache}/exavox"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"

# Software Vulkan, so that wgpu kernels run where there is no GPU; Python for the peers.
install_system_packages() {
    local packages=()
    ls /usr/share/vulkan/icd.d/*.json >/dev/null 2>&1 || packages+=(mesa-vulkan-drivers libvulkan1)
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv python3-pip)
    command -v cc >/dev/null || packages+=(build-essential)
    [ ${#packages[@]} -eq 0 ] && return
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    if command -v apt-get >/dev/null; then
        "${as_root[@]}" apt-get update -qq
        DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "${packages[@]}" >/dev/null
    else
        echo "please install: ${packages[*]}" >&2
    fi
}

# Three nodes of Slurm on this machine, for jobs on clusters (scripts/slurm-lab.sh). Only root can start them; where
# they cannot be had, the tests of Slurm say so and pass.
install_slurm() {
    local program missing=
    for program in slurmctld slurmd sbatch munged ip; do
        command -v "$program" >/dev/null || missing=yes
    done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 0
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        slurmctld slurmd slurm-client munge iproute2 >/dev/null ||
        echo "Slurm cannot be installed: its tests are skipped" >&2
}

# The programs that our files are cross-read with, at pinned versions.
install_peers() {
    local lock=benches/peers/requirements.txt
    local environment="$cache/peers-$(sha256sum "$lock" | cut -c1-12)"
    if [ ! -f "$environment/.installed" ]; then
        python3 -m venv "$environment"
        "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r "$lock"
        touch "$environment/.installed"
    fi
    export EXAVOX_PEERS_PYTHON="$environment/bin/python"
}

# Mesa's device-select layer looks for a desktop and complains where there is none.
export NODEVICE_SELECT=1

install_system_packages
install_slurm
scripts/install-llvm.sh
install_peers
cargo test --release --workspace --features wgpu,cpu-jit,hdf5-write "$@"
