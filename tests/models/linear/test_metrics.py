"""Metrics from sums against scikit-learn's from all rows at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from builders import make_engine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from mr_ml.data.features import DenseFeatures
from mr_ml.errors import BadDataError
from mr_ml.models.linear import class_metrics
from mr_ml.models.linear.class_metrics import log_odds
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.score_table import ScoreTable, order_keys
from mr_ml.passes.in_memory import InMemoryEngine
from mr_ml.sums.parts import Keyed
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import Node

Found = dict[str, Any]


def measured(engine: InMemoryEngine, rows: RowSpec, coef: Any) -> Found:
    query = MetricsQuery(rows, coef)
    return query.read(engine.run(query)).to_json()


def through_the_wire(engine: InMemoryEngine, rows: RowSpec, coef: Any) -> Found:
    query = MetricsQuery(rows, coef)
    data = engine.run(query).encode(Node(0, 0))
    return query.read(Statistic.decode(data, where="here")[1]).to_json()


@pytest.fixture(params=[measured, through_the_wire], ids=["in memory", "through the wire"])
def measure(request: pytest.FixtureRequest) -> Callable[..., Found]:
    measure: Callable[..., Found] = request.param
    return measure


def rows_with_ties(n: int, n_classes: int, *, seed: int = 0) -> tuple[Any, Any, Any]:
    """Features of few distinct values, so that scores tie; labels that depend on them; weights with zeros."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, size=(n, 3)).astype(float)
    noise = rng.gumbel(size=(n, n_classes))
    y = (x @ rng.normal(size=(3, n_classes)) + noise).argmax(axis=1).astype(float)
    return x, y, rng.random(n) * (rng.random(n) < 0.8)


@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes(measure: Callable[..., Found], weighted: bool) -> None:
    x, y, u = rows_with_ties(400, 2)
    weights = u if weighted else None
    coef = np.array([[0.5, -0.25, 0.125, 0.1]])
    engine = make_engine(x, y * 2 - 1, weights=weights, block_rows=32, partitions=3)
    found = measure(engine, RowSpec(loss_from_json("logistic"), 3, classes=(-1.0, 1.0)), coef)
    z = x @ coef[0, :3] + coef[0, 3]
    p = 1 / (1 + np.exp(-z))
    assert len(np.unique(z)) < 130
    assert found["n_rows"] == 400
    assert found["weight_sum"] == pytest.approx(u.sum() if weighted else 400, rel=1e-14)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, z > 0, sample_weight=weights), rel=1e-13)
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p, sample_weight=weights), rel=1e-12)
    assert found["auc"] == pytest.approx(sk.roc_auc_score(y, z, sample_weight=weights), rel=1e-12)
    assert found["auc_error"] == 0
    np.testing.assert_allclose(found["confusion"], sk.confusion_matrix(y, z > 0, sample_weight=weights), rtol=1e-13)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [3, 4, 12])
def test_many_classes(measure: Callable[..., Found], n_classes: int, weighted: bool) -> None:
    x, y, u = rows_with_ties(700, n_classes)
    weights = u if weighted else None
    coef = np.random.default_rng(1).normal(size=(n_classes, 4))
    engine = make_engine(x, y, weights=weights, block_rows=64, partitions=3)
    found = measure(engine, RowSpec(loss_from_json("softmax"), 3, classes=tuple(map(float, range(n_classes)))), coef)
    # row by row of the distinct rows, so that equal rows tie
    distinct, which = np.unique(x, axis=0, return_inverse=True)
    z = distinct @ coef[:, :3].T + coef[:, 3]
    p = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))[which]
    classes = range(n_classes)
    guess = p.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, guess, sample_weight=weights), rel=1e-13)
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p, sample_weight=weights, labels=classes), rel=1e-12)
    expected = [sk.roc_auc_score(y == k, p[:, k], sample_weight=weights) for k in classes]
    np.testing.assert_allclose(found["auc_by_class"], expected, rtol=1e-12)
    assert found["auc"] == pytest.approx(np.mean(expected), rel=1e-12)
    if not weighted:
        overall = sk.roc_auc_score(y, p, multi_class="ovr", average="macro", labels=list(classes))
        assert found["auc"] == pytest.approx(overall, rel=1e-12)
    assert found["auc_error"] == 0
    np.testing.assert_allclose(
        found["confusion"], sk.confusion_matrix(y, guess, sample_weight=weights, labels=classes), rtol=1e-12
    )


def test_the_areas_of_twelve_classes_stay_with_their_classes() -> None:
    """Scores of one class each are perfect, backwards, or nothing worth, so that no two areas may change places."""
    rng = np.random.default_rng(4)
    y = rng.integers(0, 12, 600).astype(float)
    x = np.eye(12)[y.astype(int)] + rng.normal(size=(600, 12)) * np.linspace(0.1, 3, 12)
    coef = np.hstack([np.eye(12), np.zeros((12, 1))])
    rows = RowSpec(loss_from_json("softmax"), 12, classes=tuple(map(float, range(12))))
    engine = make_engine(x, y, block_rows=64)
    found = through_the_wire(engine, rows, coef)
    assert found == measured(engine, rows, coef)
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    expected = [sk.roc_auc_score(y == k, p[:, k]) for k in range(12)]
    np.testing.assert_allclose(found["auc_by_class"], expected, rtol=1e-12)
    assert len(set(np.round(expected, 4))) > 8


@pytest.mark.parametrize("form", ["dense", "sparse", "mixed"])
@pytest.mark.parametrize(("d", "n_classes"), [(3, 2), (20, 2), (50, 2), (20, 3), (33, 5)])
def test_equal_rows_tie_wherever_they_stand(d: int, n_classes: int, form: str) -> None:
    """Also at the end of a block, in another block, and in a block that is stored otherwise or narrower."""
    rng = np.random.default_rng(d)
    distinct = rng.normal(size=(20, d))
    distinct[10:, d // 3 :] = 0
    which = (
        rng.integers(0, 20, 500)
        if form != "mixed"
        else np.concatenate([rng.integers(10, 20, 300), np.arange(200) % 20])
    )
    y = rng.integers(0, n_classes, 500).astype(float)
    classes = tuple(map(float, range(n_classes)))
    rows = RowSpec(loss_from_json("softmax" if n_classes > 2 else "logistic"), d, classes=classes)
    coef = rng.normal(size=(rows.n_outputs, d + 1))
    engine = make_engine(distinct[which], y, form="stored" if form == "mixed" else form, block_rows=37)
    if form == "mixed":
        assert {(type(b.block.features), b.block.features.width) for b in engine.blocks} >= {(DenseFeatures, d)}
        assert len({b.block.features.width for b in engine.blocks}) > 1
    total = engine.run(MetricsQuery(rows, coef))
    for k in range(rows.n_outputs):
        table = total.parts[f"scores_{k}"]
        assert isinstance(table, Keyed)
        assert len(table.keys) == len(np.unique(which))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("level", [0.0, 1e7])
def test_regression(measure: Callable[..., Found], weighted: bool, level: float) -> None:
    """Also where the labels' level is huge beside their spread."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 3))
    y = x @ [1.0, -2.0, 0.5] + rng.normal(size=300) * 0.3 + level
    u = rng.random(300) * (rng.random(300) < 0.8)
    weights = u if weighted else None
    coef = np.array([[0.9, -1.9, 0.6, 0.05 + level]])
    found = measure(
        make_engine(x, y, weights=weights, block_rows=32, partitions=2), RowSpec(loss_from_json("squared"), 3), coef
    )
    z = x @ coef[0, :3] + coef[0, 3]
    tolerance = 1e-12 if not level else 1e-8
    mean_square = sk.mean_squared_error(y, z, sample_weight=weights)
    assert found["mean_squared_error"] == pytest.approx(mean_square, rel=tolerance)
    assert found["root_mean_squared_error"] == pytest.approx(mean_square**0.5, rel=tolerance)
    absolute = sk.mean_absolute_error(y, z, sample_weight=weights)
    assert found["mean_absolute_error"] == pytest.approx(absolute, rel=tolerance)
    assert found["r2"] == pytest.approx(sk.r2_score(y, z, sample_weight=weights), rel=tolerance)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("label", [0.0, 0.1, 1e9])
def test_labels_without_spread_have_no_r2(label: float) -> None:
    found = measured(
        make_engine(np.ones((90, 1)), np.full(90, label), block_rows=7),
        RowSpec(loss_from_json("squared"), 1),
        np.array([[1.0, 0.0]]),
    )
    assert found["r2"] is None


@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax"])
def test_weights_that_sum_to_zero_are_bad_data(loss: str) -> None:
    classes = () if loss == "squared" else (0.0, 1.0)
    rows = RowSpec(loss_from_json(loss), 1, classes=classes)
    engine = make_engine(np.ones((4, 1)), [0.0, 1.0, 1.0, 0.0], weights=np.zeros(4), block_rows=2)
    with pytest.raises(BadDataError, match=r"weights of the 4 rows sum to 0\.0; expected a positive sum"):
        measured(engine, rows, np.zeros((rows.n_outputs, 2)))


def test_a_class_without_rows_has_no_area() -> None:
    rows = RowSpec(loss_from_json("softmax"), 1, classes=(0.0, 1.0, 2.0))
    x, y = np.array([[1.0], [2.0], [3.0]]), np.array([0.0, 1.0, 1.0])
    coef = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    found = measured(make_engine(x, y), rows, coef)
    assert found["auc_by_class"] == [1.0, 1.0, None]
    assert found["auc"] == 1.0
    alone = measured(
        make_engine(x, np.zeros(3)), RowSpec(loss_from_json("logistic"), 1, classes=(0.0, 1.0)), np.array([[1.0, 0.0]])
    )
    assert alone["auc"] is None
    json.dumps(alone, allow_nan=False)


@pytest.mark.parametrize("n_outputs", [1, 2, 4])
def test_margins_that_saturate_the_probability_still_rank(n_outputs: int) -> None:
    """From probabilities of 1 - 1e-13 on to such as differ from 1, or from 0, by less than any double."""
    x = np.linspace(30, 1500, 28)[:, None]
    y = (np.arange(28) >= 14).astype(float)
    coef = np.array([[float(k == 1 or n_outputs == 1), 0.0] for k in range(n_outputs)])
    rows = RowSpec(
        loss_from_json("logistic" if n_outputs == 1 else "softmax"),
        1,
        classes=(0.0, 1.0, 2.0, 3.0)[: max(n_outputs, 2)],
    )
    found = measured(make_engine(x, y), rows, coef)
    assert found["auc"] == 1.0


margins = hnp.arrays(np.float64, (3, 4), elements=st.floats(-1500, 1500) | st.integers(-3, 3).map(float))


@given(z=margins, n_classes=st.integers(2, 4))
def test_log_odds_are_right_in_the_tails(z: Any, n_classes: int) -> None:
    """Against decimal numbers of 50 digits."""
    z = z[:, :n_classes]
    found = log_odds(z)
    with localcontext(prec=50):
        for row, scores in zip(z.tolist(), found.tolist(), strict=True):
            powers = [Decimal(value).exp() for value in row]
            for k, score in enumerate(scores):
                expected = float((powers[k] / sum(powers[:k] + powers[k + 1 :])).ln())
                assert score == pytest.approx(expected, rel=1e-14, abs=1e-15 * max(1, *map(abs, row)))


@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax"])
def test_rows_without_a_finite_prediction_are_counted(loss: str) -> None:
    """Never averaged; those of weight 0 do not count."""
    x, y, u = np.ones((9, 2)), np.arange(9) % 2.0, np.ones(9)
    x[[1, 4, 6, 8]] = 1e300
    u[4] = 0
    classes = () if loss == "squared" else (0.0, 1.0)
    rows = RowSpec(loss_from_json(loss), 2, classes=classes)
    coef = np.array([[1e300, -1e300, 0.0]] * rows.n_outputs)
    with np.errstate(all="ignore"), pytest.raises(BadDataError, match=r"found 3 of 9 rows .*huge feature values"):
        measured(make_engine(x, y, weights=u, block_rows=4), rows, coef)
    u[[1, 4, 6, 8]] = 0
    with np.errstate(all="ignore"):
        found = measured(make_engine(x, y, weights=u, block_rows=4), rows, coef)
    # of margins that are 0: a mean of labels, or log 2
    name, expected = ("mean_squared_error", 3 / 5) if loss == "squared" else ("log_loss", np.log(2))
    assert found[name] == pytest.approx(expected, rel=1e-14)


# --- tables of scores -------------------------------------------------------------------------------------------------


@given(scores=st.lists(st.floats(allow_nan=False), min_size=2, max_size=20))
def test_keys_order_as_scores_do(scores: list[float]) -> None:
    keys = order_keys(np.array(scores)).tolist()
    for a, key in zip(scores, keys, strict=True):
        for b, other in zip(scores, keys, strict=True):
            assert (a < b, a == b) == (key < other, key == other)


def areas(scores: Any, positive: Any, u: Any) -> float:
    """The probability itself, pair by pair."""
    pos, neg = scores[positive], scores[~positive]
    pairs = u[positive][:, None] * u[~positive]
    return float((pairs * ((pos[:, None] > neg) + (pos[:, None] == neg) / 2)).sum() / pairs.sum())


sides = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.float64, n, elements=st.integers(-4, 4).map(float) | st.floats(-3, 3)),
        hnp.arrays(np.bool_, n),
        hnp.arrays(np.float64, n, elements=st.integers(0, 3).map(float)),
    )
)


@given(side=sides, limit=st.sampled_from([2, 3, 5, 8, 1000]), cut=st.integers(0, 40))
def test_the_area_is_within_its_stated_error(side: Any, limit: int, cut: int) -> None:
    scores, positive, u = side
    table = np.stack([u * ~positive, u * positive], axis=1)
    parts = [Keyed.of(order_keys(scores[s]), table[s], limit=limit) for s in (slice(cut), slice(cut, None))]
    found = ScoreTable.of(parts[0] + parts[1]).auc()
    if not (u[positive].sum() and u[~positive].sum()):
        assert found.value is None
        return
    assert found.value is not None
    assert abs(found.value - areas(scores, positive, u)) <= found.error + 1e-12
    if len(np.unique(scores)) <= limit:
        assert found.error == 0
    assert 0 <= found.value <= 1


def test_the_stated_error_is_no_excuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """A capped table of spread-out scores is still worth something."""
    monkeypatch.setattr(class_metrics, "TABLE_KEYS", 64)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3000, 2))
    y = (x[:, 0] + rng.normal(size=3000) > 0).astype(float)
    rows = RowSpec(loss_from_json("logistic"), 2, classes=(0.0, 1.0))
    found = measured(make_engine(x, y, block_rows=100, partitions=4), rows, np.array([[1.0, 0.1, 0.0]]))
    exact = sk.roc_auc_score(y, x[:, 0] + 0.1 * x[:, 1])
    assert 0 < found["auc_error"] < 0.03
    assert abs(found["auc"] - exact) <= found["auc_error"]


@given(
    n=st.integers(2, 60),
    u=st.sampled_from([None, "integers"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_area_is_scikit_learns(n: int, u: str | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, n).astype(float)
    positive = rng.random(n) < 0.5
    positive[:2] = [True, False]
    weights = np.ones(n) if u is None else rng.integers(1, 4, n).astype(float)
    table = Keyed.of(order_keys(scores), np.stack([weights * ~positive, weights * positive], axis=1), limit=100)
    expected = sk.roc_auc_score(positive, scores, sample_weight=weights)
    assert ScoreTable.of(table).auc().value == pytest.approx(expected, rel=1e-12, abs=1e-15)
