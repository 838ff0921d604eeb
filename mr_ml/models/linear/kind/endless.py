"""Along which directions of several features a search may go on for ever: guesses, which a pass then proves or not.

Where rows are so far ahead that they have next to no curvature, so have the coefficients that move only such rows:
those of features that no other row has, or of a class that is far from all others. With A these coefficients, what of
the point lies in A moves all other rows by nothing; if it moves none of the far ones back and some ahead, the classes
can be separated, and there is no optimum (Albert & Anderson 1984). How little is next to none need not be known:
several sizes are tried, and each is judged by the rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mr_ml.models.linear.kind.advice import FAR_AHEAD
from mr_ml.models.linear.objective import Objective
from mr_ml.optimize.base import Result
from mr_ml.sums.slices import is_wide

Floats = NDArray[np.float64]

# Curvatures per standard deviation of a feature, which of one that few rows have is the mean of theirs, as shares of
# the largest one.
_SHARES = (1e-1, 1e-2, 1e-3, 1e-5, 1e-8)


def endless(objective: Objective, result: Result) -> list[Floats]:
    """Return directions (size,) along which rows may go on for ever; none where no row is far ahead.

    Nor where there are so many features that a product with each row is what a pass takes time and memory for.
    """
    apart = result.separation
    n_features, n_outputs = objective.rows.n_features, objective.rows.n_outputs
    if apart is None or result.curvature is None or -apart.minus_max_gap <= FAR_AHEAD or is_wide(n_features):
        return []
    point, bends = (vector.reshape(n_outputs, -1) for vector in (result.point, result.curvature))
    directions, sizes = list[Floats](), {0}
    for share in _SHARES:
        is_far = bends <= share * bends.max(initial=0.0)
        # of several outputs only differences count: from those that stay
        staying = (~is_far).sum(axis=0)
        means = np.divide(
            np.where(is_far, 0, point).sum(axis=0), staying, where=staying > 0, out=np.zeros(len(staying))
        )
        theta = np.where(is_far, point - means, 0.0)
        theta[:, :n_features] *= np.where(theta[:, :n_features] < 0, *objective.left_free)
        size = int(np.count_nonzero(theta))
        if size not in sizes and np.isfinite(theta).all():
            sizes.add(size)
            directions.append(theta.ravel())
    return directions
