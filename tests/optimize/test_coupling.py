"""L-BFGS starts from how features go together with the intercept: the exact column of the Hessian, and fewer passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import make_engine, make_objective, minimise

from mr_ml.models.linear.losses import loss_from_text
from mr_ml.models.linear.penalty import FeaturePenalty
from mr_ml.models.linear.reading import RowSpec
from mr_ml.optimize.base import Ask
from mr_ml.optimize.lbfgs import Lbfgs, StartMatrix
from mr_ml.optimize.line_state import LineState
from mr_ml.optimize.proximal_lbfgs import ProximalLbfgs

N, D = 1_500, 60
TARGETS = {"logistic": "two", "softmax": "three", "poisson": "counts"}


def texts() -> tuple[Any, dict[str, Any]]:
    """Rows of length 1 with positive values, as of texts: frequent features and rare ones."""
    rng = np.random.default_rng(4)
    share = np.minimum(3 / (1 + np.arange(D)) ** 0.7, 0.5)
    x = np.where(rng.random((N, D)) < share, rng.gamma(2.0, size=(N, D)), 0.0)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    z = x @ (2 * rng.normal(size=D)) + 0.5 * rng.logistic(size=N)
    labels = {"two": (z > 0.3) * 1.0, "three": np.digitize(z, [-0.3, 0.8]) * 1.0}
    return x, {**labels, "counts": rng.poisson(np.exp(np.clip(z, -3, 2))) * 1.0}


def problem(
    loss: str, *, l1: float = 0.0, l2: float = 1e-5, intercept: bool = True, centre: bool = False
) -> tuple[Any, Any]:
    x, labels = texts()
    y = labels[TARGETS[loss]]
    classes = () if loss == "poisson" else tuple(np.unique(y).tolist())
    engine = make_engine(x, y, form="stored")
    rows = RowSpec(loss_from_text(loss), D, classes=classes)
    objective = make_objective(engine, rows, l2=l2, intercept=intercept, centre=centre)
    return engine, replace(objective, penalty=FeaturePenalty(l1=l1, l2=l2)) if l1 else objective


def evaluated(engine: Any, objective: Any, ask: Ask) -> Any:
    return objective.finish(ask, engine.run(objective.query(ask)))


@pytest.mark.parametrize("loss", TARGETS)
def test_it_is_the_column_of_the_hessian(loss: str) -> None:
    engine, objective = problem(loss)
    theta = 0.3 * np.random.default_rng(2).normal(size=objective.size)
    found = evaluated(engine, objective, Ask(theta, coupling=True)).coupling
    hessian = evaluated(engine, objective, Ask(theta, curvature=False, hessian=True)).hessian
    n = objective.rows.n_outputs
    expected = [hessian[k * (D + 1) : k * (D + 1) + D, k * (D + 1) + D] for k in range(n)]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)


def test_it_is_asked_for_where_it_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    for options in ({"intercept": False}, {"centre": True}):
        engine, objective = problem("logistic", **options)
        assert evaluated(engine, objective, Ask(objective.start(), coupling=True)).coupling is None
    engine, objective = problem("logistic")
    assert not objective.query(Ask(objective.start())).cross


def test_how_the_sums_lie_in_memory_changes_nothing() -> None:
    """Or engines, of which some send sums and some do not, came to other bits."""
    scaling, cross = problem("softmax")[1].scaling, np.random.default_rng(3).normal(size=(3, D + 1))
    rows, columns = scaling.coupling(cross), scaling.coupling(np.asfortranarray(cross))
    assert rows.strides == columns.strides
    assert rows.tobytes() == columns.tobytes()


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_the_start_has_the_exact_diagonal_and_column(n_outputs: int) -> None:
    rng = np.random.default_rng(n_outputs)
    b = rng.random(n_outputs) + 0.5
    means = rng.normal(size=(n_outputs, 5))
    # of the fourth only its mean is there, and the last one is flat
    of_features = np.array([1.0, 0.3, 2.0, 1e-6, 0.0]) + b[:, None] * means**2
    of_features[:, 4] = means[:, 4] = 0.0
    cross = b[:, None] * means
    curvature = np.concatenate([of_features, b[:, None]], axis=1)
    state = replace(
        Lbfgs().init(np.zeros(6 * n_outputs)), curvature=curvature.ravel(),
        coupling=cross,
    )  # fmt: skip
    matrix = np.zeros((6 * n_outputs, 6 * n_outputs))
    for k in range(n_outputs):
        known = np.where([True, True, True, False, False], means[k], 0.0)
        of_one = b[k] * np.outer(np.append(known, 1), np.append(known, 1))
        np.fill_diagonal(of_one, np.where(curvature[k] > 0, curvature[k], 1.0))
        matrix[6 * k : 6 * k + 6, 6 * k : 6 * k + 6] = of_one
    assert np.linalg.eigvalsh(matrix).min() > 0
    for vector in rng.normal(size=(4, 6 * n_outputs)):
        np.testing.assert_allclose(
            StartMatrix.of(state).solve(vector.copy()), np.linalg.solve(matrix, vector), rtol=1e-9
        )
        np.testing.assert_allclose(StartMatrix.of(state).times(vector), matrix @ vector, rtol=1e-9, atol=1e-12)


def fewer_passes(
    engine: Any, objective: Any, method: Lbfgs, monkeypatch: pytest.MonkeyPatch
) -> tuple[LineState, LineState]:
    """Where the method ends, and where it does without the coupling, which it takes more passes for."""
    after: LineState = minimise(engine, objective, method)
    monkeypatch.setattr(Lbfgs, "couples", False)
    before: LineState = minimise(engine, objective, method)
    assert (after.coupling is None, before.coupling is None) == (False, True)
    for state in (after, before):
        assert state.stop is not None
        assert state.stop.converged
    assert after.n_passes <= 0.85 * before.n_passes, (before.n_passes, after.n_passes)
    return after, before


@pytest.mark.parametrize("loss", TARGETS)
def test_passes_are_fewer_and_the_optimum_is_the_same(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, objective = problem(loss)
    after, before = fewer_passes(engine, objective, Lbfgs(tolerance=1e-8), monkeypatch)
    assert after.value == pytest.approx(before.value, rel=1e-12)
    by_output = [state.point.reshape(objective.rows.n_outputs, -1) for state in (after, before)]
    # of softmax only differences between outputs count
    off = [point.mean(axis=0) if len(point) > 1 else 0.0 for point in by_output]
    np.testing.assert_allclose(by_output[0] - off[0], by_output[1] - off[1], atol=1e-5)


@pytest.mark.parametrize("loss", TARGETS)
def test_so_it_is_with_an_l1_penalty(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, objective = problem(loss, l1=1e-3, l2=1e-5)
    after, before = fewer_passes(engine, objective, ProximalLbfgs(tolerance=1e-8, max_passes=300), monkeypatch)
    assert after.value == pytest.approx(before.value, rel=1e-10)
    assert 0 < np.count_nonzero(after.point) < after.point.size
    np.testing.assert_array_equal(after.point != 0, before.point != 0)


def test_a_state_that_does_not_fit_is_refused() -> None:
    engine, objective = problem("softmax")
    method = Lbfgs(max_passes=3)
    state: LineState = minimise(engine, objective, method)
    meta, arrays = method.encode(state)
    assert method.decode(meta, arrays, size=objective.size).coupling is not None
    # as earlier releases wrote them
    assert method.decode(meta, {k: v for k, v in arrays.items() if k != "coupling"}, size=objective.size) is not None
    for wrong in (np.zeros(objective.size), np.zeros((3, D + 1)), np.zeros((2, D))):
        with pytest.raises(ValueError, match="coupling of shape"):
            method.decode(meta, {**arrays, "coupling": wrong}, size=objective.size)
