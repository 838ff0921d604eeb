#!/usr/bin/env bash
# Retraining under faults, at length: kills, races, dead owners, full disks, clocks, a hundred nights, hostile input.
#
#   scripts/soak.sh                      all parts, one after the other: an hour or two; figures as JSON and markdown in soak_figures
#   scripts/soak.sh kills 200            one part, and how much of it: kills, races, owners, full, clock, nights or hostile
#   scripts/soak.sh kills --help         its options
#   scripts/soak.sh on_hdfs 20 20        races and owners on a cluster that runs; scripts/soak/on_hdfs.py says how
#   scripts/soak.sh resident             trainings by tasks that stay on a cluster, while nodes and tasks are killed
#   scripts/soak.sh network              the same on hosts of their own, while the network between them fails; as root
#
# MR_ML_SOAK_PYTHON   the Python of an environment with mr_ml[test] (default: .venv/bin/python, which is made if it is missing)
# TMPDIR              where the roots of the trials are; on a file system in memory it is several times as fast
#
# Exit code 1 if anything was found that should not be; the figures name it. docs/reliability.md explains the parts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -z "${MR_ML_SOAK_PYTHON:-}" ]; then
    scripts/setup_env.sh .venv test
    MR_ML_SOAK_PYTHON=.venv/bin/python
fi
# the programs use the table and the nonsense of the tests; the checkout comes first, as tests have folders of the same names
export PYTHONPATH=$PWD:$PWD/scripts/soak:$PWD/scripts/hadoop:$PWD/tests:$PWD/tests/retraining:$PWD/tests/hadoop${PYTHONPATH:+:$PYTHONPATH}
if [ $# -gt 0 ]; then
    part=$1
    shift
    exec "$MR_ML_SOAK_PYTHON" "scripts/soak/$part.py" "$@"
fi
exec "$MR_ML_SOAK_PYTHON" scripts/soak/everything.py soak_figures
