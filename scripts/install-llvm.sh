#!/usr/bin/env bash
# Puts LLVM 23.1 where burn's `cuda` and `cpu` features look for it, from two Python wheels.
# Only needed for `--features cuda` or `--features cpu-jit`, and only where the build itself cannot
# download LLVM: with a direct connection, skip this and the build fetches LLVM by itself.
set -euo pipefail

version=23.1.1.post0
target="${XDG_DATA_HOME:-$HOME/.local/share}/tracel/tracel-llvm-23.1.0-4"
if [ -f "$target/.tracel-llvm-installed" ]; then
    echo "LLVM is already in $target"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --no-deps --dest "$work" \
    "mlc-llvm-static==$version" "mlc-llvm-static-extra-targets==$version"
for wheel in "$work"/*.whl; do
    python3 -m zipfile -e "$wheel" "$work/unpacked"
done
mkdir -p "$target"
cp -r "$work/unpacked/mlc_llvm_static/static/." "$target/"
chmod +x "$target"/bin/*
# The marker comes last: a copy that was cut off is not taken for an installation.
touch "$target/.tracel-llvm-installed"
echo "LLVM is in $target"
