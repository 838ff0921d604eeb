"""Parts of moments in SQL, in whole numbers, since the functions of databases for dates are all different.

days from year, month and day: the Gregorian calendar also before it was there, years from 1 to 9999
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence

from mr_ml.exports.calendar import BEFORE, DAY, FIRST, LAST, MARCH
from mr_ml.exports.sql_dialects import DIGIT, DIGITS, Dialect
from mr_ml.readers.terms import Moment

_WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}


def part_of(moment: Moment, column: str, part: str, dialect: Dialect, made: Callable[[str], str]) -> str:
    """Return what is made of a part of a moment: NULL where there is none.

    Parameters
    ----------
    column
        An expression of the text without blanks around it, or of the number.
    part
        One of `mr_ml.readers.terms.PARTS`, "year", or "seconds" since 1970.
    made
        From an expression of the part, a whole number or NULL, to what is made of it.
    """
    if moment.in_second is not None:
        return made(_of_number(column, moment.in_second, part, dialect))
    cases = []
    # the first format that fits counts; neighbours of one layout are one case
    for places, formats in itertools.groupby(map(_tokens, moment.formats), key=lambda one: one[1]):
        matches = [dialect.matches(column, tokens) for tokens, _ in formats]
        cases.append(_case(column, dict(places), matches, part, dialect))
    return made(f"(CASE {' '.join(cases)} END)")


def _tokens(written: str) -> tuple[list[str], tuple[tuple[str, int], ...]]:
    """Return the characters of a format, `DIGIT` and `DIGITS` among them, and where its parts begin, from 1."""
    tokens: list[str] = []
    places = []
    for one in re.findall(r"%.|[^%]", written, re.DOTALL):
        if one[0] != "%" or one == "%%":
            tokens.append(one[-1])
        elif one == "%f":
            tokens.append(DIGITS)
        else:
            places.append((one[1], len(tokens) + 1))
            tokens += [DIGIT] * _WIDTHS[one[1]]
    return tokens, tuple(places)


def _case(text: str, places: dict[str, int], matches: Sequence[str], part: str, dialect: Dialect) -> str:
    def number(letter: str) -> str:
        if letter not in places:
            return "0"
        return dialect.whole_number(f"substr({text}, {places[letter]}, {_WIDTHS[letter]})")

    year, month, day, hour, minute, second = (number(letter) for letter in "YmdHMS")
    is_leap = f"{year} % 4 = 0 AND ({year} % 100 <> 0 OR {year} % 400 = 0)"
    of_february = f"CASE WHEN {is_leap} THEN 29 ELSE 28 END"
    last = f"CASE WHEN {month} IN (4, 6, 9, 11) THEN 30 WHEN {month} = 2 THEN {of_february} ELSE 31 END"
    bounds = [f"{year} >= 1", f"{month} BETWEEN 1 AND 12", f"{day} BETWEEN 1 AND {last}"]
    for letter, bound in (("H", 24), ("M", 60), ("S", 60)):
        if letter in places:
            bounds.append(f"{number(letter)} < {bound}")

    def days() -> str:
        # years begin in March
        past = f"(CASE WHEN {month} <= 2 THEN 1 ELSE 0 END)"
        years = f"({year} - {past})"
        months = f"({month} + 12 * {past} - 3)"
        leaps = f"{dialect.div(years, '4')} - {dialect.div(years, '100')} + {dialect.div(years, '400')}"
        return f"({day} - 1 + {dialect.div(f'(153 * {months} + 2)', '5')} + 365 * {years} + {leaps} - {MARCH})"

    found = {
        "year": lambda: year,
        "month": lambda: f"({month} - 1)",
        "quarter": lambda: dialect.div(f"({month} - 1)", "3"),
        "day": lambda: f"({day} - 1)",
        "hour": lambda: hour,
        "weekday": lambda: f"({days()} % 7)",
        "seconds": lambda: f"(({days()} - {BEFORE}) * {dialect.long(DAY)} + {hour} * 3600 + {minute} * 60 + {second})",
    }[part]()
    return f"WHEN ({' OR '.join(matches)}) AND {' AND '.join(bounds)} THEN {found}"


def _of_number(x: str, in_second: int, part: str, dialect: Dialect) -> str:
    exact = f"{x} / {dialect.number(float(in_second))}"
    seconds = f"CAST(floor({exact}) AS BIGINT)"
    if part != "seconds":
        seconds = dialect.part(f"({seconds} + {dialect.long(-FIRST)})", part)
    first, last = dialect.number(float(FIRST)), dialect.number(float(LAST))
    # before it is rounded, for which some databases have whole numbers only
    return f"(CASE WHEN {exact} >= {first} AND {exact} < {last} THEN {seconds} END)"
