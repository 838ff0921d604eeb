"""Numbers on the command line: text that is no number, not finite or out of range is refused when it is parsed."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable


def whole(least: int, most: int = 2**63 - 1) -> Callable[[str], int]:
    """Make a type for argparse: a whole number in this range."""

    def read(text: str) -> int:
        # more digits are out of every range, and Python refuses to read thousands of them
        value = int(text) if re.fullmatch(r"[+-]?[0-9]{1,30}", text, re.ASCII) else None
        if value is None or not least <= value <= most:
            to = "" if most == 2**63 - 1 else f" and at most {most}"
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}{to}, found {text[:40]!r}")
        return value

    return read


def below_one(text: str) -> float:
    """Read a number above 0 and below 1."""
    value = not_negative(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and below 1, found {text[:40]!r}")
    return value


def not_negative(text: str) -> float:
    """Read a finite number >= 0."""
    return _number(text, "a finite number >= 0", lambda value: value >= 0)


def finite(text: str) -> float:
    """Read a finite number."""
    return _number(text, "a finite number", lambda value: True)


def share(text: str) -> float:
    """Read a number above 0 and at most 1."""
    return _number(text, "a number above 0 and at most 1", lambda value: 0 < value <= 1)


def _number(text: str, expected: str, is_right: Callable[[float], bool]) -> float:
    try:
        value = math.nan if "_" in text else float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and is_right(value)):
        raise argparse.ArgumentTypeError(f"expected {expected}, found {text[:40]!r}")
    return value
