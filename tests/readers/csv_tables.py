"""Small CSV tables: their options, the schema that a scan finds, their rows as lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from builders import scan

from mr_ml.readers.csv import reader as csv_reader
from mr_ml.readers.csv import schema as csv_schema
from mr_ml.readers.rows import Parsed
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.options import TextOptions


def options_of(columns: str, **given: Any) -> TextOptions:
    return TextOptions(format="csv", columns=tuple(columns.split(",")), **given)


def schema_of(text: bytes, options: TextOptions) -> Schema:
    return csv_schema.resolve(options, scan(text, options, file="f"))


def read(text: bytes, columns: str = "a,b,label", **given: Any) -> tuple[Schema, Parsed]:
    schema = schema_of(text, options_of(columns, **given))
    return schema, csv_reader.parse(text, schema, labels="required")


def dense(parsed: Parsed, n_features: int) -> list[list[float]]:
    rows = parsed.rows
    matrix = np.zeros((rows.n_rows, n_features))
    matrix[np.repeat(np.arange(rows.n_rows), np.diff(rows.indptr)), rows.indices] = rows.values
    return matrix.tolist()


def bad_of(parsed: Parsed) -> list[tuple[int, str, str]]:
    return [(row.line, row.kind, row.excerpt) for row in parsed.bad]
