"""Tables that are read by a schema file, in one process: their schemas and their features as matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mr_ml.readers.base import format_named
from mr_ml.readers.csv.format import CsvFormat
from mr_ml.readers.rows import Parsed
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.options import TextOptions
from mr_ml.settings.table_file import read_table

CSV: Any = format_named("csv")


def options_of(folder: Path, file: str, header: str, **said: Any) -> TextOptions:
    """What a schema file says of a table with these columns."""
    path = folder / "schema.yaml"
    path.write_text(file, encoding="utf-8")
    chosen = read_table(str(path), said=said)
    options: TextOptions = CSV.options(chosen)
    form = CsvFormat()
    return replace(options, columns=form.split_header(header.encode(), options))


def seen_in(texts: Sequence[bytes], options: TextOptions) -> Summary:
    """What a scan of some pieces finds together."""
    return sum((CSV.draft(text, options, file="f")[0] for text in texts), Summary())


class Table(NamedTuple):
    """The features of a table."""

    schema: Schema
    parsed: Parsed
    x: NDArray[np.float64]

    @property
    def names(self) -> list[str]:
        return list(self.schema.feature_names or ())

    def column(self, name: str) -> list[float]:
        found: list[float] = self.x[:, self.names.index(name)].tolist()
        return found


def table(folder: Path, file: str, text: str, **said: Any) -> Table:
    """Read a text, header and rows, by a schema file: the scan, the schema, the rows."""
    header, _, rows = text.partition("\n")
    options = options_of(folder, file, header, **said)
    schema = CSV.resolve(options, seen_in([rows.encode()], options))
    return under(Schema.from_json(schema.to_json()), rows)


def under(schema: Schema, rows: str) -> Table:
    """Read rows by a schema."""
    parsed: Parsed = CSV.parse(rows.encode(), schema, labels="optional")
    return Table(schema, parsed, dense(parsed, schema.n_features))


def dense(parsed: Parsed, n_features: int) -> NDArray[np.float64]:
    rows = parsed.rows
    x = np.zeros((rows.n_rows, n_features))
    x[np.repeat(np.arange(rows.n_rows), np.diff(rows.indptr)), rows.indices] = rows.values
    return x
