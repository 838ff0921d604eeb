"""L-BFGS whose starting matrix is the exact diagonal of the Hessian.

The direction is -B g by the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4) with

    B_0 = gamma diag(h)^-1,    gamma = s'y / y' diag(h)^-1 y  clipped to [0.1, 4]

h the diagonal at the current point, which makes the method indifferent to the scale of each feature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mr_ml.optimize.base import Floats
from mr_ml.optimize.line import LineMethod, LineState, inverse_diagonal

_GAMMA = (0.1, 4.0)


@dataclass(frozen=True)
class Lbfgs(LineMethod):
    """Attributes
    ----------
    memory
        Pairs kept; each costs 16 bytes per coefficient.
    """

    memory: int = 20

    name: ClassVar[str] = "lbfgs"

    def direction(self, state: LineState, hessian: Floats | None) -> Floats:
        inverse = inverse_diagonal(state)
        pairs = list(zip(state.pairs_s, state.pairs_y, strict=True))
        q, alphas = -state.gradient, []
        for s, y in reversed(pairs):
            alpha = (s @ q) / (s @ y)
            alphas.append(alpha)
            q = q - alpha * y
        if pairs:
            s, y = pairs[-1]
            q = q * float(np.clip((s @ y) / (y @ (inverse * y)), *_GAMMA))
        q = q * inverse
        for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
            q = q + s * (alpha - (y @ q) / (s @ y))
        return q
