"""L-BFGS for objectives with absolute values and bounds, of any size.

Each step goes towards the minimum of a quadratic model with the kinks of the objective (see
`mr_ml.optimize.proximal`), whose matrix is that of L-BFGS in its compact form (Byrd, Nocedal & Schnabel 1994):

    B = B_0 - [B_0 S  Y] [S'B_0 S  L; L'  -D]^-1 [B_0 S  Y]',        B_0 = M / gamma

with S and Y the pairs, each divided by (s'y)^1/2, L what is below the diagonal of S'Y, D its diagonal, and M and gamma
as in `mr_ml.optimize.lbfgs`. The model's minimum is searched on the driver, without a pass: `mr_ml.optimize.face`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.optimize.base import Cost, Evaluation, Floats, Stop
from mr_ml.optimize.face import Matrix, towards_minimum
from mr_ml.optimize.lbfgs import GAMMA, Lbfgs, StartMatrix, add, dot, pairs_of
from mr_ml.optimize.line_search import inverse_diagonal
from mr_ml.optimize.line_state import LineState
from mr_ml.optimize.newton import HESSIAN_UP_TO
from mr_ml.optimize.proximal import Proximal, along
from mr_ml.optimize.proximal_newton import model_direction

# Pairs more than that cost the driver more than they save.
_MOST_PAIRS = 20
# Held by the driver besides those of L-BFGS.
_VECTORS = 19


@dataclass(frozen=True)
class ProximalLbfgs(Proximal, Lbfgs):
    """L-BFGS with kinks. Without kinks it is L-BFGS, but for the steps that it tries."""

    name: ClassVar[str] = "proximal-lbfgs"

    @property
    def rules_out(self) -> frozenset[Stop]:  # type: ignore[override]
        """As of L-BFGS."""
        return Lbfgs.rules_out.fget(self)  # type: ignore[attr-defined,no-any-return]

    def cost(self, size: int) -> Cost:
        """Count what L-BFGS takes, and the vectors of the search for the model's minimum."""
        cost = super().cost(size)
        return replace(cost, state_bytes=cost.state_bytes + 8 * _VECTORS * size)

    def direction(self, state: LineState, ev: Evaluation) -> tuple[Floats, float]:
        """Go towards the minimum of the model; of the one with the Hessian itself, where it was asked for."""
        if ev.kinks is None:
            return super().direction(state, ev)
        if ev.hessian is not None:
            return model_direction(state, ev)
        if not np.isfinite(state.gradient).all():
            return along(state, self.descent(state))
        diagonal = 1 / inverse_diagonal(state)
        return along(state, towards_minimum(model_of(state), state, ev.kinks, diagonal=diagonal))

    def max_distance(self, state: LineState) -> float:
        """Compute the distance as L-BFGS does, by what is left of slopes."""
        return super().max_distance(state if state.left is None else replace(state, gradient=state.left))


def proximal_lbfgs(*, size: int, tolerance: float, max_passes: int) -> ProximalLbfgs:
    """Make the method for a problem, with as many pairs as its size allows; a `choose.Factory`."""
    return ProximalLbfgs(
        tolerance=tolerance, max_passes=max_passes, memory=min(pairs_of(size), _MOST_PAIRS),
        checks_hessian=size <= HESSIAN_UP_TO,
    )  # fmt: skip


def model_of(state: LineState) -> Matrix:
    """Return what multiplies with B."""
    matrix = StartMatrix.of(state)
    if not len(state.pairs_s):
        return Matrix(matrix.times, n_products=0)
    sizes = [1 / np.sqrt(dot(s, y)) for s, y in zip(state.pairs_s, state.pairs_y, strict=True)]
    last_s, last_y = state.pairs_s[-1], state.pairs_y[-1]
    gamma = float(np.clip(dot(last_s, last_y) / dot(last_y, matrix.solve(1.0 * last_y)), *GAMMA))

    def start(vector: Floats) -> Floats:
        product = matrix.times(vector)
        product /= gamma
        return product

    m = len(sizes)
    middle = np.zeros((2 * m, 2 * m))
    for i, (s, by) in enumerate(zip(state.pairs_s, sizes, strict=True)):
        weighted = start(s)
        for j in range(m):
            middle[i, j] = dot(weighted, state.pairs_s[j]) * by * sizes[j]
            if j < i:
                middle[i, m + j] = middle[m + j, i] = dot(s, state.pairs_y[j]) * by * sizes[j]
        middle[m + i, m + i] = -1.0

    def times(vector: Floats) -> Floats:
        weighted = start(vector)
        known = [dot(s, weighted) * by for s, by in zip(state.pairs_s, sizes, strict=True)]
        known += [dot(y, vector) * by for y, by in zip(state.pairs_y, sizes, strict=True)]
        parts = np.linalg.solve(middle, known)
        of_s = start(_sum(state.pairs_s, parts[:m] * sizes))
        return np.asarray(weighted - of_s - _sum(state.pairs_y, parts[m:] * sizes))

    return Matrix(times, n_products=4 * m)


def _sum(vectors: Any, weights: NDArray[Any]) -> Floats:
    total = np.zeros(len(vectors[0]))
    for vector, weight in zip(vectors, weights.tolist(), strict=True):
        add(total, vector, weight)
    return total
