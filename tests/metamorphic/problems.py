"""Small problems, and changes of one whose effect on the answer is known without solving either.

    margin z = x . w + b + offset        objective = sum_i u_i l(z_i, y_i) / sum_i u_i + 1/2 l2 |w|^2

A change makes another problem and says what the margins of its rows must be, given those of the first. Features are
multiples of 2^-6, so that moving them by as much as 2^40 loses nothing: what is another number afterwards is due to how
it was computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PenaltySpace = Literal["raw", "scaled"]
PENALTIES: dict[str, tuple[float, PenaltySpace]] = {
    "free": (0.0, "raw"),
    "raw": (0.01, "raw"),
    "scaled": (0.01, "scaled"),
}
KINDS = ("plain", "weighted", "through 0")
LOSSES = ("squared", "logistic", "softmax")
STORAGES = ("dense", "sparse")


@dataclass(frozen=True, eq=False)
class Problem:
    """x (n_rows, n_features), y, weights, offsets (n_rows,), and what is asked of them."""

    loss: str
    x: Floats
    y: Floats
    weights: Floats | None = None
    offsets: Floats | None = None
    intercept: bool = True
    l2: float = 0.0
    space: PenaltySpace = "raw"

    @property
    def u(self) -> Floats:
        return np.ones(len(self.y)) if self.weights is None else self.weights

    @property
    def o(self) -> Floats:
        return np.zeros(len(self.y)) if self.offsets is None else self.offsets


@dataclass(frozen=True, eq=False)
class Changed:
    """The changed problem, and its rows' margins (n_rows, n_outputs) from those of the first."""

    problem: Problem
    margins: Callable[[Floats], Floats] = lambda z: z


def base(kind: str, loss: str, penalty: str, storage: str) -> Problem:
    """`weighted` has weights of 1 to 3 and, where the loss has a use for them, offsets."""
    random = np.random.default_rng([KINDS.index(kind), LOSSES.index(loss), STORAGES.index(storage)])
    x = _dense(random) if storage == "dense" else _sparse(random)
    n, d = x.shape
    n_outputs = 3 if loss == "softmax" else 1
    z = x @ random.normal(scale=0.6, size=(d, n_outputs)) + random.normal(scale=0.3, size=n_outputs)
    if loss == "squared":
        y = np.round((z[:, 0] + random.normal(size=n)) * 64) / 64
    elif loss == "logistic":
        y = (z[:, 0] + random.logistic(scale=1.5, size=n) > 0).astype(float)
    else:
        y = (z + random.gumbel(scale=1.5, size=z.shape)).argmax(axis=1).astype(float)
    l2, space = PENALTIES[penalty]
    weighted = kind == "weighted"
    weights = random.integers(1, 4, n).astype(float) if weighted else None
    offsets = np.round(random.normal(size=n) * 16) / 64 if weighted and loss != "softmax" else None
    return Problem(loss, x, y, weights, offsets, intercept=kind != "through 0", l2=l2, space=space)


def _dense(random: np.random.Generator) -> Floats:
    x = np.round(random.normal(loc=[0.0, 0.5, -1.0, 0.0], size=(60, 4)) * 64) / 64
    return np.where(x == 0, 1.0, x)


def _sparse(random: np.random.Generator) -> Floats:
    """The first column is full, the others have entries in a fifth of the rows; fewer than a third of all."""
    x = np.round(random.normal(size=(150, 9)) * 64) / 64
    x[:, 1:] *= random.random((150, 8)) < 0.2
    x[x[:, 0] == 0, 0] = 1.0
    return x


def _has_raw_penalty(problem: Problem) -> bool:
    return problem.l2 > 0 and problem.space == "raw"


def scale_each(problem: Problem) -> Changed | None:
    """Each feature in a unit of its own, by 10^±12: a raw penalty has a unit, then it is another problem."""
    if _has_raw_penalty(problem):
        return None
    factors = np.resize([1e12, 1e-12, 1.0, 1e-5], problem.x.shape[1])
    return Changed(replace(problem, x=problem.x * factors))


def _scale_all(factor: float) -> Callable[[Problem], Changed | None]:
    def change(problem: Problem) -> Changed | None:
        """All features in another unit, and the raw penalty with them."""
        if not _has_raw_penalty(problem):
            return None
        return Changed(replace(problem, x=problem.x * factor, l2=problem.l2 * factor**2))

    return change


def _scale_target(factor: float) -> Callable[[Problem], Changed | None]:
    def change(problem: Problem) -> Changed | None:
        if problem.loss != "squared":
            return None
        offsets = None if problem.offsets is None else problem.offsets * factor
        return Changed(replace(problem, y=problem.y * factor, offsets=offsets), lambda z: z * factor)

    return change


def _shift(by: float) -> Callable[[Problem], Changed | None]:
    def change(problem: Problem) -> Changed | None:
        """Features far from zero: the intercept is free and takes it up. Only columns that are full are moved."""
        if not problem.intercept:
            return None
        full = (problem.x != 0).all(axis=0)
        moved = np.where(full, np.resize([by, -3 * by / 4], full.shape), 0.0)
        return Changed(replace(problem, x=problem.x + moved))

    return change


def shift_target(problem: Problem) -> Changed | None:
    """A target far from zero."""
    if problem.loss != "squared" or not problem.intercept:
        return None
    return Changed(replace(problem, y=problem.y + 2.0**30), lambda z: z + 2.0**30)


def repeat_rows(problem: Problem) -> Changed | None:
    """A row of weight 3 is three rows."""
    if problem.weights is None:
        return None
    at = np.repeat(np.arange(len(problem.y)), problem.weights.astype(int))
    offsets = None if problem.offsets is None else problem.offsets[at]
    changed = replace(problem, x=problem.x[at], y=problem.y[at], weights=None, offsets=offsets)
    return Changed(changed, lambda z: z[at])


def split_weights(problem: Problem) -> Changed | None:
    """A row is two rows that share its weight."""
    if problem.weights is None:
        return None
    at = np.tile(np.arange(len(problem.y)), 2)
    share = np.repeat([0.25, 0.75], len(problem.y))
    offsets = None if problem.offsets is None else problem.offsets[at]
    changed = replace(problem, x=problem.x[at], y=problem.y[at], weights=problem.weights[at] * share, offsets=offsets)
    return Changed(changed, lambda z: z[at])


def weightless_rows(problem: Problem) -> Changed | None:
    """Rows of weight 0 are none: here those with labels of other rows."""
    if problem.weights is None:
        return None
    n = len(problem.y)
    at = np.append(np.arange(n), np.arange(n)[::-1])
    offsets = None if problem.offsets is None else problem.offsets[at]
    y, weights = np.tile(problem.y, 2), np.append(problem.weights, np.zeros(n))
    return Changed(replace(problem, x=problem.x[at], y=y, weights=weights, offsets=offsets), lambda z: z[at])


def _scale_weights(factor: float) -> Callable[[Problem], Changed | None]:
    def change(problem: Problem) -> Changed | None:
        """Weights in another unit: the objective is a mean."""
        if problem.weights is None:
            return None
        return Changed(replace(problem, weights=problem.weights * factor))

    return change


def reverse_columns(problem: Problem) -> Changed:
    return Changed(replace(problem, x=problem.x[:, ::-1].copy()))


def reverse_rows(problem: Problem) -> Changed:
    weights = None if problem.weights is None else problem.weights[::-1]
    offsets = None if problem.offsets is None else problem.offsets[::-1]
    changed = replace(problem, x=problem.x[::-1], y=problem.y[::-1], weights=weights, offsets=offsets)
    return Changed(changed, lambda z: z[::-1])


def negate(problem: Problem) -> Changed:
    """Some features the other way round."""
    return Changed(replace(problem, x=problem.x * np.resize([-1.0, 1.0], problem.x.shape[1]) + 0.0))


def rename_classes(problem: Problem) -> Changed | None:
    """The two classes swapped turn the margins round; of several each keeps its own."""
    if problem.loss == "logistic":
        offsets = None if problem.offsets is None else -problem.offsets
        return Changed(replace(problem, y=1 - problem.y, offsets=offsets), lambda z: -z)
    if problem.loss == "softmax":
        return Changed(replace(problem, y=np.array([1.0, 2.0, 0.0])[problem.y.astype(int)]), lambda z: z[:, [2, 0, 1]])
    return None


def _constant(value: float) -> Callable[[Problem], Changed | None]:
    def change(problem: Problem) -> Changed | None:
        """A column that says nothing, beside an intercept that is free."""
        if not problem.intercept:
            return None
        column = np.full((len(problem.y), 1), value)
        return Changed(replace(problem, x=np.hstack([problem.x[:, :2], column, problem.x[:, 2:]])))

    return change


def intercept_as_column(problem: Problem) -> Changed | None:
    """A column of 1 is an intercept, where coefficients are free."""
    if not problem.intercept or problem.l2:
        return None
    return Changed(replace(problem, x=np.hstack([problem.x, np.ones((len(problem.y), 1))]), intercept=False))


def twice(problem: Problem) -> Changed | None:
    """A feature as two columns of 3/5 and 4/5 of it: w becomes 3/5 w and 4/5 w, of the same length."""
    if problem.l2 and problem.space == "scaled":
        return None
    parts = problem.x[:, :1] * [0.6, 0.8]
    return Changed(replace(problem, x=np.hstack([parts, problem.x[:, 1:]])))


def _tiny(size: float) -> Callable[[Problem], Changed | None]:
    def change(problem: Problem) -> Changed | None:
        """One feature more, so small that the raw penalty leaves it no effect: w = -g / l2 is of its size, x w of the
        square of it."""
        if not _has_raw_penalty(problem):
            return None
        column = size * np.random.default_rng(7).normal(size=(len(problem.y), 1))
        if (problem.x == 0).any():
            column[5:] = 0
        return Changed(replace(problem, x=np.hstack([column, problem.x])))

    return change


def two_outputs(problem: Problem) -> Changed | None:
    """Two classes by the softmax loss: margins -z/2 and z/2, of which the squares of the coefficients are half."""
    if problem.loss != "logistic" or problem.offsets is not None:
        return None
    changed = replace(problem, loss="softmax", l2=2 * problem.l2)
    return Changed(changed, lambda z: np.hstack([-z / 2, z / 2]))


CHANGES: dict[str, Callable[[Problem], Changed | None]] = {
    "each feature in a unit of its own": scale_each,
    "features x 1e12": _scale_all(1e12),
    "features x 1e-12": _scale_all(1e-12),
    "target x 1e12": _scale_target(1e12),
    "target x 1e-12": _scale_target(1e-12),
    "target + 2^30": shift_target,
    "features + 2^20": _shift(2.0**20),
    "features + 2^40": _shift(2.0**40),
    "rows repeated": repeat_rows,
    "weights shared": split_weights,
    "rows of weight 0": weightless_rows,
    "weights x 1e12": _scale_weights(1e12),
    "weights x 1e-12": _scale_weights(1e-12),
    "columns reversed": reverse_columns,
    "rows reversed": reverse_rows,
    "features negated": negate,
    "classes renamed": rename_classes,
    "intercept as a column": intercept_as_column,
    "a column of 1e9": _constant(1e9),
    "a feature twice": twice,
    "a feature of 1e-8": _tiny(1e-8),
    "as softmax": two_outputs,
}


def bound(problem: Problem, *, tolerance: float) -> Floats:
    """How far a margin may be from the optimum's, (n_rows, 1), where no component of the gradient is too large.

        z - z* = A H^-1 g,    |z_i - z*_i| <= tau sum_j |(H^-1 a_i)_j|    if |g_j| <= tau for every j

    A holds the features divided by their standard deviation, less their mean where there is an intercept; H is the
    Hessian at z*; tau = tolerance times the mean absolute slope of the losses before there are features, for features
    of standard deviation 1. The pseudo-inverse leaves out the direction in which all margins of a softmax move alike.
    """
    h, a = _optimum(problem)
    reach = np.abs(np.linalg.pinv(h, rcond=1e-10) @ a.T).sum(axis=0)
    return np.asarray(tolerance * _slope(problem) * reach.reshape(len(problem.y), -1).max(axis=1, keepdims=True))


def _slope(problem: Problem) -> float:
    u = problem.u / problem.u.sum()
    if problem.loss == "squared":
        residual = problem.y - problem.o
        return float(u @ np.abs(residual - (u @ residual if problem.intercept else 0)))
    shares = np.array([u @ (problem.y == label) for label in np.unique(problem.y)])
    return float((2 * shares * (1 - shares)).max())


def _optimum(problem: Problem) -> tuple[Floats, Floats]:
    """Hessian and rows of each output's margin, by plain Newton steps on standardised features.

    Good to a few digits, which is all that a bound needs.
    """
    x, u = problem.x, problem.u / problem.u.sum()
    spread = x.std(axis=0)
    spread[spread == 0] = 1
    by_weight = np.sqrt(u @ (x - u @ x) ** 2)
    by_weight[by_weight == 0] = 1
    a = (x - x.mean(axis=0)) / spread if problem.intercept else x / spread
    q = problem.l2 / spread**2 if problem.space == "raw" else problem.l2 * (by_weight / spread) ** 2
    if problem.intercept:
        a, q = np.hstack([a, np.ones((len(a), 1))]), np.append(q, 0.0)
    k = len(np.unique(problem.y)) if problem.loss == "softmax" else 1
    rows, q = np.kron(a, np.eye(k)), np.repeat(q, k)
    theta = np.zeros(len(q))
    for _ in range(12):
        z = (rows @ theta).reshape(-1, k) + problem.o[:, None]
        slope, bend = _derivatives(problem, z)
        h = np.einsum("i,iaj,iab,ibk->jk", u, (r := rows.reshape(len(a), k, -1)), bend, r, optimize=True) + np.diag(q)
        g = np.einsum("i,iaj,ia->j", u, r, slope) + q * theta
        theta = theta - np.linalg.pinv(h, rcond=1e-10) @ g
    return h, rows


def _derivatives(problem: Problem, z: Floats) -> tuple[Floats, Any]:
    if problem.loss == "squared":
        return z - problem.y[:, None], np.ones((len(z), 1, 1))
    if problem.loss == "logistic":
        p = 1 / (1 + np.exp(-z))
        return p - problem.y[:, None], (p * (1 - p))[:, :, None]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    y = problem.y[:, None] == np.unique(problem.y)
    return p - y, p[:, :, None] * np.eye(z.shape[1]) - p[:, :, None] * p[:, None, :]
