"""Sizes in bytes as people write them."""

from __future__ import annotations

import re

from mr_ml.errors import UsageError

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
