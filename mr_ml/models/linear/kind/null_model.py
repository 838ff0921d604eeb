"""The loss of the best model that has nothing but an intercept, where rows have offsets.

It has no closed form but with a few links. So passes find it, the first of which brings other sums as well: the loss
and its derivatives at many intercepts, and from two neighbours between which the slope changes its sign, the polynomial
of degree 5 that has their values and derivatives. Where it and that of degree 3 agree, its minimum is right to all
digits, since its error is of another order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mr_ml.models.linear.inference_query import NullQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic

Floats = NDArray[np.float64]

# Between the intercepts of the first pass, in the units of margins.
COARSE = 0.5
_TO_EACH_SIDE = 32
_FINER = 64.0
_MOST_PASSES = 12
_AGREE = 1e-9


def grid_around(centre: float, step: float) -> Floats:
    """Return intercepts to both sides of one, a step apart."""
    return np.asarray(centre + step * np.arange(-_TO_EACH_SIDE, _TO_EACH_SIDE + 1))


def null_loss(rows: RowSpec, at: Floats, sums: Floats, run_pass: Callable[[Query], Statistic]) -> float | None:
    """Return the least sum of losses of any intercept; None if it is not found.

    Parameters
    ----------
    at, sums
        The intercepts of a pass that was run already, and what it found.
    """
    for _ in range(_MOST_PASSES):
        values, slopes, _ = sums
        finite = np.isfinite(values)
        if not finite.any():
            return None
        best = int(np.where(finite, values, np.inf).argmin())
        step = float(at[1] - at[0])
        between = np.flatnonzero(finite[:-1] & finite[1:] & (slopes[:-1] <= 0) & (slopes[1:] >= 0))
        if len(between):
            k = int(between[0])
            centre, value, other = _least(at[k : k + 2], sums[:, k : k + 2])
            if abs(value - other) <= _AGREE * abs(value):
                return value
            step /= _FINER
        else:
            # beyond the end, or so near to where there is no prediction that no two neighbours have one
            centre = float(at[best])
            step = step * 8 if best in (0, len(at) - 1) else step / 8
        at = grid_around(centre, step)
        query = NullQuery(rows, at)
        sums = query.read(run_pass(query))
    return None


def _least(at: Floats, sums: Floats) -> tuple[float, float, float]:
    """Return where the polynomial of degree 5 is least, its value there, and that of the one of degree 3."""
    from scipy import interpolate, optimize

    fine = interpolate.BPoly.from_derivatives(at, sums.T)
    coarse = interpolate.BPoly.from_derivatives(at, sums[:2].T)
    slope = fine.derivative()
    low, high = at.tolist()
    if sums[1, 0] == 0 or sums[1, 1] == 0:
        centre = low if sums[1, 0] == 0 else high
    else:
        centre = float(optimize.brentq(slope, low, high, xtol=1e-14 * max(abs(low), abs(high), 1e-300)))
    return centre, float(fine(centre)), float(coarse(centre))
