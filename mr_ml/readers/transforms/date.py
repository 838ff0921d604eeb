"""A date, or a moment, as parts of the calendar and as a number of days."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.readers import terms
from mr_ml.readers.inputs import Unseen
from mr_ml.readers.transforms.base import I64, MISSING, U8, Bad, Cells, Entries, Mask, Reading, Spelling, Transform

Part = Literal["weekday", "day", "month", "quarter", "hour", "year", "days"]

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CATEGORIES: dict[str, tuple[str, ...]] = {
    "weekday": _WEEKDAYS,
    "day": tuple(map(str, range(1, 32))),
    "month": tuple(map(str, range(1, 13))),
    "quarter": tuple(map(str, range(1, 5))),
    "hour": tuple(map(str, range(24))),
}
_WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
_TOKEN = re.compile(r"%(.)|([^%])", re.DOTALL)
_TIMES = ("", "T%H:%M", " %H:%M", "T%H:%M:%S", " %H:%M:%S", "T%H:%M:%S.%f", " %H:%M:%S.%f")
_NAMED: dict[str, tuple[str, ...]] = {
    "iso": tuple(f"%Y-%m-%d{time}{zone}" for time in _TIMES for zone in ("", "Z") if time or not zone)
}
#: Numbers: how many there are in a second, since the first of January 1970.
_EPOCHS = {"unix": 1, "unix-ms": 1000}
_DAY = 86_400
# of the years that have four digits
_FIRST, _LAST = -719_162 * _DAY, 2_932_897 * _DAY


@dataclass(frozen=True, kw_only=True)
class Date(Transform):
    """Features such as `when.weekday=Mon`, `when.month=3`, `when.hour=17`, one of each part for a row, and `when.days`.

    Attributes
    ----------
    parts
        "weekday", "day" (of the month), "month", "quarter" and "hour" are categories; "year", and "days" since `since`,
        with fractions, are numbers.
    format
        "iso", as 2026-11-26 or 2026-11-26T17:30:00Z; "unix" or "unix-ms", seconds or thousandths since 1970; or made of
        %Y, %m, %d, %H, %M, %S, %f and other characters; or a list, of which the first that fits is taken.
    since
        A day, as 2020-01-01, from which "days" count.
    missing
        What a missing value is: "category", a feature of its own, `when=<missing>`; "none", all zeros; or "error" or
        "drop".
    """

    kind: ClassVar[str] = "date"
    written: ClassVar[str] = "date"

    column: str
    parts: tuple[Part, ...]
    format: str | tuple[str, ...] = "iso"
    since: str = "1970-01-01"
    missing: Literal["error", "drop", "category", "none"] = "error"

    def check_stored(self) -> None:
        """See `Transform.check_stored`."""
        if not self.parts or len(set(self.parts)) < len(self.parts):
            raise ValueError("`parts`: expected each part once, one at least, found others")
        for written in self._formats:
            tuple(_tokens(written))
        if not self._formats or (len(self._formats) > 1 and set(self._formats) & _EPOCHS.keys()):
            raise ValueError("`format`: expected one format, or a list of such as are no numbers, found another list")
        try:
            datetime.date.fromisoformat(self.since)
        except ValueError:
            raise ValueError(f"`since`: expected a day such as '2020-01-01', found {self.since!a}") from None

    @property
    def _formats(self) -> tuple[str, ...]:
        given = (self.format,) if isinstance(self.format, str) else self.format
        return tuple(one for name in given for one in _NAMED.get(name, (name,)))

    def told(self, *, first: int, unseen: Unseen) -> tuple[terms.Term, ...]:
        """See `Transform.told`."""
        unit = _EPOCHS.get(str(self.format))
        when = terms.Moment(column=self.column, formats=self._formats if unit is None else (), in_second=unit)
        since = (datetime.date.fromisoformat(self.since) - datetime.date(1970, 1, 1)).days
        missing = terms.of_missing(self.missing, terms.NOTHING)
        found: list[terms.Term] = []
        for part, at, n in self._places():
            if n > 1:
                found.append(terms.chosen(terms.Calendar(of=when, part=part), first + at, missing=missing))
            else:
                number = terms.Days(of=when, part=part, since=since)
                fill = None if missing == terms.REFUSED else 0.0
                found.append(terms.Measured(number=number, feature=first + at, fill=fill))
        if self.missing == "category":
            any_moment = terms.Calendar(of=when, part="quarter")
            own = first + self.n_features - 1
            found.append(terms.Chosen(code=any_moment, features=(*[terms.NOTHING] * any_moment.n, own, terms.NOTHING)))
        return tuple(found)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `Transform.columns`."""
        return (self.column,)

    def read(self, cells: Cells) -> Reading:
        """See `Transform.read`: seconds since 1970."""
        if self.format in _EPOCHS:
            values, ok, missing = cells.numbers(self.column, Spelling())
            # a whole number of them in a second: nothing is rounded that a double holds
            seconds = np.floor(np.where(ok, values, 0.0) / _EPOCHS[str(self.format)])
            known = ok & (seconds >= _FIRST) & (seconds < _LAST)
            content = np.where(known, seconds, 0.0).astype(np.int64)
        else:
            missing = cells.missing(self.column)
            content, known = _seconds(*cells.texts(self.column), self._formats)
        counts = np.where(missing, self.missing == "category", len(self.parts)).astype(np.int64)
        return Reading(content, missing, (Bad("bad_date", self.column, ~known & ~missing),), counts)

    @property
    def n_features(self) -> int:
        """See `Transform.n_features`."""
        return len(self.names())

    def names(self) -> list[str]:
        """See `Transform.names`."""
        names = []
        for part in self.parts:
            name = f"{self.column}.{part}"
            names += [f"{name}={value}" for value in _CATEGORIES[part]] if part in _CATEGORIES else [name]
        return [*names, f"{self.column}={MISSING}"] if self.missing == "category" else names

    def categories(self) -> dict[str, range]:
        """See `Transform.categories`: where a missing value is all zeros too."""
        return {f"{self.column}.{part}": range(first, first + n) for part, first, n in self._places() if n > 1}

    def _places(self) -> Iterator[tuple[Part, int, int]]:
        """Yield each part, its first feature, and how many it has."""
        first = 0
        for part in self.parts:
            n = len(_CATEGORIES.get(part, ("",)))
            yield part, first, n
            first += n

    def entries(self, reading: Reading) -> Entries:
        """See `Transform.entries`."""
        rows = np.flatnonzero(~reading.missing)
        seconds: I64 = reading.content[rows]
        days = seconds // _DAY
        dates = days.astype("datetime64[D]")
        months = dates.astype("datetime64[M]")
        month, year = months.astype(np.int64) % 12, months.astype("datetime64[Y]").astype(np.int64) + 1970
        since = (datetime.date.fromisoformat(self.since) - datetime.date(1970, 1, 1)).days
        found: dict[str, Any] = {
            "weekday": (days + 3) % 7,
            "day": (dates - months.astype("datetime64[D]")).astype(np.int64),
            "month": month,
            "quarter": month // 3,
            "hour": seconds % _DAY // 3600,
            "year": year,
            "days": (seconds - since * _DAY) / _DAY,
        }
        all_rows, ids, values = [], [], []
        for part, first, n in self._places():
            all_rows.append(rows)
            ids.append(first + found[part] if n > 1 else np.full(len(rows), first))
            values.append(np.ones(len(rows)) if n > 1 else found[part].astype(np.float64))
        if self.missing == "category":
            told = np.flatnonzero(reading.missing)
            all_rows.append(told)
            ids.append(np.full(len(told), self.n_features - 1))
            values.append(np.ones(len(told)))
        return Entries(np.concatenate(all_rows), np.concatenate(ids), np.concatenate(values))


def _tokens(written: str) -> Iterator[tuple[str, str]]:
    """Yield the directives, (letter, ''), and the bytes, ('', character), of a format.

    Raises
    ------
    ValueError
        It is none.
    """
    if written in _EPOCHS:
        return
    seen = set()
    for match in _TOKEN.finditer(written):
        letter = match[1]
        if letter is not None and letter != "%":
            if (letter not in _WIDTHS and letter != "f") or letter in seen:
                raise ValueError(
                    f"`format`: expected 'iso', 'unix', 'unix-ms', or each of %Y, %m, %d, %H, %M, %S and %f "
                    f"once at most, found {written!a}"
                )
            if "f" in seen:
                raise ValueError(f"`format`: expected nothing but other characters behind %f, found {written!a}")
            seen.add(letter)
            yield letter, ""
        else:
            yield "", match[2] or "%"
    whole = "".join(match[0] for match in _TOKEN.finditer(written)) == written
    if not whole or not {"Y", "m", "d"} <= seen:
        raise ValueError(
            f"`format`: expected %Y, %m and %d in it at least, or 'iso', 'unix' or 'unix-ms', found {written!a}"
        )


def _seconds(buffer: U8, starts: I64, ends: I64, formats: tuple[str, ...]) -> tuple[I64, Mask]:
    """Seconds since 1970 of fields, (n,), and which are moments in one of the formats."""
    seconds, known = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.bool_)
    for written in formats:
        left = np.flatnonzero(~known)
        if not len(left):
            break
        found, ok = _in_format(buffer, starts[left], ends[left], written)
        seconds[left[ok]], known[left] = found[ok], ok
    return seconds, known


def _in_format(buffer: U8, starts: I64, ends: I64, written: str) -> tuple[I64, Mask]:
    tokens = [
        (letter, byte)
        for letter, character in _tokens(written)
        for byte in (character.encode() if character else b"\0")
    ]
    behind = [letter for letter, _ in tokens].index("f") if any(letter == "f" for letter, _ in tokens) else len(tokens)
    width = sum(_WIDTHS.get(letter, 1) for letter, _ in tokens if letter != "f")
    lengths = ends - starts
    ok: Mask = lengths > width if behind < len(tokens) else lengths == width
    seconds = np.zeros(len(starts), np.int64)
    rows = np.flatnonzero(ok)
    at, good = starts[rows].copy(), np.ones(len(rows), np.bool_)
    parts: dict[str, I64] = {}
    for letter, byte in tokens[:behind]:
        if letter:
            parts[letter], is_digits = _digits(buffer, at, _WIDTHS[letter])
            good &= is_digits
            at += _WIDTHS[letter]
        else:
            good &= buffer[at] == byte
            at += 1
    if behind < len(tokens):
        rest = tokens[behind + 1 :]
        stop = ends[rows] - len(rest)
        for k, (_, byte) in enumerate(rest):
            good &= buffer[stop + k] == byte
        for k in range(int((stop - at).max(initial=0))):
            inside = at + k < stop
            digit = buffer[np.minimum(at + k, len(buffer) - 1)]
            good &= ~inside | ((digit >= ord("0")) & (digit <= ord("9")))
    year, month, day = (parts.get(letter, np.ones(len(rows), np.int64)) for letter in "Ymd")
    hour, minute, second = (parts.get(letter, np.zeros(len(rows), np.int64)) for letter in "HMS")
    good &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    months = ((year - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("datetime64[M]")
    first, behind_it = (of.astype("datetime64[D]").astype(np.int64) for of in (months, months + 1))
    good &= first + day <= behind_it
    seconds[rows] = (first + day - 1) * _DAY + hour * 3600 + minute * 60 + second
    ok[rows] = good
    return seconds, ok


def _digits(buffer: U8, at: I64, n: int) -> tuple[I64, Mask]:
    number, ok = np.zeros(len(at), np.int64), np.ones(len(at), np.bool_)
    for k in range(n):
        digit = buffer[at + k].astype(np.int64) - ord("0")
        ok &= (digit >= 0) & (digit <= 9)
        number = number * 10 + digit
    return number, ok
