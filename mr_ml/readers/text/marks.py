"""Decimal marks and separators of thousands."""

from __future__ import annotations

from mr_ml.errors import UsageError

_SEPARATORS = ",.' _"


def check_marks(*, decimal: str, thousands: str) -> None:
    """See that decimal mark and thousands separator can be told from each other and from the rest of a number.

    Raises
    ------
    UsageError
        They cannot.
    """
    if decimal not in (".", ","):
        raise UsageError(f"expected `decimal` . or , found {decimal!r}")
    if thousands not in ("", *_SEPARATORS) or thousands == decimal:
        raise UsageError(
            f"expected `thousands` to be one of {' '.join(_SEPARATORS.replace(' ', ''))} or a blank, and another "
            f"character than the decimal mark {decimal!r} (`decimal`), found {thousands!r}"
        )
