"""A table in memory as CSV text, so that it is read as files are: categories, missing values, what is refused.

A number is written so that it reads back as the same, a text as it is, a missing value as an empty field, True and
False by these names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mr_ml.data import kernels
from mr_ml.readers.csv import schema as schemas
from mr_ml.readers.csv.stored import CsvPart
from mr_ml.readers.frames import Frame
from mr_ml.readers.schema import Schema

_TAB = "\t"
# No value may end its line; no text of a file holds these, so a category with one is none that the model knows.
_LINE_ENDS = str.maketrans({"\n": "\v", "\r": "\v"})


def text_of(frame: Frame, schema: Schema) -> tuple[bytes, Schema]:
    """Return a table as text without a header, a line for each row, and the schema for it.

    Raises
    ------
    BadDataError
        The table does not have the columns that the schema needs.
    """
    part: CsvPart = schema.part
    # columns have names here, also where files have no header
    named = replace(schema, part=replace(part, options=replace(part.options, header=True)))
    used = [name for name in frame.names if _is_used(part, name)]
    # without it a row without any value would be a blank line
    rest = "rest"
    while rest in frame.names or rest in part.columns:
        rest += "_"
    bound = schemas.bind(named, [rest, *used])
    options = replace(bound.part.options, delimiter=_TAB, header=False)
    bound = replace(bound, part=replace(bound.part, options=options))
    columns = [_column(frame, name, part) for name in used]
    lines = zip([b"0"] * frame.n_rows, *columns, strict=True)
    return b"".join(b"\t".join(fields) + b"\n" for fields in lines), bound


def _is_used(part: CsvPart, name: str) -> bool:
    return name in part.columns and (
        part.columns[name]["kind"] in ("numeric", "categorical", "offset", "transformed")
        or any(name in placed.transform.columns for placed in part.transforms)
    )


def _column(frame: Frame, name: str, part: CsvPart) -> Sequence[bytes]:
    spellings = (placed.transform.spelling_of(name) for placed in part.transforms)
    spelling = next((spelling for spelling in spellings if spelling is not None), None)
    decimal = part.options.decimal if spelling is None else spelling.decimal
    as_numbers = spelling is not None or part.columns[name]["kind"] in ("numeric", "offset")
    numbers = frame.numbers(name) if as_numbers else None
    if numbers is not None:
        return [b"" if text == b"nan" else text for text in number_texts(numbers, decimal.encode())]
    return [_field(value, decimal) for value in frame.values(name)]


def number_texts(numbers: Any, decimal: bytes) -> list[bytes]:
    """Return the shortest texts that read back as the same numbers."""
    n = len(numbers)
    written = kernels.write_rows(
        numbers[:, None], starts=b"", start_ends=np.zeros(1, np.int64), choice=np.zeros(n, np.int64),
        lines=np.arange(n), n_lines=n,
    )  # fmt: skip
    text = "".join(f"{number!r}\n" for number in numbers.tolist()).encode() if written is None else bytes(written)
    return text.replace(b".", decimal).split(b"\n")[:n]


def _field(value: Any, decimal: str) -> bytes:
    if value is None:
        return b""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return repr(float(value)).replace(".", decimal).encode()
    text = str(value).translate(_LINE_ENDS)
    if '"' in text or _TAB in text:
        text = '"' + text.replace('"', '""') + '"'
    return text.encode(errors="surrogatepass")
