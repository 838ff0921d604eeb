"""Scan CSV text: count its rows, find its bad ones, and gather facts about its columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.data import kernels
from mr_ml.data.narrow import narrow
from mr_ml.readers.csv import transformed
from mr_ml.readers.csv.columns import NAMELESS, label_kind_of, roles_of
from mr_ml.readers.csv.draft import Draft
from mr_ml.readers.csv.facts import CsvFacts, Facts, bounded, no_facts
from mr_ml.readers.csv.numbers import kind_like_number
from mr_ml.readers.csv.stored import Role
from mr_ml.readers.csv.table import Table, pieces, read_extras
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.fields import F64, Mask
from mr_ml.readers.text.options import TextOptions

# Enough rows to tell at once that a column has many numbers, of which no set is made then. Tables of fewer columns have
# them in one piece.
_FIRST_PIECE = 4
_MANY_COLUMNS = 100
_READ: tuple[Role, ...] = ("label", "numeric", "either")


def draft(text: bytes, options: TextOptions, *, file: str, seen: Summary | None = None) -> tuple[Summary, Draft | None]:
    """Read a text once: what is in it, and its rows if all that is looked at is numbers; see `TextFormat.draft`.

    Rows must have labels. Facts about columns are those of the rows that are neither bad nor left out. That a column is
    one of numbers although it holds other things, which are bad then, only the whole data can tell:
    `csv.schema.declared` does, and the text is scanned again under the options that it gives.

    Raises
    ------
    UsageError
        The options do not fit the columns.
    """
    roles = roles_of(options)
    known: Mapping[str, Facts] = {} if seen is None or seen.facts is None else seen.facts.columns
    nothing = {
        name: _nothing_new(known[name]) if name in known else no_facts(options, role)
        for name, role in roles.items()
        if role in ("label", "either", "categorical")
    }
    summary = Summary(facts=CsvFacts(nothing))
    kept: list[tuple[NDArray[Any], int]] | None = []
    is_wide = len(roles) >= _MANY_COLUMNS
    for piece in pieces(text, n_columns=len(roles), first_is=_FIRST_PIECE if is_wide and not known else 1):
        piece_summary, values = _scan_piece(piece, options, roles, summary.facts.columns)
        moved = tuple((file, replace(row, line=summary.n_lines + row.line)) for _, row in piece_summary.examples)
        summary += replace(piece_summary, examples=moved)
        # at once, while it is near the processor
        kept = None if kept is None or values is None else [*kept, narrow(values)]
    columns = tuple(name for name, role in roles.items() if role in _READ)
    return summary, None if kept is None else Draft(columns, kept)


def _scan_piece(
    piece: memoryview, options: TextOptions, roles: Mapping[str, Role], known: Mapping[str, Facts]
) -> tuple[Summary, F64 | None]:
    """Scan a piece, but make no sets that are `known` to have grown too large already; its rows if a draft holds them.

    Of columns of which nothing new is found there are no facts.
    """
    table = Table(piece, options)
    read_extras(table, roles)
    label_kind = label_kind_of(options)
    is_text = {
        name: role == "categorical" or (role == "label" and label_kind == "categorical") for name, role in roles.items()
    }
    read = [name for name, role in roles.items() if role in _READ and not is_text[name]]
    declared = [name for name in roles if is_text[name]]
    only_numbers = not declared and not options.transforms and not set(roles.values()) - {*_READ, "dropped", "id"}
    plain = table.all_numbers(read) if only_numbers and NAMELESS not in roles else None
    if plain is not None:
        return _summary_of_numbers(table, read, roles, known, plain), plain
    is_label = np.array([roles[name] == "label" for name in read], np.bool_)
    is_numeric = np.array([roles[name] == "numeric" for name in read], np.bool_) | (
        is_label & (label_kind == "numeric")
    )
    is_no_feature = np.array([roles[name] == "label" for name in declared], np.bool_)
    values, ok, missing = table.numbers(read, sure=is_numeric)
    strange, no_category = ~ok & ~missing, table.missing(declared)
    for names, cells in ((read, missing & is_label), (declared, no_category & is_no_feature)):
        table.refuse("missing_label", names, cells)
    table.refuse_numbers("bad_label", read, strange & is_numeric & is_label)
    table.refuse_numbers("bad_value", read, strange & is_numeric & ~is_label)
    used = [name for name, role in roles.items() if role != "dropped"]
    read_by = transformed.read(table, options, options.transforms, sampled_by=used)
    no_value = np.hstack([missing & ~is_label, no_category & ~is_no_feature])
    kept, n_dropped = table.kept([*read, *declared], no_value, incomplete=read_by.incomplete)
    bad, counts = table.bad_rows()
    is_draft = only_numbers and bool(ok.all()) and not counts and table.n_rows == table.n_lines

    chosen = kept[:, None]
    ok, strange, missing = ok & chosen, strange & chosen, missing & chosen
    category, no_category = ~no_category & chosen, no_category & chosen
    columns = _facts_of_categories(table, declared, known, category)
    columns |= _facts_of_numbers(table, read, known, values, ok, strange, markers=frozenset(options.number_markers))
    for names, cells in ((read, missing), (declared, no_category)):
        for name, n_missing in zip(names, np.count_nonzero(cells, axis=0).tolist(), strict=True):
            if n_missing and name in known:
                columns.setdefault(name, _nothing_new(known[name]))["missing"] = n_missing
    present = (strange | (ok & (values != 0))) & ~is_label
    summary = Summary(
        n_rows=int(np.count_nonzero(kept)),
        nnz=int(np.count_nonzero(present) + np.count_nonzero(category & ~is_no_feature)) + read_by.n_stored(kept),
        n_lines=table.n_lines,
        n_dropped=n_dropped,
        bad_counts=counts,
        examples=tuple(("", row) for row in bad),
        facts=CsvFacts(columns, read_by.seen(kept)),
    )
    return summary, values if is_draft else None


def _summary_of_numbers(
    table: Table, read: list[str], roles: Mapping[str, Role], known: Mapping[str, Facts], values: F64
) -> Summary:
    """As `_scan_piece`, of rows that have nothing but numbers."""
    may_tell = [i for i, name in enumerate(read) if name in known and known[name]["numbers"] is not None]
    names = [read[i] for i in may_tell]
    columns = {name: _nothing_new(known[name]) for name in names}
    many = _have_many(values[:, may_tell] if len(may_tell) < len(read) else values, columns)
    for name in many:
        columns[name]["numbers"] = None
    few = [name for name in names if name not in many]
    if few and table.n_rows:
        for name, texts in zip(few, table.distinct_of_all(few), strict=True):
            columns[name]["numbers"] = bounded(texts, limit=columns[name]["max_numbers"])
    n_labels = sum(kernels.count_nonzero(values[:, i]) for i, name in enumerate(read) if roles[name] == "label")
    return Summary(
        n_rows=table.n_rows,
        nnz=kernels.count_nonzero(values) - n_labels,
        n_lines=table.n_lines,
        facts=CsvFacts(columns),
    )


def _facts_of_categories(
    table: Table, declared: list[str], known: Mapping[str, Facts], chosen: Mask
) -> dict[str, Facts]:
    """Facts about the declared categories in the `chosen` fields."""
    open_ = np.array([known[name]["texts"] is not None for name in declared], np.bool_)
    names = [name for name, is_open in zip(declared, open_.tolist(), strict=True) if is_open]
    facts = {name: _nothing_new(known[name]) for name in names}
    for name, values in zip(names, table.distinct(names, chosen[:, open_]), strict=True):
        facts[name]["texts"] = bounded(values, limit=facts[name]["max_texts"])
        if facts[name]["texts"] is None:
            facts[name]["like"] = facts[name]["maybe_missing"] = None
    return facts


def _facts_of_numbers(
    table: Table, read: list[str], known: Mapping[str, Facts], values: F64, ok: Mask, strange: Mask,
    *, markers: Collection[str],
) -> dict[str, Facts]:  # fmt: skip
    """Facts about the label and the columns that the data will decide: their numbers (`ok`) and other texts."""
    n_strange: list[int] = np.count_nonzero(strange, axis=0).tolist()
    may_tell = [
        name in known and (known[name]["numbers"] is not None or bool(n_strange[i])) for i, name in enumerate(read)
    ]
    at = np.flatnonzero(may_tell)
    names = [read[i] for i in at.tolist()]
    if not names:
        return {}
    facts = {name: _nothing_new(known[name]) for name in names}
    for name, i in zip(names, at.tolist(), strict=True):
        facts[name]["strange"] = n_strange[i]
    values, ok, strange = values[:, at], ok[:, at], strange[:, at]
    for name in _have_many(values, facts, ok=ok):
        facts[name]["numbers"] = None
    many = np.array([column["numbers"] is None for column in facts.values()], np.bool_)
    closed = many & np.array([column["texts"] is None for column in facts.values()], np.bool_)
    for cells, key in ((ok & ~many, "numbers"), (strange & ~closed, "texts")):
        looked_at = np.flatnonzero(cells.any(axis=0))
        chosen = [names[i] for i in looked_at.tolist()]
        if not chosen:
            continue
        for name, texts in zip(chosen, table.distinct(chosen, cells[:, looked_at]), strict=True):
            column = facts[name]
            if key == "numbers":
                column["numbers"] = bounded(texts, limit=column["max_numbers"])
            elif column["texts"] is not None:
                column["texts"] = bounded(texts, limit=column["max_texts"])
    _count_texts(table, facts, strange, markers)
    return facts


def _have_many(values: F64, facts: Mapping[str, Facts], *, ok: Mask | None = None) -> set[str]:
    """Return which columns of values (n_rows, len(facts)), of those that are `ok`, have more than a set may have.

    More different values are more different texts; this spares most columns of real numbers.
    """
    sample = slice(2 * max((column["max_numbers"] for column in facts.values()), default=0))
    ordered = np.sort(values[sample] if ok is None else np.where(ok[sample], values[sample], 0.0), axis=0)
    n_different = np.count_nonzero(ordered[1:] != ordered[:-1], axis=0).tolist()
    pairs = zip(facts.items(), n_different, strict=True)
    return {name for (name, column), n in pairs if n > column["max_numbers"]}


def _count_texts(table: Table, facts: dict[str, Facts], strange: Mask, markers: Collection[str]) -> None:
    """Count, of columns whose texts are known, the fields that look like numbers and those that may be missing ones."""
    for i, (name, column) in enumerate(facts.items()):
        texts = column["texts"]
        if texts is None:
            column["like"] = column["maybe_missing"] = None
        elif texts:
            maybe_missing = [text for text in texts if text in markers]
            like = [text for text in texts if text not in markers and kind_like_number(text)]
            column["like"] = table.count(name, like, strange[:, i])
            column["maybe_missing"] = table.count(name, maybe_missing, strange[:, i])


def _nothing_new(known: Facts) -> Facts:
    empty = Facts(**known)
    empty["missing"] = empty["strange"] = 0
    empty["numbers"] = None if known["numbers"] is None else []
    empty["texts"] = None if known["texts"] is None else []
    empty["like"] = empty["maybe_missing"] = None if known["texts"] is None else 0
    return empty
