"""Changes of a problem that must not change what it predicts: units, order, names, repeated rows, columns that say
nothing, features far from zero.

Both answers must have converged; their margins may differ by what the tolerance allows each, and by the rounding of
coefficients to double precision (which is all that is left where features lie 2^40 spreads from zero).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import numpy as np
import pytest
from changes import CHANGES
from fits import Fit, Solver
from problems import FIRST, KINDS, LOSSES, PENALTIES, STORAGES, Floats, Problem, base, bound, has_positive_margins

from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.models.linear.losses import LOSSES as REGISTRY

TOLERANCE = LinearSpec.tolerance
_METHODS = ("newton", "lbfgs")
_OF_WEIGHTS = ("rows repeated", "weights shared", "rows of weight 0", "weights x 1e12", "weights x 1e-12")


def combinations() -> Iterator[tuple[str, ...]]:
    """Of three losses all changes, with every two of penalty, storage and method; weighted or without intercept fewer.

    Of the other losses each change once. With MR_ML_ALL_CHANGES=1 every three of all losses.
    """
    whole = os.environ.get("MR_ML_ALL_CHANGES") == "1"
    for loss, penalty, storage, method in itertools.product(LOSSES if whole else FIRST, PENALTIES, STORAGES, _METHODS):
        at = [list(values).index(value) for values, value in ((PENALTIES, penalty), (STORAGES, storage))]
        if not whole and _METHODS[sum(at) % 2] != method:
            continue
        for kind in kinds(loss):
            if whole and kind != "plain" and (method == "lbfgs") != (storage == "sparse"):
                continue
            problem = base(kind, loss, penalty, storage)
            for change, function in CHANGES.items():
                telling = kind != "weighted" or change in _OF_WEIGHTS or penalty == "scaled"
                if telling and function(problem) is not None:
                    yield kind, loss, penalty, storage, method, change
    for of_loss, loss in enumerate(() if whole else LOSSES[len(FIRST) :]):
        for turn, (change, function) in enumerate(CHANGES.items(), start=of_loss):
            storage, method = STORAGES[turn % 2], _METHODS[turn % 2]
            keys = [(kind, loss, penalty, storage) for kind, penalty in itertools.product(kinds(loss), PENALTIES)]
            fitting = [key for key in keys if function(base(*key)) is not None]
            if fitting:
                yield *fitting[turn % len(fitting)], method, change


def kinds(loss: str) -> list[str]:
    return [kind for kind in KINDS if kind != "through 0" or not has_positive_margins(loss)]


def test_every_loss_takes_part() -> None:
    assert {loss.partition(":")[0] for loss in LOSSES} == set(REGISTRY.built_in)


_solved: dict[tuple[str, ...], tuple[Problem, Fit, Floats]] = {}


def solved(solver: Solver, key: tuple[str, ...]) -> tuple[Problem, Fit, Floats]:
    """The base problem, its answer, and how far the tolerance lets the margins be from the optimum's."""
    if key not in _solved:
        problem = base(*key[:-1])
        fit = solver.solve(problem, method=key[-1], tolerance=TOLERANCE)
        _solved[key] = problem, fit, bound(problem, tolerance=TOLERANCE) + np.zeros_like(fit.margins)
    return _solved[key]


def why_not(problem: Problem, one: Fit, slack: Floats, change: str, other: Fit) -> str:
    """What is wrong with the answer to a changed problem; empty if nothing is."""
    changed = CHANGES[change](problem)
    assert changed is not None
    for name, fit in {"first": one, "changed": other}.items():
        if not fit.converged:
            return f"the {name} problem has not converged: {fit.stop}"

    def carried(size: Floats) -> Floats:
        return np.abs(changed.margins(size + np.zeros_like(one.margins)) - changed.margins(np.zeros_like(one.margins)))

    expected = changed.margins(one.margins)
    # either may be that far off; and the bound is of the first order
    allowed = carried(4 * slack + 8 * one.rounding) + 8 * other.rounding
    off = np.abs(other.margins - expected)
    if (off <= allowed).all():
        return ""
    at = np.unravel_index((off / allowed).argmax(), off.shape)
    return (
        f"margin {at} is {other.margins[at]:.12g}, expected {expected[at]:.12g} within {allowed[at]:.1e}; the first "
        f"stopped as {one.stop!r}, the changed one as {other.stop!r}"
    )


@pytest.mark.parametrize("key", list(combinations()), ids=" / ".join)
def test_change(solver: Solver, key: tuple[str, ...]) -> None:
    *of_base, method, change = key
    problem, one, slack = solved(solver, (*of_base, method))
    changed = CHANGES[change](problem)
    assert changed is not None
    wrong = why_not(problem, one, slack, change, solver.solve(changed.problem, method=method, tolerance=TOLERANCE))
    if wrong:
        pytest.fail(wrong, pytrace=False)


@pytest.mark.parametrize(
    "key",
    [
        ("plain", "squared", "free", "dense", "newton", "target x 1e-12"),
        ("plain", "squared", "free", "dense", "lbfgs", "features + 2^40"),
        ("plain", "logistic", "raw", "dense", "newton", "a feature of 1e-8"),
        ("plain", "logistic", "free", "sparse", "auto", "features + 2^40"),
        ("weighted", "logistic", "free", "dense", "auto", "rows repeated"),
        ("plain", "softmax", "scaled", "sparse", "lbfgs", "each feature in a unit of its own"),
        ("plain", "softmax", "free", "dense", "auto", "a column of 1e9"),
        ("through 0", "softmax", "raw", "dense", "auto", "features x 1e12"),
    ],
    ids=" / ".join,
)
def test_change_by_commands(solver: Solver, key: tuple[str, ...]) -> None:
    """Packed, trained and predicted by commands."""
    *of_base, method, change = key
    problem = base(*of_base)
    changed = CHANGES[change](problem)
    assert changed is not None
    one, other = solver.command(problem, method=method), solver.command(changed.problem, method=method)
    slack = bound(problem, tolerance=TOLERANCE) + np.zeros_like(one.margins)
    wrong = why_not(problem, one, slack, change, other)
    if wrong:
        pytest.fail(wrong, pytrace=False)
