"""When a search is over: in any units, component by component, and not where there is nothing to arrive at."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from builders import make_engine
from functions import METHODS, fitted, logistic_rows
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.objective import Objective
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.scaling import Scaling
from mr_ml.models.linear.sides import SidesQuery
from mr_ml.optimize.base import Stop
from mr_ml.optimize.choose import choose
from mr_ml.optimize.line_search import LineMethod


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("unit", [1e-9, 1e12])
def test_passes_and_fit_do_not_depend_on_the_unit_of_the_target(method: type[LineMethod], unit: float) -> None:
    x, y = logistic_rows()
    target = x @ np.arange(8) + y
    plain, other = (fitted(x, t, method(), l2=0.0, loss="squared", classes=()) for t in (target, unit * target))
    assert other.stop is plain.stop is Stop.GRADIENT
    assert abs(other.n_passes - plain.n_passes) <= 1
    np.testing.assert_allclose(other.point, unit * plain.point, rtol=1e-5, atol=1e-6 * unit * abs(plain.point).max())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1e-12, 1e-8, 1e-5, 1e8])
def test_one_feature_of_another_size_stops_no_other(method: type[LineMethod], size: float) -> None:
    """Under a raw penalty its curvature is beyond all others', whose coefficients are as if it were not there."""
    x, y = logistic_rows(400)
    small = x.copy()
    small[:, 3] *= size
    rest = np.delete(x, 3, axis=1)
    last, alone = (fitted(features, y, method(tolerance=1e-9), l2=0.01) for features in (small, rest))
    assert last.stop is not None
    assert last.stop.converged
    if size < 1:
        np.testing.assert_allclose(np.delete(last.point, 3), alone.point, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rate", [1e-4, 1e-6, 1e-9])
def test_rare_events_have_the_right_rate(method: type[LineMethod], rate: float) -> None:
    """Weights that make events rare: with an intercept the mean probability is the rate (score equation)."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 2))
    y = np.zeros(2000)
    y[:40] = 1
    u = np.where(y > 0, rate * 1960 / 40, 1.0)
    engine = make_engine(x, y, weights=u)
    objective = Objective(
        RowSpec(loss_from_json("logistic"), 2, classes=(0.0, 1.0)),
        Scaling(np.zeros(2), x.std(axis=0), True, np.ones(2)),
    )
    optimizer = method()
    state: Any = optimizer.init(np.zeros(3))
    while (ask := optimizer.ask(state)) is not None:
        state = optimizer.tell(state, objective.finish(ask, engine.run(objective.query(ask))))
    assert state.stop is Stop.GRADIENT
    coef = objective.coef(state.point)[0]
    p = 1 / (1 + np.exp(-(x @ coef[:2] + coef[2])))
    assert (u * p).sum() / (u * y).sum() == pytest.approx(1, rel=1e-5)


def steps_of(n: int, *, extra: int) -> Any:
    """A number from -3 to 3 whose sign decides; at 0 there are both classes: quasi-complete separation."""
    rng = np.random.default_rng(2)
    x = np.repeat(np.arange(7.0) - 3, n)
    y = np.where(x == 0, np.arange(len(x)) % 2, x > 0)
    return np.column_stack([x, rng.normal(size=(len(x), extra))]), y


def dummy() -> Any:
    """A category all of whose rows are of one class, among others that are not."""
    x, y = logistic_rows(600, 4)
    category = np.arange(600) < 30
    return np.column_stack([x, category]), np.where(category, 1.0, y)


SEPARABLE = {
    "two rows": lambda: (np.array([[-1.0], [1.0]]), np.array([0.0, 1.0])),
    "more features than rows": lambda: (np.random.default_rng(4).normal(size=(10, 15)), np.arange(10) % 2 * 1.0),
    "a plane": lambda: ((x := logistic_rows()[0]), (x[:, 0] > x[:, 1]) * 1.0),
    "a threshold with both classes on it": lambda: steps_of(20, extra=0),
    "the same beside other features": lambda: steps_of(20, extra=3),
    "a category": dummy,
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", SEPARABLE)
def test_without_a_finite_optimum_nothing_is_converged(method: type[LineMethod], case: str) -> None:
    x, y = SEPARABLE[case]()
    last = fitted(x, y, method(), l2=0.0)
    assert last.stop is Stop.SEPARABLE
    assert last.n_passes <= 80
    # with a penalty there is one
    assert fitted(x, y, method(), l2=0.01).stop is Stop.GRADIENT


@pytest.mark.parametrize("method", METHODS)
def test_a_class_apart_from_all_others(method: type[LineMethod]) -> None:
    x, y = logistic_rows(400, 3)
    x[:30, 0] += 100
    y[:30] = 2
    last = fitted(x, y, method(), l2=0.0, loss="softmax", classes=(0.0, 1.0, 2.0))
    assert last.stop is Stop.SEPARABLE


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_wrong", [1, 5])
def test_a_few_rows_on_the_wrong_side_make_an_optimum(method: type[LineMethod], n_wrong: int) -> None:
    x, _ = logistic_rows(5000, 3)
    y = (x[:, 0] > x[:, 1]).astype(float)
    wrong = np.argsort(-np.abs(x[:, 0] - x[:, 1]))[:n_wrong]
    y[wrong] = 1 - y[wrong]
    assert fitted(x, y, method(), l2=0.0).stop is Stop.GRADIENT


@pytest.mark.parametrize("has_offsets", [False, True])
@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_leads_are_those_of_the_definition(loss: str, has_offsets: bool) -> None:
    """The least at the point is without offsets, which do not grow with coefficients."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(50, 3)), rng.integers(0, 3 if loss == "softmax" else 2, 50)
    u = (np.arange(50) % 4).astype(float)
    spec = RowSpec(loss_from_json(loss), 3, classes=tuple(map(float, range(y.max() + 1))))
    coef, direction = rng.normal(size=(2, spec.n_outputs, 4))
    query = LineQuery(spec, coef, direction=direction, steps=(1.0, 0.5), chosen=1, leads=True)
    o = rng.normal(size=50) * 9 if has_offsets else np.zeros(50)
    made = make_engine(x, y, weights=u, offsets=o if has_offsets else None, block_rows=16)
    found = query.read(made.run(query)).leads

    def ahead(w: Any, o: Any = 0.0) -> list[float]:
        z = x @ w[:, :3].T + w[:, 3] + np.reshape(o, (-1, 1))
        z = np.column_stack([np.zeros(50), z]) if loss == "logistic" else z
        return [
            z[i, y[i]] - z[i, k] for i in range(50) if u[i] for k in range(z.shape[1]) if k != y[i]
        ]  # rows without weight count for nothing

    there = coef + 0.5 * direction
    moves = ahead(direction)
    np.testing.assert_allclose(found, [min(ahead(there)), -max(ahead(there, o)), min(moves), -max(moves)], rtol=1e-12)


def test_where_there_are_no_classes_nothing_is_ahead() -> None:
    least, most = loss_from_json("squared").lead(np.zeros((2, 1)), np.zeros(2))
    assert (least > 0).all()
    assert (most < 0).all()


SIDES_X = np.array([
    # pure for class 1, threshold at 2, threshold with both on it, mixed, constant, mixed
    [1.0, 2.5, 1.0, 1.0, 3.0, -1.0],
    [0.0, 3.0, 1.0, -1.0, 3.0, 1.0],
    [0.0, 1.5, 1.0, 1.0, 3.0, 0.0],
    [0.0, -4.0, 0.0, -1.0, 3.0, -2.0],
    [-1.0, 9.0, 9.0, 0.5, 3.0, 1.0],
])  # fmt: skip
SIDES_Y = np.array([1.0, 1.0, 0.0, 0.0, 0.0])
# the last row would spoil all but counts for nothing
SIDES_U = np.array([1.0, 1.0, 1.0, 1.0, 0.0])


@pytest.mark.parametrize("form", ["dense", "sparse", "stored"])
@pytest.mark.parametrize(("intercept", "expected"), [(True, [0, 1, 2]), (False, [0])])
def test_features_that_tell_a_class_are_found(form: str, intercept: bool, expected: list[int]) -> None:
    engine = make_engine(SIDES_X, SIDES_Y, weights=SIDES_U, form=form, block_rows=2)
    query = SidesQuery(RowSpec(loss_from_json("logistic"), 6, classes=(0.0, 1.0)))
    assert query.read(engine.run(query)).telling_features(intercept=intercept).tolist() == expected


@given(data=st.data())
def test_telling_features_are_those_of_the_definition(data: st.DataObject) -> None:
    x = data.draw(hnp.arrays(np.float64, (7, 3), elements=st.sampled_from([-1.0, 0.0, 0.0, 2.0])))
    y = np.array([0.0, 1.0, 2.0, *data.draw(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=4, max_size=4))])
    query = SidesQuery(RowSpec(loss_from_json("softmax"), 3, classes=(0.0, 1.0, 2.0)))
    sides = query.read(make_engine(x, y, block_rows=3).run(query))
    for intercept in (True, False):
        thresholds = [-1.0, 0.0, 2.0] if intercept else [0.0]

        def tells(j: int, thresholds: list[float] = thresholds) -> bool:
            own = [sign * np.where(y == k, 1, -1) for sign in (1, -1) for k in range(3)]
            sides = [side * (x[:, j] - c) for side in own for c in thresholds]
            return bool(np.ptp(x[:, j])) and any((side >= 0).all() for side in sides)

        assert sides.telling_features(intercept=intercept).tolist() == [j for j in range(3) if tells(j)]


@given(data=st.data())
def test_a_bound_stops_a_feature_that_tells_only_on_the_side_on_which_it_is(data: st.DataObject) -> None:
    """By the definition: some line along which no row's lead falls and some row's rises, where coefficients may go."""
    x = data.draw(hnp.arrays(np.float64, (6, 3), elements=st.sampled_from([-1.0, 0.0, 0.0, 2.0])))
    free = data.draw(hnp.arrays(np.bool_, (2, 3)))
    loss, n = data.draw(st.sampled_from([("logistic", 2), ("poisson", 0), ("softmax", 2), ("softmax", 3)]))
    labels = [float(k) for k in range(n or 3)]
    y = np.array([*labels, *data.draw(st.lists(st.sampled_from(labels), min_size=6 - len(labels), max_size=6))][:6])
    rows = RowSpec(loss_from_json(loss), 3, classes=tuple(labels[:n]))
    query = SidesQuery(rows)
    sides = query.read(make_engine(x, y, block_rows=3).run(query))

    def tells(j: int, thresholds: list[float]) -> bool:
        for output, sign, c in product(range(rows.n_outputs), (-1, 1), thresholds):
            margins = np.zeros((6, rows.n_outputs))
            margins[:, output] = sign * (x[:, j] - c)
            # of two coefficients or more, to lower one is to raise all others
            may = free[(sign + 1) // 2, j] or (rows.n_outputs > 1 and free[:, j].any())
            least, most = rows.loss.lead(margins, y)
            if may and (least >= 0).all() and (most > 0).any():
                return True
        return False

    for intercept, thresholds in ((True, [-1.0, 0.0, 2.0]), (False, [0.0])):
        expected = [j for j in range(3) if np.ptp(x[:, j]) and tells(j, thresholds)]
        assert sides.telling_features(intercept=intercept, free=free).tolist() == expected


@given(data=st.data())
def test_directions_that_move_no_row_back_are_found(data: st.DataObject) -> None:
    """By the definition, in all blocks, and whatever rows of weight 0 do."""
    x = data.draw(hnp.arrays(np.float64, (6, 3), elements=st.sampled_from([-1.0, 0.0, 0.0, 2.0])))
    loss, n = data.draw(st.sampled_from([("logistic", 2), ("poisson", 0), ("softmax", 3)]))
    y = np.array([0.0, 1.0, *data.draw(st.lists(st.sampled_from([0.0, 1.0, 2.0][: n or 3]), min_size=4, max_size=4))])
    weights = np.array([1.0, *data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=5, max_size=5))])
    rows = RowSpec(loss_from_json(loss), 3, classes=tuple(float(k) for k in range(n)))
    shape = (rows.n_outputs, 4)
    directions = tuple(
        data.draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([-1.0, 0.0, 1.0]))) for _ in "ab"
    )
    query = SidesQuery(rows, directions)
    found = query.read(make_engine(x, y, weights=weights, block_rows=2).run(query)).endless()
    proofs = []
    for direction in directions:
        least, most = rows.loss.lead(x @ direction[:, :3].T + direction[:, 3], y)
        proofs.append((least[weights > 0] >= 0).all() and (most[weights > 0] > 0).any())
    assert found == next((k for k, proof in enumerate(proofs) if proof), None)


def test_features_that_nearly_repeat_each_other_are_fitted_where_few_steps_have_seen_them() -> None:
    """What they differ by matters, and the gradient hardly shows it; by least squares on what differs."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(300, 4))
    differs = rng.normal(size=300)
    x[:, 1] = x[:, 0] + 1e-5 * differs
    y = x[:, 2] + 3 * differs + rng.normal(size=300)
    method = choose("lbfgs", size=5, tolerance=1e-6, max_passes=500)
    assert isinstance(method, LineMethod)
    last = fitted(x, y, method, l2=0.0, loss="squared", classes=(), centre=True)
    clean = np.column_stack([x[:, 0], differs, x[:, 2:], np.ones(300)])
    residual = y - clean @ np.linalg.lstsq(clean, y, rcond=None)[0]
    assert last.stop is not None
    assert last.stop.converged
    # half the mean square
    assert 2 * last.value == pytest.approx((residual**2).mean(), rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_penalty_that_large_features_do_not_feel_is_none(method: type[LineMethod]) -> None:
    """Of features of 1e9 a raw penalty of 0.1 is 1e-19 per standard deviation: rows move on as if there were none."""
    x, y = SEPARABLE["a category"]()
    far = fitted(1e9 * x, y, method(), l2=0.1)
    assert far.stop is not None
    assert not far.stop.converged
    # the same in units in which the penalty counts, and where it is small but felt
    assert fitted(x, y, method(), l2=0.1).stop is Stop.GRADIENT
    assert fitted(x, y, method(), l2=1e-6).stop is Stop.GRADIENT
