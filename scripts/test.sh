#!/usr/bin/env bash
# Check everything: style (ruff), types (mypy --strict), tests (pytest).
#
#   scripts/test.sh                        everything
#   scripts/test.sh tests/sums -k tree     the same, but pytest gets these arguments
#
# Each Python of 3.11, 3.12 and 3.13 that is on PATH gets an environment of its own, .venv-test-3.11 and so on. The
# lowest runs everything; the others leave out the tests that are slow or need Hadoop, and have no pyspark. Python 3.11
# runs many of those once more in .venv-test-lowest, with the lowest versions of all packages that setup.cfg allows and
# with few of the generated examples.
#
# MR_ML_PYTHON=python3.13   use this one only
# MR_ML_AIRFLOW=1           run the tests in Airflow too, in .venv-test-airflow, which takes minutes to make the first time
# MR_ML_SKIP_HADOOP=1       leave out the tests that start a Hadoop cluster on this machine (they need a JDK and Maven)
# MR_ML_TEST_HADOOP_VERSION=3.5.0
#                           start clusters of that Hadoop, see `scripts/dev_hadoop.sh up --help`; by default 3.4.2
# MR_ML_SKIP_SPARK=1        leave out the tests on Spark (they need a JDK), and pyspark, which takes half a gigabyte
# MR_ML_SPARK=3.5           run the tests on Spark once more with pyspark 3.5, in .venv-test-spark35
# MR_ML_SKIP_CHROMIUM=1     do not install Chromium (as root, on Debian), without which the tests of reports in it are skipped
# MR_ML_TEST_CHROMIUM=PATH  use this one
# MR_ML_ALL_CHANGES=1       run tests/metamorphic with every method on every problem
# MR_ML_ALL_FEATURES=1      run the suite of trainings (tests/contract/test_runner_trainings.py) whole on every runner: an hour
# MR_ML_FUZZ=4000           so many commands on stored nonsense (tests/e2e/test_sealed_nonsense.py), not 60
# MR_ML_COVERAGE=1          say which lines of the drivers' process the round with the lowest versions does not run
#
# Style and types come first and stop everything else; Hadoop alone is started while mypy looks. Without arguments the
# tests on Hadoop, which mostly wait for it and so are two parts, the round with the lowest versions and two parts of
# the other tests run beside the rest of these: what they say comes at the end, pytest's closing line of each is the
# last one of its part, and the exit code is that of a part that failed. Their files, but for those on Hadoop, lie in
# memory where /dev/shm has 4 GB.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# hundreds of processes are started from here: compiling what they import once saves a third of the start of each
unset PYTHONDONTWRITEBYTECODE

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
main=${versions[0]}
bin=.venv-test-$main/bin
parts=$(mktemp -d)
memory=
declare -A running=() # part of the tests -> its process

# whatever this script is ended by, also while it waits for pytest
end_parts() {
    for process in "${running[@]}"; do kill -INT "$process" 2>/dev/null && wait "$process" || true; done
    rm -rf "$parts" ${memory:+"$memory"}
}
trap end_parts EXIT

# start PART COMMAND...: in the background, where by itself bash has commands ignore SIGINT, by which pytest ends with
# its cluster, and gives them no input
start() {
    "${pythons[$main]}" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' "${@:2}" <&0 &
    running[$1]=$!
}

# run_beside PART COMMAND...: start a command; `say_what_came_of PART` waits for its end
run_beside() { start "$@" >"$parts/$1" 2>&1; }

# run COMMAND...: as if it were in the foreground; its exit code
run() {
    local ended=0
    start here "$@"
    wait "${running[here]}" || ended=$?
    unset "running[here]"
    return $ended
}

code=0
say_what_came_of() {
    local ended=0
    wait "${running[$1]}" || ended=$?
    unset "running[$1]"
    cat "$parts/$1"
    if [ $ended -ne 0 ]; then code=$ended; fi
}

if [ "$main" = 3.11 ]; then
    # beside the others, for pip takes one processor and waits much; what it says comes when all are there
    run_beside setup env MR_ML_PYTHON="${pythons[$main]}" scripts/setup_env.sh .venv-test-lowest lowest
fi
for version in "${versions[@]}"; do
    say "Python $version: environment"
    extras=test
    # in one environment only; pip keeps what it has built, so another checkout has it in seconds
    if [ "$version" = "$main" ]; then extras=test,docs; fi
    if [ "$version" = "$main" ] && [ -z "${MR_ML_SKIP_SPARK:-}" ]; then extras=$extras,spark; fi
    # exported PMML is evaluated by a program of Java; without one those tests say that they are skipped
    if [ "$version" = "$main" ] && command -v java >/dev/null; then extras=$extras,test-pmml; fi
    MR_ML_PYTHON=${pythons[$version]} scripts/setup_env.sh ".venv-test-$version" "$extras"
done

say "ruff check"
"$bin/ruff" check .
say "ruff format --check"
"$bin/ruff" format --check .
run_beside types "$bin/mypy"
if [ -n "${running[setup]:-}" ]; then
    # it makes the compiled modules of mr_ml anew, of which nothing runs before
    say "Python $main: environment with the lowest versions of all packages"
    say_what_came_of setup
    [ $code -eq 0 ] || exit $code
fi

# nothing takes so long but what waits for ever; pytest then says what that is
patient=(timeout --signal INT --kill-after 300 5000)
others=("$@")
modest=()
if [ $# -eq 0 ] && [ -z "${MR_ML_SKIP_HADOOP:-}" ]; then
    others=(-m "not hadoop")
    # Two parts that wait beside each other, each with a cluster: jobs, and suites of runners and stores with all of HDFS
    # and of clusters that break. One part on a cluster that is there, for tests count the jobs on theirs. They do not
    # wait for what types say, by which they are ended.
    jobs=()
    if [ -z "${MR_ML_TEST_HADOOP_DIR:-}" ]; then
        for file in tests/hadoop/test_*.py; do
            case $file in
            */test_dev_cluster.py | */test_faults.py | */test_hdfs_*.py | */test_kerberos.py) ;;
            *) jobs+=("$file") ;;
            esac
        done
        run_beside suites "${patient[@]}" "$bin/python" -m pytest -m hadoop "${jobs[@]/#/--ignore=}"
    fi
    run_beside jobs "${patient[@]}" "$bin/python" -m pytest -m hadoop "${jobs[@]}"
    # they wait for each other all the time: whatever they leave of the processors is for all the rest
    modest=(nice -n 5)
fi

say "mypy --strict (Python $main)"
say_what_came_of types
# They have one name, of which mypy takes one: as copies they have names of their own, and one start is enough.
mkdir "$parts/conftests"
for conftest in tests/*/conftest.py tests/*/*/conftest.py; do
    folder=${conftest%/conftest.py}
    cp "$conftest" "$parts/conftests/conftest_of_${folder//\//_}.py"
done
"$bin/mypy" "$parts"/conftests/*.py || code=$?
[ $code -eq 0 ] || exit $code

# Reports are looked at in a real browser; without one those tests say that they are skipped.
if [ -z "${MR_ML_SKIP_CHROMIUM:-}" ] && [ -z "${MR_ML_TEST_CHROMIUM:-}" ] && ! command -v chromium >/dev/null &&
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    say "Chromium: installing it by apt-get"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium; } >&2 || true
fi

# Everything that is published is brought to the disk first (fsync), thousands of times, for which tests would wait.
# Not where this is a small piece of memory, or one from which nothing can be run, as in many containers.
if [ $# -eq 0 ] && [ "$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt $((4 << 20)) ] 2>/dev/null &&
    memory=$(mktemp -d /dev/shm/mr_ml-tests-XXXXXX); then
    printf '#!/bin/sh\n' >"$memory/runs"
    chmod +x "$memory/runs"
    "$memory/runs" 2>/dev/null || { rm -rf "$memory" && memory=; }
fi
# files_of PART: options of pytest on where this part's files are
files_of() {
    files=()
    if [ -n "$memory" ]; then files=(--basetemp "$memory/$1" -o tmp_path_retention_policy=failed); fi
}

# of the other tests, such that all of them take about as long
models=(tests/{api,data,e2e,models,optimize,passes,training})
stores=(tests/{contract,emr,faults,metamorphic,runners,s3})
if [ $# -eq 0 ]; then
    files_of models
    run_beside models "${modest[@]}" "${patient[@]}" "$bin/python" -m pytest "${files[@]}" "${others[@]}" "${models[@]}"
    files_of stores
    run_beside stores "${modest[@]}" "${patient[@]}" "$bin/python" -m pytest "${files[@]}" "${others[@]}" "${stores[@]}"
    others+=("${models[@]/#/--ignore=}" "${stores[@]/#/--ignore=}")
fi

lowest=()
if [ "$main" = 3.11 ]; then
    chosen=("$@")
    if [ $# -eq 0 ]; then
        chosen=(
            tests/{data,hdfs_layout,models,optimize,pack,passes,predict,runners/hadoop,sums}
            tests/readers/test_csv_values.py tests/e2e/test_{cli,oracles,predict}.py
            tests/e2e/test_same_bits.py::test_{in_memory,local_workers}
            tests/reports/test_{drawing,report}.py
            tests/retraining/test_{config,metrics_file,notify,schedule}.py
            # dozens of cases each, in which other packages have no part but that in the tests beside them
            --deselect=tests/passes/test_resident_engine.py::test_a_training_comes_to_the_bits_of_inline
            --deselect=tests/reports/test_report.py::test_nonsense_under_a_right_checksum_is_said_or_shown
        )
    fi
    lowest=(-m pytest -m "not slow and not hadoop" --hypothesis-profile few "${chosen[@]}")
    if [ -n "${MR_ML_COVERAGE:-}" ]; then lowest=(-m coverage run "${lowest[@]}"); fi
    if [ $# -eq 0 ]; then
        files_of lowest
        run_beside lowest "${modest[@]}" "${patient[@]}" .venv-test-lowest/bin/python "${lowest[@]}" "${files[@]}"
    fi
fi

for version in "${versions[@]:1}"; do
    say "pytest (Python $version), without the slow tests"
    # 5: the arguments chose slow tests only
    run "${modest[@]}" ".venv-test-$version/bin/python" -m pytest -m "not slow and not hadoop" "$@" || [ $? -eq 5 ]
done

if [ -n "${MR_ML_AIRFLOW:-}" ]; then
    say "pytest (Python $main), in Airflow"
    MR_ML_PYTHON=${pythons[$main]} scripts/setup_env.sh .venv-test-airflow retrain,test-airflow
    run .venv-test-airflow/bin/python -m pytest tests/schedulers/test_airflow.py
fi

if [ "${MR_ML_SPARK:-}" = 3.5 ]; then
    say "pytest (Python $main), on Spark 3.5"
    MR_ML_PYTHON=${pythons[$main]} scripts/setup_env.sh .venv-test-spark35 test,test-spark35
    # pyspark 3.5 leaves sockets for the garbage collector to close, of which Python warns
    run .venv-test-spark35/bin/python -m pytest -W ignore::ResourceWarning -W ignore::pytest.PytestUnraisableExceptionWarning -m "not slow" tests/runners/spark
    run .venv-test-spark35/bin/python -m pytest -W ignore::ResourceWarning -W ignore::pytest.PytestUnraisableExceptionWarning tests/contract/test_runner.py tests/contract/test_runner_trainings.py -k spark
fi

if [ $# -gt 0 ] && [ ${#lowest[@]} -gt 0 ]; then
    say "pytest (Python $main, lowest versions of all packages), without the slow tests"
    run .venv-test-lowest/bin/python "${lowest[@]}" || [ $? -eq 5 ]
fi

say "pytest (Python $main)"
files_of main
run "${modest[@]}" "$bin/python" -m pytest "${files[@]}" "${others[@]}" || code=$?
if [ -n "${running[models]:-}" ]; then
    say "pytest (Python $main): ${models[*]}"
    say_what_came_of models
fi
if [ -n "${running[stores]:-}" ]; then
    say "pytest (Python $main): ${stores[*]}"
    say_what_came_of stores
fi
if [ -n "${running[lowest]:-}" ]; then
    say "pytest (Python $main, lowest versions of all packages), without the slow tests"
    say_what_came_of lowest
fi
if [ -n "${MR_ML_COVERAGE:-}" ] && [ ${#lowest[@]} -gt 0 ]; then
    say "coverage of these tests; worker processes, tests on Hadoop and slow ones are not counted"
    .venv-test-lowest/bin/python -m coverage report
fi
if [ -n "${running[suites]:-}" ]; then
    say "pytest (Python $main), tests on Hadoop: suites of runners and stores, HDFS, clusters that break"
    say_what_came_of suites
fi
if [ -n "${running[jobs]:-}" ]; then
    say "pytest (Python $main), tests on Hadoop: ${jobs[*]:-all}"
    say_what_came_of jobs
fi
exit $code
