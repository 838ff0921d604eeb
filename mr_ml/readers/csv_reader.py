"""CSV text: one row a line, one column for the label, numeric and categorical (one-hot) columns for the features.

Features are numbered in the order of the columns. A numeric column is one feature under its own name; a categorical
column is one feature ``column=value`` for each of its values in the order of code points, none dropped. Zeros are not
stored. Where rows with missing values are neither refused nor left out, a missing number is the number that was asked
for, and a missing category is the category ``column=<missing>``.

The text never holds a header: `split_header` takes it. Quotes and line ends: see `csv_fields`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from mr_ml.errors import BadDataError
from mr_ml.readers.csv_schema import (
    MISSING_CATEGORY,
    Facts,
    Role,
    bind,
    bounded,
    merge_columns,
    missing_value_of,
    no_facts,
    resolve,
    roles_of,
    split_header,
)
from mr_ml.readers.csv_table import Table
from mr_ml.readers.fields import I64, U64
from mr_ml.readers.numbers import F64, Mask
from mr_ml.readers.rows import Parsed, Rows
from mr_ml.readers.schema import Schema, Summary, TextOptions

__all__ = ["bind", "merge_columns", "parse", "resolve", "scan", "split_header"]


def scan(text: bytes, options: TextOptions, *, file: str) -> Summary:
    """Read a text once and say what is in it; see `formats.scan`. Rows must have labels.

    Facts about columns are those of the rows that are neither bad nor left out. What only the whole data can tell, that
    a column is numeric although it holds "inf" or "1e400" here, is for `parse` to find.

    Raises
    ------
    UsageError
        The options do not fit the columns.
    """
    roles = roles_of(options)
    table = Table(text, options)
    _read_extras(table, roles)
    read = [name for name, role in roles.items() if role in ("label", "numeric", "either")]
    values, ok, missing = table.numbers(read)
    strange = ~ok & ~missing
    is_label, is_numeric = (np.array([roles[name] == role for name in read]) for role in ("label", "numeric"))
    table.refuse("missing_label", read, missing & is_label)
    table.refuse_numbers("bad_value", read, values, strange & is_numeric)
    declared = [name for name, role in roles.items() if role == "categorical"]
    undeclared = table.missing(declared)
    kept, n_dropped = table.kept([*read, *declared], np.hstack([missing & ~is_label, undeclared]))
    bad, counts = table.bad_rows()
    inhabited = (strange | (ok & (values != 0))) & ~is_label
    facts = _facts_of_categories(table, declared, options, ~undeclared & kept[:, None])
    facts |= _facts_of_numbers(table, read, roles, options, values, ok & kept[:, None], strange & kept[:, None])
    for names, cells in ((read, missing), (declared, undeclared)):
        for name, n_missing in zip(names, np.count_nonzero(cells & kept[:, None], axis=0).tolist(), strict=True):
            if name in facts:
                facts[name]["missing"] = n_missing
    return Summary(
        n_rows=int(np.count_nonzero(kept)),
        nnz=int(np.count_nonzero(inhabited[kept]) + np.count_nonzero(~undeclared[kept])),
        n_lines=table.n_lines,
        n_dropped=n_dropped,
        bad_counts=counts,
        examples=tuple((file, row) for row in bad),
        columns=facts,
    )


def parse(text: bytes, schema: Schema, *, labels: Literal["required", "optional"]) -> Parsed:
    """Turn text into rows; see `formats.parse`.

    Columns that can be spared (the label where it is optional, weight, group) may be left out of the text: see `bind`.

    Raises
    ------
    BadDataError
        Labels are required and the text has no column for them.

    Notes
    -----
    O(bytes) time; about 100 bytes of temporary memory a field.
    """
    options = schema.options
    roles: dict[str, Role] = {name: schema.columns[name]["kind"] for name in options.columns or ()}
    table = Table(text, options)
    weights, offsets, groups = _read_extras(table, roles)
    label_values = _read_labels(table, schema, roles, optional=labels == "optional")
    features = sorted(
        (name for name, column in schema.columns.items() if column["kind"] in ("numeric", "categorical")),
        key=lambda name: int(schema.columns[name]["first"]),
    )
    ids, values, missing = _read_features(table, schema, features)
    kept, n_dropped = table.kept(features, missing)
    bad, counts = table.bad_rows()
    if not kept.all():
        values, label_values = values[kept], label_values[kept]
        ids = ids[kept] if len(ids) > 1 else ids
        weights, offsets, groups = (None if a is None else a[kept] for a in (weights, offsets, groups))
    stored = values != 0
    indptr = np.zeros(len(values) + 1, np.int64)
    np.cumsum(np.count_nonzero(stored, axis=1), out=indptr[1:])
    return Parsed(
        rows=Rows(
            labels=label_values + 0.0,  # -0.0 becomes 0.0
            indptr=indptr,
            indices=np.broadcast_to(ids, values.shape)[stored],
            values=values[stored],
            lines=table.lines[kept],
            weights=weights,
            offsets=offsets,
            groups=groups,
        ),
        bad=bad,
        bad_counts=counts,
        n_lines=table.n_lines,
        n_dropped=n_dropped,
    )


def _read_extras(table: Table, roles: Mapping[str, Role]) -> tuple[F64 | None, F64 | None, U64 | None]:
    """Weights, offsets and groups of all rows, None without such a column; refuse rows in which they are wrong."""
    weights = offsets = groups = None
    for name, role in roles.items():
        if role == "weight":
            weights = _read_extra(table, name, "weight", lowest=0.0)
        elif role == "offset":
            offsets = _read_extra(table, name, "offset", lowest=-np.inf)
        elif role == "group":
            table.refuse("missing_group", [name], table.missing([name]))
            groups = table.hashes(name)
    return weights, offsets, groups


def _read_extra(table: Table, name: str, role: str, *, lowest: float) -> F64:
    values, ok, missing = table.numbers([name])
    table.refuse(f"missing_{role}", [name], missing)
    table.refuse(f"bad_{role}", [name], ~missing & ~(ok & (values >= lowest)))
    return values[:, 0] + 0.0


def _read_labels(table: Table, schema: Schema, roles: Mapping[str, Role], *, optional: bool) -> F64:
    names = [name for name, role in roles.items() if role == "label"]
    if not names:
        if optional:
            return np.full(table.n_rows, np.nan)
        raise BadDataError("expected a text with labels, found no label column; add it, or predict without labels")
    if schema.label_kind == "text":
        codes, is_missing = table.codes(names[0], tuple(map(str, schema.labels)))
        values, missing = codes[:, None].astype(np.float64), is_missing[:, None]
        table.refuse("unseen_label", names, (values < 0) & ~missing)
    else:
        values, ok, missing = table.numbers(names)
        table.refuse_numbers("bad_label", names, values, ~ok & ~missing)
    values[missing] = np.nan
    if not optional:
        table.refuse("missing_label", names, missing)
    return values[:, 0]


def _read_features(table: Table, schema: Schema, features: list[str]) -> tuple[np.ndarray, F64, Mask]:
    """Feature numbers, (n_rows or 1, k), values and missing, (n_rows, k), for k columns with a feature each at most."""
    fill = missing_value_of(schema.options)
    first = np.array([schema.columns[name]["first"] for name in features], np.int32)
    is_numeric = np.array([schema.columns[name]["kind"] == "numeric" for name in features])
    numeric = [name for name, chosen in zip(features, is_numeric, strict=True) if chosen]
    numbers, ok, no_number = table.numbers(numeric)
    table.refuse_numbers("bad_value", numeric, numbers, ~ok & ~no_number)
    if fill is not None:
        numbers[no_number] = fill
    if is_numeric.all():
        return first[None, :], numbers, no_number
    shape = table.n_rows, len(features)
    ids, values, missing = np.empty(shape, np.int32), np.empty(shape), np.empty(shape, np.bool_)
    ids[:], values[:, is_numeric], missing[:, is_numeric] = first, numbers, no_number
    for j in np.flatnonzero(~is_numeric).tolist():
        codes, missing[:, j] = _read_categories(table, schema, features[j], missing_is_category=fill is not None)
        ids[:, j] += np.maximum(codes, 0).astype(np.int32)
        values[:, j] = codes >= 0
    return ids, values, missing


def _read_categories(table: Table, schema: Schema, name: str, *, missing_is_category: bool) -> tuple[I64, Mask]:
    vocabulary = schema.vocabularies[name]
    codes, missing = table.codes(name, vocabulary)
    unseen = codes < 0
    if not missing_is_category:
        unseen &= ~missing
    elif MISSING_CATEGORY in vocabulary:
        codes[missing] = vocabulary.index(MISSING_CATEGORY)
        unseen = codes < 0
    if schema.options.unseen == "error":
        table.refuse("unseen_value", [name], unseen[:, None])
    return codes, missing


def _facts_of_categories(table: Table, names: list[str], options: TextOptions, chosen: Mask) -> dict[str, Facts]:
    facts = {}
    for name, values in zip(names, table.distinct(names, chosen), strict=True):
        facts[name] = no_facts(options, "categorical")
        facts[name]["texts"] = bounded(values, limit=options.max_categories)
    return facts


def _facts_of_numbers(
    table: Table, read: list[str], roles: Mapping[str, Role], options: TextOptions, values: F64, ok: Mask, strange: Mask
) -> dict[str, Facts]:
    """Facts about the label and the columns that the data will decide; `ok` and `strange` are those of kept rows."""
    facts = {name: no_facts(options, roles[name]) for name in read if roles[name] != "numeric"}
    at = np.array([i for i, name in enumerate(read) if name in facts])
    values, ok, strange = values[:, at], ok[:, at], strange[:, at]
    # A look at the first rows proves of most columns of numbers that there are too many to remember.
    limits = np.array([column["max_numbers"] for column in facts.values()])
    sample = slice(0, 2 * int(limits.max(initial=0)))
    ordered = np.sort(np.where(ok[sample], values[sample], 0.0), axis=0)
    many = np.count_nonzero(ordered[1:] != ordered[:-1], axis=0) > limits
    looked_at = many & strange.any(axis=0) | ~many
    names = list(facts)
    for name, too_many in zip(names, many.tolist(), strict=True):
        facts[name]["numbers"] = None if too_many else []
    chosen = np.flatnonzero(looked_at)
    cells = np.where(many, strange, ok | strange)[:, chosen]
    for i, found in zip(chosen.tolist(), table.distinct([names[i] for i in chosen.tolist()], cells), strict=True):
        column = facts[names[i]]
        numbers = {text for text in found if _reads_as_number(text)}
        column["texts"] = bounded(found - numbers, limit=column["max_texts"])
        if column["numbers"] is not None:
            column["numbers"] = bounded(numbers, limit=column["max_numbers"])
    return facts


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
