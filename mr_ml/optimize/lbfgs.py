"""L-BFGS whose starting matrix has the exact diagonal of the Hessian, and how features go with the intercept.

The direction is -B g by the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4) with

    B_0 = gamma M^-1,    gamma = s'y / y' M^-1 y  clipped to [0.1, 4]

M = diag(h) being the diagonal at the current point makes the method indifferent to the scale of each feature. Where
features are not centred, all that have a mean go together as their means do. With q the Hessian's column of the
intercept, whose curvature is b, and m = q / b, the means by curvature, M is what the Hessian would be were features
independent of each other:

    M = [diag(h - b m o m) + b m m'    b m ]
        [b m'                          b   ]

It has the exact diagonal and the exact column q, h >= b m o m by Cauchy and Schwarz, and its inverse takes a few sweeps
over the vectors: that of the diagonal in coordinates in which the features are centred.

Pairs (s, y) of very many coefficients are stored as float32: they only give the direction, and each step along it is
judged by the exact value and gradient. Whether they are follows from the number of coefficients alone, so the bits do
not depend on a machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.optimize.base import Cost, Evaluation, Floats, Stop
from mr_ml.optimize.line_search import LineMethod, inverse_diagonal, vector_cost, with_distance
from mr_ml.optimize.line_state import LineState
from mr_ml.optimize.newton import HESSIAN_UP_TO, newton_direction

GAMMA = (0.1, 4.0)
# Number of coefficients from which on pairs are float32.
NARROW_FROM = 5_000_001
# Pairs where they are cheap, and where they are not; all pairs of a very large model take no more than so many bytes,
# but a method of fewer than a handful is hardly better than gradient descent.
_MANY_PAIRS, _MANY_UP_TO = 50, 200_000
_PAIRS = 20
_PAIR_BYTES = 1 << 30
_FEWEST_PAIRS = 5
# Of very many numbers so many at a time, which the caches hold.
_PIECE = 1 << 16
# The largest share of a curvature that is a feature's mean alone, b m^2 / h, at which it is taken to be so.
_MOST_COUPLED = 0.99


@dataclass(frozen=True)
class Lbfgs(LineMethod):
    """L-BFGS with the Hessian's diagonal.

    Attributes
    ----------
    memory
        Pairs that are remembered; each takes 16 bytes per coefficient, 8 from `NARROW_FROM` coefficients on.
    checks_hessian
        Whether the Hessian is asked for once where the search seems to have converged: is the optimum as near as it
        seems? A distance by the curvature along few steps may miss directions that are almost flat, and steps may have
        leapt to where rows go on for ever: see `mr_ml.optimize.leaps`.
    """

    memory: int = 20
    checks_hessian: bool = False

    name: ClassVar[str] = "lbfgs"
    couples: ClassVar[bool] = True
    sampled_steps: ClassVar[int] = 3
    # its distance is an upper bound, and goes down in waves
    distance_slack: ClassVar[float] = 1000.0
    patience: ClassVar[int] = 10

    @property
    def histories(self) -> Mapping[str, str]:
        """The pairs, oldest first."""
        return {"pairs_s": "s", "pairs_y": "y"}

    @property
    def rules_out(self) -> frozenset[Stop]:  # type: ignore[override]
        """Nothing without the Hessian: a step may be so long that all probabilities are one, and no row moves then."""
        return frozenset({Stop.FLAT, Stop.SEPARABLE}) if self.checks_hessian else frozenset()

    def cost(self, size: int) -> Cost:
        """Count vectors and pairs, and the Hessian if it is asked for."""
        vector_bytes = (4 if size >= NARROW_FROM else 8) * size
        history_bytes = 2 * self.memory * vector_bytes
        return replace(vector_cost(size, hessian=self.checks_hessian), history_bytes=history_bytes)

    def direction(self, state: LineState, ev: Evaluation) -> tuple[Floats, float]:
        """Run the two-loop recursion, or take Newton's direction where the Hessian was asked for."""
        if ev.hessian is not None:
            return newton_direction(state, ev)
        solve = StartMatrix.of(state).solve
        pairs = list(zip(state.pairs_s, state.pairs_y, strict=True))
        s, y = pairs[-1] if pairs else (None, None)
        gamma = 1.0 if s is None or y is None else float(np.clip(dot(s, y) / dot(y, solve(1.0 * y)), *GAMMA))

        def by_start(q: Floats) -> Floats:
            q *= gamma
            return solve(q)

        return with_distance(state, self.two_loops(state, pairs, by_start))

    def two_loops(
        self, state: LineState, pairs: Sequence[tuple[Floats, Floats]], start: Callable[[Floats], Floats]
    ) -> Floats:
        """Return -B g, (n,), of pairs (s, y), oldest first; `start` multiplies B_0 with a vector (n,)."""
        q, products, alphas = -state.gradient, [dot(s, y) for s, y in pairs], []
        for (s, y), product in zip(reversed(pairs), reversed(products), strict=True):
            alpha = dot(s, q) / product
            alphas.append(alpha)
            add(q, y, -alpha)
        q = start(q)
        for (s, y), product, alpha in zip(pairs, products, reversed(alphas), strict=True):
            add(q, s, alpha - dot(y, q) / product)
        return q

    def max_distance(self, state: LineState) -> float:
        """Compute the distance as if all of the gradient were along the flattest direction of the pairs."""
        curvatures = (
            (dot(s, y), dot(s * state.curvature, s)) for s, y in zip(state.pairs_s, state.pairs_y, strict=True)
        )
        flattest = min((along / diagonal for along, diagonal in curvatures if diagonal > 0), default=1.0)
        left = float(np.sqrt((state.gradient * inverse_diagonal(state)) @ state.gradient))
        # numpy's division: along a direction without curvature the distance is infinite
        return max(state.distance, float(np.divide(left, np.sqrt(flattest))))

    def stored_pair(self, vector: Floats) -> NDArray[Any]:
        """Round to float32 where there are very many coefficients."""
        return vector.astype(np.float32) if len(vector) >= NARROW_FROM else vector


def lbfgs(*, size: int, tolerance: float, max_passes: int) -> Lbfgs:
    """Make L-BFGS for a problem, with as many pairs as its size allows; a `choose.Factory`."""
    checks_hessian = size <= HESSIAN_UP_TO
    return Lbfgs(tolerance=tolerance, max_passes=max_passes, memory=pairs_of(size), checks_hessian=checks_hessian)


@dataclass(frozen=True, eq=False)
class StartMatrix:
    """M of a state.

    Attributes
    ----------
    inverse
        (n_outputs, n_features + 1), or (1, n): of its diagonal; of a feature in coordinates in which it is centred.
    means
        m, (n_outputs, n_features); None where it is not known how features go with the intercept, and M is diagonal.
    """

    inverse: Floats
    means: Floats | None = None

    @classmethod
    def of(cls, state: LineState) -> StartMatrix:
        """Return M at the point of a state."""
        inverse = inverse_diagonal(state)
        if state.coupling is None:
            return cls(inverse[None])
        inverse = inverse.reshape(len(state.coupling), -1)
        # of features that hardly vary, and where rows say nothing of the intercept, not all
        means = state.coupling * inverse[:, -1:]
        share = state.coupling * means
        share *= inverse[:, :-1]
        means[share > _MOST_COUPLED] = 0.0
        share[share > _MOST_COUPLED] = 0.0
        inverse[:, :-1] /= 1.0 - share
        return cls(inverse, means)

    def solve(self, vector: Floats) -> Floats:
        """Multiply M^-1 with a vector (n,), in place: with millions of features these are large."""
        by_output = vector.reshape(self.inverse.shape)
        if self.means is not None:
            by_output[:, :-1] -= self.means * by_output[:, -1:]
        by_output *= self.inverse
        if self.means is not None:
            by_output[:, -1] -= np.einsum("kj,kj->k", self.means, by_output[:, :-1])
        return vector

    def times(self, vector: Floats) -> Floats:
        """Multiply M with a vector (n,)."""
        by_output = vector.reshape(self.inverse.shape)
        product = by_output / self.inverse
        if self.means is not None:
            product[:, -1] += np.einsum("kj,kj->k", self.means, by_output[:, :-1]) / self.inverse[:, -1]
            product[:, :-1] += self.means * product[:, -1:]
        return product.ravel()


def pairs_of(size: int) -> int:
    """Return how many pairs are remembered of so many coefficients."""
    memory = _MANY_PAIRS if size <= _MANY_UP_TO else _PAIRS
    return memory if size < NARROW_FROM else min(memory, max(_PAIR_BYTES // (8 * size), _FEWEST_PAIRS))


def dot(a: NDArray[Any], b: NDArray[Any]) -> np.float64:
    """Multiply in float64, whatever the vectors are stored in."""
    if a.dtype == b.dtype == np.float64:
        return np.float64(a @ b)
    pieces = (slice(first, first + _PIECE) for first in range(0, len(a), _PIECE))
    return np.float64(sum(a[some].astype(np.float64) @ b[some].astype(np.float64) for some in pieces))


def add(total: Floats, vector: NDArray[Any], weight: float | np.float64) -> None:
    """Add weight times the vector, whatever it is stored in, in float64."""
    for first in range(0, len(total), _PIECE):
        some = slice(first, first + _PIECE)
        total[some] += np.multiply(vector[some], weight, dtype=np.float64)
