"""Penalties in the optimizer's coordinates against their formulas in raw ones, and the least l1 that leaves nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import make_engine, make_objective, minimise

from mr_ml.models.linear.losses import loss_from_text
from mr_ml.models.linear.penalty import FeaturePenalty, L2Penalty
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.scaling import Scaling
from mr_ml.optimize.choose import choose

RNG = np.random.default_rng(8)
D = 5


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("space", ["raw", "scaled"])
def test_values_are_those_of_raw_coefficients(space: str, centre: bool) -> None:
    deviation, mean = RNG.uniform(0.1, 4, D), RNG.normal(size=D)
    scaling = Scaling.of(mean=mean, deviation=deviation, intercept=True, centre=centre)
    factors, precision, m = RNG.uniform(0, 2, D), RNG.uniform(0, 2, D), RNG.normal(size=(2, D))
    penalty = FeaturePenalty(
        l1=0.3, l2=0.7, space=space, factors=factors, lower=np.full(D, -1.0), mean=m, precision=precision
    )
    of = penalty.of(scaling, 2)
    w = RNG.normal(size=(2, D + 1))
    theta, d = scaling.from_raw(w), deviation if space == "scaled" else 1.0
    dw = d * w[:, :-1]
    expected = 0.3 * (factors * abs(dw)).sum() + 0.35 * (factors * dw**2).sum()
    expected += 0.5 * (precision * (d * (w[:, :-1] - m)) ** 2).sum()
    assert of.value(theta) == pytest.approx(expected, rel=1e-12)
    kinks = of.kinks
    assert kinks is not None
    smooth = replace(of, kinks=None)
    steps = 1e-6 * np.eye(len(theta))
    slopes = [(smooth.value(theta + step) - smooth.value(theta - step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(of.gradient(theta), slopes, atol=1e-7)
    at_bound = scaling.to_raw(np.where(np.isfinite(kinks.lower), kinks.lower, 0.0), 2)
    np.testing.assert_allclose(at_bound[:, :-1], -1.0)
    assert (penalty.bounded(at_bound)[:, :-1] == -1).all()


@pytest.mark.parametrize(
    "penalty",
    [L2Penalty(0.1), FeaturePenalty(l2=0.1, factors=RNG.uniform(0.5, 2, D), space="scaled", lower=np.zeros(D))],
    ids=["plain", "own"],
)
def test_the_least_l1_that_leaves_nothing(penalty: Any) -> None:
    x = RNG.normal(size=(200, D)) * RNG.uniform(0.2, 3, D) + 1
    y = (x @ RNG.normal(size=D) + RNG.logistic(size=200) > 1).astype(float)
    engine = make_engine(x, y)
    rows = RowSpec(loss_from_text("logistic"), D, classes=(0.0, 1.0))
    share = y.mean()
    objective = replace(
        make_objective(engine, rows), penalty=penalty, first_intercepts=np.array([np.log(share / (1 - share))])
    )
    search = choose("proximal-newton", size=objective.size, tolerance=1e-9, max_passes=50, smooth=False)
    ask = search.ask(search.init(objective.start()))
    assert ask is not None
    least = objective.least_l1(objective.finish(ask, engine.run(objective.query(ask))).gradient)
    for share, some in ((1.0001, False), (0.98, True)):
        given = vars(penalty) if isinstance(penalty, FeaturePenalty) else {"l2": 0.1}
        found = minimise(engine, replace(objective, penalty=FeaturePenalty(**{**given, "l1": least * share})), search)
        assert (found.point[:-1] != 0).any() == some
