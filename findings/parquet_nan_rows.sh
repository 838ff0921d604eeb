#!/usr/bin/env bash
# Guess: a condition on a column of a Parquet file picks the rows that it picks of the same table in memory.
# Happened: not of rows with NaN, if the file has the least and the greatest value of the column, in which NaN is left out (so pyarrow
#   and polars write them). DuckDB finds no row where isnan(x), and none where x != 3 of a column of 3 and NaN; pyarrow, and pandas by
#   it, the same, although its own filter of the table finds them. Of a file without these values all find them; polars always. Nothing
#   is said. The format (parquet.thrift) has: "When looking for NaN values, min and max should be ignored". DuckDB's option can_have_nan
#   mends it; that it is off is a choice for speed, says its tracker, and up to 1.5 isnan was right. A report of Arrow, of 2021, is closed.
# Matters: the share of missing values is 0, a check for them passes, and a filter such as x != 0 drops rows of one file and keeps those
#   of another, by who wrote it.
# Versions: duckdb 2.0.1, pyarrow 26.0.1, pandas 3.1.1, polars 2.1.0. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install duckdb==2.0.1 pyarrow==26.0.1 pandas==3.1.1 polars==2.1.0 numpy==2.4.6
observe <<'PY'
import sys

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

table = pa.table({"x": [3.0, float("nan"), 3.0, float("nan")]})
pq.write_table(table, "pyarrow.parquet")
pl.from_arrow(table).write_parquet("polars.parquet")
pq.write_table(table, "bare.parquet", write_statistics=False)
duckdb.sql("create table rows as select x from \"table\"")
CONDITIONS = {
    "isnan": ("isnan(x)", pc.is_nan(pc.field("x")), pl.col("x").is_nan()),
    "x != 3": ("x != 3", pc.field("x") != 3, pl.col("x") != 3),
}


def duck(source, condition):
    return duckdb.sql(f"select count(*) from {source} where {condition}").fetchall()[0][0]


seen = {}
for name, (sql, arrow, polars) in CONDITIONS.items():
    seen["duckdb", "in memory", name] = duck("rows", sql)
    seen["pyarrow", "in memory", name] = table.filter(arrow).num_rows
    seen["polars", "in memory", name] = pl.from_arrow(table).filter(polars).height
    for file in ("pyarrow.parquet", "polars.parquet", "bare.parquet"):
        seen["duckdb", file, name] = duck(f"'{file}'", sql)
        seen["duckdb, can_have_nan", file, name] = duck(f"read_parquet('{file}', can_have_nan=true)", sql)
        seen["pyarrow", file, name] = pq.read_table(file, filters=arrow).num_rows
        seen["pandas", file, name] = len(pd.read_parquet(file, filters=arrow))
        seen["polars", file, name] = pl.scan_parquet(file).filter(polars).collect().height
for file in ("pyarrow.parquet", "polars.parquet", "bare.parquet"):
    statistics = pq.ParquetFile(file).metadata.row_group(0).column(0).statistics
    print(file, "has", (statistics.min, statistics.max) if statistics else "no statistics")
print("expected of all: 2 rows")
for (who, where, name), count in seen.items():
    print(f"seen: {who:20} {where:15} {name:6} {count} rows")
lost = {key for key, count in seen.items() if count == 0}
expected = {
    (who, file, name) for who in ("duckdb", "pyarrow", "pandas") for file in ("pyarrow.parquet", "polars.parquet") for name in CONDITIONS
}
right = {key for key, count in seen.items() if count == 2}
sys.exit(None if lost == expected and right == seen.keys() - lost else "changed: not what the first lines of this script say")
PY
