"""Scan CSV text: count its rows, find its bad ones, and gather facts about its columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mr_ml.readers.csv_columns import Role, roles_of
from mr_ml.readers.csv_draft import Draft
from mr_ml.readers.csv_schema import Facts, bounded, no_facts
from mr_ml.readers.csv_table import Table, pieces, read_extras
from mr_ml.readers.fields import F64, Mask
from mr_ml.readers.schema import Summary, TextOptions

_READ: tuple[Role, ...] = ("label", "numeric", "either")


def draft(text: bytes, options: TextOptions, *, file: str, seen: Summary | None = None) -> tuple[Summary, Draft | None]:
    """Read a text once: what is in it, and its rows if all that is looked at is numbers; see `formats.draft`.

    Rows must have labels. Facts about columns are those of the rows that are neither bad nor left out. What only the
    whole data can tell, that a column is numeric although it holds "inf" or "1e400" here, is for `parse` to find.

    Raises
    ------
    UsageError
        The options do not fit the columns.
    """
    roles = roles_of(options)
    known: Mapping[str, Facts] = {} if seen is None else seen.columns
    summary = Summary(
        columns={
            name: _nothing_new(known[name]) if name in known else no_facts(options, role)
            for name, role in roles.items()
            if role in ("label", "either", "categorical")
        }
    )
    kept: list[F64] | None = []
    for piece in pieces(text, n_columns=len(roles)):
        found, values = _scan_piece(piece, options, roles, summary.columns)
        moved = tuple((file, replace(row, line=summary.n_lines + row.line)) for _, row in found.examples)
        summary += replace(found, examples=moved)
        kept = None if kept is None or values is None else [*kept, values]
    columns = tuple(name for name, role in roles.items() if role in _READ)
    return summary, None if kept is None else Draft(columns, [(values, 0) for values in kept])


def _scan_piece(
    piece: bytes, options: TextOptions, roles: Mapping[str, Role], known: Mapping[str, Facts]
) -> tuple[Summary, F64 | None]:
    """Scan a piece, but make no sets that are `known` to have grown too large already; its rows if a draft holds them.

    Of columns of which nothing new is found there are no facts.
    """
    table = Table(piece, options)
    read_extras(table, roles)
    read = [name for name, role in roles.items() if role in _READ]
    declared = [name for name, role in roles.items() if role == "categorical"]
    is_label, is_numeric = (np.array([roles[name] == role for name in read]) for role in ("label", "numeric"))
    values, ok, missing = table.numbers(read)
    strange, no_category = ~ok & ~missing, table.missing(declared)
    table.refuse("missing_label", read, missing & is_label)
    table.refuse_numbers("bad_value", read, values, strange & is_numeric)
    kept, n_dropped = table.kept([*read, *declared], np.hstack([missing & ~is_label, no_category]))
    bad, counts = table.bad_rows()
    is_draft = bool(ok.all()) and not set(roles.values()) - {*_READ, "dropped"} and table.n_rows == table.n_lines

    chosen = kept[:, None]
    ok, strange, missing = ok & chosen, strange & chosen, missing & chosen
    category, no_category = ~no_category & chosen, no_category & chosen
    columns = _facts_of_categories(table, declared, known, category)
    columns |= _facts_of_numbers(table, read, known, values, ok, strange)
    for names, cells in ((read, missing), (declared, no_category)):
        for name, n_missing in zip(names, np.count_nonzero(cells, axis=0).tolist(), strict=True):
            if n_missing and name in known:
                columns.setdefault(name, _nothing_new(known[name]))["missing"] = n_missing
    present = (strange | (ok & (values != 0))) & ~is_label
    summary = Summary(
        n_rows=int(np.count_nonzero(kept)),
        nnz=int(np.count_nonzero(present) + np.count_nonzero(category)),
        n_lines=table.n_lines,
        n_dropped=n_dropped,
        bad_counts=counts,
        examples=tuple(("", row) for row in bad),
        columns=columns,
    )
    return summary, values if is_draft else None


def _facts_of_categories(
    table: Table, declared: list[str], known: Mapping[str, Facts], chosen: Mask
) -> dict[str, Facts]:
    """Facts about the declared categories in the `chosen` fields."""
    open_ = np.array([known[name]["texts"] is not None for name in declared], np.bool_)
    names = [name for name, is_open in zip(declared, open_.tolist(), strict=True) if is_open]
    facts = {name: _nothing_new(known[name]) for name in names}
    for name, found in zip(names, table.distinct(names, chosen[:, open_]), strict=True):
        facts[name]["texts"] = bounded(found, limit=facts[name]["max_texts"])
    return facts


def _facts_of_numbers(
    table: Table, read: list[str], known: Mapping[str, Facts], values: F64, ok: Mask, strange: Mask
) -> dict[str, Facts]:
    """Facts about the label and the columns that the data will decide: their numbers (`ok`) and other texts."""
    texts: list[bool] = np.any(strange, axis=0).tolist()
    may_tell = [name in known and (known[name]["numbers"] is not None or texts[i]) for i, name in enumerate(read)]
    at = np.flatnonzero(may_tell)
    names = [read[i] for i in at.tolist()]
    if not names:
        return {}
    facts = {name: _nothing_new(known[name]) for name in names}
    values, ok, strange = values[:, at], ok[:, at], strange[:, at]
    # More different values than a set may have are more different texts; this spares most columns of real numbers.
    limits = np.array([column["max_numbers"] for column in facts.values()])
    sample = slice(0, 2 * int(limits.max(initial=0)))
    ordered = np.sort(np.where(ok[sample], values[sample], 0.0), axis=0)
    many = np.count_nonzero(ordered[1:] != ordered[:-1], axis=0) > limits
    for name, too_many in zip(names, many.tolist(), strict=True):
        if too_many:
            facts[name]["numbers"] = None
    many = np.array([column["numbers"] is None for column in facts.values()], np.bool_)
    closed = many & np.array([column["texts"] is None for column in facts.values()], np.bool_)
    cells = np.where(many, strange, ok | strange) & ~closed
    looked_at = np.flatnonzero(cells.any(axis=0))
    names = [names[i] for i in looked_at.tolist()]
    for name, found in zip(names, table.distinct(names, cells[:, looked_at]), strict=True):
        column = facts[name]
        numbers = {text for text in found if _reads_as_number(text)}
        if column["texts"] is not None:
            column["texts"] = bounded(found - numbers, limit=column["max_texts"])
        if column["numbers"] is not None:
            column["numbers"] = bounded(numbers, limit=column["max_numbers"])
    return facts


def _nothing_new(known: Facts) -> Facts:
    empty = Facts(**known)
    empty["missing"] = 0
    empty["numbers"] = None if known["numbers"] is None else []
    empty["texts"] = None if known["texts"] is None else []
    return empty


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
