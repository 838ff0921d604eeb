"""Record batches of Arrow as CSV text; what Parquet and ORC share. Needs pyarrow; loaded when files are read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mr_ml.errors import BadDataError
from mr_ml.readers.csv.frame import float_lines
from mr_ml.readers.rows import excerpt
from mr_ml.readers.tables.columns import Column, Kind, partitions
from mr_ml.readers.tables.text import AS_NUMBERS, EXACT_BELOW, BadRows, Chunk

#: What is wrong with a file, as pyarrow says it. Damaged files are an OSError without a number, too.
ERRORS: tuple[type[Exception], ...] = (pa.ArrowException,)

# Fields of a chunk, so that its text is some megabytes.
_CELLS, _MIN_ROWS, _MAX_ROWS = 1 << 19, 1 << 10, 1 << 16
_TEXT = pa.large_string()
_NUMBERS = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_TIMES = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_time)


def columns_of(schema: Any) -> list[Column]:
    """Return the columns of a file by its schema."""
    return [Column(name, (_kind(type_),), str(type_)) for name, type_ in zip(schema.names, schema.types, strict=True)]


def _kind(type_: Any) -> Kind:
    type_ = _stored(type_)
    if pa.types.is_null(type_):
        return "nothing"
    if any(is_one(type_) for is_one in _NUMBERS):
        return "number"
    return "text" if any(is_one(type_) for is_one in (*_TEXTS, *_TIMES)) else "unknown"


def _stored(type_: Any) -> Any:
    """Return what a type is under its dictionary or its other name."""
    while True:
        if pa.types.is_dictionary(type_):
            type_ = type_.value_type
        elif isinstance(type_, pa.BaseExtensionType):
            type_ = type_.storage_type
        else:
            return type_


def rows_at_once(n_columns: int) -> int:
    """Return how many rows make a chunk."""
    return min(max(_CELLS // max(n_columns, 1), _MIN_ROWS), _MAX_ROWS)


def chunk_of(batch: Any, roles: Mapping[str, str], file: str) -> Chunk:
    """Return the rows of a record batch as text.

    Parameters
    ----------
    roles
        See `TableFormat.texts`.
    file
        Whose path may name columns.
    """
    named = partitions(file)
    n_rows, bad = batch.num_rows, BadRows()
    if not n_rows:
        return Chunk(b"")
    alone = '""' if len(roles) == 1 else ""
    known = {name: k for k, name in enumerate(batch.schema.names)}
    fields: list[Any] = []
    for name, role in roles.items():
        if role == "dropped" or (name not in known and named.get(name) is None):
            fields.append(pa.scalar(alone, _TEXT))
        elif name in known:
            fields.append(_fields(batch.column(known[name]), name, role, bad))
        else:
            fields.append(_fields(pa.array([named[name]] * n_rows, _TEXT), name, role, bad))
    if not any(isinstance(field, pa.Array) for field in fields):
        fields[0] = pa.array([alone] * n_rows, _TEXT)
    lines = pc.binary_join_element_wise(
        *fields, pa.scalar(",", _TEXT), null_handling="replace", null_replacement=alone
    )  # fmt: skip
    if bad:
        refused = np.zeros(n_rows, np.bool_)
        refused[bad.lines] = True
        lines = pc.if_else(pa.array(refused), pa.scalar("", _TEXT), lines)
    lines = pc.binary_join_element_wise(lines, pa.scalar("", _TEXT), pa.scalar("\n", _TEXT))
    return bad.chunk(_bytes(lines))


def _fields(column: Any, name: str, role: str, bad: BadRows) -> Any:
    """Return a column as fields of text; rows that text cannot hold are bad."""
    if _kind(column.type) == "unknown":
        # of a column that is used this was said before
        raise BadDataError(
            f"`keep`: expected numbers or texts in column '{excerpt(name.encode())}', found {column.type}, which "
            "cannot stand beside predictions"
        )
    column = _plain(column)
    type_ = column.type
    if pa.types.is_null(type_):
        return pc.cast(column, _TEXT)
    if pa.types.is_boolean(type_):
        return pc.cast(pc.cast(column, pa.int8()), _TEXT)
    if pa.types.is_floating(type_):
        # the shortest text of a float32 is not that of the same number as a float64
        return _floats(pc.cast(column, pa.float64()))
    if pa.types.is_integer(type_) and role in AS_NUMBERS and type_.bit_width == 64:
        for row, value in _inexact(column):
            bad.refuse(row, "inexact_value", name, str(value))
    if any(is_one(type_) for is_one in _NUMBERS):
        return pc.cast(pc.cast(column, pa.string()), _TEXT)
    if any(is_one(type_) for is_one in _TIMES):
        return _times(column)
    column = pc.cast(column, _TEXT)
    breaks = pc.match_substring_regex(column, "[\r\n]")
    if pc.any(breaks).as_py():
        rows = np.flatnonzero(pc.fill_null(breaks, fill_value=False).to_numpy(zero_copy_only=False)).tolist()
        for row in rows:
            bad.refuse(row, "line_break", name, column[row].as_py())
        # it stays within its line, which is left blank
        column = pc.if_else(breaks, pa.scalar("", _TEXT), column)
    return _quoted(column)


def _floats(column: Any) -> Any:
    """Return numbers as `repr` writes them: Arrow's own texts of whole, small and large ones are others."""
    values = pc.fill_null(column, fill_value=math.nan).to_numpy(zero_copy_only=False)
    lines = np.frombuffer(float_lines(values), np.uint8)
    is_end = lines == ord("\n")
    ends = np.zeros(len(values) + 1, np.int64)
    # without the line feeds before it and its own
    ends[1:] = np.flatnonzero(is_end) - np.arange(len(values))
    texts = pa.LargeStringArray.from_buffers(len(values), pa.py_buffer(ends), pa.py_buffer(lines[~is_end]))
    return pc.if_else(pa.array(np.isnan(values)), pa.scalar(None, _TEXT), texts)


def _plain(column: Any) -> Any:
    """Return the values of a column that is a dictionary, or has another name for its type."""
    while column.type != (stored := _stored(column.type)):
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.storage
        else:
            column = column.dictionary_decode() if column.type.value_type == stored else pc.cast(column, stored)
    return column


def _quoted(column: Any) -> Any:
    needs = pc.match_substring_regex(column, r'[",]|^[ \t]|[ \t]$|^$')
    if not pc.any(needs).as_py():
        return column
    doubled = pc.replace_substring(column, '"', '""')
    quote, nothing = pa.scalar('"', _TEXT), pa.scalar("", _TEXT)
    return pc.if_else(needs, pc.binary_join_element_wise(quote, doubled, quote, nothing), column)


def _times(column: Any) -> Any:
    zoned = pa.types.is_timestamp(column.type) and column.type.tz is not None
    if zoned:
        column = pc.cast(column, pa.timestamp(column.type.unit))
    text = pc.cast(pc.cast(column, pa.string()), _TEXT)
    # however fine the clock is by its type
    text = pc.replace_substring_regex(text, r"(\.[0-9]*?)0+$", r"\1")
    text = pc.replace_substring_regex(text, r"\.$", "")
    return pc.binary_join_element_wise(text, pa.scalar("Z", _TEXT), pa.scalar("", _TEXT)) if zoned else text


def _inexact(column: Any) -> list[tuple[int, int]]:
    """Row and value of the integers that no float64 is."""
    extremes = pc.min_max(column).as_py()
    if extremes["min"] is None or (extremes["min"] >= -EXACT_BELOW and extremes["max"] <= EXACT_BELOW):
        return []
    values = pc.fill_null(column, fill_value=0).to_numpy(zero_copy_only=False)
    large = np.flatnonzero((values > EXACT_BELOW) | (values < -EXACT_BELOW)).tolist()
    return [(row, value) for row in large if int(float(value := int(values[row]))) != value]


def _bytes(lines: Any) -> bytes:
    if isinstance(lines, pa.ChunkedArray):
        return b"".join(map(_bytes, lines.chunks))
    _, ends, data = lines.buffers()
    bounds = np.frombuffer(ends, np.int64)[lines.offset : lines.offset + len(lines) + 1]
    return data[int(bounds[0]) : int(bounds[-1])].to_pybytes() if data is not None else b""


def read_names(columns: Sequence[str], roles: Mapping[str, str]) -> list[str]:
    """Return those of a file's columns that are read."""
    return [name for name in columns if roles.get(name, "dropped") != "dropped"]
