"""How SQL is written for one database or another: names, texts, numbers, and the functions that differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

LARGEST = "1.7976931348623157e308"


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


class DuckDB(Dialect):
    """DuckDB."""

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


class Spark(Dialect):
    """Spark SQL, and what reads it, such as Databricks."""

    text_type = "STRING"

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
