#!/usr/bin/env bash
# Guess: the runners of mrjob on one machine read a file as Hadoop does, which is what its module for it says it emulates; a file of
#   several members of gzip put together, as "cat a.gz b.gz" makes it, is all its rows.
# Happened: the inline and the local runner read the first member, and leave out the rest without a word: the job ends with 0. So they
#   do with a second stream of bzip2 (as pbzip2 writes them) if it is short; else they end in an EOFError. gzip, Python and Hadoop (its
#   local job runner) read all. RFC 1952 says that a file is a series of members. mrjob's tracker has a report of 2016, which is closed.
# Matters: logs that are compressed and put together hour by hour, and what S3 and Hadoop tools write in parts, have many members: a job
#   that was tried on one machine counts, or is trained on, a part of the rows, and on the cluster on all.
# Versions: mrjob 0.7.4, Hadoop 3.4.2. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/hadoop.lib.sh"
install_hadoop 3.4.2
mkdir "$work/input"
seq 1 1000 | gzip >"$work/input/rows.gz"
seq 1001 2000 | gzip >>"$work/input/rows.gz"
streaming -D mapreduce.job.reduces=0 -input "$work/input" -output "$work/output" -mapper cat
hadoop=$work
export HADOOP_ROWS PACKED="$hadoop/input/rows.gz"
HADOOP_ROWS=$(cat "$hadoop"/output/part-* | wc -l)
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
trap 'rm -rf "$work" "$hadoop"' EXIT
install mrjob==0.7.4 setuptools==80.9.0
observe <<'PY'
import bz2
import gzip
import os
import subprocess
import sys
from importlib.metadata import version

JOB = """
from mrjob.job import MRJob


class Rows(MRJob):
    def mapper(self, _, line):
        yield "rows", 1

    def reducer(self, key, values):
        yield key, sum(values)


if __name__ == "__main__":
    Rows.run()
"""
with open("rows_job.py", "w") as file:
    file.write(JOB)
with open(os.environ["PACKED"], "rb") as file:
    packed = file.read()
rows = gzip.decompress(packed)
files = {"two.gz": packed, "one.gz": gzip.compress(rows), "one.bz2": bz2.compress(rows)}
middle = len(rows) // 2
files["two.bz2"] = bz2.compress(rows[:middle]) + bz2.compress(rows[middle:])
files["few.bz2"] = bz2.compress(rows[:-100]) + bz2.compress(rows[-100:])
for name, content in files.items():
    with open(name, "wb") as file:
        file.write(content)
print(f"mrjob {version('mrjob')}; expected of all: {len(rows.splitlines())} rows")
print("seen: Hadoop reads", os.environ["HADOOP_ROWS"], "rows of two members of gzip")
as_seen = int(os.environ["HADOOP_ROWS"]) == 2000
expected = {"one.gz": (0, "2000"), "two.gz": (0, "1000"), "one.bz2": (0, "2000"), "two.bz2": (1, ""), "few.bz2": (0, "1980")}
for runner in ("inline", "local"):
    for name, (code, count) in expected.items():
        if runner == "local" and name not in ("two.gz", "few.bz2"):
            continue
        command = [sys.executable, "rows_job.py", "--no-conf", "-r", runner, name]
        ended = subprocess.run(command, capture_output=True, text=True)
        warned = [line for line in ended.stderr.splitlines() if "warn" in line.lower() or "error" in line.lower()]
        found = ended.stdout.partition("\t")[2].strip()
        print(f"seen: {runner:6} {name:7} {found or 'no'} rows, exit code {ended.returncode}, {warned[-1:] if warned else 'not a word'}")
        as_seen &= (ended.returncode, found) == (code, count) and bool(warned) == (code != 0)
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
