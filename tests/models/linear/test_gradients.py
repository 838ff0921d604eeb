"""The objective against its definition, and its derivatives by complex steps through that definition."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from builders import make_engine, make_objective
from scipy import sparse

from mr_ml.data import kernels
from mr_ml.errors import BadDataError
from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.objective import Objective
from mr_ml.models.linear.reading import RowSpec
from mr_ml.optimize.base import Ask
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.parts import Keyed
from mr_ml.sums.statistic import Statistic

N, D = 45, 5
L2 = 0.3
CODES = (7.0, -1.0, 2.0)


def data(loss: str) -> dict[str, Any]:
    """Rows with columns of other scales, zeros, one constant and one empty column."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=(N, D)) * [1.0, 30.0, 0.02, 1.0, 0.0] + [0.5, -20.0, 0.0, 0.0, 0.0]
    x[rng.random((N, D)) < 0.4] = 0.0
    x[:, 3] = 1.5
    # the last blocks have no entries in the last columns
    x[30:, 2] = 0.0
    classes = {"squared": (), "logistic": CODES[:2], "softmax": CODES}[loss]
    number = rng.integers(0, max(len(classes), 1), N)
    y = np.array(classes)[number] if classes else rng.normal(size=N) * 3
    return {
        "x": x,
        "y": y,
        "number": number if classes else y,
        "classes": classes,
        "weights": rng.random(N) * 3 * (rng.random(N) < 0.9),
        "offsets": rng.normal(size=N),
        "class_weights": tuple(rng.random(len(classes)) * 2 + 0.1),
    }


def by_definition(given: dict[str, Any], loss: str, w: Any, b: Any, *, u: Any, offsets: Any) -> Any:
    """Mean loss at w (K, d), b (K,), written as in a textbook; holds for complex coefficients."""
    z = given["x"] @ w.T + b + np.asarray(offsets)[:, None]
    y = given["number"]
    if loss == "squared":
        values = (z[:, 0] - y) ** 2 / 2
    elif loss == "logistic":
        values = np.log(1 + np.exp(z[:, 0])) - y * z[:, 0]
    else:
        values = np.log(np.exp(z).sum(axis=1)) - z[np.arange(N), y]
    return (u * values).sum() / u.sum()


def complex_gradient(f: Any, theta: Any) -> Any:
    """Exact to rounding (Squire & Trapp 1998)."""
    h = 1e-30
    return np.array([f(theta + 1j * h * e).imag / h for e in np.eye(len(theta))])


@pytest.mark.parametrize("form", ["sparse", "dense", "stored"])
@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax"])
def test_value_and_gradient_are_those_of_the_definition(loss: str, form: str) -> None:
    """For every loss with and without weights, class weights, offsets, intercept, scaling; both kinds of penalty."""
    given = data(loss)
    rng = np.random.default_rng(5)
    for weighted, class_weighted, shifted in product([False, True], repeat=3):
        if class_weighted and loss == "squared":
            continue
        engine = make_engine(
            given["x"],
            given["y"],
            weights=given["weights"] if weighted else None,
            offsets=given["offsets"] if shifted else None,
            form=form,
            block_rows=8,
            partitions=2,
        )
        factors = given["class_weights"] if class_weighted else None
        spec = RowSpec(loss_from_json(loss), D, classes=given["classes"], class_weights=factors)
        u = given["weights"] if weighted else np.ones(N)
        u = u * np.array(factors)[given["number"]] if factors else u
        offsets = given["offsets"] if shifted else np.zeros(N)
        for intercept, space, scaling in product([True, False], ["raw", "scaled"], ["centred", "uncentred", "none"]):
            objective = make_objective(
                engine,
                spec,
                l2=L2,
                penalty_space=space,
                intercept=intercept,
                centre=scaling == "centred",
                scale=scaling != "none",
            )
            theta = rng.normal(size=objective.size) * 0.5
            f = textbook(given, loss, u=u, offsets=offsets, intercept=intercept, space=space, scaling=scaling)
            ask = Ask(theta)
            found = objective.finish(ask, engine.run(objective.query(ask)))
            assert found.values.shape == (1,)
            np.testing.assert_allclose(found.values[0], f(theta).real, rtol=1e-13)
            expected = complex_gradient(f, theta)
            np.testing.assert_allclose(found.gradient, expected, rtol=1e-11, atol=1e-12 * abs(expected).max())


def textbook(
    given: dict[str, Any], loss: str, *, u: Any, offsets: Any, intercept: bool, space: str, scaling: str
) -> Any:
    """The whole objective as a function of theta, from the documentation: (v, c) of features (x - m) / s."""
    n_outputs = 3 if loss == "softmax" else 1
    x = given["x"]
    # without an intercept there is no mean to deviate from
    sizes = {"scale": np.std(x, axis=0) if intercept else np.sqrt(np.mean(x**2, axis=0)), "std": np.std(x, axis=0)}
    s, deviation = (np.where(size < 1e-12, 1.0, size) if scaling != "none" else np.ones(D) for size in sizes.values())
    m = x.mean(axis=0) if scaling == "centred" and intercept else np.zeros(D)

    def f(theta: Any) -> Any:
        by_output = theta.reshape(n_outputs, -1)
        w = by_output[:, :D] / s
        b = by_output[:, D] - w @ m if intercept else np.zeros(n_outputs)
        penalty = L2 / 2 * ((w if space == "raw" else w * deviation) ** 2).sum()
        return by_definition(given, loss, w, b, u=u, offsets=offsets) + penalty

    return f


@pytest.mark.parametrize("scaling", ["centred", "uncentred", "none"])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("form", ["sparse", "dense"])
@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax"])
def test_curvature_and_hessian_are_differences_of_the_gradient(
    loss: str, form: str, intercept: bool, scaling: str
) -> None:
    given = data(loss)
    engine = make_engine(
        given["x"],
        given["y"],
        weights=given["weights"],
        offsets=given["offsets"],
        form=form,
        block_rows=8,
        partitions=2,
    )
    spec = RowSpec(loss_from_json(loss), D, classes=given["classes"], class_weights=given["class_weights"] or None)
    objective = make_objective(
        engine, spec, l2=L2, intercept=intercept, centre=scaling == "centred", scale=scaling != "none"
    )
    theta = np.random.default_rng(3).normal(size=objective.size) * 0.3

    def gradient(at: Any) -> Any:
        ask = Ask(at)
        return objective.finish(ask, engine.run(objective.query(ask))).gradient

    ask = Ask(theta, hessian=True)
    found = objective.finish(ask, engine.run(objective.query(ask)))
    h = 1e-4
    columns = []
    for e in np.eye(len(theta)):
        near, far = (gradient(theta + k * h * e) - gradient(theta - k * h * e) for k in (1, 2))
        columns.append((8 * near - far) / (12 * h))
    expected = np.array(columns)
    unit = np.sqrt(np.abs(np.diag(expected)))
    assert found.hessian is not None
    assert found.curvature is not None
    ask = Ask(theta, hessian=True, factor=True)
    fine = objective.finish(ask, engine.run(objective.query(ask)))
    assert fine.hessian is not None
    assert fine.curvature is not None
    np.testing.assert_allclose(fine.curvature, found.curvature, rtol=1e-9)
    np.testing.assert_allclose(fine.hessian, found.hessian, rtol=1e-9, atol=1e-12 * abs(found.hessian).max())
    assert (fine.factor is not None) == found.quadratic == (loss == "squared")
    if fine.factor is not None:
        r, q = fine.factor[:, :-1], fine.factor[:, -1]
        for step in np.random.default_rng(4).normal(size=(3, len(theta))):
            there = objective.finish(Ask(theta + step), engine.run(objective.query(Ask(theta + step))))
            assert there.values[0] == pytest.approx(0.5 * float(np.sum((r @ step - q) ** 2)), rel=1e-12)
    np.testing.assert_allclose(found.curvature, np.diag(expected), rtol=1e-6)
    np.testing.assert_allclose(found.hessian / unit / unit[:, None], expected / unit / unit[:, None], atol=1e-6)
    np.testing.assert_allclose(np.diag(found.hessian), found.curvature, rtol=1e-9)
    for other in (Ask(theta, curvature=False, hessian=True), Ask(theta, curvature=False), Ask(theta)):
        again = objective.finish(other, engine.run(objective.query(other)))
        np.testing.assert_allclose(again.gradient, found.gradient, rtol=1e-12, atol=1e-14)
        assert (again.curvature is None) == (not other.curvature and not other.hessian)
        if again.curvature is not None:
            np.testing.assert_allclose(again.curvature, found.curvature, rtol=1e-9)
    np.testing.assert_allclose(found.hessian, found.hessian.T, rtol=1e-12, atol=1e-12 * abs(found.hessian).max())


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax"])
def test_what_a_line_tells_is_what_the_points_on_it_tell(loss: str, centre: bool) -> None:
    given = data(loss)
    engine = make_engine(given["x"], given["y"], offsets=given["offsets"], form="stored", block_rows=8, partitions=2)
    objective = make_objective(engine, RowSpec(loss_from_json(loss), D, classes=given["classes"]), l2=L2, centre=centre)
    rng = np.random.default_rng(4)
    point, direction = rng.normal(size=(2, objective.size)) * 0.3
    steps = (1.0, 4.0, 0.0, 0.25, -2.0, 2.0**-12)
    for chosen in range(len(steps)):
        ask = Ask(point, direction, steps, chosen, hessian=True)
        line = objective.finish(ask, engine.run(objective.query(ask)))
        assert line.values.shape == (len(steps),)
        for j, step in enumerate(steps):
            moved = Ask(point + step * direction, hessian=True)
            alone = objective.finish(moved, engine.run(objective.query(moved)))
            np.testing.assert_allclose(line.values[j], alone.values[0], rtol=1e-12)
            if j == chosen:
                for name in ("gradient", "curvature", "hessian"):
                    one, other = getattr(line, name), getattr(alone, name)
                    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-11 * abs(other).max())


def parts_of(total: Statistic) -> dict[str, Any]:
    return {f"{name}/{key}": a for name, part in total.parts.items() for key, a in part.arrays().items()}


@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax"])
def test_dense_and_sparse_blocks_of_the_same_rows_say_the_same(loss: str) -> None:
    given = data(loss)
    spec = RowSpec(loss_from_json(loss), D + 2, classes=given["classes"])
    coef, direction = np.random.default_rng(6).normal(size=(2, spec.n_outputs, D + 3)) * 0.1
    queries = [
        LineQuery(spec, coef),
        LineQuery(spec, coef, direction, steps=(1.0, 0.5), chosen=1, cross=True, hessian=True),
        MomentsQuery(D + 2),
        MetricsQuery(spec, coef),
    ]
    engines = [
        make_engine(given["x"], given["y"], weights=given["weights"], offsets=given["offsets"], form=form, block_rows=8)
        for form in ("dense", "sparse", "stored")
    ]
    for query in queries:
        dense, *others = (parts_of(engine.run(query)) for engine in engines)
        for other in others:
            assert other.keys() == dense.keys()
            for name, array in dense.items():
                if name.endswith("/keys"):
                    continue
                with np.errstate(invalid="ignore"):
                    largest = np.abs(array[np.isfinite(array)]).max(initial=0.0)
                np.testing.assert_allclose(other[name], array, rtol=1e-12, atol=1e-13 * largest, err_msg=name)


@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax"])
def test_the_compiled_loops_change_no_bit(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kernels.installed():
        pytest.skip("mr_ml was installed without a compiler: there are no compiled loops")
    given = data(loss)
    spec = RowSpec(loss_from_json(loss), D, classes=given["classes"])
    coef, direction = np.random.default_rng(6).normal(size=(2, spec.n_outputs, D + 1)) * 0.1
    engine = make_engine(given["x"], given["y"], weights=given["weights"], form="sparse", block_rows=8)
    queries = [
        LineQuery(spec, coef, direction, steps=(1.0, 0.5), chosen=1, cross=True, hessian=True),
        MomentsQuery(D),
        MetricsQuery(spec, coef),
    ]
    compiled = [parts_of(engine.run(query)) for query in queries]
    monkeypatch.setattr(kernels, "native", None)
    for query, expected in zip(queries, compiled, strict=True):
        plain = parts_of(engine.run(query))
        assert plain.keys() == expected.keys()
        assert all(plain[name].tobytes() == expected[name].tobytes() for name in plain)


def test_weights_are_copies_of_rows() -> None:
    """A row of weight 3 is three rows; one of weight 0 is none."""
    given = data("softmax")
    counts = np.random.default_rng(8).integers(0, 4, N)
    repeated = np.repeat(np.arange(N), counts)
    spec = RowSpec(loss_from_json("softmax"), D, classes=CODES)
    coef = np.random.default_rng(9).normal(size=(3, D + 1)) * 0.1
    query = LineQuery(spec, coef, cross=True, hessian=True)
    weighted = make_engine(given["x"], given["y"], weights=counts, block_rows=8).run(query)
    copied = make_engine(given["x"][repeated], given["y"][repeated], block_rows=8).run(query)
    for name in weighted.parts:
        one, other = weighted.sum(name), copied.sum(name)
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12 * np.abs(other).max())
    ignored = LineQuery(RowSpec(loss_from_json("softmax"), D, classes=CODES, row_weights=False), coef)
    plain = make_engine(given["x"], given["y"], block_rows=8).run(LineQuery(spec, coef))
    found = make_engine(given["x"], given["y"], weights=counts, block_rows=8).run(ignored)
    np.testing.assert_allclose(found.sum("gradient_sum"), plain.sum("gradient_sum"), rtol=1e-12, atol=1e-12)


def test_classes_are_told_apart_by_their_codes_in_any_order() -> None:
    given = data("softmax")
    coef = np.random.default_rng(9).normal(size=(3, D + 1)) * 0.1
    engine = make_engine(given["x"], given["y"], block_rows=8)
    one = engine.run(LineQuery(RowSpec(loss_from_json("softmax"), D, classes=CODES), coef))
    order = [2, 0, 1]
    other = engine.run(
        LineQuery(RowSpec(loss_from_json("softmax"), D, classes=tuple(CODES[k] for k in order)), coef[order])
    )
    np.testing.assert_allclose(other.sum("loss_sums"), one.sum("loss_sums"), rtol=1e-14)
    np.testing.assert_allclose(other.sum("gradient_sum"), one.sum("gradient_sum")[order], rtol=1e-12, atol=1e-12)


def test_a_label_that_the_model_does_not_know_is_bad_data() -> None:
    given = data("softmax")
    query = LineQuery(RowSpec(loss_from_json("softmax"), D, classes=(7.0, -1.0, 3.0)), np.zeros((3, D + 1)))
    with pytest.raises(BadDataError, match=r"labels that the model does not know: \[2\.0\]"):
        make_engine(given["x"], given["y"]).run(query)
    with pytest.raises(BadDataError, match="nan"):
        make_engine(given["x"], np.full(N, np.nan)).run(query)


def test_a_feature_beyond_the_models_is_bad_data() -> None:
    x = sparse.csr_array(([1.0], ([0], [5])), shape=(1, 9))
    for form in ("sparse", "stored"):
        engine = make_engine(x, [1.0], form=form)
        with pytest.raises(BadDataError, match="has feature 5, expected ids below 5"):
            engine.run(LineQuery(RowSpec(loss_from_json("squared"), 5), np.zeros((1, 6))))


@pytest.mark.parametrize("weights", [np.zeros(N), np.full(N, np.nan)])
def test_weights_that_sum_to_nothing_are_bad_data(weights: Any) -> None:
    given = data("squared")
    engine = make_engine(given["x"], given["y"], weights=weights)
    objective: Objective = make_objective(engine, RowSpec(loss_from_json("squared"), D))
    ask = Ask(np.zeros(objective.size))
    with pytest.raises(BadDataError, match=rf"weights of the {N} rows sum to"):
        objective.finish(ask, engine.run(objective.query(ask)))


def test_tables_of_dense_and_sparse_blocks_have_the_same_weight() -> None:
    given = data("logistic")
    query = MetricsQuery(RowSpec(loss_from_json("logistic"), D, classes=CODES[:2]), np.ones((1, D + 1)))
    for form in ("dense", "sparse"):
        table = make_engine(given["x"], given["y"], form=form).run(query).parts["scores_0"]
        assert isinstance(table, Keyed)
        assert table.values.sum() == N
