#!/usr/bin/env bash
# Guess: with every code of [retcode] set, luigi ends with 0 only if what was asked for is there.
# Happened: a task whose run() returns without writing its output is done, the summary says ":)", and luigi ends with 0;
#   only a task that requires it fails. With check_complete_on_run in [worker] it ends with the code of task_failed: that
#   the default is false is documented, with the workers and not with the codes. Of a misspelt code in luigi.cfg, or a
#   LUIGI_CONFIG_PATH that is not there, it says no more than a warning, and ends with 0 where run() raises.
# Matters: a nightly job that made nothing is a success for cron and for whoever reads the summary.
# Versions: luigi 3.8.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install luigi==3.8.1
observe <<'PY'
import os
import subprocess
import sys

import luigi

print("luigi", luigi.__version__)
with open("night.py", "w") as file:
    file.write(
        "import luigi\n"
        "class Nothing(luigi.Task):\n"
        "    def output(self):\n        return luigi.LocalTarget('never_there')\n"
        "    def run(self):\n        pass\n"
        "class Fails(Nothing):\n    def run(self):\n        raise ValueError\n"
    )
NAMES = ("missing-data", "task-failed", "scheduling-error", "not-run", "unhandled-exception", "already-running")
ALL = [word for name in NAMES for word in (f"--retcode-{name}", "20")]


def code(task, *options, **variables):
    given = {**os.environ, "PYTHONPATH": ".", **variables}
    command = [sys.executable, "-m", "luigi", "--module", "night", task, "--local-scheduler", *options]
    return subprocess.run(command, capture_output=True, env=given).returncode


def settings(text):
    with open("luigi.cfg", "w") as file:
        file.write(text)


print("expected: 20 wherever nothing was made")
seen = [code("Nothing", *ALL), code("Fails", *ALL), code("Nothing", "--worker-check-complete-on-run", *ALL), code("Fails")]
print("seen: nothing made", seen[0], "| run() raised", seen[1], "| nothing made, check_complete_on_run", seen[2])
print("seen: run() raised, no codes set", seen[3])
settings("[retcode]\ntask_fail = 20\n")
seen.append(code("Fails"))
print("seen: run() raised, task_failed misspelt in luigi.cfg", seen[4])
seen.append(code("Fails", LUIGI_CONFIG_PATH="/nowhere/luigi.cfg"))
settings("[retcode]\ntask_failed = 20\n")
seen.append(code("Fails"))
print("seen: run() raised, LUIGI_CONFIG_PATH of no file", seen[5], "| luigi.cfg as it should be", seen[6])
sys.exit(None if seen == [0, 20, 20, 0, 0, 0, 20] else "changed: not what the first lines of this script say")
PY
