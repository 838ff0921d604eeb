"""What is read in the fields of a row, and what transforms make of it, by the standard library alone.

It is the part of the stand-alone scorer (`mr_ml.exports.scorer`) that knows transforms: the export writes this file
into the scorer's own. Features are those of `Transform.entries`, to the last bit.
"""

from __future__ import annotations

import datetime
import hashlib
import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
#: What is read as a mark of thousands too.
ALIKE = {" ": ("\u00a0", "\u202f"), "'": ("\u2019",)}
_MOST_ZEROS = 32


class RowError(ValueError):
    """A row that mr_ml would refuse."""


# --- how numbers and categories are spelled ---------------------------------------------------------------------------


def written(decimal: str, thousands: str, *, percent: bool) -> str:
    """Return a regular expression of numbers: sign, whole part, fraction, fraction of no whole part, and the end."""
    mark, group = re.escape(decimal), re.escape(thousands)
    whole = f"[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|[0-9]+" if thousands else "[0-9]+"
    ending = "([eE][+-]?[0-9]+| ?%)?" if percent else "([eE][+-]?[0-9]+)?"
    return f"([+-]?)(?:({whole})(?:{mark}([0-9]*))?|{mark}([0-9]+)){ending}"


def spelling(text: Mapping[str, Any]) -> Any:
    """Return a function from a text to a text that `float` reads, or None of what is no number."""
    decimal, thousands, percent = text.get("decimal", "."), text.get("thousands", ""), text.get("percent", False)
    if (decimal, thousands, percent) == (".", "", False):
        return lambda given: given if _PLAIN.fullmatch(given) else None
    pattern = re.compile(written(decimal, thousands, percent=percent))

    def spelled(given: str) -> str | None:
        for other in ALIKE.get(thousands, ()):
            given = given.replace(other, thousands)
        found = pattern.fullmatch(given)
        if found is None:
            return None
        sign, front, fraction, alone, end = found.groups(default="")
        if thousands:
            front = front.replace(thousands, "")
        return f"{sign}{front or 0}.{fraction or alone or 0}{'e-2' if end.endswith('%') else end}"

    return spelled


def codes_of(categories: Sequence[str], *, whole: bool) -> dict[str, int]:
    """Return the positions of categories."""
    codes = {category: code for code, category in enumerate(categories)}
    if whole:
        for category, code in list(codes.items()):
            codes.setdefault(without_fraction(category), code)
    return codes


def without_fraction(text: str) -> str:
    """Return a whole number without a plus sign, and without a dot that nothing but zeros follow."""
    text = text[1:] if text.startswith("+") and len(text) > 1 else text
    front, dot, zeros = text.partition(".")
    if dot and front and not zeros.strip("0") and len(zeros) <= _MOST_ZEROS:
        text = front
    return "0" if text == "-0" else text


class Fields:
    """How the fields of a row are read: which mean no value, and which are numbers."""

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self.missing = frozenset(inputs["missing_texts"])
        self._no_number = self.missing | frozenset(inputs["missing_number_texts"])
        self.plain = spelling(inputs["text"])
        self.blanks = " \t".replace(inputs["text"].get("delimiter", ","), "")

    def given(self, row: Mapping[Any, Any], name: str) -> Any:
        """Return what a column holds."""
        if name not in row:
            raise RowError(f"no column {name!a}")
        return row[name]

    def number(self, value: Any, name: str, spelled: Any = None) -> float | None:
        """Return a number, None for no value."""
        if value is None or value != value:
            return None
        if isinstance(value, str):
            text = value.strip(self.blanks)
            if text in self._no_number:
                return None
            plain = (spelled or self.plain)(text)
            if plain is None:
                raise RowError(f"expected a number in column {name!a}, found {text[:60]!a}")
            value = plain
        number = float(value)
        if not math.isfinite(number):
            raise RowError(f"expected a finite number in column {name!a}, found {value!a}")
        return number

    def text(self, value: Any) -> str | None:
        """Return a text without blanks around it, None for no value; a whole number has no dot."""
        if value is None or value != value:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = str(value).strip(self.blanks)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise RowError(f"expected a text that UTF-8 can write, found {text[:60]!a}") from None
        return None if text in self.missing else text


# --- what a schema file makes of columns ------------------------------------------------------------------------------

# What a transform makes of a row: its features, counted from its first, with their values; and what makes that.
Made = Iterator[tuple[int, float]]
Maker = Callable[[Mapping[Any, Any]], Made]

_BITS = (1 << 64) - 1
_MISSING = "<missing>"
_HASHED_BY_WORDS = 256


def mixed(z: int) -> int:
    """Return the finaliser of SplitMix64 of 64 bits."""
    z = (z + 0x9E3779B97F4A7C15) & _BITS
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _BITS
    return z ^ (z >> 31)


def hash_of(text: str) -> int:
    """Return 64 bits of a text: its bytes are mixed in by eight, from the last ones on; of no text a zero is."""
    data = text.encode()
    if len(data) > _HASHED_BY_WORDS:
        return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
    found = mixed((len(data) + 0x9E3779B97F4A7C15) & _BITS)
    for end in range(max(len(data), 1), 0, -8):
        found = mixed(found ^ int.from_bytes(data[max(end - 8, 0) : end], "little"))
    return found


_NOTHING = hash_of("")


def _bucket(key: int, made: Mapping[str, Any]) -> int:
    bits: int = made["bits"]
    return mixed(key ^ mixed(made["seed"])) >> (64 - bits)


def logarithm(x: float) -> float:
    """Return the logarithm of a positive number, m 2^e, with the roundings of mr_ml: a series in (m - 1) / (m + 1)."""
    m, e = math.frexp(x)
    if m < float.fromhex("0x1.6a09e667f3bcdp-1"):
        m, e = 2 * m, e - 1
    s = (m - 1) / (m + 1)
    square, series = s * s, 0.0
    for k in range(10, 0, -1):
        series = (series + 1 / (2 * k + 1)) * square
    high, low = float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")
    return e * high + (e * low + (2 * s + 2 * s * series))


def _refuse_missing(made: Mapping[str, Any], name: str) -> None:
    if made["missing"] in ("error", "drop"):
        raise RowError(f"no value in column {name!a}")


def _quantity(made: Mapping[str, Any], fields: Fields) -> Maker:
    name, spelled = made["column"], spelling(made)

    def make(row: Mapping[Any, Any]) -> Made:
        number = fields.number(fields.given(row, name), name, spelled)
        if number is None:
            _refuse_missing(made, name)
            if made["indicator"]:
                yield 1, 1.0
        yield 0, made["learnt"] if number is None else number

    return make


def _category(made: Mapping[str, Any], fields: Fields) -> Maker:
    name, codes = made["column"], codes_of(made["learnt"], whole=made["whole"])

    def make(row: Mapping[Any, Any]) -> Made:
        text = fields.text(fields.given(row, name))
        if text is None:
            _refuse_missing(made, name)
            if made["missing"] == "none":
                return
            code = codes.get(_MISSING)
        else:
            code = codes.get(text)
            if code is None and made["whole"]:
                code = codes.get(without_fraction(text))
        if code is not None:
            yield code, 1.0
        elif made["unseen"] == "refuse":
            raise RowError(f"column {name!a}: {(text or '')[:60]!a} is none of its categories")

    return make


def _hashed(made: Mapping[str, Any], fields: Fields) -> Maker:
    name = made["column"]

    def make(row: Mapping[Any, Any]) -> Made:
        text = fields.text(fields.given(row, name))
        if text is None:
            _refuse_missing(made, name)
            if made["missing"] == "none":
                return
        yield _bucket(_NOTHING if text is None else hash_of(text), made), 1.0

    return make


def _interval(made: Mapping[str, Any], fields: Fields) -> Callable[[Mapping[Any, Any]], int | None]:
    name, spelled, edges = made["column"], spelling(made), made["learnt"]

    def interval(row: Mapping[Any, Any]) -> int | None:
        number = fields.number(fields.given(row, name), name, spelled)
        return None if number is None else bisect_right(edges, number)

    return interval


def _bucketised(made: Mapping[str, Any], fields: Fields) -> Maker:
    interval = _interval(made, fields)

    def make(row: Mapping[Any, Any]) -> Made:
        code = interval(row)
        if code is None:
            _refuse_missing(made, made["column"])
            if made["missing"] == "category":
                yield len(made["learnt"]) + 1, 1.0
        else:
            yield code, 1.0

    return make


def _crossed(made: Mapping[str, Any], fields: Fields) -> Maker:
    intervals = {one["column"]: _interval(one, fields) for one in made["intervals"]}

    def key(row: Mapping[Any, Any], name: str) -> int | None:
        if name in intervals:
            code = intervals[name](row)
            return None if code is None else mixed(code)
        text = fields.text(fields.given(row, name))
        return None if text is None else hash_of(text)

    def make(row: Mapping[Any, Any]) -> Made:
        found, is_whole = 0, True
        for name in made["of"]:
            part = key(row, name)
            if part is None:
                _refuse_missing(made, name)
                is_whole = False
            found = mixed(found ^ (_NOTHING if part is None else part))
        if is_whole or made["missing"] != "none":
            yield _bucket(found, made), 1.0

    return make


_DAY = 86_400
_EPOCHS = {"unix": 1, "unix-ms": 1000}
_SIZES = {"weekday": 7, "day": 31, "month": 12, "quarter": 4, "hour": 24, "year": 1, "days": 1}
_WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
_TIMES = ("", "T%H:%M", " %H:%M", "T%H:%M:%S", " %H:%M:%S", "T%H:%M:%S.%f", " %H:%M:%S.%f")
_ISO = tuple(f"%Y-%m-%d{time}{zone}" for time in _TIMES for zone in ("", "Z") if time or not zone)


def _pattern(written: str) -> re.Pattern[str]:
    parts = re.findall(r"%.|[^%]", written, re.DOTALL)
    found = ""
    for part in parts:
        if part[0] != "%" or part == "%%":
            found += re.escape(part[-1])
        else:
            found += "[0-9]+" if part == "%f" else f"(?P<{part[1]}>[0-9]{{{_WIDTHS[part[1]]}}})"
    return re.compile(found)


def _moment(text: str, patterns: Sequence[re.Pattern[str]]) -> datetime.datetime | None:
    for pattern in patterns:
        found = pattern.fullmatch(text)
        if found is not None:
            parts = {letter: int(digits) for letter, digits in found.groupdict().items()}
            try:
                return datetime.datetime(
                    parts["Y"], parts["m"], parts["d"], parts.get("H", 0), parts.get("M", 0), parts.get("S", 0)
                )
            except ValueError:
                continue
    return None


def _date(made: Mapping[str, Any], fields: Fields) -> Maker:
    name, first = made["column"], datetime.datetime(1970, 1, 1)
    written = [made["format"]] if isinstance(made["format"], str) else made["format"]
    units = _EPOCHS.get(written[0])
    patterns = [_pattern(one) for each in written if units is None for one in (_ISO if each == "iso" else [each])]
    since = (datetime.date.fromisoformat(made["since"]) - first.date()).days * _DAY
    plain = spelling({})

    def moment(row: Mapping[Any, Any]) -> datetime.datetime | None:
        value = fields.given(row, name)
        if units is not None:
            number = fields.number(value, name, plain)
            if number is None:
                return None
            try:
                return first + datetime.timedelta(seconds=math.floor(number / units))
            except OverflowError:
                raise RowError(f"expected a moment in column {name!a}, found {value!a}") from None
        text = fields.text(value)
        found = None if text is None else _moment(text, patterns)
        if text is not None and found is None:
            raise RowError(f"expected a date in column {name!a}, found {text[:60]!a}")
        return found

    def make(row: Mapping[Any, Any]) -> Made:
        when = moment(row)
        if when is None:
            _refuse_missing(made, name)
            if made["missing"] == "category":
                yield sum(_SIZES[part] for part in made["parts"]), 1.0
            return
        passed = when - first
        seconds = passed.days * _DAY + passed.seconds
        found = {
            "weekday": when.weekday(), "day": when.day - 1, "month": when.month - 1, "quarter": (when.month - 1) // 3,
            "hour": when.hour, "year": when.year, "days": (seconds - since) / _DAY,
        }  # fmt: skip
        at = 0
        for part in made["parts"]:
            if _SIZES[part] > 1:
                yield at + int(found[part]), 1.0
            else:
                yield at, float(found[part])
            at += _SIZES[part]

    return make


def _words(made: Mapping[str, Any], fields: Fields) -> Maker:
    name, learnt = made["column"], made["learnt"]
    least, most = made["ngrams"]

    def make(row: Mapping[Any, Any]) -> Made:
        text = fields.text(fields.given(row, name))
        if text is None:
            _refuse_missing(made, name)
            return
        words = re.findall(r"\w+", text.lower())
        runs = [" ".join(words[k : k + n]) for n in range(least, most + 1) for k in range(len(words) - n + 1)]
        times = Counter(_bucket(hash_of(run), made) for run in runs)
        values = {feature: float(times[feature]) for feature in sorted(times)}
        if learnt is not None:
            for feature in values:
                values[feature] *= logarithm((1.0 + learnt["n_rows"]) / (1.0 + learnt["rows_with"][feature])) + 1.0
            squares = 0.0
            for value in values.values():
                squares += value * value
            values = {feature: value / math.sqrt(squares) for feature, value in values.items()}
        yield from values.items() if made["weights"] != "binary" else dict.fromkeys(values, 1.0).items()

    return make


#: What makes features of columns, by the kind of a transform.
TRANSFORMS: dict[str, Callable[[Mapping[str, Any], Fields], Maker]] = {
    "quantity": _quantity,
    "category": _category,
    "hashed": _hashed,
    "bucketised": _bucketised,
    "crossed": _crossed,
    "date": _date,
    "words": _words,
}
