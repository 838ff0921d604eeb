"""Newton's method with the exact Hessian from the pass: the fewest passes where the Hessian is small enough to send.

The direction solves (H + r diag(H)) p = -g by Cholesky in units of diag(H)^1/2, r = 1e-13 or, where that
is not positive definite in floating point, larger. The ridge makes directions along
which the objective is flat (the common shift of softmax intercepts, collinear features) harmless, and changes the
others by less than the next iteration repairs. Also known as IRLS (McCullagh & Nelder 1989, sec. 2.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mr_ml.optimize.base import Floats
from mr_ml.optimize.line import LineMethod, LineState, inverse_diagonal, scaled_descent

_RIDGES = (1e-13, 1e-10, 1e-6, 1e-2)


@dataclass(frozen=True)
class Newton(LineMethod):
    name: ClassVar[str] = "newton"
    hessian: ClassVar[bool] = True

    def direction(self, state: LineState, hessian: Floats | None) -> Floats:
        from scipy import linalg

        assert hessian is not None
        if not (np.isfinite(hessian).all() and np.isfinite(state.gradient).all()):
            return scaled_descent(state)
        unit = np.sqrt(inverse_diagonal(state))
        scaled = hessian * unit * unit[:, None]
        for ridge in _RIDGES:
            try:
                factor = linalg.cho_factor(scaled + ridge * np.eye(len(unit)), lower=True)
            except linalg.LinAlgError:
                continue
            return np.asarray(-unit * linalg.cho_solve(factor, unit * state.gradient))
        return scaled_descent(state)
