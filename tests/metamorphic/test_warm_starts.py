"""Where a search begins must not change what it ends with: the optimum of a cold one, or the same words that there is
none. Begun at the optimum, beside it, and where no model should ever be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from changes import CHANGES
from exact import answer
from fits import Fit, Solver
from problems import FIRST, KINDS, PENALTIES, STORAGES, Floats, Problem, base, bound
from test_exact import _ROUND_VALLEYS, HARD, checked, known, labels
from test_separable import SEPARABLE

from mr_ml.models.linear.kind.spec import LinearSpec

METHODS = ("newton", "lbfgs")


def noise(coef: Floats) -> Floats:
    return np.asarray(np.random.default_rng(1).normal(size=coef.shape))


BEGINS: dict[str, Callable[[Floats], Floats]] = {
    "near": lambda coef: coef * (1 + 0.1 * noise(coef)),
    "the other side": lambda coef: -coef,
    "anywhere": lambda coef: 3 * noise(coef),
    "far out": lambda coef: 10 * coef,
    "beyond numbers": lambda coef: np.copysign(1e300, coef),
}


def assert_same(warm: Fit, cold: Fit, slack: Floats) -> None:
    assert warm.converged, warm.stop
    allowed = 2 * slack + 8 * (warm.rounding + cold.rounding)
    off = np.abs(warm.margins - cold.margins)
    assert (off <= allowed).all(), f"{(off / allowed).max():.2g} times what is allowed; {warm.stop!r}"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", FIRST)
@pytest.mark.parametrize("kind", KINDS)
def test_the_optimum_is_the_same(solver: Solver, kind: str, loss: str, penalty: str, method: str) -> None:
    problem = base(kind, loss, penalty, STORAGES[(len(kind) + len(loss)) % 2])
    cold = solver.solve(problem, method=method)
    slack = bound(problem, tolerance=LinearSpec.tolerance)
    # each of them with two of the three penalties
    begins = [begin for k, begin in enumerate(BEGINS.values()) if k % 3 != list(PENALTIES).index(penalty)]
    for begin in begins if kind == "plain" else [BEGINS["near"]]:
        assert_same(solver.solve(problem, method=method, begin=begin(cold.coef)), cold, slack)
    again = solver.solve(problem, method=method, begin=cold.coef)
    assert_same(again, cold, slack)
    if method == "lbfgs" and penalty == "free" and loss != "squared":
        # without a penalty it begins cold
        assert again.passes == cold.passes + 1
    else:
        # and one each in which L-BFGS looks at the Hessian, and for features that separate classes
        assert again.passes <= (2 if method == "newton" else 4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("change", ["a column of 1e9", "a feature twice", "intercept as a column", "features + 2^40"])
@pytest.mark.parametrize("loss", FIRST)
def test_what_the_data_does_not_determine(solver: Solver, loss: str, change: str, method: str) -> None:
    """Flat directions, and columns far from zero; the coefficients that a search begins with have parts along these."""
    of = CHANGES[change](base("plain", loss, "free", "dense"))
    assert of is not None
    problem = of.problem
    cold = solver.solve(problem, method=method)
    slack = bound(base("plain", loss, "free", "dense"), tolerance=LinearSpec.tolerance)
    for begin in (cold.coef, cold.coef + noise(cold.coef)):
        warm = solver.solve(problem, method=method, begin=begin)
        assert_same(warm, cold, slack)
        constant = np.ptp(problem.x, axis=0) == 0
        # the eigenvectors of Newton's direction mix a little of everything
        if problem.intercept and method == "lbfgs":
            assert not warm.coef[:, :-1][:, constant].any()


@pytest.mark.parametrize(
    ("name", "method"), [*((name, "newton") for name in HARD), *((name, "lbfgs") for name in _ROUND_VALLEYS)]
)
def test_hard_data(solver: Solver, name: str, method: str) -> None:
    coef = answer(known(name)[0])[0][None, :]
    for begin in ("near", "the other side"):
        fit = solver.solve(known(name)[0], method=method, begin=BEGINS[begin](coef))
        checked(name, fit, digits=5 if method == "newton" else 4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", SEPARABLE, ids=lambda make: make.__name__)
def test_that_there_is_no_optimum_is_said(solver: Solver, make: Callable[[], Problem], method: str) -> None:
    """From where a search has ended that found it out, and from as far out as a model can be."""
    problem = make()
    cold = solver.solve(problem, method=method)
    for size in (1.0, 1e3):
        fit = solver.solve(problem, method=method, begin=size * (cold.coef + 0.01 * noise(cold.coef)))
        assert not fit.converged, size
        assert "separate" in fit.stop, size


@pytest.mark.parametrize("gap", [7.0, 15.0, 30.0])
@pytest.mark.parametrize("method", METHODS)
def test_a_combination_of_features_that_separates_is_noticed(solver: Solver, method: str, gap: float) -> None:
    """Two columns that are equal but in one row, where their difference tells its class; all else is at its optimum, so
    that gradients are small and nothing moves."""
    random = np.random.default_rng(3)
    x = np.round(random.normal(size=(2000, 5)) * 64) / 64
    y = labels(random, x[:, 0] + x[:, 2])
    x[:, 1] = x[:, 0]
    x[0, 1] -= 2 * y[0] - 1
    problem = Problem("logistic", x, y)
    begin = solver.solve(problem, method=method).coef
    begin[0, :2] = begin[0, :2].mean() + np.array([0.5, -0.5]) * gap
    fit = solver.solve(problem, method=method, begin=begin)
    assert not fit.converged
    assert "separate" in fit.stop


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", SEPARABLE, ids=lambda make: make.__name__)
def test_a_small_penalty_leads_back_from_far_out(solver: Solver, make: Callable[[], Problem], method: str) -> None:
    """All rows on their right side, so that but for the penalty nothing has a slope."""
    problem = replace(make(), l2=1e-6)
    cold = solver.solve(problem, method=method)
    for size in (1.6, 10.0):
        warm = solver.solve(problem, method=method, begin=size * cold.coef)
        assert warm.converged, warm.stop
        np.testing.assert_allclose(warm.margins, cold.margins, atol=1e-3 * np.abs(cold.margins).max())
