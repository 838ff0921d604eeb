"""Sizes in bytes as people write them."""

from __future__ import annotations

import re

from mr_ml.errors import UsageError

_NAMES = ("bytes", "kB", "MB", "GB", "TB", "PB")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str) -> int:
    """Return bytes of a size such as 500M or 2G (powers of 1024).

    Raises
    ------
    UsageError
        If it is not one.
    """
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE | re.ASCII)
    if not match:
        raise UsageError(f"expected a size such as 500M or 2G, found {text[:40]!r}")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def size_text(n_bytes: float) -> str:
    """Return a number of bytes for people, in powers of 1000."""
    power = 0
    while n_bytes >= 1000 and power < len(_NAMES) - 1:
        n_bytes, power = n_bytes / 1000, power + 1
    return f"{n_bytes:.3g} {_NAMES[power]}" if power else f"{n_bytes:.0f} bytes"
