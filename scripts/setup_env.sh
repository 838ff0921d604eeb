#!/usr/bin/env bash
# Set up a virtual environment with mr_ml of this checkout in it; does nothing if it is there and up to date.
#
#   scripts/setup_env.sh FOLDER EXTRAS          e.g. scripts/setup_env.sh .venv test
#   scripts/setup_env.sh FOLDER lowest          all that the tests run with, in the lowest versions that setup.cfg allows
#
# MR_ML_PYTHON   the Python to use (default: the first of python3, python3.11, python3.12, python3.13 that is >= 3.11)
#
# mr_ml is installed editable: what you change in the checkout is what runs. Exit code 69 if something is missing
# that this script cannot install; the message says what.
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$(realpath -m "${1:?which folder? e.g. .venv}")
extras=${2:?which extras? e.g. test}

# begin_alone ... end_alone: scripts like this one that run meanwhile wait here
begin_alone() {
    exec {alone}<"$checkout"
    if command -v flock >/dev/null; then flock "$alone"; fi
}
end_alone() { exec {alone}<&-; }

say() { printf 'setup: %s\n' "$*" >&2; }
give_up() {
    say "$@"
    exit 69
}

find_python() {
    local name names=(python3 python3.11 python3.12 python3.13)
    if [ -n "${MR_ML_PYTHON:-}" ]; then names=("$MR_ML_PYTHON"); fi
    for name in "${names[@]}"; do
        # a python3.12 on PATH may be a stand-in that only says that it is not installed: ask it to run
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    give_up "expected Python 3.11 or later, found none that runs as ${names[*]}. On Debian: sudo apt-get install python3" \
        "python3-venv. If there is one elsewhere, say MR_ML_PYTHON=/path/to/python3."
}

has_ensurepip() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

# Debian ships the part of Python that makes virtual environments in a package of its own.
need_ensurepip() {
    if has_ensurepip; then return; fi
    begin_alone
    install_ensurepip
    end_alone
}

install_ensurepip() {
    if has_ensurepip; then return; fi
    local package
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        give_up "$python cannot make virtual environments. Do this, then start again: sudo apt-get install $package"
    fi
    say "installing $package by apt-get"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -qq update && apt-get -qq install -y "$package"; } >&2 || true
    has_ensurepip ||
        give_up "apt-get did not install $package, which $python needs to make virtual environments; see its message above."
}

identity() { "$1" -c 'import os, sys; print(os.path.realpath(sys.executable), sys.version)' 2>/dev/null; }

python=$(find_python)
# all that the environment depends on
recipe=$(
    printf '%s\n' "$checkout" "$venv" "$extras" "$(identity "$python")"
    cat "$checkout/setup.cfg" "$checkout/pyproject.toml" "$checkout/scripts/lowest.py"
)
usable=no
if [ "$(identity "$venv/bin/python")" = "$(identity "$python")" ]; then usable=yes; fi
if [ $usable = yes ] && [ -x "$venv/bin/mr-ml" ] && [ "$(cat "$venv/made-from" 2>/dev/null)" = "$recipe" ]; then
    exit
fi

if [ $usable = no ]; then
    if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ]; then
        give_up "$venv exists and is not a virtual environment: remove it or choose another folder."
    fi
    need_ensurepip
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi
say "installing mr_ml[$extras] and what it needs into $venv; the first time this takes a minute or two"
install() {
    "$venv/bin/python" -m pip --quiet --no-input install --progress-bar off "$@" ||
        give_up "pip could not install mr_ml[$extras]; its message is above. Can it reach a package index?"
}
wanted=$checkout[$extras]
if [ "$extras" = lowest ]; then
    mapfile -t packages < <("$python" "$checkout/scripts/lowest.py")
    install "${packages[@]}"
    wanted=$checkout
fi
# its compiled modules are made in the checkout, for all environments
begin_alone
install --editable "$wanted"
printf '%s\n' "$recipe" >"$venv/made-from"
