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

from mr_ml.optimize.base import Floats
from mr_ml.optimize.line import LineMethod, LineState, inverse_diagonal, scaled_descent

_RIDGE = 4 * np.finfo(float).eps
# Pivots below this are those of almost flat directions.
_FLAT = 1e-9


# What the direction is computed by, where it is.
MODULES = ("scipy.linalg",)


@dataclass(frozen=True)
class Newton(LineMethod):
    name: ClassVar[str] = "newton"
    hessian: ClassVar[bool] = True

    @property
    def modules(self) -> tuple[str, ...]:
        return MODULES

    def direction(self, state: LineState, hessian: Floats | None) -> Floats:
        assert hessian is not None
        return newton_direction(state, hessian)


def newton_direction(state: LineState, hessian: Floats) -> Floats:
    """-H^-1 g, as far as H tells; (n,)."""
    from scipy import linalg

    # some versions of scipy do not solve for nothing
    if not (hessian.size and np.isfinite(hessian).all() and np.isfinite(state.gradient).all()):
        return scaled_descent(state)
    unit = np.sqrt(inverse_diagonal(state))
    scaled = hessian * unit * unit[:, None]
    ridge = _RIDGE * max(len(unit), 8)
    scaled[np.diag_indices_from(scaled)] += ridge
    try:
        factor = linalg.cho_factor(scaled, lower=True)
        if (np.diag(factor[0]) ** 2 > _FLAT).all():
            return np.asarray(-unit * linalg.cho_solve(factor, unit * state.gradient))
    except linalg.LinAlgError:
        pass
    curvature, vectors = linalg.eigh(scaled)
    return np.asarray(-unit * (vectors @ ((vectors.T @ (unit * state.gradient)) / np.maximum(curvature, ridge))))
