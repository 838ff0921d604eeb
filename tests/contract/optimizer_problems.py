"""Functions to minimise, with their derivatives and their least values: closed forms, or scipy's minimisers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.optimize import minimize, rosen, rosen_der, rosen_hess
from scipy.special import expit

from mr_ml.optimize.base import Ask, Evaluation, Separation

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Problem:
    """A function with its derivatives, where to begin, and its least value.

    Attributes
    ----------
    unit, fit_unit
        Those of evaluations.
    separation
        Of a point and a direction, if classes may be separated.
    """

    value: Callable[[Floats], float]
    gradient: Callable[[Floats], Floats]
    hessian: Callable[[Floats], Floats]
    start: Floats
    least: float = 0.0
    slack: float = 1e-12
    unit: float | Floats = 1.0
    fit_unit: float = 0.75
    separation: Callable[[Floats, Floats], Separation] | None = None

    def __call__(self, ask: Ask) -> Evaluation:
        direction = np.zeros(len(ask.point)) if ask.direction is None else ask.direction
        points = [ask.point + step * direction for step in ask.steps]
        at = points[ask.chosen]
        hessian = self.hessian(at) if ask.hessian else None
        curvature = np.diag(self.hessian(at)).copy() if ask.curvature or ask.hessian else None
        return Evaluation(
            np.array([self.value(point) for point in points]), self.gradient(at), curvature, hessian,
            unit=np.atleast_1d(self.unit), fit_unit=self.fit_unit,
            separation=self.separation(at, direction) if self.separation else None,
        )  # fmt: skip


def quadratic(hessian: Floats, centre: Floats, start: Floats, **settings: Any) -> Problem:
    def value(x: Floats) -> float:
        return float(0.5 * (x - centre) @ hessian @ (x - centre))

    return Problem(value, lambda x: hessian @ (x - centre), lambda x: hessian, start, **settings)


def rosenbrock(n: int) -> Problem:
    """Least at (1, ..., 1); from four dimensions on there is another minimum, elsewhere than from this start."""
    return Problem(rosen, rosen_der, rosen_hess, np.array([-1.2, 1.0]) if n == 2 else np.zeros(n))


def rotated(eigenvalues: Floats, seed: int = 0) -> Floats:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))
    return np.asarray((q * eigenvalues) @ q.T)


def ill_conditioned() -> Problem:
    """A condition number of 1e8 that no scaling of coordinates takes away."""
    return quadratic(rotated(np.logspace(-4, 4, 12)), np.linspace(-1, 1, 12), np.zeros(12), slack=1e-10)


def of_many_sizes() -> Problem:
    """Coordinates of sizes from 1e-6 to 1e6, in a unit in which all count."""
    size = np.logspace(-6, 6, 8)
    inner, centre = rotated(np.linspace(1, 10, 8), seed=1), np.linspace(1, 2, 8)

    def value(x: Floats) -> float:
        z = x / size - centre
        return float(0.5 * z @ inner @ z)

    return Problem(
        value, lambda x: inner @ (x / size - centre) / size, lambda x: inner / np.outer(size, size), np.zeros(8),
        unit=1 / size,
    )  # fmt: skip


def valley() -> Problem:
    """Flat along a line: only the sum of two coordinates counts."""
    return quadratic(np.ones((2, 2)), np.array([0.5, 0.5]), np.array([3.0, -1.0]))


def quartic() -> Problem:
    """Without curvature at its optimum."""
    centre = np.array([1.0, -2.0, 0.5])
    return Problem(
        lambda x: float(((x - centre) ** 4).sum()), lambda x: 4 * (x - centre) ** 3,
        lambda x: np.diag(12 * (x - centre) ** 2), np.zeros(3), slack=1e-8,
    )  # fmt: skip


@cache
def kinked() -> Problem:
    """Absolute residuals of a regression, rounded off over a thousandth."""
    rng = np.random.default_rng(4)
    a, b, width = rng.normal(size=(60, 4)), rng.standard_cauchy(60), 1e-3

    def value(x: Floats) -> float:
        return float(np.mean(np.hypot(a @ x - b, width) - width))

    def gradient(x: Floats) -> Floats:
        r = a @ x - b
        return np.asarray(a.T @ (r / np.hypot(r, width)) / 60)

    def hessian(x: Floats) -> Floats:
        return np.asarray(a.T @ (a * (width**2 / np.hypot(a @ x - b, width) ** 3 / 60)[:, None]))

    found = minimize(value, np.zeros(4), jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-12})
    return Problem(value, gradient, hessian, np.zeros(4), least=float(found.fun))


def logistic(*, separated: bool) -> Problem:
    """Rows of two classes; with no penalty there is an optimum only if they overlap."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(80, 3))
    y = np.where(x @ [1.0, -2.0, 0.5] + (0 if separated else rng.logistic(size=80)) > 0, 1.0, -1.0)

    def gaps(w: Floats, p: Floats) -> Separation:
        at, change = y * (x @ w), y * (x @ p)
        return Separation(at.min(), -at.max(), change.min(), -change.max())

    def value(w: Floats) -> float:
        return float(np.logaddexp(0, -y * (x @ w)).mean())

    def gradient(w: Floats) -> Floats:
        return np.asarray(-x.T @ (y * expit(-y * (x @ w))) / 80)

    def hessian(w: Floats) -> Floats:
        p = expit(x @ w)
        return np.asarray(x.T @ (x * (p * (1 - p) / 80)[:, None]))

    least = 0.0 if separated else float(minimize(value, np.zeros(3), jac=gradient, tol=1e-12).fun)
    return Problem(value, gradient, hessian, np.zeros(3), least=least, separation=gaps)


def barrier() -> Problem:
    """The sum of x - log x: infinite left of 0, and nothing at all that is known there."""

    def value(x: Floats) -> float:
        return float((x - np.log(x)).sum()) if (x > 0).all() else np.inf

    return Problem(value, lambda x: 1 - 1 / x, lambda x: np.diag(1 / x**2), np.array([40.0, 0.01, 3.0]), least=3.0)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "valley of a banana": lambda: rosenbrock(2),
    "valley of a banana in five dimensions": lambda: rosenbrock(5),
    "condition number of 1e8": ill_conditioned,
    "coordinates of many sizes": of_many_sizes,
    "a line of optima": valley,
    "no curvature at the optimum": quartic,
    "almost kinked": kinked,
    "overlapping classes": lambda: logistic(separated=False),
    "infinite beyond a bound": barrier,
    "no coefficients": lambda: quadratic(np.zeros((0, 0)), np.zeros(0), np.zeros(0)),
    "a start that is the optimum": lambda: quadratic(np.diag([1.0, 1e6]), np.full(2, 7.0), np.full(2, 7.0)),
}
