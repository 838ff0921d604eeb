"""Files that Hive's own serializers and output formats wrote, against the CSV text of their rows.

Made by scripts/hadoop/hive_files.py, once, with the jars of Hive and of the development clusters' Hadoop; skipped where
they are not to be had, or with MR_ML_SKIP_HADOOP=1.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Commands
from dev_cluster import skip_if_unwanted

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "hadoop" / "hive_files.py"
COLUMNS = {
    "label": "int", "amount": "double", "town": "string", "price": "decimal(9,2)", "count": "int", "big": "bigint",
    "flag": "boolean", "day": "date", "at": "timestamp",
}  # fmt: skip
ROWS = [
    ["1", "0.1", "Berlin", "12.50", "3", "9007199254740991", "true", "2026-11-26", "2026-11-26 10:00:01.25"],
    ["0", "", "Rom", "-0.05", "", "-1", "false", "1969-12-31", "1969-12-31 23:59:59"],
    ["1", "1e300", "", "", "7", "", "", "", ""],
    ["0", "-2.5", "Zürich, Alt", "0.00", "0", "0", "true", "9999-12-31", "2026-02-28 00:00:00"],
]  # fmt: skip


@pytest.fixture(scope="module")
def hive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    skip_if_unwanted()
    rows = tmp_path_factory.mktemp("rows") / "rows.tsv"
    lines = ["\t".join(COLUMNS), "\t".join(COLUMNS.values()), *map("\t".join, ROWS)]
    rows.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    done = subprocess.run([sys.executable, SCRIPT, rows], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"Hive's files cannot be made: {done.stderr[-600:]}")
    return Path(done.stdout.strip())


def packed(commands: Commands, place: Path, *options: str) -> list[str]:
    """The checksums of the partitions that become of a file or folder."""
    commands("pack", place, "--to", "d", "--missing", "zero", *options, *commands.runner)
    names = sorted((commands.root / "datasets" / "d" / "data").rglob("part-*"))
    assert names
    return [name.read_bytes().hex() for name in names]


def as_csv(folder: Path, *, flags: dict[str, str]) -> Path:
    """Write the same rows as CSV; a boolean of a table is a number, and a word in text."""

    def field(text: str) -> str:
        return f'"{text}"' if "," in text else text

    rows = [[flags.get(text, text) for text in row] for row in ROWS]
    lines = [",".join(COLUMNS), *(",".join(map(field, row)) for row in rows)]
    (folder / "rows.csv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder / "rows.csv"


@pytest.mark.parametrize("form", ["orc", "parquet", "avro"])
def test_a_table_of_hive(hive: Path, tmp_path: Path, form: str) -> None:
    """Its files have no suffix, and checksum files of Hadoop beside them; what they are is seen by their content."""
    commands = Commands(tmp_path / "root", runner=("-r", "inline"))
    found = packed(commands, hive / form)
    text = as_csv(tmp_path, flags={"true": "1", "false": "0"})
    assert found == packed(Commands(tmp_path / "text", runner=("-r", "inline")), text)


def test_a_table_of_text(hive: Path, tmp_path: Path) -> None:
    r"""Hive's own text: fields end with ^A, a missing value is \N, there is no header."""
    options = ("--no-header", "--label-column", "0", "--delimiter", "\x01")
    found = packed(Commands(tmp_path / "root", runner=("-r", "inline")), hive / "text", *options)
    text = as_csv(tmp_path, flags={})
    assert found == packed(Commands(tmp_path / "text", runner=("-r", "inline")), text)


def test_partitions_of_a_table(hive: Path, tmp_path: Path) -> None:
    """Folders that name a column and its value, as Hive lays partitions out."""
    for day in ("2026-11-26", "2026-11-27"):
        (tmp_path / "table" / f"dt={day}").mkdir(parents=True)
        shutil.copy(hive / "orc" / "000000_0", tmp_path / "table" / f"dt={day}" / "000000_0")
    commands = Commands(tmp_path / "root", runner=("-r", "inline"))
    done = commands("pack", tmp_path / "table", "--to", "d", "--missing", "zero", *commands.runner)
    assert done["n_rows"] == 2 * len(ROWS)
    assert "dt" in done["columns"]["categorical"]
