#!/usr/bin/env bash
# Guess: a timestamp in a Parquet file is read as it was written, or there is an error; DuckDB and polars read the same.
# Happened: INT96, which Hive, Impala and older Spark write, is read by pyarrow as nanoseconds by default. What these cannot
#   hold wraps around without a word: 9999-12-31 becomes 1816-03-29, and 1500-01-01 becomes 2084-07-20. DuckDB, polars and
#   pyarrow with coerce_int96_timestamp_unit="us" give the dates that were written. pandas reads by pyarrow and has the wrong
#   dates too. Of types of its own (TIMESTAMP_MICROS) pyarrow refuses to make nanoseconds that do not fit. The documentation
#   says that INT96 is read as nanoseconds unless that option says otherwise, not what comes of dates out of their range.
# Matters: 9999-12-31 is what tables on Hadoop have for "still valid", and a year, an age or a duration made of it is a feature.
# Versions: pyarrow 26.0.1, pandas 3.1.1, duckdb 2.0.1, polars 2.1.0. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install pyarrow==26.0.1 pandas==3.1.1 duckdb==2.0.1 polars==2.1.0 numpy==2.4.6
observe <<'PY'
import datetime as dt
import sys
import warnings

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

written = [dt.datetime(2026, 11, 1), dt.datetime(9999, 12, 31), dt.datetime(1500, 1, 1)]
table = pa.table({"valid_until": pa.array(written, pa.timestamp("us"))})
pq.write_table(table, "int96.parquet", use_deprecated_int96_timestamps=True)
pq.write_table(table, "micros.parquet")
years = [value.year for value in written]
print("expected of all:", years, "or an error")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    micros = pa.timestamp("us")
    found = {
        "pyarrow": pq.read_table("int96.parquet")["valid_until"].cast(micros, safe=False).to_pylist(),
        "pandas": pd.read_parquet("int96.parquet")["valid_until"].tolist(),
        "pyarrow, us": pq.ParquetFile("int96.parquet", coerce_int96_timestamp_unit="us").read()["valid_until"].to_pylist(),
        "pyarrow, TIMESTAMP_MICROS": pq.read_table("micros.parquet")["valid_until"].to_pylist(),
        "polars": pl.read_parquet("int96.parquet")["valid_until"].to_list(),
        "duckdb": [row[0] for row in duckdb.sql("select valid_until from 'int96.parquet'").fetchall()],
    }
for name, values in found.items():
    print(f"seen: {name:26} {[value.year for value in values]}")
wrong = {name for name, values in found.items() if [value.year for value in values] != years}
print("seen: warnings", [str(w.message) for w in caught])
wraps = all([value.year for value in found[name]] == [2026, 1816, 2084] for name in ("pyarrow", "pandas"))
sys.exit(None if wraps and wrong == {"pyarrow", "pandas"} and not caught else "changed: not what the first lines say")
PY
