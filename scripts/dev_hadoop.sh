#!/usr/bin/env bash
# A real Hadoop cluster on this machine for development and tests; see --help.
set -euo pipefail
exec "${PYTHON:-python3}" "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/hadoop/cluster.py" "$@"
