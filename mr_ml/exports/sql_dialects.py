"""How SQL is written for one database or another: names, texts, numbers, and the functions that differ."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence

from mr_ml.exports import calendar
from mr_ml.readers.terms import Number
from mr_ml.readers.transforms.alone import ALIKE, written

LARGEST = "1.7976931348623157e308"
#: In a pattern: one digit, and one or more.
DIGIT, DIGITS = "[0-9]", "[0-9]+"


class Dialect(ABC):
    """What differs."""

    text_type = "VARCHAR"
    number_type = "DOUBLE"
    infinity = "CAST('Infinity' AS DOUBLE)"
    #: Of the continued fraction of the normal distribution's tail, beyond 5.7 deviations: right to 13 digits.
    fraction_terms = 14
    #: Whether names that differ in upper and lower case only are one.
    folds_names = True

    def name(self, name: str) -> str:
        """Return a name in quotes."""
        return '"' + name.replace('"', '""') + '"'

    def text(self, text: str) -> str:
        """Return a literal."""
        return "'" + text.replace("'", "''") + "'"

    def number(self, number: float) -> str:
        """Return a literal of a double, of which no digit is lost."""
        # without an exponent it would be a decimal
        text = repr(number)
        literal = text if "e" in text else f"{text}e0"
        return f"({literal})" if literal.startswith("-") else literal

    def as_number(self, column: str) -> str:
        """Return a column as a double."""
        return f"CAST({column} AS {self.number_type})"

    def is_missing(self, column: str) -> str:
        """Return whether a column of numbers has no value."""
        return f"({column} IS NULL OR isnan({self.as_number(column)}))"

    def number_in(self, column: str, said: Number, missing: Sequence[str]) -> tuple[str, str]:
        """Return a column as a double, and whether it has no value.

        Parameters
        ----------
        missing
            Texts that mean that there is none, for those that read numbers that are written otherwise.
        """
        return self.as_number(column), self.is_missing(column)

    def is_one_of(self, column: str, text: str, texts: Sequence[str]) -> str:
        """Return whether a column is NULL, or its text one of some texts."""
        return f"({column} IS NULL OR {text} IN ({', '.join(map(self.text, texts))}))"

    def choice(self, code: str, outcomes: Sequence[str]) -> str:
        """Return the outcome at a code, which counts from 0; NULL where that is NULL."""
        return f"CASE {code} {' '.join(f'WHEN {k} THEN {one}' for k, one in enumerate(outcomes))} END"

    @abstractmethod
    def matches(self, text: str, pattern: Sequence[str]) -> str:
        """Return whether a text consists of these characters, `DIGIT` and `DIGITS` among them."""

    @abstractmethod
    def div(self, a: str, b: str) -> str:
        """Return a whole number that is not negative divided by another one, without the rest."""

    def do(self, operation: str, a: str, b: str | int) -> str:
        """See `mr_ml.exports.calendar.Arithmetic`."""
        return self.div(a, str(b)) if operation == "/" else f"({a} {operation} {b})"

    def reaches(self, a: str, b: int) -> str:
        """See `mr_ml.exports.calendar.Arithmetic`."""
        return f"(CASE WHEN {a} >= {b} THEN 1 ELSE 0 END)"

    def part(self, seconds: str, part: str) -> str:
        """Return a part of a moment; see `mr_ml.exports.calendar.part_of`."""
        return calendar.part_of(seconds, part, self)

    @abstractmethod
    def whole_number(self, text: str) -> str:
        """Return a text of digits as a whole number."""

    def long(self, number: int) -> str:
        """Return a literal of 64 bits."""
        return f"CAST({number} AS BIGINT)"

    def as_text(self, column: str) -> str:
        """Return a column as text without blanks around it."""
        return self.trimmed(f"CAST({column} AS {self.text_type})")

    @abstractmethod
    def trimmed(self, text: str) -> str:
        """Return a text without blanks and tabs around it."""

    @abstractmethod
    def whole(self, text: str) -> str:
        """Return the text of a whole number without a plus sign, and without a dot that nothing but zeros follow."""

    def greatest(self, values: Sequence[str]) -> str:
        """Return the largest of some numbers."""
        return values[0] if len(values) == 1 else f"GREATEST({', '.join(values)})"


class _WithPatterns(Dialect):
    """What has regular expressions, casts that may fail, and a type for each column, which is known before it runs."""

    text_type_name = "VARCHAR"

    @abstractmethod
    def fits(self, text: str, expression: str) -> str:
        """Return whether a regular expression describes the whole text."""

    def number_in(self, column: str, said: Number, missing: Sequence[str]) -> tuple[str, str]:
        """See `Dialect.number_in`: where a column of numbers that are written otherwise holds text, that is read."""
        if said == Number(column=said.column):
            return super().number_in(column, said, missing)
        text = self.as_text(column)
        is_text, number = f"typeof({column}) = {self.text(self.text_type_name)}", self.tried(column, self.number_type)
        given = text
        for other in ALIKE.get(said.thousands, ()):
            given = f"replace({given}, {self.text(other)}, {self.text(said.thousands)})"
        digits = f"replace({given}, {self.text(said.thousands)}, '')" if said.thousands else given
        if said.decimal != ".":
            digits = f"replace({digits}, {self.text(said.decimal)}, '.')"
        if said.percent:
            digits = f"regexp_replace({digits}, ' ?%$', 'e-2')"
        is_number = self.fits(given, written(said.decimal, said.thousands, percent=said.percent))
        read = f"CASE WHEN {is_number} THEN {self.tried(digits, self.number_type)} END"
        return (
            f"(CASE WHEN {is_text} THEN {read} ELSE {number} END)",
            f"({column} IS NULL OR CASE WHEN {is_text} THEN {text} IN ({', '.join(map(self.text, missing))}) "
            f"ELSE isnan({number}) END)",
        )

    def matches(self, text: str, pattern: Sequence[str]) -> str:
        """See `Dialect.matches`."""
        tokens = (one if one in (DIGIT, DIGITS) else re.escape(one) for one in pattern)
        return self.fits(text, "".join(tokens))

    def whole_number(self, text: str) -> str:
        """See `Dialect.whole_number`."""
        return self.tried(text, "INTEGER")

    def tried(self, value: str, kind: str) -> str:
        """Return a value as another type, NULL where it is none."""
        return f"TRY_CAST({value} AS {kind})"


class DuckDB(_WithPatterns):
    """DuckDB."""

    def fits(self, text: str, expression: str) -> str:
        """Return whether a regular expression describes the whole text."""
        return f"regexp_full_match({text}, {self.text(expression)})"

    def div(self, a: str, b: str) -> str:
        """See `Dialect.div`."""
        return f"({a} // {b})"

    def trimmed(self, text: str) -> str:
        """Return a text without blanks and tabs around it."""
        return f"trim({text}, ' ' || chr(9))"

    def whole(self, text: str) -> str:
        """Return the text of a whole number without a plus sign, and without a dot that nothing but zeros follow."""
        return f"regexp_replace(regexp_replace({text}, '^[+]', ''), '^(-?[0-9]+)[.]0*$', '\\1')"


class SQLite(Dialect):
    """SQLite with its functions of mathematics. A column of numbers that holds text has no value."""

    text_type = "TEXT"
    number_type = "REAL"
    infinity = "9e999"
    # its parser takes no deeper expressions: right to 7 digits, which are below 1e-15
    fraction_terms = 6

    def as_number(self, column: str) -> str:
        """Return a column as a double."""
        # a cast makes 0 of what is no number
        return f"(CASE WHEN typeof({column}) IN ('integer', 'real') THEN CAST({column} AS REAL) END)"

    def is_missing(self, column: str) -> str:
        """Return whether a column of numbers has no value."""
        return f"({column} IS NULL)"

    def trimmed(self, text: str) -> str:
        """Return a text without blanks and tabs around it."""
        return f"trim({text}, ' ' || char(9))"

    def whole(self, text: str) -> str:
        """Return the text of a whole number without a plus sign, and without a dot that nothing but zeros follow."""
        bare = f"(CASE WHEN {text} LIKE '+%' THEN substr({text}, 2) ELSE {text} END)"
        is_decimal = f"{bare} LIKE '_%.%' AND {bare} NOT LIKE '%.%.%'"
        return f"(CASE WHEN {is_decimal} THEN rtrim(rtrim({bare}, '0'), '.') ELSE {bare} END)"

    def greatest(self, values: Sequence[str]) -> str:
        """Return the largest of some numbers."""
        return values[0] if len(values) == 1 else f"max({', '.join(values)})"

    def div(self, a: str, b: str) -> str:
        """See `Dialect.div`."""
        return f"({a} / {b})"

    def whole_number(self, text: str) -> str:
        """See `Dialect.whole_number`."""
        return f"CAST({text} AS INTEGER)"

    def matches(self, text: str, pattern: Sequence[str]) -> str:
        """See `Dialect.matches`: GLOB has no repetitions."""
        if DIGITS not in pattern:
            return f"{text} GLOB {self._glob(pattern)}"
        k = list(pattern).index(DIGITS)
        end = len(pattern) - k - 1
        inside = f"substr({text}, {k + 1}, length({text}) - {k + end})"
        parts = [f"length({text}) > {k + end}", f"{inside} NOT GLOB '*[^0-9]*'"]
        parts.append(f"substr({text}, 1, {k}) GLOB {self._glob(pattern[:k])}")
        if end:
            parts.append(f"substr({text}, -{end}) = {self.text(''.join(pattern[k + 1 :]))}")
        return f"({' AND '.join(parts)})"

    def _glob(self, pattern: Sequence[str]) -> str:
        return self.text("".join(f"[{one}]" if one in "*?[" else one for one in pattern))


class Spark(_WithPatterns):
    """Spark SQL, and what reads it, such as Databricks."""

    text_type = "STRING"
    text_type_name = "string"

    def fits(self, text: str, expression: str) -> str:
        """Return whether a regular expression describes the whole text."""
        return f"({text} RLIKE {self.text(f'^(?:{expression})' + chr(92) + 'z')})"

    def choice(self, code: str, outcomes: Sequence[str]) -> str:
        """See `Dialect.choice`: a CASE would write the code once more for each outcome before it runs."""
        return f"array({', '.join(outcomes)})[{code}]"

    def part(self, seconds: str, part: str) -> str:
        """See `Dialect.part`: by functions of dates, since it writes an expression anew wherever it is used."""
        if part == "hour":
            return super().part(seconds, part)
        date = f"date_add(DATE '0001-01-01', CAST({self.div(seconds, str(calendar.DAY))} AS INT))"
        return f"{part}({date})" if part in ("weekday", "year") else f"({part}({date}) - 1)"

    def div(self, a: str, b: str) -> str:
        """See `Dialect.div`."""
        return f"({a} div {b})"

    def name(self, name: str) -> str:
        """Return a name in quotes."""
        return "`" + name.replace("`", "``") + "`"

    def text(self, text: str) -> str:
        """Return a literal."""
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def trimmed(self, text: str) -> str:
        """Return a text without blanks and tabs around it."""
        return f"TRIM(BOTH ' \\t' FROM {text})"

    def whole(self, text: str) -> str:
        """Return the text of a whole number without a plus sign, and without a dot that nothing but zeros follow."""
        return f"regexp_replace(regexp_replace({text}, '^[+]', ''), '^(-?[0-9]+)[.]0*$', '$1')"


DIALECTS: dict[str, Dialect] = {"duckdb": DuckDB(), "sqlite": SQLite(), "spark": Spark()}
