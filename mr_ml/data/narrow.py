"""The narrowest form that holds an array of numbers exactly: small integers, decimal fractions as integers, floats.

What people write as text is mostly decimal: 0.067414 is the double next to 67414 / 10^6, and one division, which
IEEE 754 rounds exactly, brings that double back. So the integer is stored with the number of places.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.data import kernels

MAX_PLACES = 9

_PROBE = 64
_SCALES = np.array([10.0**places for places in range(MAX_PLACES + 1)])
_LIMIT = 2**31 - 1
_INTEGERS = (("|i1", 127), ("<i2", 32767), ("<i4", _LIMIT))
NARROW_DTYPES = (*(dtype for dtype, _ in _INTEGERS), "<f4", "<f8")

Array = NDArray[Any]
Floats = NDArray[np.float64]


def narrow(values: Floats) -> tuple[Array, int]:
    """Return the same numbers in the fewest bytes a number.

    Returns
    -------
    array, places
        The numbers times 10^places as |i1, <i2 or <i4; or, with 0 places, the numbers as such or as <f4 or <f8.
    """
    flat = values.reshape(-1)
    places = _places(flat[:_PROBE], 0)
    integers = None if places is None else _integers(flat, places)
    if integers is not None:
        whole, largest, places = integers
        dtype = next(dtype for dtype, limit in _INTEGERS if largest <= limit)
        if dtype != "<i4" or not _is_single(flat):
            return whole.astype(dtype, copy=False).reshape(values.shape), places
    return values.astype("<f4" if _is_single(flat) else "<f8"), 0


def narrow_again(array: Array, places: int) -> tuple[Array, int]:
    """Return what `narrow(widen(array, places))` would, of some of the numbers for which `narrow` gave the two.

    Which mostly is known without making these numbers.
    """
    few = array.reshape(-1)[:_PROBE]
    # numbers of fewer places would be multiples of ten
    if array.dtype.kind == "i" and array.size and (not places or (few % 10).any()):
        largest = max(int(array.max()), -int(array.min()))
        dtype = next((dtype for dtype, limit in _INTEGERS if largest <= limit), "")
        if dtype in ("|i1", "<i2") or (dtype and not _is_single(widen(few, places))):
            return array.astype(dtype, copy=False), places
    return narrow(widen(array, places))


def narrow_ids(ids: NDArray[np.int32]) -> Array:
    """Return the same numbers in two bytes each, if they all fit there."""
    # what is negative is large as an unsigned number
    return ids.astype("<u2") if ids.view(np.uint32).max(initial=0) < 1 << 16 else ids


def shared_ids(indptr: NDArray[np.int64], indices: NDArray[np.int32]) -> NDArray[np.int32] | None:
    """Return the feature ids of a row, if there are several rows and all have the same; else None."""
    n = len(indptr) - 1
    width = len(indices) // max(n, 1)
    first = indices[:width]
    # mostly the last row tells
    if n < 2 or not width or width * n != len(indices) or (indices[-width:] != first).any():
        return None
    same = (np.diff(indptr) == width).all() and (indices.reshape(n, width) == first).all()
    return first if same else None


def check_narrow(array: Array, places: int) -> None:
    """Raise ValueError if the two do not come from `narrow`."""
    if type(places) is not int or not 0 <= places <= MAX_PLACES or (places and array.dtype.kind != "i"):
        raise ValueError(f"numbers of type {array.dtype} with {places!r} places")


def widen(array: Array, places: int) -> Floats:
    """Undo `narrow`, float64.

    Raises
    ------
    ValueError
        If the two do not come from `narrow`.
    """
    check_narrow(array, places)
    if array.dtype.kind != "i":
        return np.asarray(array, np.float64)
    wide = kernels.widen(array, scale=10.0**places)
    return array / 10.0**places if wide is None else wide


def _integers(values: Floats, least: int) -> tuple[Array, int, int] | None:
    """Return the values times 10^places, the largest of them, and the places, at least `least`; or None."""
    integers = kernels.narrow(values, scale=10.0**least, limit=_LIMIT)
    if integers is not None:
        return *integers, least
    places = _places(values, least)
    if places is None:
        return None
    whole = _scaled(values, places)
    return whole, int(np.abs(whole).max(initial=0)), places


def _places(values: Floats, least: int) -> int | None:
    """How many decimal places all values need, at least `least`; None if they cannot be stored in that way."""
    if len(values) <= _PROBE:
        return _places_of_few(values, least)
    places = least
    while places <= MAX_PLACES:
        with np.errstate(all="ignore"):
            whole = _scaled(values, places)
            right = (whole / 10.0**places == values) & (np.abs(whole) <= _LIMIT)
        if right.all():
            return places
        # a few values mostly tell that a number of places will not do
        wrong = values[np.flatnonzero(~right)[:_PROBE]]
        needed = _places(wrong, places + 1) if len(wrong) < len(values) else places + 1
        if needed is None:
            return None
        places = needed
    return None


def _places_of_few(values: Floats, least: int) -> int | None:
    """As `_places`, by a table of all numbers of places."""
    scales = _SCALES[least:]
    first = kernels.first_scale(values, scales, limit=_LIMIT)
    if first is not None:
        return least + first if first >= 0 else None
    with np.errstate(all="ignore"):
        whole = np.rint(values[:, None] * scales)
        right = (whole / scales == values[:, None]) & (np.abs(whole) <= _LIMIT)
    enough = np.flatnonzero(right.all(axis=0))
    return least + int(enough[0]) if len(enough) else None


def _scaled(values: Floats, places: int) -> Floats:
    return np.rint(values * 10.0**places)


def _is_single(values: Floats) -> bool:
    with np.errstate(all="ignore"):  # numbers beyond its range
        return all(bool((part.astype("<f4") == part).all()) for part in (values[:_PROBE], values))
