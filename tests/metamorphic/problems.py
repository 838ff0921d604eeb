"""Small problems of every loss, and how near a search must come to their optima.

    margin z = x . w + b + offset        objective = sum_i u_i l(z_i, y_i) / sum_i u_i + 1/2 l2 |w|^2

Features are multiples of 2^-6, so that moving them by as much as 2^40 loses nothing. The losses are those of
`loss_cases`, by their textbook formulas; what is made of these here knows nothing of the code under test.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from loss_cases import CASES
from numpy.typing import NDArray

from mr_ml.models.linear.losses import LOSSES as REGISTRY

Floats = NDArray[np.float64]

PenaltySpace = Literal["raw", "scaled"]
PENALTIES: dict[str, tuple[float, PenaltySpace]] = {
    "free": (0.0, "raw"),
    "raw": (0.01, "raw"),
    "scaled": (0.01, "scaled"),
}
KINDS = ("plain", "weighted", "through 0")
STORAGES = ("dense", "sparse")


def _text(loss: Any) -> str:
    """A loss as users write it."""
    parameters = ",".join(f"{field.name}={getattr(loss, field.name)}" for field in fields(loss))
    return f"{loss.name}:{parameters}" if parameters else str(loss.name)


CASE_OF = {_text(case.loss): case for case in CASES if case.loss.name in REGISTRY.built_in}
# those with the most changes, of which all combinations are tried
FIRST = ("squared", "logistic", "softmax")
LOSSES = (*FIRST, *(loss for loss in CASE_OF if loss not in FIRST))


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


def base(kind: str, loss: str, penalty: str, storage: str) -> Problem:
    """`weighted` has weights of 1 to 3 and, where the loss has a use for them, offsets."""
    random = np.random.default_rng([KINDS.index(kind), LOSSES.index(loss), STORAGES.index(storage)])
    x = _dense(random) if storage == "dense" else _sparse(random)
    n, d = x.shape
    n_outputs = CASE_OF[loss].n_outputs
    z = x @ random.normal(scale=0.6, size=(d, n_outputs)) + random.normal(scale=0.3, size=n_outputs)
    y = _labels(loss, z, random)
    l2, space = PENALTIES[penalty]
    weighted = kind == "weighted"
    weights = random.integers(1, 4, n).astype(float) if weighted else None
    offsets = np.round(random.normal(size=n) * 16) / 64 if weighted and loss != "softmax" else None
    if offsets is not None and has_positive_margins(loss):
        offsets = offsets / 8
    return Problem(loss, x, y, weights, offsets, intercept=kind != "through 0", l2=l2, space=space)


def has_positive_margins(loss: str) -> bool:
    """Whether others stand for no prediction."""
    return loss in ("inverse_gaussian", "gamma:link=inverse")


def _labels(loss: str, z: Floats, random: np.random.Generator) -> Floats:
    n, one = len(z), z[:, 0]
    name = loss.partition(":")[0]
    if loss == "softmax":
        return np.asarray((z + random.gumbel(scale=1.5, size=z.shape)).argmax(axis=1), np.float64)
    if CASE_OF[loss].n_classes:
        return np.asarray(one + random.logistic(scale=1.5, size=n) > 0, np.float64)
    if name in ("squared", "huber", "quantile"):
        return np.asarray(np.round((one + random.normal(size=n)) * 64) / 64)
    if name in ("poisson", "negative_binomial"):
        return np.asarray(random.poisson(np.exp(one / 2)), np.float64)
    if name == "tweedie":
        claims = random.poisson(np.exp(one / 2))
        return np.asarray(np.where(claims > 0, np.ceil(random.gamma(2.0 * np.maximum(claims, 1)) * 32) / 64, 0.0))
    mean = np.exp(one / 2)
    if has_positive_margins(loss):
        mean = (one - one.min() + 1.0) ** (-0.5 if name == "inverse_gaussian" else -1.0)
    return np.asarray(np.ceil(random.gamma(4.0, size=n) * mean * 16) / 64)


def _dense(random: np.random.Generator) -> Floats:
    x = np.round(random.normal(loc=[0.0, 0.5, -1.0, 0.0], size=(60, 4)) * 64) / 64
    return np.where(x == 0, 1.0, x)


def _sparse(random: np.random.Generator) -> Floats:
    """The first column is full, the others have entries in a fifth of the rows; fewer than a third of all."""
    x = np.round(random.normal(size=(150, 9)) * 64) / 64
    x[:, 1:] *= random.random((150, 8)) < 0.2
    x[x[:, 0] == 0, 0] = 1.0
    return x


def bound(problem: Problem, *, tolerance: float) -> Floats:
    """How far a margin may be from the optimum's, (n_rows, 1), where no component of the gradient is too large.

        z - z* = A H^-1 g,    |z_i - z*_i| <= tau sum_j |(H^-1 a_i)_j|    if |g_j| <= tau for every j

    A holds the features divided by their standard deviation, less their mean where there is an intercept; H is the
    Hessian at z*; tau = tolerance times the mean absolute slope of the losses there, for features of standard
    deviation 1. The pseudo-inverse leaves out the direction in which all margins of a softmax move alike.
    """
    h, a, slope = _optimum(problem)
    reach = np.abs(np.linalg.pinv(h, rcond=1e-10) @ a.T).sum(axis=0)
    return np.asarray(tolerance * slope * reach.reshape(len(problem.y), -1).max(axis=1, keepdims=True))


def _optimum(problem: Problem) -> tuple[Floats, Floats, float]:
    """Hessian and rows of each output's margin, and the largest mean absolute slope of one.

    By damped Newton steps on standardised features, good to a few digits, which is all that a bound needs.
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
    k = CASE_OF[problem.loss].n_outputs
    rows, q = np.kron(a, np.eye(k)), np.repeat(q, k)
    theta, damping = np.zeros(len(q)), 1.0
    if has_positive_margins(problem.loss):
        theta[-1] = problem.y.mean() ** (-2.0 if problem.loss == "inverse_gaussian" else -1.0)

    def objective(theta: Floats) -> float:
        value = u @ _value(problem, (rows @ theta).reshape(-1, k)) + q @ theta**2 / 2
        return float(value) if np.isfinite(value) else np.inf

    value = objective(theta)
    for _ in range(60):
        slope, bend = _derivatives(problem, (rows @ theta).reshape(-1, k))
        h = np.einsum("i,iaj,iab,ibk->jk", u, (r := rows.reshape(len(a), k, -1)), bend, r, optimize=True) + np.diag(q)
        g = np.einsum("i,iaj,ia->j", u, r, slope) + q * theta
        new = theta - np.linalg.pinv(h + damping * np.eye(len(q)), rcond=1e-10) @ g
        if (there := objective(new)) <= value:
            theta, value, damping = new, there, damping / 8
        else:
            damping *= 8
    return h, rows, float((u @ np.abs(slope)).max())


def _value(problem: Problem, z: Any) -> Any:
    with np.errstate(all="ignore"):
        return CASE_OF[problem.loss].textbook(z + problem.o[:, None], problem.y)


def _derivatives(problem: Problem, z: Floats) -> tuple[Floats, Any]:
    """l' (n_rows, k), by complex steps, and l'' (n_rows, k, k), by differences of these."""
    k = z.shape[1]

    def slope(z: Floats) -> Floats:
        return np.stack([_value(problem, z + 1e-30j * np.eye(k)[j]).imag / 1e-30 for j in range(k)], axis=1)

    step = 1e-6
    bend = [(slope(z + step * np.eye(k)[j]) - slope(z - step * np.eye(k)[j])) / (2 * step) for j in range(k)]
    return slope(z), np.stack(bend, axis=2)
