"""What is a number in CSV text, and what only looks like one: the one definition for all callers.

A number is a finite decimal as `numbers.parse_floats` takes it, once it is spelled plainly: with the decimal mark and
the thousands separator of the options, and with % as a hundredth if these say so. What is a number by another
definition (inf, 1e400, 1_000, other scripts, 1,037 without a separator in the options) is *like* a number: it makes no
category of a column of numbers, but a bad row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np

from mr_ml.readers.text.fields import F64, I64, U8, Mask
from mr_ml.readers.text.numbers import parse_floats
from mr_ml.readers.text.options import TextOptions

_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NON_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_SIGNED = re.compile(r"[+\-\u2212]?\s?([$\u00a3\u20ac\u00a5]\s?)?[+\-\u2212]?")
_GROUPED = re.compile(
    r"[0-9]{1,3}([,.'\u2019\u00a0\u202f ][0-9]{3}|,[0-9]{2})*[,.'\u2019\u00a0\u202f ][0-9]{3}([.,][0-9]*)?"
)
_OTHER_MARK = re.compile(r"[0-9]*[.,][0-9]+([eE][+-]?[0-9]+)?|[0-9]+[.,]")
_CURRENCY = re.compile(r"[$\u00a3\u20ac\u00a5]")
_DATE = re.compile(
    r"[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}([ T].*)?|[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
    r"|[0-9]{1,2}[- ]?[A-Z][a-z]{2,8}[- ]?[0-9]{2,4}"
)
_BEFORE_DIGITS = "+-\u2212.,$\u00a3\u20ac\u00a5"
_UNDERSCORED = frozenset("0123456789_.+-eE")
#: What is written in place of a separator.
_SAME_AS = {" ": (b"\xc2\xa0", b"\xe2\x80\xaf"), "'": (b"\xe2\x80\x99",)}
_LONGEST = 400
_END, _WRONG = 0, ord("x")


def is_plain(options: TextOptions) -> bool:
    """Whether numbers are spelled as everywhere else."""
    return (options.decimal, options.thousands, options.percent) == (".", "", False)


def is_decimal(text: str) -> bool:
    """Whether a text is a decimal number as `numbers.parse_floats` takes it, finite or beyond the doubles."""
    return _DECIMAL.fullmatch(text) is not None


def numbers_of(texts: Iterable[str], options: TextOptions) -> dict[str, float]:
    """Return the numbers among some texts, and what they are."""
    if is_plain(options):
        numbers = {text: float(text) for text in texts if _DECIMAL.fullmatch(text)}
        return {text: number for text, number in numbers.items() if math.isfinite(number)}
    known = list(texts)
    encoded = [text.encode() for text in known]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    starts = ends - np.array([len(text) for text in encoded], np.int64)
    values, ok = parse_floats(*spelled_plainly(np.frombuffer(b"".join(encoded), np.uint8), starts, ends, options))
    return {known[i]: float(values[i]) for i in np.flatnonzero(ok).tolist()}


def kind_like_number(text: str) -> str | None:
    """Why a text that is no number looks like one: a kind of `BAD_KINDS`, or None of a text that does not."""
    first = text[:1]
    if (first in "iInN+-" or first.isspace()) and _NON_FINITE.fullmatch(text.strip()):
        return "not_finite"
    # most texts betray themselves by their first character
    if len(text) > _LONGEST or not (first.isdecimal() or first in _BEFORE_DIGITS or first.isspace()):
        return None
    if not any(map(str.isdecimal, text)):
        return None
    if _DECIMAL.fullmatch(text):
        return "overflow" if math.isinf(float(text)) else "decimal_mark"
    try:
        float(text)
    except ValueError:
        pass
    else:
        return "non_ascii" if not text.isascii() else "underscore" if "_" in text else "bad_value"
    # blanks that quotes have kept
    text = text.strip()
    sign = _SIGNED.match(text)
    rest = text[sign.end() :] if sign else text
    if sign and sum(map(sign[0].count, "+-\u2212")) > 1:
        return None
    bare = rest.rstrip("% \u00a0\u202f")
    if bare != rest and "%" in rest[len(bare) :] and (_GROUPED.fullmatch(bare) or _is_number(bare)):
        return "percent"
    bare = _CURRENCY.sub("", rest).strip()
    if _GROUPED.fullmatch(bare):
        return "thousands"
    if _is_number(bare):
        return "bad_value" if bare != rest or _DECIMAL.fullmatch(bare) else "decimal_mark"
    return None


def kind_of_bad_number(text: str, kind: str) -> str:
    """Why a text is no number, of `BAD_KINDS`; `kind` if there is no better reason."""
    like = kind_like_number(text)
    if like is not None:
        return kind if like == "bad_value" else like
    if not text.isascii():
        return "non_ascii"
    if "_" in text and set(text) <= _UNDERSCORED:
        return "underscore"
    return "date" if len(text) < _LONGEST and _DATE.fullmatch(text) else kind


def _is_number(text: str) -> bool:
    return bool(_DECIMAL.fullmatch(text) or _OTHER_MARK.fullmatch(text))


def spelled_plainly(buffer: U8, starts: I64, ends: I64, options: TextOptions) -> tuple[U8, I64, I64]:
    """Return the same fields with the decimal mark as a dot, without separators, and with % as e-2.

    Non-breaking blanks count as blanks, and a typographic apostrophe as an apostrophe. Where a separator does not stand
    before groups of three digits, or a mark is another than was said, the field comes out as no number.

    Parameters
    ----------
    buffer : uint8
    starts, ends : int64 (k,)

    Returns
    -------
    buffer, starts, ends
        Of as many fields.

    Notes
    -----
    O(bytes of the fields) time and memory.
    """
    for other in _SAME_AS.get(options.thousands, ()):
        buffer, starts, ends = _replaced(buffer, starts, ends, other, options.thousands)
    lengths = ends - starts
    # each field behind an END, which also stands behind the last
    begins = np.cumsum(lengths + 1) - lengths
    text = np.full(int(lengths.sum()) + len(lengths) + 1, _END, np.uint8)
    at = np.arange(int(lengths.sum())) + np.repeat(np.arange(1, len(lengths) + 1), lengths)
    text[at] = buffer[at + np.repeat(starts - begins, lengths)]
    times = np.ones(len(text), np.int64)
    result = text.copy()
    if options.decimal != ".":
        result[text == ord(".")] = _WRONG
        result[text == ord(options.decimal)] = ord(".")
    if options.thousands:
        separators = np.flatnonzero(text == ord(options.thousands))
        good = _before_three_digits(text, separators)
        times[separators[good]] = 0
        result[separators[~good]] = _WRONG
    if options.percent:
        signs = np.flatnonzero(text == ord("%"))
        signs = signs[(text[signs + 1] == _END) & (text[signs - 1] != _END)]
        times[signs] = 3
        times[signs[text[signs - 1] == ord(" ")] - 1] = 0
    new_at = np.cumsum(times) - times
    plain = np.repeat(result, times)
    if options.percent:
        plain[new_at[signs][:, None] + np.arange(3)] = np.frombuffer(b"e-2", np.uint8)
    return plain, new_at[begins], new_at[begins + lengths]


def _before_three_digits(text: U8, separators: I64) -> Mask:
    """Which separators stand in the whole part of a number, behind up to three digits and before groups of three."""
    others = np.flatnonzero((text < ord("0")) | (text > ord("9")))
    index = np.searchsorted(others, separators)
    before, behind = others[index - 1], others[index + 1]
    mark = text[separators[0]] if len(separators) else _END
    signed = ((text[before] == ord("-")) | (text[before] == ord("+"))) & (text[before - 1] == _END)
    first = ((text[before] == _END) | signed) & (separators - before >= 2)
    good: Mask = (first | (text[before] == mark)) & (separators - before <= 4) & (behind - separators == 4)
    return good


def _replaced(buffer: U8, starts: I64, ends: I64, old: bytes, new: str) -> tuple[U8, I64, I64]:
    """Return the same fields with one byte for some bytes."""
    n = len(buffer) - len(old) + 1
    if n < 1:
        return buffer, starts, ends
    at = np.flatnonzero(np.logical_and.reduce([buffer[i : n + i] == byte for i, byte in enumerate(old)]))
    if not len(at):
        return buffer, starts, ends
    kept = np.ones(len(buffer), np.bool_)
    kept[(at[:, None] + np.arange(1, len(old))).ravel()] = False
    shorter = buffer.copy()
    shorter[at] = ord(new)
    before = np.concatenate([[0], np.cumsum(kept)])
    return shorter[kept], before[starts], before[ends]


def read_numbers(buffer: U8, starts: I64, ends: I64, options: TextOptions) -> tuple[F64, Mask]:
    """`parse_floats` of fields in the spelling that the options say."""
    return parse_floats(*spelled_plainly(buffer, starts, ends, options))
