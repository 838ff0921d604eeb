"""What columns are in PMML: how their fields treat what is missing or invalid, and the fields that are made of them.

A column that one term reads needs no field but its own: PMML replaces what is missing. Where several terms read a
column of numbers, each with its own way, fields are derived of it: numbers with something in the place of what is
missing, and codes as whole numbers, of which that of no value is the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError
from mr_ml.exports import calendar
from mr_ml.exports.base import Floats, Subject
from mr_ml.readers.rows import listed
from mr_ml.readers.terms import (
    NOTHING,
    REFUSED,
    Calendar,
    Category,
    Chosen,
    Combination,
    Days,
    Interval,
    Measured,
    Moment,
    Number,
)  # fmt: skip

_RETURN, _AS_IS = "returnInvalid", "asIs"


@dataclass(frozen=True, eq=False)
class Numeric:
    """A predictor: a field, and what it is multiplied by, (n_margins,)."""

    field: str
    weights: Floats


@dataclass(frozen=True, eq=False)
class Categorical:
    """Predictors: a field, its values, and what each adds, (n_margins, n_values)."""

    field: str
    values: Sequence[str]
    weights: Floats


class PmmlTerms:
    """See `mr_ml.readers.terms.Adder`, and `Words`, which return the name of a field.

    Parameters
    ----------
    free
        From a name to one that no field has.

    Attributes
    ----------
    columns
        Names of columns, and whether they hold numbers.
    categories
        Of columns of texts.
    bounds
        The least number of a column, and what is more than the largest, where there are such.
    derived
        The fields that are made, in an order in which each needs those before it only.
    numeric, categorical
        The predictors.

    Raises
    ------
    UsageError
        If there are no words for something.
    """

    def __init__(self, subject: Subject, free: Callable[[str], str]) -> None:
        self._subject, self._free = subject, free
        self._made: dict[object, str] = {}
        self._missing: dict[str, dict[str, str]] = {}
        self._invalid: dict[str, str] = {}
        self.columns = subject.only_one_type("pmml")
        self._n_readers = dict.fromkeys(self.columns, 0)
        for term in subject.terms:
            for name in term.reads:
                self._n_readers[name] += 1
        self.categories: dict[str, tuple[str, ...]] = {}
        self.bounds: dict[str, tuple[float, float]] = {}
        self.derived: list[Element] = []
        self.numeric: list[Numeric] = []
        self.categorical: list[Categorical] = []
        for term in subject.terms:
            term.added_by(self)

    def treatment(self, column: str) -> dict[str, str]:
        """Return what is said of values of a column that are missing or invalid."""
        missing = self._missing.get(column, {"missingValueTreatment": _AS_IS})
        return {"invalidValueTreatment": self._invalid.get(column, _RETURN), **missing}

    def measured(self, term: Measured) -> None:
        """Add a predictor for a number."""
        centre, name = self._subject.centre(term.feature), term.number.said_by(self)
        if term.fill is None:
            self._refuse_missing(term.reads)
        elif self._n_readers.get(name) == 1:
            self._replace_missing(name, repr(term.fill))
        else:
            (column,) = term.reads
            name = self._derive(f"{name} filled", _where_missing(column, _constant(term.fill), name))
        if centre:
            name = self._derive(f"{name} centred", _apply("-", _ref(name), _constant(centre)))
        self.numeric.append(Numeric(name, self._subject.weights(term.feature)))

    def chosen(self, term: Chosen) -> None:
        """Add predictors for codes."""
        name, outcomes = term.code.said_by(self), self._subject.outcomes(term)
        if REFUSED in term.features[:-1]:
            self._refuse_missing(term.reads)
        if name not in self.categories:
            weights = np.nan_to_num(outcomes[:, :-1])
            kept = np.flatnonzero(weights.any(axis=0)).tolist()
            self.categorical.append(Categorical(name, list(map(str, kept)), weights[:, kept]))
            return
        known = self.categories[name]
        # a category that matches nothing adds nothing
        self._invalid[name] = _RETURN if term.unseen == REFUSED else _AS_IS
        if term.missing not in (NOTHING, REFUSED):
            self._replace_missing(name, known[term.features.index(term.missing)])
        self.categorical.append(Categorical(name, known, outcomes[:, :-2]))

    def _refuse_missing(self, columns: Sequence[str] | dict[str, bool]) -> None:
        self._missing.update({name: {"missingValueTreatment": _RETURN} for name in columns})

    def _replace_missing(self, column: str, value: str) -> None:
        self._missing[column] = {"missingValueReplacement": value, "missingValueTreatment": "asValue"}

    def _derive(self, name: str, expression: Element, *, code: bool = False) -> str:
        kind = (
            {"optype": "categorical", "dataType": "integer"} if code else {"optype": "continuous", "dataType": "double"}
        )
        field = Element("DerivedField", {"name": self._free(name), **kind})
        field.append(expression)
        self.derived.append(field)
        return str(field.get("name"))

    def number(self, said: Number) -> str:
        """See `Words.number`."""
        return said.column

    def category(self, said: Category) -> str:
        """See `Words.category`."""
        if self._n_readers[said.column] > 1:
            raise UsageError(
                f"expected columns of texts of which one thing is made, found another one: {listed([said.column])}; "
                "export as json, python or sql"
            )
        self.categories[said.column] = said.known
        return said.column

    def interval(self, said: Interval) -> str:
        """See `Words.interval`."""
        if said not in self._made:
            column = said.of.said_by(self)
            self._made[said] = self._derive(f"{column} interval", _discretized(column, said), code=True)
        return self._made[said]

    def combination(self, said: Combination) -> str:
        """See `Words.combination`."""
        parts = [
            _apply("*", _ref(one.said_by(self)), _constant(stride))
            for one, stride in zip(said.of, said.strides, strict=True)
        ]
        total = parts[0]
        for part in parts[1:]:
            total = _apply("+", total, part)
        return self._derive("*".join(said.reads), total, code=True)

    def calendar(self, said: Calendar) -> str:
        """See `Words.calendar`."""
        part = self._part(said.of, said.part)
        code = _where_missing(said.of.column, _constant(said.n), part)
        return self._derive(f"{said.of.column} {said.part}", code, code=True)

    def days(self, said: Days) -> str:
        """See `Words.days`: of any moment where there is none."""
        if said.part != "days":
            return self._part(said.of, said.part)
        seconds = _apply("-", _ref(self._seconds(said.of)), _constant(float(said.since * calendar.DAY)))
        return self._derive(f"{said.of.column} days", _apply("/", seconds, _constant(float(calendar.DAY))))

    def _part(self, moment: Moment, part: str) -> str:
        return calendar.part_of(self.do("-", self._seconds(moment), calendar.FIRST), part, self)

    def _seconds(self, moment: Moment) -> str:
        """Return seconds since 1970."""
        if moment.in_second is None:
            raise UsageError(
                f"expected columns that the export pmml can say, found dates that are texts: {moment.column!a}; export "
                "as json, python or sql, or pack them as seconds since 1970, `format: unix`"
            )
        if moment not in self._made:
            in_second = float(moment.in_second)
            self.bounds[moment.column] = calendar.FIRST * in_second, calendar.LAST * in_second
            # days and what is left of them: evaluators make integers of 32 bits of what they round
            known = self._derive(f"{moment.column} or 0", _where_missing(moment.column, _constant(0.0), moment.column))
            in_day = in_second * calendar.DAY
            days = self._derive(f"{moment.column} day", _apply("floor", _apply("/", _ref(known), _constant(in_day))))
            left = _apply("-", _ref(known), _apply("*", _ref(days), _constant(in_day)))
            of_day = _apply("floor", _apply("/", left, _constant(in_second)))
            seconds = _apply("+", _apply("*", _ref(days), _constant(float(calendar.DAY))), of_day)
            self._made[moment] = self._derive(f"{moment.column} seconds", seconds)
        return self._made[moment]

    def do(self, operation: str, a: str, b: str | int) -> str:
        """See `mr_ml.exports.calendar.Arithmetic`: in doubles, which hold all of these."""

        def other() -> Element:
            return _constant(float(b)) if isinstance(b, int) else _ref(b)

        key = operation, a, b
        if key not in self._made:
            if operation in "/%":
                expression = _apply("floor", _apply("/", _ref(a), other()))
                if operation == "%":
                    expression = _apply("-", _ref(a), _apply("*", expression, other()))
            else:
                expression = _apply(operation, _ref(a), other())
            self._made[key] = self._derive(f"mr_ml {len(self.derived)}", expression)
        return self._made[key]

    def reaches(self, a: str, b: int) -> str:
        """See `mr_ml.exports.calendar.Arithmetic`."""
        reached = _apply("greaterOrEqual", _ref(a), _constant(float(b)))
        return self._derive(f"mr_ml {len(self.derived)}", _apply("if", reached, _constant(1.0), _constant(0.0)))


def _discretized(column: str, said: Interval) -> Element:
    if not said.edges:
        return _apply("if", _apply("isMissing", _ref(column)), _constant(1), _constant(0))
    found = Element("Discretize", {"field": column, "dataType": "integer", "mapMissingTo": str(said.n)})
    bounds = [None, *map(repr, said.edges), None]
    for k in range(said.n):
        left, right = bounds[k], bounds[k + 1]
        ends = {
            **({} if left is None else {"leftMargin": left}), **({} if right is None else {"rightMargin": right}),
        }  # fmt: skip
        bin_ = SubElement(found, "DiscretizeBin", {"binValue": str(k)})
        SubElement(bin_, "Interval", {"closure": "openOpen" if left is None else "closedOpen", **ends})
    return found


def _apply(function: str, *arguments: Element) -> Element:
    found = Element("Apply", {"function": function})
    found.extend(arguments)
    return found


def _where_missing(column: str, instead: Element, name: str) -> Element:
    """Return a field, but where a column has no value something else: functions may not take what is missing."""
    return _apply("if", _apply("isMissing", _ref(column)), instead, _ref(name))


def _ref(field: str) -> Element:
    return Element("FieldRef", {"field": field})


def _constant(value: float) -> Element:
    found = Element("Constant", {"dataType": "integer" if isinstance(value, int) else "double"})
    found.text = repr(value)
    return found
