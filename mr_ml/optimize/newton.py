"""Newton's method with the exact Hessian from the pass: the fewest passes where the Hessian is small enough to send.

The direction solves (H + r diag(H)) p = -g in units of diag(H)^1/2: by Cholesky, or where some directions are almost
flat, by eigenvectors, which keep what is known of these apart from all others. r is what rounding does to H: directions
along which the objective is flat (the common shift of softmax intercepts, collinear features) move little, and what is
lost in others the next iterations repair, since the gradient is exact. Also known as IRLS (McCullagh & Nelder 1989,
sec. 2.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mr_ml.optimize import stopping
from mr_ml.optimize.base import Floats
from mr_ml.optimize.line_search import LineMethod, LineState, inverse_diagonal, scaled_descent, with_distance
from mr_ml.sums.blas import one_thread

_RIDGE = 4 * np.finfo(float).eps
# Pivots below this are those of almost flat directions.
_FLAT = 1e-9


@dataclass(frozen=True)
class Newton(LineMethod):
    name: ClassVar[str] = "newton"
    hessian: ClassVar[bool] = True

    def direction(self, state: LineState, hessian: Floats | None) -> tuple[Floats, float]:
        assert hessian is not None
        return newton_direction(state, hessian)


def newton_direction(state: LineState, hessian: Floats) -> tuple[Floats, float]:
    """-H^-1 g, as far as H tells, (n,); and the distance (g' H^-1 g)^1/2.

    Where the curvature along a direction is lost in the rounding of H, but the gradient along it is not, the optimum
    may be anywhere: the distance is as if the curvature were that of a rounding error's rounding error.
    """
    # some versions of scipy do not solve for nothing
    if not (hessian.size and np.isfinite(hessian).all() and np.isfinite(state.gradient).all()):
        return with_distance(state, scaled_descent(state))
    with one_thread("scipy.linalg"):
        return _solved(state, hessian)


def _solved(state: LineState, hessian: Floats) -> tuple[Floats, float]:
    # here, since a search that never asks for the Hessian does without, and it takes 0.1 s to load
    from scipy import linalg

    unit = np.sqrt(inverse_diagonal(state))
    scaled = hessian * unit * unit[:, None]
    ridge = _RIDGE * max(len(unit), 8)
    scaled[np.diag_indices_from(scaled)] += ridge
    try:
        factor = linalg.cho_factor(scaled, lower=True)
        if (np.diag(factor[0]) ** 2 > _FLAT).all():
            return with_distance(state, -unit * linalg.cho_solve(factor, unit * state.gradient))
    except linalg.LinAlgError:
        pass
    curvature, vectors = linalg.eigh(scaled)
    along = vectors.T @ (unit * state.gradient)
    known = np.maximum(curvature, ridge)
    lost = (curvature < 2 * ridge) & (np.abs(along) > 8 * np.linalg.norm(unit * stopping.noise(state)))
    distance = np.sqrt(along**2 @ (1 / np.where(lost, np.finfo(float).eps ** 2, known)))
    return np.asarray(-unit * (vectors @ (along / known))), float(distance)
