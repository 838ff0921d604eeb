"""What columns add to a margin, in SQL: an expression for each term. What refuses a row is NULL."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mr_ml.exports.base import Floats, Subject
from mr_ml.exports.sql_calendar import part_of
from mr_ml.exports.sql_dialects import LARGEST, Dialect
from mr_ml.readers.terms import Calendar, Category, Chosen, Combination, Days, Interval, Measured, Moment, Number
from mr_ml.readers.transforms.alone import without_fraction

# From what a row adds by each code, of no value, and of another text, to an expression. Of numbers, from what one adds,
# in which "{x}" stands for it, and no value.
Said = Callable[[Sequence[str]], str]

_NULL = "NULL"


class SqlTerms:
    """See `mr_ml.readers.terms.Words` and `Adder`: for one margin.

    Parameters
    ----------
    k
        The number of the margin.
    """

    def __init__(self, subject: Subject, dialect: Dialect, k: int) -> None:
        self._subject, self._dialect, self._k = subject, dialect, k

    def measured(self, term: Measured) -> str:
        """Return what a number adds."""
        weight, centre = float(self._subject.weights(term.feature)[self._k]), self._subject.centre(term.feature)
        value = "{x}" if centre == 0 else f"({{x}} - {self._dialect.number(centre)})"
        missing = np.nan if term.fill is None else weight * (term.fill - centre)
        return term.number.said_by(self)([f"{self._dialect.number(weight)} * {value}", self._literal(missing)])

    def chosen(self, term: Chosen) -> str:
        """Return what a code adds."""
        outcomes: Floats = self._subject.outcomes(term)[self._k]
        return term.code.said_by(self)(list(map(self._literal, outcomes.tolist())))

    def _literal(self, number: float) -> str:
        return _NULL if np.isnan(number) else self._dialect.number(number)

    def _column(self, name: str) -> str:
        return f"mr_ml_t.{self._dialect.name(name)}"

    @property
    def _no_numbers(self) -> tuple[str, ...]:
        """Texts that mean no value where a number is read."""
        return (*self._subject.inputs.missing_texts, *self._subject.inputs.missing_number_texts)

    def offset(self, name: str) -> str:
        """Return what a column of offsets adds."""
        return self.number(Number(column=name))(["{x}", _NULL])

    def number(self, said: Number) -> Said:
        """See `Words.number`."""
        column = self._column(said.column)
        x, is_missing = self._dialect.number_in(column, said, self._no_numbers)

        def expression(outcomes: Sequence[str]) -> str:
            value, missing = outcomes
            term = f"CASE WHEN {x} BETWEEN -{LARGEST} AND {LARGEST} THEN {value.replace('{x}', x)} END"
            return term if missing == _NULL else f"CASE WHEN {is_missing} THEN {missing} ELSE {term} END"

        return expression

    def interval(self, said: Interval) -> Said:
        """See `Words.interval`."""
        number = self.number(said.of)

        def expression(outcomes: Sequence[str]) -> str:
            *intervals, missing, _ = outcomes
            cases = [
                f"WHEN {{x}} >= {self._dialect.number(edge)} THEN {outcome}"
                for edge, outcome in zip(said.edges, intervals[1:], strict=True)
            ]
            value = f"CASE {' '.join(reversed(cases))} ELSE {intervals[0]} END" if cases else intervals[0]
            return number([value, missing])

        return expression

    def combination(self, said: Combination) -> Said:
        """See `Words.combination`."""
        codes = [
            self.interval(one)([*(str(k * stride) for k in range(size)), _NULL])
            for one, size, stride in zip(said.of, said.sizes, said.strides, strict=True)
        ]
        code = f"({' + '.join(f'({one})' for one in codes)})"

        def expression(outcomes: Sequence[str]) -> str:
            return self._dialect.choice(code, outcomes[:-2])

        return expression

    def category(self, said: Category) -> Said:
        """See `Words.category`."""
        dialect, column = self._dialect, self._column(said.column)
        plain, spellings = dialect.as_text(column), said.known
        if said.whole:
            # also 1.0, +1 and -0
            plain, spellings = dialect.whole(plain), tuple(map(without_fraction, spellings))
        # a missing text that is a category is a category
        known = set(spellings)
        missing_texts = [text for text in self._subject.inputs.missing_texts if text not in known]

        def expression(outcomes: Sequence[str]) -> str:
            *categories, missing, unseen = outcomes
            texts = [*zip(spellings, categories, strict=True), *((text, missing) for text in missing_texts)]
            if said.whole and "0" in known:
                texts.append(("-0", categories[spellings.index("0")]))
            if not texts:
                return f"CASE WHEN {column} IS NULL THEN {missing} ELSE {unseen} END"
            cases = " ".join(f"WHEN {dialect.text(text)} THEN {outcome}" for text, outcome in texts)
            return f"CASE WHEN {column} IS NULL THEN {missing} ELSE CASE {plain} {cases} ELSE {unseen} END END"

        return expression

    def calendar(self, said: Calendar) -> Said:
        """See `Words.calendar`."""

        def expression(outcomes: Sequence[str]) -> str:
            *parts, missing, _ = outcomes
            return self._of_moment(said.of, said.part, missing, lambda part: self._dialect.choice(part, parts))

        return expression

    def days(self, said: Days) -> Said:
        """See `Words.days`."""

        def expression(outcomes: Sequence[str]) -> str:
            value, missing = outcomes

            def of_part(part: str) -> str:
                x = self._dialect.as_number(part)
                if said.part == "days":
                    # seconds, those of whole days among them
                    x = f"(({x} - {self._dialect.number(said.since * 86_400.0)}) / 86400e0)"
                return value.replace("{x}", x)

            return self._of_moment(said.of, "seconds" if said.part == "days" else said.part, missing, of_part)

        return expression

    def _of_moment(self, moment: Moment, part: str, missing: str, made: Callable[[str], str]) -> str:
        column = self._column(moment.column)
        if moment.in_second is None:
            text = self._dialect.as_text(column)
            absent = self._dialect.is_one_of(column, text, self._subject.inputs.missing_texts)
        else:
            x, absent = self._dialect.number_in(column, Number(column=moment.column), self._no_numbers)
            text = x
        found = part_of(moment, text, part, self._dialect, made)
        return f"CASE WHEN {absent} THEN {missing} ELSE {found} END"
