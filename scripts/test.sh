#!/usr/bin/env bash
# Check everything: style (ruff), types (mypy --strict), tests (pytest).
#
#   scripts/test.sh                        everything
#   scripts/test.sh tests/sums -k tree     the same, but pytest gets these arguments
#
# Each Python of 3.11, 3.12 and 3.13 that is on PATH gets an environment of its own, .venv-test-3.11 and so on. The
# lowest runs everything; the others leave out the tests that are slow or need Hadoop. Python 3.11 runs those once more
# in .venv-test-lowest, with the lowest versions of all packages that setup.cfg allows, with few of the generated examples.
#
# MR_ML_PYTHON=python3.13   use this one only
# MR_ML_AIRFLOW=1           run the tests in Airflow too, in .venv-test-airflow, which takes minutes to make the first time
# MR_ML_SKIP_HADOOP=1       leave out the tests that start a Hadoop cluster on this machine (they need a JDK and Maven)
#
# Stops at the first check that fails, with its exit code; pytest's closing line is the last one. Without arguments the
# tests on Hadoop, which mostly wait for it, run beside all others: what they say comes at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }
version_of() { "$1" -c 'import sys; assert sys.version_info >= (3, 11); print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

declare -A pythons=()
for python in ${MR_ML_PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if version=$(version_of "$python") && [ -z "${pythons[$version]:-}" ]; then
        pythons[$version]=$python
    fi
done
if [ ${#pythons[@]} -eq 0 ]; then
    echo "test: expected Python 3.11 or later as ${MR_ML_PYTHON:-python3}, found none that runs" >&2
    exit 69
fi
mapfile -t versions < <(printf '%s\n' "${!pythons[@]}" | sort -V)
for version in "${versions[@]}"; do
    say "Python $version: environment"
    MR_ML_PYTHON=${pythons[$version]} scripts/setup_env.sh ".venv-test-$version" test
done

main=${versions[0]}
bin=.venv-test-$main/bin
say "ruff check"
"$bin/ruff" check .
say "ruff format --check"
"$bin/ruff" format --check .
say "mypy --strict (Python $main)"
"$bin/mypy"
for conftest in tests/*/conftest.py tests/*/*/conftest.py; do # one name, so one at a time
    "$bin/mypy" "$conftest" | grep -v ^Success || [ "${PIPESTATUS[0]}" -eq 0 ]
done

on_hadoop=
if [ $# -eq 0 ] && [ -z "${MR_ML_SKIP_HADOOP:-}" ]; then
    said=$(mktemp)
    # by itself bash has what runs in the background ignore SIGINT, by which pytest ends with its cluster
    "$bin/python" -c 'import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); import pytest
sys.exit(pytest.main(sys.argv[1:]))' tests/hadoop >"$said" 2>&1 &
    on_hadoop=$!
    trap 'kill -INT "$on_hadoop" 2>/dev/null && wait "$on_hadoop" || true; rm -f "$said"' EXIT
fi

for version in "${versions[@]:1}"; do
    say "pytest (Python $version), without the slow tests"
    # 5: the arguments chose slow tests only
    MR_ML_SKIP_HADOOP=1 ".venv-test-$version/bin/python" -m pytest -m "not slow" "$@" || [ $? -eq 5 ]
done

if [ "$main" = 3.11 ]; then
    say "pytest (Python $main, lowest versions of all packages), without the slow tests"
    MR_ML_PYTHON=${pythons[$main]} scripts/setup_env.sh .venv-test-lowest lowest
    chosen=("$@") run=(-m pytest)
    if [ $# -eq 0 ]; then
        # here, where the extra time is least: which lines of the drivers' process no test runs
        run=(-m coverage run -m pytest)
        chosen=(
            tests/{catalog,data,hdfs_layout,models,optimize,pack,passes,predict,runners/hadoop,sums}
            tests/readers/test_csv_values.py tests/e2e/test_{cli,oracles,predict,same_bits}.py
            tests/retraining/test_{config,metrics_file,notify,schedule}.py
        )
    fi
    # nothing takes so long but what waits for ever
    MR_ML_SKIP_HADOOP=1 timeout 1500 .venv-test-lowest/bin/python "${run[@]}" -m "not slow" --hypothesis-profile few \
        "${chosen[@]}" || [ $? -eq 5 ]
    if [ $# -eq 0 ]; then
        say "coverage of these tests; worker processes, tests on Hadoop and slow ones are not counted"
        .venv-test-lowest/bin/python -m coverage report
    fi
fi

if [ -n "${MR_ML_AIRFLOW:-}" ]; then
    say "pytest (Python $main), in Airflow"
    MR_ML_PYTHON=${pythons[$main]} scripts/setup_env.sh .venv-test-airflow retrain,test-airflow
    .venv-test-airflow/bin/python -m pytest tests/schedulers/test_airflow.py
fi

say "pytest (Python $main)"
if [ -z "$on_hadoop" ]; then
    exec "$bin/python" -m pytest "$@"
fi
code=0
"$bin/python" -m pytest --ignore=tests/hadoop || code=$?
say "pytest (Python $main), tests/hadoop, which ran beside all this"
wait "$on_hadoop" || code=$?
cat "$said"
exit "$code"
