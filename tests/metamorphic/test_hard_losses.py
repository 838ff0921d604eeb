"""Hard data for each loss: whatever is called converged is at the optimum, by its definition in 50 digits.

At the coefficients found, gradient and Hessian are those of the definition; Newton's step from there says how far the
optimum is. What the search did not manage, it must say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from fits import Solver
from problems import Floats, Problem

# a probability of 1 less e^-400 has 174
_DIGITS = 400
Definition = Callable[[Any, Any], tuple[Any, Any]]


def poisson(z: Any, y: Any) -> tuple[Any, Any]:
    """l' and l'', as of all that follow."""
    mean = mp.exp(z)
    return mean - y, mean


def gamma(z: Any, y: Any) -> tuple[Any, Any]:
    return 1 - y * mp.exp(-z), y * mp.exp(-z)


def gamma_inverse(z: Any, y: Any) -> tuple[Any, Any]:
    return y - 1 / z, 1 / z**2


def inverse_gaussian(z: Any, y: Any) -> tuple[Any, Any]:
    return (y - z ** mp.mpf(-0.5)) / 2, z ** mp.mpf(-1.5) / 4


def tweedie(power: float) -> Definition:
    def at(z: Any, y: Any) -> tuple[Any, Any]:
        p = mp.mpf(power)
        more, less = mp.exp((2 - p) * z), y * mp.exp((1 - p) * z)
        return more - less, (2 - p) * more - (1 - p) * less

    return at


def negative_binomial(theta: float) -> Definition:
    def at(z: Any, y: Any) -> tuple[Any, Any]:
        mean, t = mp.exp(z), mp.mpf(theta)
        return t * (mean - y) / (mean + t), t * mean * (y + t) / (mean + t) ** 2

    return at


def huber(delta: float) -> Definition:
    def at(z: Any, y: Any) -> tuple[Any, Any]:
        r = z - y
        return max(min(r, mp.mpf(delta)), -mp.mpf(delta)), mp.mpf(abs(r) <= delta)

    return at


def quantile(level: float, width: float) -> Definition:
    def at(z: Any, y: Any) -> tuple[Any, Any]:
        share, q = (z - y) / (2 * mp.mpf(width)), mp.mpf(level)
        inside = abs(share) <= 0.5
        return max(min(share, mp.mpf(0.5)), mp.mpf(-0.5)) + mp.mpf(0.5) - q, inside / (2 * mp.mpf(width))

    return at


def logistic(z: Any, y: Any) -> tuple[Any, Any]:
    p = 1 / (1 + mp.exp(-z))
    return p - y, p * (1 - p)


def probit(z: Any, y: Any) -> tuple[Any, Any]:
    m = z if y else -z
    steep = mp.npdf(m) / mp.ncdf(m)
    return (-steep if y else steep), steep * (steep + m)


def cloglog(z: Any, y: Any) -> tuple[Any, Any]:
    a = mp.exp(z)
    return (-a / mp.expm1(a), a / mp.expm1(a) * (a / -mp.expm1(-a) - 1)) if y else (a, a)


def squared_hinge(z: Any, y: Any) -> tuple[Any, Any]:
    sign = 1 if y else -1
    lacking = max(1 - sign * z, mp.mpf(0))
    return -2 * sign * lacking, mp.mpf(2 if lacking > 0 else 0)


def off(problem: Problem, definition: Definition, coef: Floats) -> float:
    """The largest change of a margin by Newton's step from the coefficients."""
    with mp.workdps(_DIGITS):
        counted = np.flatnonzero(problem.u)
        rows = [[*map(mp.mpf, problem.x[i].tolist()), mp.mpf(1)] for i in counted]
        total = mp.fsum(problem.u.tolist())
        size = len(coef)
        gradient, hessian = mp.matrix(size, 1), mp.matrix(size, size)
        theta = [mp.mpf(value) for value in coef.tolist()]
        for i, row in zip(counted.tolist(), rows, strict=True):
            z = mp.fsum(a * b for a, b in zip(row, theta, strict=True)) + mp.mpf(problem.o[i])
            slope, bend = definition(z, mp.mpf(problem.y[i]))
            u = mp.mpf(problem.u[i]) / total
            for j in range(size):
                gradient[j] += u * slope * row[j]
                for k in range(size):
                    hessian[j, k] += u * bend * row[j] * row[k]
        for j in range(size - 1):
            gradient[j] += problem.l2 * theta[j]
            hessian[j, j] += problem.l2
        # columns that repeat each other leave directions that change nothing
        largest = max(hessian[j, j] for j in range(size))
        for j in range(size):
            hessian[j, j] += largest * mp.mpf(10) ** -30
        step = mp.lu_solve(hessian, -gradient)
        moved = [abs(mp.fsum(a * step[j] for j, a in enumerate(row))) for row in rows]
        return float(max(moved))


def rows() -> tuple[Floats, Floats, np.random.Generator]:
    random = np.random.default_rng(1)
    x = np.round(random.normal(size=(40, 2)), 3)
    return x, x @ [0.7, -0.4] + 0.3, random


def two_classes() -> Problem:
    x, z, random = rows()
    return Problem("logistic", x, (z + random.logistic(size=40) > 0).astype(float))


def counts() -> Problem:
    x, z, random = rows()
    return Problem("poisson", x, random.poisson(np.exp(z)).astype(float))


def amounts() -> Problem:
    x, z, random = rows()
    return Problem("gamma", x, np.round(random.gamma(2.0, np.exp(z) / 2), 6) + 1e-6)


def numbers() -> Problem:
    x, z, random = rows()
    return Problem("huber:delta=1", x, np.round(z + random.standard_t(2, size=40), 4))


def with_label(problem: Problem, label: float) -> Problem:
    return replace(problem, y=np.where(np.arange(40) == 3, label, problem.y))


def far_offsets(problem: Problem, size: float) -> Problem:
    return replace(problem, offsets=np.resize([size, -size, -size], 40))


def known(problem: Problem, size: float) -> Problem:
    """Offsets by which every row is far on its right side, so that squares of slopes underflow."""
    return replace(problem, offsets=np.where(problem.y == 1, size, -size))


def doubled(problem: Problem) -> Problem:
    """Columns twice, one of a constant, rows of zeros, and weights that no sum of ordinary numbers would notice."""
    x = np.column_stack([problem.x, problem.x[:, 0], np.full(40, 7.0)])
    x[10:14, :3] = 0
    return replace(problem, x=x, weights=np.resize([1e-300, 2e-300, 0.0], 40))


HARD: dict[str, tuple[Callable[[], Problem], Definition]] = {
    "counts of 1e9": (lambda: replace(counts(), y=np.round(1e9 * np.exp(rows()[1]))), poisson),
    "counts of 0 and 1e9": (lambda: replace(counts(), y=np.resize([1e9, 0.0], 40)), poisson),
    "rates of 1e-9": (lambda: replace(counts(), y=counts().y * 1e-9), poisson),
    "counts, offsets of 30": (lambda: far_offsets(counts(), 30.0), poisson),
    "counts, offsets of 300": (lambda: far_offsets(counts(), 300.0), poisson),
    "counts, doubled": (lambda: doubled(counts()), poisson),
    "amounts, one of 1e12": (lambda: with_label(amounts(), 1e12), gamma),
    "amounts, one of 1e-12": (lambda: with_label(amounts(), 1e-12), gamma),
    "amounts, doubled": (lambda: doubled(amounts()), gamma),
    "amounts, inverse link, one of 1e4": (
        lambda: with_label(replace(amounts(), loss="gamma:link=inverse"), 1e4), gamma_inverse,
    ),
    "amounts with long tails, one of 1e4": (
        lambda: with_label(replace(amounts(), loss="inverse_gaussian"), 1e4), inverse_gaussian,
    ),
    "a power of nearly 1": (lambda: replace(counts(), loss="tweedie:power=1.000001"), tweedie(1.000001)),
    "a power of nearly 2": (lambda: replace(amounts(), loss="tweedie:power=1.999999"), tweedie(1.999999)),
    "a power, one amount of 1e12": (
        lambda: with_label(replace(amounts(), loss="tweedie:power=1.5"), 1e12), tweedie(1.5),
    ),
    "theta of 1e-6": (lambda: replace(counts(), loss="negative_binomial:theta=1e-6"), negative_binomial(1e-6)),
    "theta of 1e12": (lambda: replace(counts(), loss="negative_binomial:theta=1e12"), negative_binomial(1e12)),
    "numbers, one of 1e12": (lambda: with_label(numbers(), 1e12), huber(1.0)),
    "a quantile of 0.001": (
        lambda: replace(numbers(), loss="quantile:level=0.001,width=0.1"), quantile(0.001, 0.1),
    ),
    "a median, hardly smoothed": (
        lambda: replace(numbers(), loss="quantile:level=0.5,width=1e-6"), quantile(0.5, 1e-6),
    ),
    "two classes, offsets of 30": (lambda: far_offsets(two_classes(), 30.0), logistic),
    "two classes, offsets of 300": (lambda: far_offsets(two_classes(), 300.0), logistic),
    "two classes, known by offsets of 400": (lambda: known(two_classes(), 400.0), logistic),
    "two classes, doubled": (lambda: doubled(two_classes()), logistic),
    "probit, offsets of 30": (lambda: far_offsets(replace(two_classes(), loss="probit"), 30.0), probit),
    "probit, known by offsets of 30": (lambda: known(replace(two_classes(), loss="probit"), 30.0), probit),
    "probit, a feature of 1e6": (
        lambda: replace(two_classes(), loss="probit", x=two_classes().x * [1.0, 1e6], l2=1e-9), probit,
    ),
    "cloglog, offsets of 30": (lambda: far_offsets(replace(two_classes(), loss="cloglog"), 30.0), cloglog),
    "cloglog, doubled": (lambda: doubled(replace(two_classes(), loss="cloglog")), cloglog),
    "a machine, offsets of 300": (
        lambda: far_offsets(replace(two_classes(), loss="squared_hinge"), 300.0), squared_hinge,
    ),
}  # fmt: skip


@pytest.mark.parametrize("method", ["newton", "lbfgs"])
@pytest.mark.parametrize("name", HARD)
def test_what_is_called_converged_is_the_optimum(solver: Solver, name: str, method: str) -> None:
    make, definition = HARD[name]
    problem = make()
    fit = solver.solve(problem, method=method)
    assert fit.converged, fit.stop
    assert off(problem, definition, fit.coef[0]) <= 1e-3 * (1 + np.ptp(fit.margins))


@pytest.mark.parametrize("loss", ["logistic", "probit", "cloglog", "squared_hinge", "softmax"])
def test_one_class_is_an_error(solver: Solver, loss: str) -> None:
    """Said by label, before there is a run."""
    name = solver.packed(replace(two_classes(), y=np.ones(40)))
    done = solver.mr_ml.run("train", name, "--model", f"one-{loss}", "--loss", loss)
    assert done.code == 2
    assert f"label values, {name}@1 has 1: " in done.err


@pytest.mark.parametrize("loss", ["logistic", "poisson", "gamma", "huber:delta=1"])
def test_rows_that_weigh_nothing_teach_nothing(solver: Solver, loss: str) -> None:
    problem = replace(two_classes(), y=two_classes().y + (loss == "gamma"), weights=np.zeros(40))
    done = solver.mr_ml.run("train", solver.packed(problem), "--model", "none", "--loss", loss)
    assert done.code == 65
    assert "sum to 0" in done.err


@pytest.mark.parametrize("loss", ["logistic", "probit", "cloglog", "softmax", "squared_hinge"])
def test_one_class_by_weight_is_refused(solver: Solver, loss: str) -> None:
    """As rows of one class are: it has no optimum, or one that says nothing."""
    problem = replace(two_classes(), weights=two_classes().y)
    done = solver.mr_ml.run("train", solver.packed(problem), "--model", "none", "--loss", loss, "--l2", "0.01")
    assert done.code == 65
    assert "weigh 0: nothing says where such a class is" in done.err
