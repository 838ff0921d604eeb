"""The columns of CSV text for exports: what `mr_ml.readers.csv.reader` does with each, in words."""

from __future__ import annotations

from mr_ml.readers.csv.categories import MISSING_CATEGORY, are_whole
from mr_ml.readers.csv.stored import CsvPart, Placed, missing_value_of
from mr_ml.readers.inputs import Column, Inputs, Made, Missing, Unseen
from mr_ml.readers.schema import Schema


def inputs_of(schema: Schema) -> Inputs:
    """Return what the rows of a schema are read from; see `Format.inputs`."""
    part: CsvPart = schema.part
    options = part.options
    features = {name: use["first"] for name, use in part.columns.items() if use["first"] is not None}
    columns = sorted((_column(part, name, first) for name, first in features.items()), key=lambda column: column.first)
    offsets = [name for name, use in part.columns.items() if use["kind"] == "offset"]
    return Inputs(
        columns=tuple(columns),
        offset=offsets[0] if offsets else None,
        missing_texts=tuple(dict.fromkeys(("", *options.missing_markers))),
        missing_number_texts=tuple(text for text in options.number_markers if text not in options.missing_markers),
        text={
            "format": schema.format, "delimiter": options.delimiter, "header": options.header,
            "columns": list(options.columns or ()), "decimal": options.decimal, "thousands": options.thousands,
            "percent": options.percent,
        },
        made=tuple(_made(placed, _unseen(part)) for placed in part.transforms),
    )  # fmt: skip


def _unseen(part: CsvPart) -> Unseen:
    return "ignore" if part.options.unseen == "ignore" else "refuse"


def _made(placed: Placed, unseen: Unseen) -> Made:
    one = placed.transform
    parameters = {name: value for name, value in one.exported(unseen=unseen).items() if name != "kind"}
    return Made(
        title=f"{one.title} ({one.written})", kind=one.kind, first=placed.first, n_features=one.n_features,
        parameters=parameters, terms=one.told(first=placed.first, unseen=unseen),
    )  # fmt: skip


def _column(part: CsvPart, name: str, first: int) -> Column:
    fill = missing_value_of(part.options)
    categories = part.vocabularies.get(name)
    if categories is None:
        return Column(name=name, first=first, missing="refuse" if fill is None else "fill", fill=fill)
    unseen = _unseen(part)
    has_own = MISSING_CATEGORY in categories
    # a missing value that is no category of its own is one that no row of training had
    missing: Missing = "fill" if has_own else "refuse" if fill is None else unseen
    return Column(
        name=name, first=first, categories=categories, whole=are_whole(categories), missing=missing,
        fill=MISSING_CATEGORY if has_own else None, unseen=unseen,
    )  # fmt: skip
