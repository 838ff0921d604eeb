"""Files as other programs write them: pandas, polars, DuckDB, Spark, Hive; each against the CSV text of its rows."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet
import pytest
from commands import Commands

N = 300
RNG = np.random.default_rng(5)
NUMBERS = RNG.normal(size=N)
WHOLE = RNG.integers(-3, 4, N)
TEXTS = RNG.choice(["red", "green, dark", 'so "blue"'], N)
LABELS = (NUMBERS + RNG.normal(size=N) > 0).astype(int)
DAYS = RNG.choice(["2026-11-01", "2026-11-02"], N)


def packed(root: Path, *words: object) -> list[bytes]:
    """Pack; return the content of all partition files."""
    Commands(root, ("-r", "inline"))("pack", *words, "--to", "d", "--missing", "zero")
    return [path.read_bytes() for path in sorted((root / "datasets" / "d" / "data").rglob("*")) if path.is_file()]


def csv_text(path: Path, columns: dict[str, list[Any]]) -> Path:
    def field(value: Any) -> str:
        if value is None:
            return ""
        text = repr(value) if isinstance(value, float) else str(value)
        return '"' + text.replace('"', '""') + '"' if {",", '"'} & set(text) else text

    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(field, row)) for row in rows)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def columns() -> dict[str, list[Any]]:
    whole: list[Any] = WHOLE.tolist()
    whole[3] = whole[50] = None
    return {
        "label": LABELS.tolist(), "real": NUMBERS.tolist(), "whole": whole, "text": TEXTS.tolist(),
        "flag": [int(value > 0) for value in NUMBERS],
    }  # fmt: skip


@pytest.fixture
def expected(tmp_path: Path) -> list[bytes]:
    """What the CSV text of the rows packs to."""
    return packed(tmp_path / "expected", csv_text(tmp_path / "rows.csv", columns()))


@pytest.mark.parametrize("backend", ["numpy", "nullable"])
def test_pandas(tmp_path: Path, expected: list[bytes], backend: str) -> None:
    """With its index as a column, and numbers with missing ones as floats or as integers that may lack."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({**columns(), "flag": NUMBERS > 0})
    frame["text"] = frame["text"].astype("category")
    if backend == "nullable":
        frame = frame.convert_dtypes()
    frame.index = RNG.permutation(N)
    frame.to_parquet(tmp_path / "d.parquet", row_group_size=70)
    assert "__index_level_0__" in pa.parquet.read_schema(tmp_path / "d.parquet").names
    assert packed(tmp_path / "root", tmp_path / "d.parquet") == expected


def test_polars(tmp_path: Path, expected: list[bytes]) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({**columns(), "flag": (NUMBERS > 0).tolist()}, schema_overrides={"whole": polars.Int16})
    frame.with_columns(polars.col("text").cast(polars.Categorical)).write_parquet(
        tmp_path / "d.parquet", row_group_size=64, compression="zstd"
    )
    assert packed(tmp_path / "root", tmp_path / "d.parquet") == expected


def test_duckdb(tmp_path: Path, expected: list[bytes]) -> None:
    """Its decimals, its enumerations, and folders by a column."""
    duckdb = pytest.importorskip("duckdb")
    table = pa.table({**columns(), "dt": DAYS.tolist()})
    with duckdb.connect() as connection:
        connection.register("rows", table)
        connection.execute(
            "create table typed as select label::utinyint as label, real, whole::decimal(9, 0) as whole, "
            "text::enum ('red', 'green, dark', 'so \"blue\"') as text, real > 0 as flag, dt from rows"
        )
        connection.execute(f"copy typed to '{tmp_path}/days' (format parquet, partition_by (dt), compression zstd)")
    assert len(list((tmp_path / "days").glob("dt=2026-11-0*/*.parquet"))) >= 2
    assert packed(tmp_path / "root", tmp_path / "days", "--drop", "dt") == expected
    with_day = csv_text(tmp_path / "days.csv", {**columns(), "dt": DAYS.tolist()})
    assert packed(tmp_path / "with", tmp_path / "days") == packed(tmp_path / "text", with_day)


def spark_like(folder: Path, *, suffix: str, n_files: int = 3) -> Path:
    """Write files as Spark and Hive write them, by pyarrow: names, marks, INT96, decimals of fixed length."""
    folder.mkdir(parents=True)
    moments = [dt.datetime(2026, 11, 1 + i % 3, 1, 2, 3, 40_000) for i in range(N)]
    typed = {
        **columns(),
        "flag": (NUMBERS > 0).tolist(),
        "price": pa.array([Decimal(i) / 100 for i in range(N)], pa.decimal128(38, 18)),
        "moment": pa.array(moments, pa.timestamp("us")),
    }
    table = pa.table(typed)
    for k in range(n_files):
        part = table.slice(k * N // n_files, (k + 1) * N // n_files - k * N // n_files)
        name = f"part-{k:05d}-6a1f2b1c-7c53-4b43-9d0c-1b1a2c3d4e5f-c000{suffix}"
        if "orc" in suffix:
            pa.orc.write_table(part, folder / name, compression="snappy")
        else:
            pa.parquet.write_table(
                part, folder / name, flavor="spark", use_deprecated_int96_timestamps=True, version="1.0",
                data_page_version="1.0", compression="snappy",
            )  # fmt: skip
        (folder / f".{name}.crc").write_bytes(b"crc\0")
    (folder / "_SUCCESS").touch()
    return folder


@pytest.mark.parametrize(
    ("suffix", "said"),
    [
        (".snappy.parquet", ()),
        (".snappy.orc", ()),
        (".gz.parquet", ()),
        # as Hive calls its files
        ("", ("--format", "parquet")),
    ],
)
def test_spark_and_hive(tmp_path: Path, suffix: str, said: tuple[str, ...]) -> None:
    folder = spark_like(tmp_path / "table", suffix=suffix)
    moments = [f"2026-11-{1 + i % 3:02d} 01:02:03.04" for i in range(N)]
    text = csv_text(tmp_path / "d.csv", {**columns(), "price": [i / 100 for i in range(N)], "moment": moments})
    assert packed(tmp_path / "root", folder, *said) == packed(tmp_path / "text", text)


def test_dates_that_nanoseconds_cannot_hold(tmp_path: Path) -> None:
    """Tables on Hadoop have 9999-12-31 for what is still valid."""
    years = [1499 + 1700 * (i % 6) for i in range(N)]
    typed = {**columns(), "until": pa.array([dt.datetime(year, 12, 31) for year in years], pa.timestamp("us"))}
    expected = csv_text(tmp_path / "d.csv", {**columns(), "until": [f"{year}-12-31 00:00:00" for year in years]})
    pa.parquet.write_table(pa.table(typed), tmp_path / "d.parquet", use_deprecated_int96_timestamps=True)
    assert packed(tmp_path / "root", tmp_path / "d.parquet") == packed(tmp_path / "text", expected)


# In a process of its own: it ends the one session that a process has, which other tests go on with.
WITH_SPARK = """
import json, sys
from pyspark.sql import SparkSession
rows, folder = json.load(sys.stdin), sys.argv[1]
session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
frame = session.createDataFrame(rows, "label int, real double, whole smallint, text string, flag int")
for form in ("parquet", "orc"):
    frame.repartition(3).write.format(form).save(folder + "/" + form)
session.stop()
"""


def test_spark(tmp_path: Path, expected: list[bytes]) -> None:
    """Written by Spark itself, where that is installed."""
    pytest.importorskip("pyspark.sql")
    rows = json.dumps(list(zip(*columns().values(), strict=True)))
    subprocess.run([sys.executable, "-c", WITH_SPARK, tmp_path], input=rows, text=True, check=True)
    for form in ("parquet", "orc"):
        assert packed(tmp_path / f"root-{form}", tmp_path / form) == expected
