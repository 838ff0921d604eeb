"""CSV text: one row a line, one column for the label, numeric and categorical (one-hot) columns for the features.

Features are numbered in the order of the columns. A numeric column is one feature under its own name; a categorical
column is one feature ``column=value`` for each of its values in the order of code points, none dropped. What transforms
make of columns stands where their first column does. Zeros are not stored. Where rows with missing values are neither
refused nor left out, a missing number is the number that was asked for, and a missing category is the category
``column=<missing>``.

The text never holds a header: `split_header` takes it. Quotes and line ends: see `csv.fields`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import BadDataError
from mr_ml.readers.csv import transformed
from mr_ml.readers.csv.categories import MISSING_CATEGORY, Categories
from mr_ml.readers.csv.draft import sparse_rows
from mr_ml.readers.csv.stored import CsvPart, Placed, Role, missing_value_of
from mr_ml.readers.csv.table import Table, pieces, read_extras
from mr_ml.readers.csv.values import Vocabulary, vocabulary
from mr_ml.readers.rows import BadRow, Parsed, Rows, concat_rows
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import first_examples
from mr_ml.readers.text.fields import F64, Mask
from mr_ml.readers.text.options import TextOptions


def parse(
    text: bytes, schema: Schema, *, labels: Literal["required", "optional"], exact: frozenset[str] = frozenset()
) -> Parsed:
    """Turn text into rows; see `TextFormat.parse`.

    Columns that can be spared (the label where it is optional, weight, group) may be left out of the text: see
    `csv.schema.bind`. `exact` as of `Table`.

    Raises
    ------
    BadDataError
        Labels are required and the text has no column for them.

    Notes
    -----
    O(bytes) time. Memory: the result twice, and a few MB.
    """
    plan = _plan_of(schema, labels_required=labels == "required")
    parts: list[Rows] = []
    line_starts = [0]
    examples: list[tuple[str, BadRow]] = []
    counts: Counter[str] = Counter()
    no_values: Counter[str] = Counter()
    n_dropped = n_unseen = 0
    part: CsvPart = schema.part
    for piece in pieces(text, n_columns=len(plan.roles)) if text else [b""]:
        table = Table(piece, part.options, exact=exact)
        rows, dropped, unseen, missing = _parse_table(table, plan)
        bad, refused = table.bad_rows()
        parts.append(rows)
        examples += [("", replace(row, line=line_starts[-1] + row.line)) for row in bad]
        counts.update(refused)
        no_values.update(missing)
        n_dropped += dropped
        n_unseen += unseen
        line_starts.append(line_starts[-1] + table.n_lines)
    return Parsed(
        rows=concat_rows(parts, line_starts=line_starts[:-1]),
        bad=tuple(row for _, row in first_examples(tuple(examples))),
        bad_counts=dict(sorted(counts.items())),
        n_lines=line_starts[-1],
        n_dropped=n_dropped,
        n_unseen=n_unseen,
        missing=dict(sorted(no_values.items())),
    )


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What `parse` does with the columns: the same for every piece of a text."""

    roles: dict[str, Role]
    labels: Vocabulary | None
    labels_required: bool
    features: list[str]
    numeric: list[str]
    is_numeric: Mask
    first: NDArray[np.int32]
    fill: float | None
    categories: dict[str, Categories]
    missing_codes: dict[str, int]
    unseen_is_bad: bool
    options: TextOptions
    placed: tuple[Placed, ...]


def _plan_of(schema: Schema, *, labels_required: bool) -> _Plan:
    part: CsvPart = schema.part
    roles: dict[str, Role] = {name: part.columns[name]["kind"] for name in part.options.columns or ()}
    if labels_required and "label" not in roles.values():
        raise BadDataError("expected a text with labels, found no label column in it; add it")
    first = {name: column["first"] for name, column in part.columns.items() if column["first"] is not None}
    features = sorted(first, key=lambda name: first[name])
    return _Plan(
        roles=roles,
        labels=vocabulary(tuple(map(str, schema.labels))) if schema.label_kind == "text" else None,
        labels_required=labels_required,
        features=features,
        numeric=[name for name in features if name not in part.vocabularies],
        is_numeric=np.array([name not in part.vocabularies for name in features]),
        first=np.array([first[name] for name in features], np.int32),
        fill=missing_value_of(part.options),
        categories={name: Categories(values) for name, values in part.vocabularies.items()},
        missing_codes={
            name: values.index(MISSING_CATEGORY)
            for name, values in part.vocabularies.items()
            if MISSING_CATEGORY in values
        },
        unseen_is_bad=part.options.unseen == "error",
        options=part.options,
        placed=part.transforms,
    )


def _parse_table(table: Table, plan: _Plan) -> tuple[Rows, int, int, dict[str, int]]:
    """Rows, how many were left out, unseen values, and missing ones by column."""
    weights, offsets, groups = read_extras(table, plan.roles)
    labels = _read_labels(table, plan)
    ids, values, missing = _read_features(table, plan)
    readings = transformed.read(table, plan.options, [placed.transform for placed in plan.placed])
    made = transformed.entries(readings)
    if plan.unseen_is_bad:
        for placed, entry in zip(plan.placed, made, strict=True):
            if entry.unseen is not None:
                table.refuse("unseen_value", placed.transform.columns[:1], entry.unseen[:, None])
    kept, n_dropped = table.kept(plan.features, missing, incomplete=readings.incomplete)
    # a missing category that is none of its own is no unseen one: such rows are refused or left out
    unseen = (
        0
        if plan.unseen_is_bad or not plan.categories
        else int(np.count_nonzero((values == 0)[kept][:, ~plan.is_numeric]))
    )
    if not plan.unseen_is_bad:
        unseen += sum(int(np.count_nonzero(entry.unseen & kept)) for entry in made if entry.unseen is not None)
    # elsewhere such rows are not kept
    no_values = {} if plan.fill is None else _counts(plan.features, missing, kept)
    no_values |= readings.missing(kept)
    if not kept.all():
        values, labels = values[kept], labels[kept]
        ids = ids[kept] if ids.shape == missing.shape else ids
        weights = None if weights is None else weights[kept]
        offsets = None if offsets is None else offsets[kept]
        groups = None if groups is None else groups[kept]
    indptr, indices, stored = sparse_rows(values, ids)
    if plan.placed:
        indptr, indices, stored = transformed.joined((indptr, indices, stored), plan.placed, made, kept)
    rows = Rows(
        labels=labels + 0.0,  # -0.0 becomes 0.0
        indptr=indptr,
        indices=indices,
        values=stored,
        lines=table.lines[kept],
        weights=weights,
        offsets=offsets,
        groups=groups,
    )
    return rows, n_dropped, unseen, no_values


def _counts(names: list[str], missing: Mask, kept: Mask) -> dict[str, int]:
    """Count the missing fields of the kept rows by column, (n_rows, len(names)), where there are some."""
    counts = np.count_nonzero(missing & kept[:, None], axis=0).tolist() if missing.any() else []
    return {name: count for name, count in zip(names, counts, strict=False) if count}


def _read_labels(table: Table, plan: _Plan) -> F64:
    names = [name for name, role in plan.roles.items() if role == "label"]
    if not names:
        return np.full(table.n_rows, np.nan)
    if plan.labels is not None:
        codes, is_missing = table.codes(names[0], plan.labels)
        values, missing = codes[:, None].astype(np.float64), is_missing[:, None]
        ok = values >= 0
        if plan.labels_required:
            table.refuse("unseen_label", names, ~ok & ~missing)
    else:
        values, ok, missing = table.numbers(names)
        if plan.labels_required:
            table.refuse_numbers("bad_label", names, ~ok & ~missing)
    if plan.labels_required:
        table.refuse("missing_label", names, missing)
    values[~ok | missing] = np.nan
    column: F64 = values[:, 0]
    return column


def _read_features(table: Table, plan: _Plan) -> tuple[NDArray[np.int32], F64, Mask]:
    """Feature numbers, (n_rows, k) or (k,), values and missing, (n_rows, k): a row has one feature a column at most."""
    numbers, ok, no_number = table.numbers(plan.numeric)
    table.refuse_numbers("bad_value", plan.numeric, ~ok & ~no_number)
    if plan.fill is not None:
        numbers[no_number] = plan.fill
    if not plan.categories:
        return plan.first, numbers, no_number
    shape = table.n_rows, len(plan.features)
    ids, values, missing = np.empty(shape, np.int32), np.empty(shape), np.empty(shape, np.bool_)
    ids[:] = plan.first
    values[:, plan.is_numeric], missing[:, plan.is_numeric] = numbers, no_number
    for j in np.flatnonzero(~plan.is_numeric).tolist():
        name = plan.features[j]
        codes, missing[:, j] = table.codes(name, plan.categories[name])
        if name in plan.missing_codes:
            codes[missing[:, j]] = plan.missing_codes[name]
        if plan.unseen_is_bad:  # where missing values are refused or left out, that goes before
            table.refuse("unseen_value", [name], codes[:, None] < 0)
        ids[:, j] += np.maximum(codes, 0).astype(np.int32)
        values[:, j] = codes >= 0
    return ids, values, missing
