# shellcheck shell=bash
# Sourced by the scripts here: a temporary folder with a virtual environment, both gone at exit. No code of mr_ml in it.
#
# MR_ML_PYTHON   the Python to use (default: python3): 3.11 or 3.12, for which all the pinned packages have wheels
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${MR_ML_PYTHON:-python3}" -m venv "$work/venv"

# install PACKAGE==VERSION...: replaces other versions
install() { "$work/venv/bin/python" -m pip --quiet --disable-pip-version-check install "$@"; }

# scikit-learn VERSION with what it computes with
install_sklearn() { install "scikit-learn==$1" numpy==2.4.6 scipy==1.17.1 joblib==1.6.0 threadpoolctl==3.8.0; }

# run the program on standard input; it exits with 1 if it sees anything but what its script says
observe() { (cd "$work" && venv/bin/python -I -); }
