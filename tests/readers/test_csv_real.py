"""CSV text: real files."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_csv as reference
from builders import scan
from csv_tables import bad_of, options_of, schema_of
from test_csv_properties import check_bad, check_rows

from mr_ml.readers.csv import columns as csv_columns
from mr_ml.readers.csv import reader as csv_reader
from mr_ml.readers.csv import table as csv_table
from mr_ml.readers.text.options import TextOptions


def real_tables(folder: Path) -> Iterator[tuple[str, bytes, TextOptions]]:
    """Real files: name, text without header, options with the last column as label."""
    with_header = sorted(
        [*folder.glob("statsmodels/*.csv"), *folder.glob("glm_r/*.csv"), folder / "sklearn/linnerud_exercise.csv"]
    )
    without = sorted([*folder.glob("uci_csv/*.csv"), *folder.glob("adult/*.csv")])
    counted = [folder / f"sklearn/{name}.csv" for name in ("breast_cancer", "iris", "wine_data")]
    packed = [folder / "sklearn/digits.csv.gz", folder / "sklearn/diabetes_data_raw.csv.gz"]
    for path in [*sorted(with_header), *without, *counted, *packed]:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        delimiter = " " if b"," not in text.split(b"\n", 1)[0] else ","
        options = TextOptions(
            format="csv", delimiter=delimiter, header=path in with_header, label_column=-1, missing="zero"
        )
        if path in counted:  # the first line holds the numbers of rows and columns
            text = text.split(b"\n", 1)[1]
        first, rest = text.split(b"\n", 1)
        options = replace(options, columns=csv_columns.split_header(first, options))
        text = rest if options.header else text
        yield path.name, b"".join(text.splitlines(keepends=True)[:5000]), options


def test_real_files_read_as_the_reference_reads_them(data_dir: Path) -> None:
    n_tables = 0
    for name, text, given in real_tables(data_dir):
        columns = given.columns or ()
        options = replace(given, label_column=columns[-1])
        schema = schema_of(text, given)
        expected = reference.resolve(text, options)
        assert list(schema.feature_names or ()) == expected.feature_names, name
        assert list(schema.labels) == expected.labels, name
        parsed = csv_reader.parse(text, schema, labels="required")
        rows = reference.read(text, options, expected, labels="required")
        check_rows(parsed.rows, rows)
        check_bad(parsed, rows)
        assert parsed.rows.n_rows > 0, name
        assert parsed.bad_counts == {}, name
        n_tables += 1
    assert n_tables >= 30


@pytest.mark.parametrize(
    ("file", "n_rows", "n_high"), [("adult-train.csv", 32561, 7841), ("adult-test.csv", 16281, 3846)]
)
def test_adult_against_sums_by_the_csv_module(data_dir: Path, file: str, n_rows: int, n_high: int) -> None:
    path = data_dir / "adult" / file
    text = path.read_bytes()
    options = TextOptions(format="csv", header=False, label_column=14, missing="zero")
    options = replace(options, columns=csv_columns.split_header(text.split(b"\n", 1)[0], options))
    schema = schema_of(text, options)
    parsed = csv_reader.parse(text, schema, labels="required")
    assert parsed.rows.n_rows == n_rows
    assert int(parsed.rows.labels.sum()) == n_high
    expected: Counter[str] = Counter()
    with path.open(newline="") as stream:
        for row in csv.reader(stream, skipinitialspace=True):
            for i, cell in enumerate(row[:14]):
                if i in (0, 2, 4, 10, 11, 12):
                    expected[f"c{i}"] += int(cell)
                else:
                    expected[f"c{i}=" + ("<missing>" if cell == "?" else cell)] += 1
    sums = np.bincount(parsed.rows.indices, weights=parsed.rows.values, minlength=schema.n_features)
    assert dict(zip(schema.feature_names or (), sums.tolist(), strict=True)) == dict(expected)


def test_adult_says_what_is_missing(data_dir: Path) -> None:
    text = (data_dir / "adult" / "adult-train.csv").read_bytes()
    options = TextOptions(format="csv", header=False, label_column=14)
    options = replace(options, columns=csv_columns.split_header(text.split(b"\n", 1)[0], options))
    n_incomplete = sum(b" ?" in line for line in text.splitlines())
    assert scan(text, options, file="f").bad_counts == {"missing_value": n_incomplete}
    summary = scan(text, replace(options, missing="drop"), file="f")
    assert (summary.n_rows, summary.n_dropped) == (32561 - n_incomplete, n_incomplete)


def test_labels_of_another_spelling_are_named(data_dir: Path) -> None:
    """The test file ends its labels by a dot, the training file does not."""
    train, test = ((data_dir / "adult" / f"adult-{part}.csv").read_bytes() for part in ("train", "test"))
    options = TextOptions(format="csv", header=False, label_column=14, missing="zero")
    options = replace(options, columns=csv_columns.split_header(train.split(b"\n", 1)[0], options))
    parsed = csv_reader.parse(test, schema_of(train, options), labels="required")
    assert parsed.bad_counts == {"unseen_label": 16281}
    assert bad_of(parsed)[0] == (0, "unseen_label", "c14=<=50K.")
    assert len(parsed.bad) == 20


def test_a_look_at_the_first_rows_spares_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of many different numbers is not searched for categories: that is what makes a scan fast."""
    looked_at: list[str] = []

    def watch(way: str) -> None:
        found = getattr(csv_table.Table, way)

        def spy(table: csv_table.Table, names: list[str], *chosen: Any) -> Any:
            looked_at.extend(names)
            return found(table, names, *chosen)

        monkeypatch.setattr(csv_table.Table, way, spy)

    # the compiled way and the other one
    watch("distinct_of_all")
    watch("distinct")
    text = "".join(f"{i},{i % 3},0\n" for i in range(2000)).encode()
    scan(text, options_of("many,few,label"), file="f")
    assert list(dict.fromkeys(looked_at)) == ["few", "label"]
