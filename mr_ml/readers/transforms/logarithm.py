"""The natural logarithm by additions, multiplications and divisions alone, which are the same on every machine.

numpy's is another one from processor to processor, and that of the C library from version to version, in the last bit.

    x = m 2^e, 2^-1/2 <= m < 2^1/2;   s = (m - 1) / (m + 1);   log x = e log 2 + 2 (s + s^3 / 3 + s^5 / 5 + ...)

|s| is below 0.172, so that the terms from s^23 / 23 on are below 2^-58 of the sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TERMS = 11
# log 2 = high + low; high has so few bits that e high is exact
_HIGH = float.fromhex("0x1.62e42fee00000p-1")
_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_HALF_ROOT = float.fromhex("0x1.6a09e667f3bcdp-1")


def log(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of positive finite numbers, to a few units in the last place."""
    mantissas, exponents = np.frexp(x)
    is_low = mantissas < _HALF_ROOT
    mantissas = np.where(is_low, 2 * mantissas, mantissas)
    e = (exponents - is_low).astype(np.float64)
    s = (mantissas - 1) / (mantissas + 1)
    square = s * s
    series = np.zeros_like(s)
    for k in range(_TERMS - 1, 0, -1):
        series = (series + 1 / (2 * k + 1)) * square
    found: NDArray[np.float64] = e * _HIGH + (e * _LOW + (2 * s + 2 * s * series))
    return found
