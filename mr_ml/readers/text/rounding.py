"""m * 10^x to the nearest double, many at a time; where that takes more than this can do, it says so.

By one multiplication or division where both operands are exact, else in double-double arithmetic, of which only what an
error far above its own could not change is accepted; see `numbers`. Where there are no compiled loops, CSV of numbers
of 16 or 17 digits takes 1.7 times as long to pack without the second.
"""

from __future__ import annotations

import numpy as np

from mr_ml.readers.text.fields import F64, I64, U64, Mask

_TEN_TO: F64 = np.array([float(10**i) for i in range(23)])
_SPLITTER = 134217729.0
_DOUBT = 2.0**-98


def scaled(mantissa: U64, power: I64) -> tuple[F64, Mask]:
    """Round m * 10^x to the nearest double: (value, exact); where not exact another way has to be found."""
    nearest = mantissa.astype(np.float64)
    size = np.abs(power)
    exact = size <= 22
    scale: F64 = _TEN_TO[np.minimum(size, 22)]
    up = power > 0
    any_up = bool(up.any())
    values: F64 = np.where(up, nearest * scale, nearest / scale) if any_up else nearest / scale
    large = np.flatnonzero((mantissa > np.uint64(2**53)) & exact)
    if len(large):
        m, s = mantissa[large], scale[large]
        divided, sure = _quotient(m, s)
        if any_up:
            multiplied, sure_too = _product(m, s)
            divided, sure = np.where(up[large], multiplied, divided), np.where(up[large], sure_too, sure)
        values[large] = divided
        exact[large] = sure
    return values, exact


def _two_doubles(mantissa: U64) -> tuple[F64, F64]:
    high = mantissa.astype(np.float64)
    return high, (mantissa - high.astype(np.uint64)).view(np.int64).astype(np.float64)


def _quotient(mantissa: U64, scale: F64) -> tuple[F64, Mask]:
    high, low = _two_doubles(mantissa)
    first = high / scale
    product, error = _exact_product(first, scale)
    return _settle(first, ((high - product) - error + low) / scale)


def _product(mantissa: U64, scale: F64) -> tuple[F64, Mask]:
    high, low = _two_doubles(mantissa)
    product, error = _exact_product(high, scale)
    return _settle(product, error + low * scale)


def _exact_product(a: F64, b: F64) -> tuple[F64, F64]:
    # Dekker 1971, "A floating-point technique for extending the available precision": a * b = product + error.
    product = a * b
    a_high, b_high = _upper_half(a), _upper_half(b)
    a_low, b_low = a - a_high, b - b_high
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error


def _upper_half(a: F64) -> F64:
    t = a * _SPLITTER
    half: F64 = t - (t - a)
    return half


def _settle(high: F64, low: F64) -> tuple[F64, Mask]:
    doubt = np.abs(high) * _DOUBT
    above, below = high + (low + doubt), high + (low - doubt)
    return above, above == below
