"""The optimum that gaps are measured against, and the one function that measures them.

    f(w, b) = 1/n sum_i [log(1 + e^z_i) - y_i z_i] + l2/2 |w|^2,     z = X w + b,  y in {0, 1}

computed with scipy alone from the arrays that the generator wrote, never from what a program says of itself. The
optimum comes from this project's optimizers on that function and is held against scipy's L-BFGS-B, which starts from
zero and knows nothing of the first result.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from generate import Problem
from numpy.typing import NDArray
from scipy import optimize, sparse, special

from mr_ml.optimize.base import Ask, Evaluation
from mr_ml.optimize.lbfgs import Lbfgs
from mr_ml.optimize.newton import Newton

Array = NDArray[Any]

AGREEMENT = 1e-7
ACCURACY = 1e-10
NEWTON_UP_TO = 700


@dataclass(frozen=True, eq=False)
class Logistic:
    """f over theta = (w, b) for X (n_rows, n_features) and y of 0 and 1."""

    x: sparse.csr_array
    y: Array
    l2: float

    def value(self, coef: Array, intercept: float) -> float:
        z = self.x @ coef + intercept
        return float(np.mean(np.logaddexp(0, z) - self.y * z) + self.l2 / 2 * (coef @ coef))

    def gradient(self, theta: Array) -> tuple[float, Array, Array]:
        """f, its gradient, and the slopes' derivative p (1 - p) of each row."""
        z = self.x @ theta[:-1] + theta[-1]
        p = special.expit(z)
        slope = (p - self.y) / len(z)
        gradient = np.append(self.x.T @ slope + self.l2 * theta[:-1], slope.sum())
        value = np.mean(np.logaddexp(0, z) - self.y * z) + self.l2 / 2 * (theta[:-1] @ theta[:-1])
        return float(value), gradient, p * (1 - p) / len(z)

    def diagonal(self, bend: Array) -> Array:
        return np.append(self.x.power(2).T @ bend + self.l2, bend.sum())

    def hessian(self, bend: Array) -> Array:
        x = self.x.toarray()
        x = np.hstack([x, np.ones((len(x), 1))])
        full = x.T @ (bend[:, None] * x)
        full[np.diag_indices(len(full) - 1)] += self.l2
        return np.asarray(full)


@dataclass(frozen=True, eq=False)
class Optimum:
    value: float
    decrement: float
    scipy_value: float
    problem: Problem
    function: Logistic

    def gap(self, coef: Array, intercept: float) -> float:
        """(f - f*) / f*."""
        return (self.function.value(coef, intercept) - self.value) / self.value


def reference(problem: Problem, say: Callable[[str], None]) -> Optimum:
    """The optimum of a set, computed once and kept beside it under the checksum of its text.

    Raises
    ------
    RuntimeError
        If the gradient left is too large for a relative accuracy of 1e-10, or scipy found something else.
    """
    x, y = problem.load()
    function = Logistic(x, y, problem.l2)
    path = problem.folder / "optimum.json"
    if path.is_file():
        found = json.loads(path.read_text())
        if found.pop("sha256") == problem.sha256:
            return Optimum(problem=problem, function=function, **found)
    say(f"{problem.name}: computing the optimum")
    theta = _ours(function)
    value, gradient, bend = function.gradient(theta)
    # half of g' D^-1 g, the first-order estimate of what is left to gain, with the diagonal for the Hessian
    diagonal = function.diagonal(bend)
    decrement = float(gradient @ (gradient / diagonal) / 2)
    unit = 1 / np.sqrt(function.diagonal(np.full(len(y), 0.25 / len(y))))
    found = optimize.minimize(
        lambda s: _scaled(function, s, unit), np.zeros(len(unit)), jac=True, method="L-BFGS-B",
        options={"maxcor": 50, "maxiter": 3000, "maxfun": 4000, "ftol": 1e-15, "gtol": 1e-9},
    )  # fmt: skip
    if decrement > ACCURACY * value or abs(found.fun - value) > AGREEMENT * value:
        raise RuntimeError(
            f"{problem.name}: no agreement on the optimum: {value!r}, left to gain {decrement:.1e}; scipy {found.fun!r}"
        )
    # whichever is lower
    said = {"value": min(value, float(found.fun)), "decrement": decrement, "scipy_value": float(found.fun)}
    _write(path, {"sha256": problem.sha256, **said})
    return Optimum(problem=problem, function=function, **said)


def _ours(function: Logistic) -> Array:
    size = function.x.shape[1] + 1
    newton = size <= NEWTON_UP_TO
    unit = 1 / np.sqrt(function.diagonal(np.full(len(function.y), 0.25 / len(function.y))))
    optimizer = Newton(tolerance=1e-12, max_passes=100) if newton else Lbfgs(tolerance=1e-9, max_passes=2000, memory=50)
    state = optimizer.init(np.zeros(size))
    while (ask := optimizer.ask(state)) is not None:
        state = optimizer.tell(state, _answer(function, ask, unit))
    return np.asarray(state.point * unit)


def _answer(function: Logistic, ask: Ask, unit: Array) -> Evaluation:
    """Evaluate in units of the diagonal at zero, so that the tolerance means the same for each coefficient."""
    points = [ask.point if ask.direction is None else ask.point + t * ask.direction for t in ask.steps]
    chosen, gradient, bend = function.gradient(points[ask.chosen] * unit)
    values = [
        chosen if j == ask.chosen else function.value((p * unit)[:-1], (p * unit)[-1]) for j, p in enumerate(points)
    ]
    hessian = function.hessian(bend) * unit * unit[:, None] if ask.hessian else None
    return Evaluation(np.array(values), gradient * unit, function.diagonal(bend) * unit**2, hessian)


def _scaled(function: Logistic, scaled: Array, unit: Array) -> tuple[float, Array]:
    value, gradient, _ = function.gradient(scaled * unit)
    return value, gradient * unit


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1))
