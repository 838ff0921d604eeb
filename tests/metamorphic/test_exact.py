"""Hard data whose answers are known: in 50 digits for the logistic loss, in fractions for the squared one.

Compared are margins, and with them what is predicted: where features nearly repeat each other, coefficients may be less
certain than that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest
from exact import answer
from fits import Fit, Solver
from problems import Floats, Problem

METHODS = ("newton", "lbfgs")


def labels(random: np.random.Generator, z: Floats) -> Floats:
    return (z + random.logistic(size=z.shape) > 0).astype(float)


def tiny_feature() -> Problem:
    """One feature of size 1e-9 under the raw penalty, whose curvature is then 1e16 times that of the other."""
    random = np.random.default_rng(1)
    x = np.round(random.normal(size=(40, 2)), 3) * [1.0, 1e-9]
    return Problem("logistic", x, labels(random, 1.5 * x[:, 0]), l2=0.01)


def timestamps(spreads: float) -> Callable[[], Problem]:
    def make() -> Problem:
        """A column whose mean is so many spreads, beside one that is centred."""
        random = np.random.default_rng(2)
        t = np.round(random.uniform(-1000, 1000, size=50))
        x = np.stack([t + np.round(600 * spreads), np.round(random.normal(size=50), 2)], axis=1)
        return Problem("logistic", x, labels(random, t / 500 + x[:, 1]))

    return make


def rare(rate: float) -> Callable[[], Problem]:
    def make() -> Problem:
        """Rows with an event weigh 1, those without so much that events have this rate."""
        x = np.array([[0.0], [1.0], [2.0], [3.0], [0.0], [1.0], [2.0], [3.0]])
        y = np.array([1.0, 1, 1, 1, 0, 0, 0, 0])
        weights = np.where(y == 1, [1.0, 2, 3, 5, 0, 0, 0, 0], np.round(np.array([0, 0, 0, 0, 4, 3, 3, 1]) / rate))
        return Problem("logistic", x, y, weights=weights)

    return make


def nearly_equal() -> Problem:
    """Two features that differ by a ten thousandth of their spread."""
    random = np.random.default_rng(3)
    one = np.round(random.normal(size=60), 3)
    x = np.stack([one, one + np.round(random.normal(size=60)) * 1e-4], axis=1)
    return Problem("logistic", x, labels(random, one))


def nearly_separable() -> Problem:
    """One row of twenty on the wrong side, and only just."""
    x = np.arange(20.0)[:, None]
    y = (x[:, 0] >= 10).astype(float)
    y[9], y[10] = 1.0, 0.0
    return Problem("logistic", x, y)


def polynomial(degree: int, start: float, step: float, unit: float = 1.0) -> Callable[[], Problem]:
    def make() -> Problem:
        random = np.random.default_rng(degree)
        t = start + step * np.arange(40)
        x = np.stack([t**k for k in range(1, degree + 1)], axis=1)
        u = np.linspace(-1, 1, 40)
        return Problem("squared", x, np.round(np.sin(3 * u) + u**2 + 0.05 * random.normal(size=40), 4) * unit)

    return make


def nearly_exact(residuals: float) -> Callable[[], Problem]:
    def make() -> Problem:
        """A target of which features tell all but this share."""
        random = np.random.default_rng(9)
        x = np.round(random.normal(size=(40, 3)), 3)
        return Problem("squared", x, np.round(x @ [1.0, 2.0, 3.0] + residuals * random.normal(size=40), 12))

    return make


@functools.cache
def known(name: str) -> tuple[Problem, Floats]:
    """The problem and the margins of its rows."""
    problem = HARD[name]()
    return problem, answer(problem)[1]


def checked(name: str, fit: Fit, *, digits: float) -> None:
    """As many digits of the margins' spread."""
    _, margins = known(name)
    assert fit.converged, fit.stop
    off = np.abs(fit.margins[:, 0] - margins)
    allowed = 10.0**-digits * margins.std() + 8 * fit.rounding[:, 0]
    assert (off <= allowed).all(), f"{-np.log10(off.max() / margins.std()):.2f} digits; stopped as {fit.stop!r}"


HARD: dict[str, Callable[[], Problem]] = {
    "a tiny feature": tiny_feature,
    "mean 1e3 spreads": timestamps(1e3),
    "mean 1e8 spreads": timestamps(1e8),
    "mean 1e10 spreads": timestamps(1e10),
    "events 1e-4": rare(1e-4),
    "events 1e-6": rare(1e-6),
    "events 1e-9": rare(1e-9),
    "nearly equal features": nearly_equal,
    "nearly separable": nearly_separable,
    "a line": polynomial(1, 2.0, 0.25),
    "a line, in units of 1e-9": polynomial(1, 2.0, 0.25, unit=1e-9),
    "a line, in units of 1e12": polynomial(1, 2.0, 0.25, unit=1e12),
    "a polynomial of degree 5": polynomial(5, 0.0, 0.5),
    "a polynomial of degree 5, in units of 1e-9": polynomial(5, 0.0, 0.5, unit=1e-9),
    "residuals of 1e-6": nearly_exact(1e-6),
    "residuals of 1e-8": nearly_exact(1e-8),
    "years since 1990": polynomial(1, 1990.0, 0.5),
}
# L-BFGS has no Hessian: where features go together so much, the tolerance is all that it can keep.
_ROUND_VALLEYS = [name for name in HARD if not name.startswith(("nearly equal", "a polynomial"))]


@pytest.mark.parametrize("name", HARD)
def test_what_the_default_tolerance_gives(solver: Solver, name: str) -> None:
    checked(name, solver.solve(known(name)[0]), digits=5)


@pytest.mark.parametrize("name", HARD)
def test_what_double_precision_allows(solver: Solver, name: str) -> None:
    checked(name, solver.solve(known(name)[0], method="newton", tolerance=1e-11), digits=8)


@pytest.mark.parametrize("name", _ROUND_VALLEYS)
def test_without_a_hessian(solver: Solver, name: str) -> None:
    checked(name, solver.solve(known(name)[0], method="lbfgs"), digits=4)


@pytest.mark.parametrize(
    ("name", "method"), [*((name, "newton") for name in HARD), *((name, "lbfgs") for name in _ROUND_VALLEYS)]
)
def test_the_fit_is_as_near_as_a_tolerance_says(solver: Solver, name: str, method: str) -> None:
    """Root mean square of what margins are off by, in the fit's unit: mean absolute slope by root mean curvature."""
    (problem, margins), tolerance = known(name), 1e-6
    fit = solver.solve(problem, method=method, tolerance=tolerance)
    u, off = problem.u / problem.u.sum(), fit.margins[:, 0] - margins
    if problem.loss == "squared":
        slope, bend = margins - problem.y, np.ones(len(margins))
    else:
        p, rest = 1 / (1 + np.exp(-margins)), 1 / (1 + np.exp(margins))
        slope, bend = np.where(problem.y == 1, rest, p), p * rest
        mean_off = u @ (bend * off + p * rest * (rest - p) / 2 * off**2)
        assert abs(mean_off) <= 2 * tolerance * (u @ p) + 8 * (u * bend) @ fit.rounding[:, 0]
    promised = (20 if method == "newton" else 1000) * tolerance * (u @ np.abs(slope)) / np.sqrt(u @ bend)
    assert np.sqrt((u * bend) @ off**2) <= promised + 8 * np.sqrt((u * bend) @ fit.rounding[:, 0] ** 2)


@pytest.mark.parametrize(("degree", "start", "step"), [(6, -9.0, 0.15), (7, 3.0, 0.1), (6, 20.0, 0.5)])
def test_fitted_values_of_steep_polynomials(solver: Solver, degree: int, start: float, step: float) -> None:
    """Powers that nearly repeat each other: fitted values to a thousandth of the residuals."""
    problem = polynomial(degree, start, step)()
    _, fitted = answer(problem)
    residual = (fitted - problem.y).std()
    fit = solver.solve(problem)
    off = np.abs(fit.margins[:, 0] - fitted).max()
    # rather said not to be than wrong
    assert off <= 1e-3 * residual or not fit.converged, f"{off / residual:.1e} of the residuals; {fit.stop!r}"
    assert off <= 1e-3 * residual


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["a tiny feature", "mean 1e8 spreads", "events 1e-6", "a line, in units of 1e-9"])
def test_a_sparse_storage_tells_the_same(solver: Solver, name: str, method: str) -> None:
    """Beside columns of which nearly all is zero: the rows are stored, and read, in another way."""
    problem, margins = known(name)
    n = len(problem.y)
    # one row for each further column, of weight zero, so that the answer stays
    extra = 4 * problem.x.shape[1]
    wide = np.zeros((n + extra, problem.x.shape[1] + extra))
    wide[:n, : problem.x.shape[1]] = problem.x
    wide[n:, : problem.x.shape[1]] = problem.x[:1]
    wide[n:, problem.x.shape[1] :] = np.eye(extra)
    y = np.append(problem.y, np.resize(problem.y[:1], extra))
    weights = np.append(problem.u, np.zeros(extra))
    fit = solver.solve(Problem(problem.loss, wide, y, weights, l2=problem.l2), method=method, tolerance=1e-9)
    assert fit.converged, fit.stop
    off = np.abs(fit.margins[:n, 0] - margins).max()
    allowed = 1e-7 * margins.std() + 8 * fit.rounding[:n].max()
    assert off <= allowed, f"{-np.log10(off / margins.std()):.2f} digits; stopped as {fit.stop!r}"
