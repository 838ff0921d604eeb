"""L-BFGS whose starting matrix is the exact diagonal of the Hessian.

The direction is -B g by the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4) with

    B_0 = gamma diag(h)^-1,    gamma = s'y / y' diag(h)^-1 y  clipped to [0.1, 4]

h the diagonal at the current point, which makes the method indifferent to the scale of each feature.

Pairs of very many coefficients are kept as float32: they only aim, and what they aim at is judged by the exact value
and gradient. Whether they are follows from the number of coefficients alone, so the bits do not depend on a machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mr_ml.optimize.base import Floats
from mr_ml.optimize.line_search import LineMethod, LineState, inverse_diagonal, with_distance
from mr_ml.optimize.newton import newton_direction

_GAMMA = (0.1, 4.0)
NARROW_FROM = 5_000_001


@dataclass(frozen=True)
class Lbfgs(LineMethod):
    """Attributes
    ----------
    memory
        Pairs kept; each costs 16 bytes per coefficient, 8 from `NARROW_FROM` coefficients on.
    proves
        Where it has arrived, the Hessian is asked for once: whether the optimum is as near as it seems.
    """

    memory: int = 20
    proves: bool = False

    name: ClassVar[str] = "lbfgs"
    early_steps: ClassVar[int] = 3
    # its distance is a worst case, and comes down in waves
    fit_slack: ClassVar[float] = 1000.0
    patience: ClassVar[int] = 10
    # may leap to where probabilities are one and nothing moves any more
    measured: ClassVar[bool] = False

    def direction(self, state: LineState, hessian: Floats | None) -> tuple[Floats, float]:
        if hessian is not None:
            return newton_direction(state, hessian)
        inverse = inverse_diagonal(state)
        pairs = list(zip(state.pairs_s, state.pairs_y, strict=True))
        q, products, alphas = -state.gradient, [_dot(s, y) for s, y in pairs], []
        for (s, y), product in zip(reversed(pairs), reversed(products), strict=True):
            alpha = _dot(s, q) / product
            alphas.append(alpha)
            q -= np.multiply(y, alpha, dtype=np.float64)
        if pairs:
            _, y = pairs[-1]
            q *= float(np.clip(products[-1] / _dot(y, inverse * y), *_GAMMA))
        q *= inverse
        for (s, y), product, alpha in zip(pairs, products, reversed(alphas), strict=True):
            q += np.multiply(s, alpha - _dot(y, q) / product, dtype=np.float64)
        return with_distance(state, q)

    def distance(self, state: LineState) -> float:
        """As if all that is left of the gradient lay in the flattest direction that was seen."""
        steps = ((_dot(s, y), _dot(s * state.curvature, s)) for s, y in zip(state.pairs_s, state.pairs_y, strict=True))
        flattest = min((bend / size for bend, size in steps if size > 0), default=1.0)
        left = float(np.sqrt(state.gradient**2 @ inverse_diagonal(state)))
        # numpy's division: what is flat beyond all numbers is infinitely far
        return max(state.distance, float(np.divide(left, np.sqrt(flattest))))

    def kept(self, vector: Floats) -> NDArray[Any]:
        return vector.astype(np.float32) if len(vector) >= NARROW_FROM else vector


def _dot(a: NDArray[Any], b: NDArray[Any]) -> np.float64:
    """The product in float64, whatever the vectors are kept in."""
    return np.float64(a.astype(np.float64, copy=False) @ b.astype(np.float64, copy=False))
