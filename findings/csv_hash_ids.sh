#!/usr/bin/env bash
# Guess: an id that is a hash of 64 bits comes out of a CSV file as it was written: as an unsigned or a larger integer, as
#   text, or not at all.
# Happened: pyarrow makes doubles of integers of 2^63 and more, without a word: 2,000 ids that follow each other are 2 different
#   ones, and so is what is joined by them; one such id in a block of the file is enough. DuckDB (HUGEINT) and pandas (uint64,
#   or text where one is negative too) keep all; polars ends in an error that says which number it could not read. The documentation
#   has the order in which types are tried, in which float64 follows int64, not that digits are lost.
# Matters: hashes of 64 bits are what rows, users and clicks are known by on Hadoop, half of them are 2^63 or more, and predictions
#   are joined to them.
# Versions: pyarrow 26.0.1, pandas 3.1.1, duckdb 2.0.1, polars 2.1.0. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install pyarrow==26.0.1 pandas==3.1.1 duckdb==2.0.1 polars==2.1.0 numpy==2.4.6
observe <<'PY'
import sys

import duckdb
import pandas as pd
import polars as pl
import pyarrow.csv

ids = [2**63 - 1000 + i for i in range(2000)]
with open("ids.csv", "w") as file:
    file.write("id,score\n" + "".join(f"{i},0.5\n" for i in ids))
table = pyarrow.csv.read_csv("ids.csv")["id"]
try:
    polars = f"{pl.read_csv('ids.csv')['id'].n_unique()} different ids"
except pl.exceptions.ComputeError as error:
    polars = "error: " + str(error).splitlines()[0]
found = {
    "pyarrow": f"{table.type}, {len(table.unique())} different ids",
    "pandas": f"{pd.read_csv('ids.csv')['id'].nunique()} different ids",
    "duckdb": f"{duckdb.sql('''select count(distinct id) from 'ids.csv' ''').fetchall()[0][0]} different ids",
    "polars": polars,
}
print("expected of all: 2000 different ids, or an error")
for name, seen in found.items():
    print(f"seen: {name:8} {seen}")
kept = found["pandas"] == found["duckdb"] == "2000 different ids" and found["polars"].startswith("error")
sys.exit(None if found["pyarrow"] == "double, 2 different ids" and kept else "changed: not what the first lines say")
PY
