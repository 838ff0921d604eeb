"""Functions of arrays that losses share, right to the last bits in their tails.

Written out because scipy.special takes longer to load than all the rest of a task, and because its releases differ in
the last bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGEST = float(np.finfo(np.float64).max)
# e^x is a number up to here
_MOST = 709.0
# Below this, e^x - 1 - x is the sum of so many terms of its series.
_NEAR, _TERMS = 0.5, 16
_SQRT_HALF = 0.5**0.5
# From here on the continued fraction of the tail is right with so many terms.
_TAIL_FROM, _TAIL_TERMS = 4.0, 40


def bounded_exp(x: Floats) -> Floats:
    """Return e^x, and where that is larger than any number, e^709: for slopes, which must be numbers."""
    return np.asarray(np.exp(np.minimum(x, _MOST)))


def exp(x: Floats) -> Floats:
    """Return e^x, infinite where it is larger than any number."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(x))


def times_exp(y: Floats, x: Floats) -> Floats:
    """Return y e^x for y > 0, which is a number also where e^x alone is none."""
    with np.errstate(over="ignore", under="ignore"):
        half = np.exp(x / 2)
        return np.asarray(y * half * half)


def exp_rest(x: Floats) -> Floats:
    """Return e^x - 1 - x, without the cancellation next to 0; it is not negative."""
    with np.errstate(over="ignore"):
        far = np.expm1(x) - x
    near = np.where(np.abs(x) < _NEAR, x, 0.0)
    # x^2/2 (1 + x/3 (1 + x/4 (1 + ...)))
    series = np.ones_like(near)
    for k in range(_TERMS, 2, -1):
        series = 1 + near / k * series
    return np.asarray(np.where(np.abs(x) < _NEAR, near * near / 2 * series, far))


# --- the normal distribution ------------------------------------------------------------------------------------------
#
# W. J. Cody, Rational Chebyshev approximations for the error function, Math. Comp. 23 (1969): |x| <= 0.46875, and up to
# 4; beyond that the continued fraction of Laplace (Abramowitz & Stegun 26.2.14).

P_SMALL = (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
            3.20937758913846947e3)  # fmt: skip
Q_SMALL = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
P_MIDDLE = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
             2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
             1.23033935479799725e3)  # fmt: skip
Q_MIDDLE = (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
             3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3)  # fmt: skip
_SMALL = 0.46875


def _polynomial(coefficients: tuple[float, ...], x: Floats) -> Floats:
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def half_square_exp(x: Floats) -> Floats:
    """Return e^(-x^2/2), whose exponent is not rounded (Cody 1969, sec. 3); 0 from 39 on."""
    x = np.minimum(np.abs(x), 40.0)
    head = np.floor(x * 16) / 16
    return np.asarray(np.exp(-head * head / 2) * np.exp(-(x - head) * (x + head) / 2))


def tail_fraction(x: Floats) -> Floats:
    """Return k(x) = 1 / (x + 2 / (x + 3 / (x + ...))) for x >= 4: x + k(x) is phi(x) / Phi(-x)."""
    k = np.zeros_like(x)
    for n in range(_TAIL_TERMS, 0, -1):
        k = n / (x + k)
    return k


def mills(x: Floats) -> Floats:
    """Return phi(x) / Phi(-x) for x >= 0: how steep -log Phi(-x) is."""
    u = x * _SQRT_HALF
    small = u <= _SMALL
    a, b = np.where(small, u, 0.0), np.where(small, _SMALL, np.minimum(u, 4.0))
    erf = a * _polynomial(P_SMALL, a * a) / _polynomial(Q_SMALL, a * a)
    scaled = _polynomial(P_MIDDLE, b) / _polynomial(Q_MIDDLE, b)
    # phi(x) / Phi(-x) = (2/pi)^1/2 / (e^(u^2) erfc u)
    near = (2 / np.pi) ** 0.5 / np.where(small, np.exp(a * a) * (1 - erf), scaled)
    far = np.maximum(x, _TAIL_FROM)
    return np.asarray(np.where(x < _TAIL_FROM, near, far + tail_fraction(far)))


def normal_tail(x: Floats) -> Floats:
    """Return Phi(-x) for x >= 0."""
    return np.asarray((2 * np.pi) ** -0.5 * half_square_exp(x) / mills(x))
