"""Ranks, thresholds, calibration and gains from sums, against scikit-learn's and small independent ones of all rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from builders import make_engine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from mr_ml.models.linear import class_metrics, number_metrics
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.score_table import CURVE_POINTS, ScoreTable, order_keys, scores_of
from mr_ml.models.metric_choices import NO_CHOICES, MetricChoices
from mr_ml.sums.parts import Keyed
from mr_ml.sums.query_kinds import query_from, query_parts

Found = dict[str, Any]
TWO_CLASSES = ("logistic", "probit", "cloglog", "squared_hinge")


def measured(
    x: Any, y: Any, coef: Any, *, loss: Any = "logistic", weights: Any = None, choices: MetricChoices = NO_CHOICES,
    block_rows: int = 32, partitions: int = 3, weight_exponent: int = 0,
) -> Found:  # fmt: skip
    """Metrics by a query that has travelled."""
    n_classes = len(np.unique(y)) if loss == "softmax" else 2 if loss in TWO_CLASSES else 0
    classes = tuple(map(float, range(n_classes)))
    rows = RowSpec(loss_from_json(loss), np.shape(x)[1], classes=classes, weight_exponent=weight_exponent)
    query = query_from(*query_parts(MetricsQuery(rows, coef, choices)), where="a test")
    found: Found = query.read(
        make_engine(x, y, weights=weights, block_rows=block_rows, partitions=partitions).run(query)
    ).to_json()
    json.dumps(found, allow_nan=False)
    return found


def rows_with_ties(n: int, n_classes: int, *, seed: int = 0) -> tuple[Any, Any, Any]:
    """Features of few distinct values, so that scores tie; labels that depend on them; weights with zeros."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, size=(n, 3)).astype(float)
    y = (x @ rng.normal(size=(3, n_classes)) + rng.gumbel(size=(n, n_classes))).argmax(axis=1).astype(float)
    return x, y, rng.random(n) * (rng.random(n) < 0.8)


COEF = np.array([[0.5, -0.25, 0.125, 0.1]])


def test_two_classes() -> None:
    x, y, u = rows_with_ties(500, 2)
    z = x @ COEF[0, :3] + COEF[0, 3]
    p = 1 / (1 + np.exp(-z))
    guess = z > 0
    found = measured(x, y, COEF, weights=u)
    for name, expected in {
        "balanced_accuracy": sk.balanced_accuracy_score(y, guess, sample_weight=u),
        "brier": sk.brier_score_loss(y, p, sample_weight=u),
        "average_precision": sk.average_precision_score(y, p, sample_weight=u),
        "precision": sk.precision_score(y, guess, sample_weight=u),
        "recall": sk.recall_score(y, guess, sample_weight=u),
        "f1": sk.f1_score(y, guess, sample_weight=u),
        "mcc": sk.matthews_corrcoef(y, guess, sample_weight=u),
        "ks": (lambda fpr, tpr, _: np.abs(tpr - fpr).max())(*sk.roc_curve(y, z, sample_weight=u)),
    }.items():
        assert found[name] == pytest.approx(expected, rel=1e-12), name
    assert (found["average_precision_error"], found["ks_error"]) == (0, 0)
    flipped = sk.average_precision_score(1 - y, 1 - p, sample_weight=u)
    assert found["by_class"][0]["average_precision"] == pytest.approx(flipped, rel=1e-12)
    assert found["by_class"][1]["average_precision"] == found["average_precision"]
    assert [of["weight"] for of in found["by_class"]] == pytest.approx([u[y == 0].sum(), u[y == 1].sum()])


DETAILS = MetricChoices(details=True)


def on_the_curves(curve: Found, positive: Any, p: Any, u: Any) -> None:
    """Hold every point against scikit-learn's curves, which have all thresholds."""
    fpr, tpr, thresholds = sk.roc_curve(positive, p, sample_weight=u, drop_intermediate=False)
    precision, recall, at = sk.precision_recall_curve(positive, p, sample_weight=u)
    rates = np.array([curve["false_positive_rate"], curve["recall"]])
    for k, threshold in enumerate(curve["threshold"]):
        # one that rounding has put on the other side of its own rows
        j, i = (int(np.abs(all_of - threshold).argmin()) for all_of in (thresholds, at))
        assert rates[:, k] == pytest.approx([fpr[j], tpr[j]], abs=1e-12)
        assert [curve["precision"][k], curve["recall"][k]] == pytest.approx([precision[i], recall[i]], abs=1e-12)
    assert rates[:, -1] == pytest.approx([1, 1])
    # nothing of the curve lies far from the points that are told
    steps = np.diff(np.concatenate([np.zeros((2, 1)), rates], axis=1), axis=1)
    assert (steps >= 0).all()
    jump = np.diff(fpr + tpr).max()
    assert steps.sum(axis=0).max() <= 2 / (CURVE_POINTS - 1) + jump + 1e-12


@pytest.mark.parametrize("n", [40, 3000])
def test_curves_of_two_classes(n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 3))
    z = x @ COEF[0, :3] + COEF[0, 3]
    y, u = (rng.random(n) < 1 / (1 + np.exp(-3 * z))).astype(float), rng.random(n) * (rng.random(n) < 0.8)
    assert measured(x, y, COEF, weights=u)["curves"] is None
    (curve,) = measured(x, y, COEF, weights=u, choices=DETAILS)["curves"]
    assert (curve["class"], len(curve["recall"])) == (1, min((u > 0).sum(), CURVE_POINTS))
    on_the_curves(curve, y[u > 0], 1 / (1 + np.exp(-z[u > 0])), u[u > 0])
    assert measured(x, np.zeros(n), COEF, choices=DETAILS)["curves"] == []


def test_curves_of_many_classes_are_of_those_with_most_rows() -> None:
    x, y, u = rows_with_ties(2000, 12)
    coef = np.random.default_rng(1).normal(size=(12, 4))
    z = x @ coef[:, :3].T + coef[:, 3]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    curves = measured(x, y, coef, loss="softmax", weights=u, choices=DETAILS)["curves"]
    weight = np.bincount(y.astype(int), u)
    assert [of["class"] for of in curves] == sorted(np.argsort(-weight)[:10].tolist())
    counted = u > 0
    for of in curves:
        # equal rows have equal probabilities but for rounding
        on_the_curves(of, y[counted] == of["class"], p[counted, of["class"]].round(12), u[counted])


@pytest.mark.parametrize("n_classes", [3, 12])
def test_many_classes(n_classes: int) -> None:
    x, y, u = rows_with_ties(700, n_classes)
    coef = np.random.default_rng(1).normal(size=(n_classes, 4))
    distinct, which = np.unique(x, axis=0, return_inverse=True)
    z = distinct @ coef[:, :3].T + coef[:, 3]
    p = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))[which]
    guess = p.argmax(axis=1)
    found = measured(x, y, coef, loss="softmax", weights=u)
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, guess, sample_weight=u), rel=1e-12)
    assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(y, guess, sample_weight=u), rel=1e-11)
    squares = ((p - np.eye(n_classes)[y.astype(int)]) ** 2).sum(axis=1)
    assert found["brier"] == pytest.approx((u * squares).sum() / u.sum(), rel=1e-12)
    each = sk.precision_recall_fscore_support(y, guess, sample_weight=u, zero_division=0)
    for name, by_class in zip(("precision", "recall", "f1"), each, strict=False):
        assert [of[name] or 0.0 for of in found["by_class"]] == pytest.approx(by_class, rel=1e-12)
        assert found[name] == pytest.approx(np.mean(by_class), rel=1e-12)
    ranked = [sk.average_precision_score(y == k, p[:, k], sample_weight=u) for k in range(n_classes)]
    assert [of["average_precision"] for of in found["by_class"]] == pytest.approx(ranked, rel=1e-12)
    assert found["average_precision"] == pytest.approx(np.mean(ranked), rel=1e-12)
    hits = (guess == y).astype(float)
    assert found["ece"] == pytest.approx(calibration_error(p.max(axis=1), hits, u), rel=1e-9)
    assert (found["ks"], found["gains"]) == (None, None)


def calibration_error(p: Any, happened: Any, u: Any) -> float:
    """Range by range, as Guo et al. 2017 have it."""
    found = 0.0
    for k in range(10):
        inside = [i for i in range(len(p)) if (k <= 10 * p[i] < k + 1) or (k == 9 and p[i] == 1)]
        weight = sum(u[i] for i in inside)
        if weight:
            said = sum(u[i] * p[i] for i in inside) / weight
            found += weight / sum(u) * abs(said - sum(u[i] * happened[i] for i in inside) / weight)
    return found


@pytest.mark.parametrize("loss", ["logistic", "probit", "cloglog"])
def test_probabilities_are_held_against_what_happened(loss: str) -> None:
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(size=(400, 1)), [[40.0], [-40.0], [0.0]]])
    u = rng.integers(0, 4, len(x)).astype(float)
    p = loss_from_json(loss).inverse_link(1.5 * x)[:, 1]
    y = (rng.random(len(x)) < p**2).astype(float)
    found = measured(x, y, np.array([[1.5, 0.0]]), loss=loss, weights=u)
    assert found["ece"] == pytest.approx(calibration_error(p, y, u), rel=1e-9)
    assert sum(of["weight"] for of in found["calibration"]) == u.sum()
    for of in found["calibration"]:
        inside = (np.minimum(np.floor(10 * p), 9) == round(10 * of["from"])) & (u > 0)
        assert of["mean_prediction"] == pytest.approx(np.average(p[inside], weights=u[inside]), rel=1e-12)
        assert of["rate"] == pytest.approx(np.average(y[inside], weights=u[inside]), rel=1e-12)


def test_thresholds() -> None:
    x, y, u = rows_with_ties(500, 2, seed=3)
    z = x @ COEF[0, :3] + COEF[0, 3]
    p = 1 / (1 + np.exp(-z))
    precision, recall, thresholds = sk.precision_recall_curve(y[u > 0], p[u > 0], sample_weight=u[u > 0])
    least = float(np.quantile(precision[:-1], 0.8))
    asked = MetricChoices(threshold=(0.3, 0.5, 0.999), at_precision=(least, 1.0), at_recall=(0.8, 1.0))
    found = measured(x, y, COEF, weights=u, choices=asked)
    for of in found["at_threshold"]:
        taken = p >= of["threshold"]
        np.testing.assert_allclose(of["confusion"], sk.confusion_matrix(y, taken, sample_weight=u), rtol=1e-12)
        assert of["share"] == pytest.approx(u[taken].sum() / u.sum())
        if taken.any():
            assert of["precision"] == pytest.approx(sk.precision_score(y, taken, sample_weight=u), rel=1e-12)
    assert found["at_threshold"][2]["precision"] is None
    (some, none), (most, all_of_them) = found["at_precision"], found["at_recall"]
    assert some["recall"] == pytest.approx(recall[:-1][precision[:-1] >= least].max(), rel=1e-12)
    assert some["precision"] >= least * (1 - 1e-9)
    assert none == {"wanted": 1.0, "threshold": None}
    assert most["precision"] == pytest.approx(precision[:-1][recall[:-1] >= 0.8].max(), rel=1e-12)
    assert all_of_them["recall"] == pytest.approx(1)
    for of in (some, most, all_of_them):
        assert np.abs(thresholds - of["threshold"]).min() < 1e-15
        assert of["recall"] == pytest.approx(u[(p >= of["threshold"] - 1e-15) & (y == 1)].sum() / u[y == 1].sum())


def test_gains() -> None:
    """Tenths by rank; equal scores stay together."""
    rng = np.random.default_rng(6)
    x = np.concatenate([rng.permutation(np.linspace(-3, 3, 800)), np.full(200, 5.0)])[:, None]
    p = 1 / (1 + np.exp(-x[:, 0]))
    y = (rng.random(1000) < p).astype(float)
    found = measured(x, y, np.array([[1.0, 0.0]]))["gains"]
    # the first 200 tie
    assert [of["share"] for of in found] == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    order = np.argsort(-x[:, 0], kind="stable")
    first = 0
    for of in found:
        end = round(1000 * of["share"])
        inside = order[first:end]
        assert of["rate"] == pytest.approx(y[inside].mean())
        assert of["mean_prediction"] == pytest.approx(p[inside].mean())
        assert of["mean_prediction_error"] == 0
        assert of["threshold"] == pytest.approx(p[inside].min())
        assert of["gain"] == pytest.approx(y[order[:end]].sum() / y.sum())
        assert of["lift"] == pytest.approx(y[order[:end]].mean() / y.mean())
        first = end


@pytest.mark.parametrize("loss", ["logistic", "softmax", "squared_hinge", "squared", "poisson"])
def test_repeated_rows_are_weights(loss: str) -> None:
    x, y, _ = rows_with_ties(120, 2, seed=8)
    times = np.random.default_rng(9).integers(0, 4, 120)
    coef = np.repeat(COEF, 2, axis=0) * [[1.0], [-1.0]] if loss == "softmax" else COEF
    two = loss not in ("squared", "poisson")
    asked = MetricChoices(threshold=(0.4,) * two, at_recall=(0.5,) * two, details=True)
    weighted = measured(x, y, coef, loss=loss, weights=times.astype(float), choices=asked)
    repeated = measured(np.repeat(x, times, axis=0), np.repeat(y, times), coef, loss=loss, choices=asked)
    weighted.pop("n_rows"), repeated.pop("n_rows")
    # weights of a power of two, as large as they can be
    huge = measured(x, y, coef, loss=loss, weights=np.ldexp(times, 900), weight_exponent=-900, choices=asked)
    assert huge.pop("n_rows") == 120
    for one, other in zip(numbers_in(weighted), numbers_in(repeated), strict=True):
        assert one == pytest.approx(other, rel=1e-11, abs=1e-14)
    # to the last bit
    without = [value for name in weighted if name not in WEIGHTS for value in numbers_in(weighted[name], skip="weight")]
    scaled = [value for name in weighted if name not in WEIGHTS for value in numbers_in(huge[name], skip="weight")]
    assert without == scaled


WEIGHTS = ("weight_sum", "confusion")


def numbers_in(found: Any, *, skip: str = "") -> list[float]:
    """All numbers in a document, in order; those of a key are left out, and tables of weights."""
    if isinstance(found, dict):
        return [n for key, of in found.items() if key not in (skip, "confusion") for n in numbers_in(of, skip=skip)]
    if isinstance(found, list):
        return [n for of in found for n in numbers_in(of, skip=skip)]
    return [] if found is None else [found]


def test_only_one_class_and_equal_predictions_and_one_row() -> None:
    """What is not defined is None; nothing divides by zero."""
    x = np.ones((6, 1))
    for y in (np.zeros(6), np.ones(6), np.arange(6) % 2.0):
        for coef in ([[0.0, 0.0]], [[3.0, 0.0]], [[-800.0, 0.0]]):
            with np.errstate(all="raise", under="ignore"):
                asked = MetricChoices(threshold=(0.5,), at_precision=(0.5,), at_recall=(0.5,))
                found = measured(x, y, np.array(coef), choices=asked)
            assert found["mcc"] is None
            both = 0 < y.sum() < 6
            assert found["auc"] == (0.5 if both else None)
            assert found["ks"] == (0.0 if both else None)
            assert found["average_precision"] == (y.mean() if y.any() else None)
            assert len(found["gains"]) == 1
            assert found["balanced_accuracy"] == (0.5 if both else found["accuracy"])
    one = measured(x[:1], np.ones(1), np.array([[1.0, 0.0]]), block_rows=1, partitions=1)
    assert (one["accuracy"], one["precision"], one["by_class"][0]["precision"]) == (1, 1, None)


@pytest.mark.parametrize("loss", ["squared", "poisson", "gamma", {"name": "tweedie", "power": 1.5}])
@pytest.mark.parametrize("cut", [False, True])
def test_labels_are_held_against_predicted_numbers(loss: Any, cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if cut:
        monkeypatch.setattr(number_metrics, "PREDICTION_KEYS", 256)
    rng = np.random.default_rng(12)
    x = rng.normal(size=(900, 2))
    u = rng.random(900) * (rng.random(900) < 0.8)
    coef = np.array([[0.3, -0.2, 1.0]])
    rate = x @ coef[0, :2] + 1.0 if loss == "squared" else np.exp(x @ coef[0, :2] + 1.0)
    y = rng.gamma(2.0, np.exp(x @ coef[0, :2] + 1.0) / 2) if loss != "squared" else rate + rng.normal(size=900)
    found = measured(x, y, coef, loss=loss, weights=u, choices=MetricChoices(details=True))
    assert found["bias"] == pytest.approx(np.average(rate - y, weights=u), rel=1e-9)
    assert found["mean_label"] == pytest.approx(np.average(y, weights=u), rel=1e-12)
    assert sum(of["weight"] for of in found["calibration"]) == pytest.approx(u.sum())
    starts = [of["from"] for of in found["calibration"]]
    assert len(starts) == 10
    for k, of in enumerate(found["calibration"]):
        inside = (rate >= starts[k] - 1e-12) & (rate < (starts[k + 1] - 1e-12 if k < 9 else np.inf)) & (u > 0)
        assert of["mean_prediction"] == pytest.approx(np.average(rate[inside], weights=u[inside]), rel=1e-9)
        assert of["mean_label"] == pytest.approx(np.average(y[inside], weights=u[inside]), rel=1e-9)
        assert of["weight"] == pytest.approx(u.sum() / 10, rel=0.5 if cut else 0.05)
    assert measured(x, y, coef, loss=loss, weights=u)["calibration"] is None


def test_rows_of_weight_zero_may_predict_anything() -> None:
    x = np.array([[1.0], [-1.0], [1e300], [2.0]])
    with np.errstate(all="ignore"):
        found = measured(
            x, np.array([1.0, 0, 1, 0]), np.array([[1e300, 0.0]]) * np.array([[1e-300, 1]]), weights=[1.0, 1, 1, 1]
        )
        lost = measured(
            np.concatenate([x, [[np.inf]]]), np.array([1.0, 0, 1, 0, 1]), np.array([[1.0, 0.0]]),
            weights=[1.0, 1, 1, 1, 0],
        )  # fmt: skip
    assert [lost[name] for name in ("brier", "ece", "auc", "mcc")] == [
        found[name] for name in ("brier", "ece", "auc", "mcc")
    ]


# --- tables that are cut ----------------------------------------------------------------------------------------------

sides = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.float64, n, elements=st.integers(-4, 4).map(float) | st.floats(-3, 3)),
        hnp.arrays(np.bool_, n),
        hnp.arrays(np.float64, n, elements=st.integers(0, 3).map(float)),
    )
)


@given(side=sides, limit=st.sampled_from([2, 3, 5, 8, 1000]))
def test_ranks_are_within_their_stated_error(side: Any, limit: int) -> None:
    scores, positive, u = side
    table = Keyed.of(order_keys(scores), np.stack([u * ~positive, u * positive], axis=1), limit=limit)
    ranked = ScoreTable.of(table)
    precision, distance = ranked.average_precision(), ranked.ks()
    if u[positive].sum():
        expected = sk.average_precision_score(positive, scores, sample_weight=u)
        assert precision.value is not None
        assert abs(precision.value - expected) <= precision.error + 1e-12
        if u[~positive].sum():
            fpr, tpr, _ = sk.roc_curve(positive, scores, sample_weight=u)
            assert distance.value is not None
            assert distance.value - 1e-12 <= np.abs(tpr - fpr).max() <= distance.value + distance.error + 1e-12
    else:
        assert precision.value is None
    if len(np.unique(scores)) <= limit:
        assert (precision.error, distance.error) == (0, 0)
    for least in (0.3, 0.9):
        for key in (ranked.with_precision(least), ranked.with_recall(least)):
            if key is not None:
                # what is said of a threshold is exact, cut or not
                taken = scores >= ranked.lowest[key]
                expected = [[u[~taken & ~positive].sum(), u[taken & ~positive].sum()]]
                expected.append([u[~taken & positive].sum(), u[taken & positive].sum()])
                np.testing.assert_allclose(ranked.confusion_at(key), expected, atol=1e-12)


def test_stated_errors_are_no_excuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """A capped table of spread-out scores is still worth something."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3000, 2))
    y = (x[:, 0] + rng.normal(size=3000) > 0).astype(float)
    coef = np.array([[1.0, 0.1, 0.0]])
    exact = measured(x, y, coef, block_rows=100)
    monkeypatch.setattr(class_metrics, "TABLE_KEYS", 64)
    cut = measured(x, y, coef, block_rows=100)
    for name in ("average_precision", "ks"):
        assert 0 < cut[f"{name}_error"] < 0.05
        assert abs(cut[name] - exact[name]) <= cut[f"{name}_error"]
    for name in ("brier", "ece", "mcc", "log_loss"):
        assert cut[name] == exact[name]
    errors = [of["mean_prediction_error"] for of in cut["gains"]]
    assert 0 < max(errors) < 0.1


@given(scores=st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
def test_keys_are_undone(scores: list[float]) -> None:
    np.testing.assert_array_equal(scores_of(order_keys(np.array(scores))), scores)
