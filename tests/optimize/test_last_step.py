"""Newton's last step is taken unseen only where what is claimed of its end is so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import make_engine, make_objective, minimise
from functions import logistic_rows
from loss_cases import CASES, LossCase
from scipy import linalg

from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.objective import Objective
from mr_ml.models.linear.reading import RowSpec
from mr_ml.optimize.base import Ask, Stop
from mr_ml.optimize.line_state import LineState
from mr_ml.optimize.newton import Newton

Array = Any


def almost_separable() -> tuple[Array, Array]:
    x, _ = logistic_rows(3000, 4)
    y = (x[:, 0] > x[:, 1]).astype(float)
    y[np.argsort(np.abs(x[:, 0] - x[:, 1]))[:9]] = 1
    return x, y


def badly_scaled() -> tuple[Array, Array]:
    x, y = logistic_rows(500, 6)
    return x * 10.0 ** np.array([-9, -3, 0, 2, 6, 9]) + np.array([0, 0, 3, 0, 2e6, 0]), y


def few_rows() -> tuple[Array, Array]:
    return np.random.default_rng(8).normal(size=(20, 45)), np.arange(20) % 2 * 1.0


def rare_values() -> tuple[Array, Array]:
    """Words: nearly all values are 0, some rows have large ones."""
    rng = np.random.default_rng(6)
    x = (rng.random((2000, 30)) < 0.02) * rng.exponential(20, (2000, 30))
    return x, (x @ rng.normal(size=30) / 20 + rng.logistic(size=2000) > 0).astype(float)


def alike() -> tuple[Array, Array]:
    x, y = logistic_rows(400, 5)
    return np.column_stack([x, x[:, 0] + x[:, 1], x[:, 2] + 1e-5 * x[:, 3]]), y


def three_classes() -> tuple[Array, Array]:
    x, _ = logistic_rows(600, 5)
    return x, np.argmax(x[:, :3] + np.random.default_rng(2).gumbel(size=(600, 3)), axis=1).astype(float)


ROWS = {
    function.__name__: function
    for function in (logistic_rows, almost_separable, badly_scaled, few_rows, rare_values, alike, three_classes)
}


def problem(rows: str, l2: float) -> tuple[Array, Array, Any, Objective]:
    x, y = ROWS[rows]()
    classes = tuple(np.unique(y).tolist())
    spec = RowSpec(loss_from_json("softmax" if len(classes) > 2 else "logistic"), x.shape[1], classes=classes)
    engine = make_engine(x, y, form="dense", block_rows=512)
    objective = make_objective(engine, spec, l2=l2, centre=True)
    scaling = objective.scaling
    return x, y, engine, replace(objective, extremes=np.abs((x - scaling.mean) / scaling.scale).max(axis=0))


def ended(engine: Any, objective: Objective, tolerance: float) -> LineState:
    state: LineState = minimise(engine, objective, Newton(tolerance=tolerance))
    return state


def truth(x: Array, y: Array, objective: Objective, l2: float, theta: Array) -> tuple[Array, float]:
    """|gradient| by component in mean slopes, and the distance of the optimum in units of the fit: by the formulas."""
    scaling = objective.scaling
    z = np.column_stack([(x - scaling.mean) / scaling.scale, np.ones(len(y))]).astype(np.longdouble)
    weights = theta.reshape(-1, z.shape[1]).astype(np.longdouble)
    margins = z @ weights.T
    if margins.shape[1] == 1:
        p = 1 / (1 + np.exp(-margins))
        slopes, second = p - y[:, None], [[p[:, 0] * (1 - p[:, 0])]]
    else:
        p = np.exp(margins - margins.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        k = range(p.shape[1])
        slopes = p - (y[:, None] == np.arange(p.shape[1]))
        second = [[p[:, i] * ((i == j) - p[:, j]) for j in k] for i in k]
    per = np.tile(np.append(l2 / scaling.scale**2, 0), len(weights))
    gradient = (slopes.T @ z / len(y)).ravel() + per * theta
    hessian = np.block([[(z * w[:, None]).T @ z / len(y) for w in row] for row in second]).astype(float) + np.diag(per)
    mean_slopes = np.maximum((a := np.abs(slopes).mean(axis=0)), 1e-6 * a.max())
    fit = np.sqrt((mean_slopes**2 / [second[k][k].mean() for k in range(len(weights))]).sum())
    unit = np.sqrt(np.diag(hessian))
    curvature, vectors = linalg.eigh(hessian / unit / unit[:, None])
    along = vectors.T @ (gradient / unit).astype(float)
    # the common shift of softmax intercepts changes nothing
    some = curvature > 1e-13
    distance = np.sqrt((along[some] ** 2 / curvature[some]).sum())
    return np.abs(gradient) / np.repeat(mean_slopes, z.shape[1]), float(distance / fit)


@pytest.mark.parametrize("l2", [1e-2, 1e-6])
@pytest.mark.parametrize("rows", ROWS)
def test_what_was_not_seen_is_so(rows: str, l2: float) -> None:
    x, y, engine, objective = problem(rows, l2)
    without = replace(objective, extremes=None)
    for tolerance in (1e-2, 1e-3, 1e-4, 1e-6, 1e-8):
        last = ended(engine, objective, tolerance)
        assert last.stop is not None
        assert last.stop.converged
        gradient, distance = truth(x, y, objective, l2, last.point)
        # of which rounding leaves something
        assert gradient.max() <= max(tolerance, 1e-10)
        assert distance <= 10 * max(tolerance, 1e-9)
        seen = ended(engine, without, tolerance)
        assert last.n_passes <= seen.n_passes
        # at the same point, but for what the loss is more than its quadratic
        there = objective.query(Ask(last.point, steps=(0.0,)))
        value = objective.finish(Ask(last.point, steps=(0.0,)), engine.run(there)).values[0]
        assert abs(last.value - value) <= 1e-2 * tolerance * value + 1e-14
        bound = np.abs(last.gradient) / last.unit
        assert (gradient <= 1.5 * bound + 1e-12).all()


def test_it_saves_the_pass_that_only_looks() -> None:
    saved = 0
    for rows in ("logistic_rows", "rare_values", "three_classes"):
        _, _, engine, objective = problem(rows, 1e-2)
        for tolerance in (1e-5, 1e-6, 1e-7):
            passes = [
                ended(engine, made, tolerance).n_passes for made in (objective, replace(objective, extremes=None))
            ]
            assert passes[1] - passes[0] in (0, 1)
            saved += passes[1] - passes[0]
    assert saved >= 5


@pytest.mark.parametrize("rows", ["almost_separable", "few_rows"])
def test_without_an_optimum_nothing_is_proved(rows: str) -> None:
    x, y = ROWS[rows]()
    y = (x[:, 0] > x[:, 1]).astype(float)
    spec = RowSpec(loss_from_json("logistic"), x.shape[1], classes=(0.0, 1.0))
    engine = make_engine(x, y)
    objective = replace(make_objective(engine, spec, l2=0.0), extremes=np.zeros(x.shape[1]))
    # bounds that are wrong do not matter where rows are moved to their sides
    assert ended(engine, objective, 1e-6).stop is Stop.SEPARABLE


@pytest.mark.parametrize("case", [case for case in CASES if case.loss.bends_by_reach], ids=str)
def test_slopes_and_curvature_of_such_losses_bend_by_their_reach(case: LossCase) -> None:
    rng, loss = np.random.default_rng(9), case.loss
    n_outputs = 1 if loss.name == "logistic" else 4
    labels = rng.integers(0, max(n_outputs, 2), 400).astype(float)
    margins, change = rng.normal(size=(2, 400, n_outputs)) * 3
    span = np.abs(change[:, 0]) if n_outputs == 1 else np.ptp(change, axis=1)
    before, after = (loss.derivatives(z, labels)[0] for z in (margins, margins + change))
    ratio = np.abs(np.log(np.abs(after) / np.abs(before)))
    assert (ratio <= span[:, None] * (1 + 1e-9)).all()
    direction = rng.normal(size=(400, n_outputs))

    def curvature(z: Array) -> Array:
        second = loss.second_derivatives(z, labels, np.ones(400))
        return sum((1 if j == k else 2) * value * direction[:, j] * direction[:, k] for (j, k), value in second.items())

    assert (np.abs(np.log(curvature(margins + change) / curvature(margins))) <= span * (1 + 1e-9)).all()
