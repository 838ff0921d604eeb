"""A model as SQL: one SELECT over a table, with all of its columns, the margins, the values and the prediction.

    FROM table: column -> what it adds -> margins        (a level of its own, so that nothing is written twice)
    margins -> probabilities, decision values or the number -> the label of the largest

A row that mr_ml would refuse has NULL in all of them: without a value where it needs one, of a category that the model
does not know, not finite. Numbers are doubles to the last digit. Names of columns are quoted, and may be anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from mr_ml.errors import UsageError
from mr_ml.exports.base import Export, Subject, only_of
from mr_ml.exports.sql_dialects import DIALECTS, Dialect
from mr_ml.exports.sql_responses import values_of
from mr_ml.exports.sql_terms import SqlTerms
from mr_ml.readers.inputs import Made

# of a table; databases have fewer still
_MOST_COLUMNS = 20_000


class SqlExport:
    """See `mr_ml.exports.base.Export`."""

    suffix = ".sql"
    parameters: ClassVar[Mapping[str, str]] = {"dialect": "duckdb", "table": "rows"}

    def carries(self, made: Made) -> bool:
        """See `Export.carries`."""
        return made.terms is not None

    def notes(self, subject: Subject, chosen: Mapping[str, str]) -> Sequence[str]:
        """See `Export.notes`."""
        notes = ["a row that mr-ml predict would refuse has NULL for every output"]
        if any(True in found for found in subject.reads.values()):
            notes.append("columns of numbers must be of a numeric type: what text means is lost by a cast")
        if subject.inputs.columns is None:
            notes.append(
                "the table has the features in columns f1, f2, ..., NULL for 0; those without weight are left out"
            )
        return notes

    def write(self, subject: Subject, chosen: Mapping[str, str]) -> bytes:
        """See `Export.write`."""
        dialect = DIALECTS.get(chosen["dialect"])
        if dialect is None:
            raise UsageError(f"expected `dialect` {', '.join(DIALECTS)}, found {ascii(chosen['dialect'])[:60]}")
        table = chosen["table"]
        if not table or "\0" in table:
            raise UsageError("expected as `table` the name of a table, found none")
        return _select(only_of(subject, most=_MOST_COLUMNS), dialect, ".".join(map(dialect.name, table.split("."))))


def _select(subject: Subject, dialect: Dialect, table: str) -> bytes:
    names = _Names(subject, dialect)
    margins = [
        f"{_sum([dialect.number(float(subject.intercepts[k])), *terms])} AS {name}"
        for k, (name, terms) in enumerate(zip(names.margins, _terms(subject, dialect), strict=True))
    ]
    inner = f"SELECT mr_ml_t.*,\n  {_lines(margins)}\nFROM {table} AS mr_ml_t"
    values = values_of(subject.formula.response, names.margins, dialect)
    if not subject.labels:
        outer = f"SELECT mr_ml_m.*,\n  {values[0]} AS {names.predicted}\nFROM (\n{inner}\n) AS mr_ml_m"
    else:
        columns = [f"{value} AS {name}" for value, name in zip(values, names.values, strict=True)]
        middle = f"SELECT mr_ml_m.*,\n  {_lines(columns)}\nFROM (\n{inner}\n) AS mr_ml_m"
        label = _label(names.values, list(map(dialect.text, subject.labels)), dialect)
        outer = f"SELECT mr_ml_v.*,\n  {label} AS {names.predicted}\nFROM (\n{middle}\n) AS mr_ml_v"
    return f"-- {subject.made}\n{outer}\n".encode()


class _Names:
    """What the columns are called that the result has beside those of the table, in quotes."""

    def __init__(self, subject: Subject, dialect: Dialect) -> None:
        inputs, n_margins = subject.inputs, len(subject.formula.intercepts)
        text_columns = inputs.text.get("columns", [])
        needed = [*subject.reads] + ([inputs.offset] if inputs.offset else [])
        folded: dict[str, str] = {}
        for name in needed:
            if dialect.folds_names and (other := folded.setdefault(name.lower(), name)) != name:
                raise UsageError(
                    f"columns {ascii(other)[:60]} and {ascii(name)[:60]} have one name in SQL, where case does not "
                    "count; rename one before packing"
                )
        taken = {name.lower() for name in (*needed, *text_columns)}

        def free(name: str) -> str:
            while name.lower() in taken:
                name += "_"
            taken.add(name.lower())
            return dialect.name(name)

        word = subject.value_word
        by_class = [f"margin_{label}" for label in subject.labels]
        self.margins = [free(name) for name in (by_class if n_margins > 1 else ["margin"])]
        self.values = [free(f"{word}_{label}") for label in subject.labels]
        self.predicted = free("predicted")


def _terms(subject: Subject, dialect: Dialect) -> Iterable[list[str]]:
    """Yield the terms of each margin, the intercept aside."""
    offset = subject.inputs.offset
    for k in range(len(subject.formula.intercepts)):
        adder = SqlTerms(subject, dialect, k)
        terms = [term.added_by(adder) for term in subject.terms]
        yield terms if offset is None else [*terms, adder.offset(offset)]


def _label(values: Sequence[str], labels: Sequence[str], dialect: Dialect) -> str:
    """Return the label of the largest value; of several the first."""
    cases = [
        f"WHEN {values[k]} >= {dialect.greatest(values[k + 1 :])} THEN {labels[k]}" for k in range(len(values) - 1)
    ]
    return f"CASE {' '.join(cases)} WHEN {values[-1]} IS NOT NULL THEN {labels[-1]} END"


def _sum(terms: Sequence[str]) -> str:
    """Return a sum as a balanced tree: databases bound how deep expressions are."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return f"({_sum(terms[:half])} + {_sum(terms[half:])})"


def _lines(expressions: Sequence[str]) -> str:
    return ",\n  ".join(expressions)


EXPORT: Export = SqlExport()
