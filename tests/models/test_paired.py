"""Two models on the same rows: the interval of the difference against scipy, by hand, and by its coverage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from builders import engine_of, make_block, make_blocks
from numpy.typing import NDArray
from scipy import stats

from mr_ml.data.block import Block
from mr_ml.errors import BadDataError
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.paired import Difference, MeasuringQuery, PairedQuery, RowMetrics
from mr_ml.sums.parts import Sum
from mr_ml.sums.query import Array
from mr_ml.sums.query_kinds import query_from, query_parts
from mr_ml.sums.statistic import Statistic

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Column(MeasuringQuery):
    """A toy: its metric of a row is the value of a column."""

    kind: ClassVar[str] = "column"

    number: int

    def map_rows(self, block: Block) -> tuple[Statistic, RowMetrics]:
        value = block.features.toarray(n_features=2)[:, self.number]
        u = np.ones(block.n_rows) if block.weights is None else block.weights
        return self.map(block), RowMetrics(weights=u, values={"cost": value})

    def map(self, block: Block) -> Statistic:
        return Statistic({"rows": Sum(np.asarray(float(block.n_rows)))})

    def read(self, total: Statistic) -> Any:
        return total

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        return {"number": self.number}, {}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Column:
        return cls(meta["number"])


TOY = PairedQuery((Column(0), Column(1)))


def difference(x: Floats, u: Floats | None = None) -> Difference:
    return TOY.read(TOY.map(make_block(x, np.zeros(len(x)), weights=u)))["cost"]


def test_of_equal_weights_it_is_the_paired_t_test() -> None:
    x = np.random.default_rng(0).gamma(2, size=(300, 2))
    found = difference(x)
    test = stats.ttest_rel(x[:, 0], x[:, 1], alternative="less")
    assert found.mean == pytest.approx(x[:, 0].mean() - x[:, 1].mean(), rel=1e-12)
    assert found.standard_error == pytest.approx(stats.sem(x[:, 0] - x[:, 1]), rel=1e-12)
    upper = found.mean + found.half_width(0.9)
    assert upper == pytest.approx(test.confidence_interval(0.9).high, rel=1e-10)
    assert found.n_rows == 300
    assert found.effective_rows == pytest.approx(300)


def test_of_weights_by_hand_over_blocks_and_partitions() -> None:
    rng = np.random.default_rng(1)
    x, u = rng.normal(size=(500, 2)), rng.exponential(size=500) * (rng.random(500) < 0.9)
    d = x[:, 0] - x[:, 1]
    mean = (u * d).sum() / u.sum()
    n = u.sum() ** 2 / (u * u).sum()
    error = np.sqrt((u**2 * (d - mean) ** 2).sum() * n / (n - 1)) / u.sum()
    for partitions, block_rows in ((1, 500), (3, 64), (5, 7)):
        engine = engine_of(
            make_blocks(x, np.zeros(500), weights=u, block_rows=block_rows, partitions=partitions)
        )  # fmt: skip
        found = TOY.read(engine.run(TOY))["cost"]
        assert found.mean == pytest.approx(mean, rel=1e-12)
        assert found.standard_error == pytest.approx(error, rel=1e-12)
        assert found.effective_rows == pytest.approx(n, rel=1e-12)
        assert found.n_rows == int((u > 0).sum())


@pytest.mark.parametrize("weighted", [False, True])
def test_the_bound_holds_as_often_as_it_says(weighted: bool) -> None:
    """Rows are drawn anew 3,000 times; their weights go with the differences."""
    rng, n, times = np.random.default_rng(2), 150, 3000
    below = 0
    # E[u d] / E[u] of u = e^(s / 2), d = s + noise, s normal: the mean of s tilted by 1/2
    true = 0.5 if weighted else 0.0
    for _ in range(times):
        s = rng.normal(size=n)
        x = np.stack([s + rng.uniform(-2, 2, n), np.zeros(n)], axis=1)
        found = difference(x, np.exp(s / 2) if weighted else None)
        below += true <= found.mean + found.half_width(0.95)
    # of a right coverage the standard error is 0.004
    assert below / times == pytest.approx(0.95, abs=0.015)


def test_of_too_few_rows_nothing_is_certain() -> None:
    for x, u in (([[1, 2]], None), ([[1, 2], [3, 4]], [0.0, 1.0]), ([[1, 2]], [0.0])):
        found = difference(np.array(x, float), None if u is None else np.array(u))
        assert found.half_width(0.95) == np.inf
    same = difference(np.array([[1.0, 1], [5, 5], [2, 2]]))
    assert (same.mean, same.half_width(0.95)) == (0, 0)


def metrics_query(loss: str, coef: Any, classes: tuple[float, ...]) -> MetricsQuery:
    coef = np.array(coef, float)
    return MetricsQuery(RowSpec(loss_from_json(loss), coef.shape[1] - 1, classes), coef)


def pair() -> PairedQuery:
    """Logistic over columns 0 and 2, softmax over all: other kinds of loss compare by what they predict."""
    one = metrics_query("logistic", [[1.0, -2.0, 0.5]], (0.0, 1.0))
    other = metrics_query("softmax", [[0.5, -1, 0, 0.1], [-0.5, 1, 0.3, 0]], (0.0, 1.0))
    return PairedQuery((one, other), (np.array([0, 2], np.int32), None))


def test_rows_of_models_by_hand() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(200, 3)), (rng.random(200) < 0.4).astype(float)
    engine = engine_of(make_blocks(x, y, block_rows=32, partitions=2))
    query = pair()
    total = engine.run(query)
    found = query.read(total)
    one = 1 / (1 + np.exp(-(x[:, [0, 2]] @ [1, -2] + 0.5)))
    z = x @ np.array([[0.5, -0.5], [-1, 1], [0, 0.3]]) + [0.1, 0]
    other = np.exp(z[:, 1]) / np.exp(z).sum(axis=1)
    losses = [-np.log(np.where(y == 1, p, 1 - p)) for p in (one, other)]
    hits = [((p > 0.5) == y).astype(float) for p in (one, other)]
    squares = [(p - y) ** 2 for p in (one, other)]
    for name, (a, b) in (("log_loss", losses), ("accuracy", hits), ("brier", squares)):
        assert found[name].mean == pytest.approx((a - b).mean(), rel=1e-10)
        assert found[name].standard_error == pytest.approx(stats.sem(a - b), rel=1e-10)
    # what each finds in a pass of its own, to the bit
    for mine, alone, columns in zip(query.statistics(total), query.queries, query.columns, strict=True):
        assert alone.read(mine).to_json() == alone.read(engine.run(alone, columns=columns)).to_json()


def test_numbers_have_errors_and_classes_have_none_in_common_with_them() -> None:
    x, y = np.array([[1.0], [2], [4]]), np.array([1.0, 0, 1])
    one, other = (metrics_query("squared", [[slope, 0.5]], ()) for slope in (1, 2))
    query = PairedQuery((one, other))
    found = query.read(query.map(make_block(x, y)))
    errors = [x[:, 0] * slope + 0.5 - y for slope in (1, 2)]
    assert found["mean_squared_error"].mean == pytest.approx((errors[0] ** 2 - errors[1] ** 2).mean())
    assert found["mean_absolute_error"].mean == pytest.approx((np.abs(errors[0]) - np.abs(errors[1])).mean())
    mixed = PairedQuery((one, metrics_query("logistic", [[1, 0.5]], (0.0, 1.0))))
    assert mixed.read(mixed.map(make_block(x, y))) == {}


def test_it_travels_and_what_is_none_is_refused() -> None:
    x, y = np.random.default_rng(4).normal(size=(50, 3)), np.arange(50) % 2.0
    engine = engine_of(make_blocks(x, y, block_rows=16))
    meta, arrays = query_parts(pair())
    there = query_from(meta, arrays, where="a request")
    assert there.read(engine.run(there)) == pair().read(engine.run(pair()))
    for wrong in ({"queries": meta["queries"][:1]}, {"queries": [{"kind": "moments", "n_features": 3}] * 2}, {}):
        with pytest.raises(BadDataError, match="a request: not a query of kind 'paired'"):
            query_from({"kind": "paired", **wrong}, arrays, where="a request")


def test_means_of_different_losses_are_not_compared() -> None:
    """Their names are the same; the errors, which say the same of both, are."""
    x = np.random.default_rng(1).normal(size=(30, 1))
    block = make_block(x, np.exp(x[:, 0]).round())

    def compared(*losses: Any) -> list[str]:
        one, other = (MetricsQuery(RowSpec(loss_from_json(loss), 1), np.array([[0.5, 0.1]])) for loss in losses)
        paired = PairedQuery((one, other))
        return sorted(paired.read(paired.map(block)))

    tweedie = {"name": "tweedie", "power": 1.5}
    errors = ["mean_absolute_error", "mean_squared_error"]
    assert compared("poisson", "poisson") == sorted([*errors, "mean_deviance"])
    assert compared(tweedie, {"name": "tweedie", "power": 1.5}) == sorted([*errors, "mean_deviance"])
    for other in ("poisson", "squared", {"name": "tweedie", "power": 1.25}):
        assert compared(tweedie, other) == errors
