"""Line queries that are mapped together: each has the very bits that it has alone, whatever is beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import make_block

from mr_ml.data import kernels
from mr_ml.data.folds import FoldRows, Folds
from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.reading import RowSpec
from mr_ml.sums import slices
from mr_ml.sums.statistic import Statistic

N, D = 500, 40


def queries(rows: RowSpec) -> list[LineQuery]:
    """More than are swept at once: with and without a direction, a curvature, cross terms, a Hessian."""
    rng, found = np.random.default_rng(0), []
    for k in range(21):
        coef, direction = rng.normal(size=(2, rows.n_outputs, D + 1))
        counted = FoldRows(Folds(3, seed=5), k % 3, inside=False)
        query = LineQuery(replace(rows, counted=counted), coef, direction if k % 4 else None, steps=(1.0, 0.5, 0.0))
        found.append(replace(query, chosen=k % 3, curvature=k % 2 == 0, cross=k == 6, hessian=k == 9, leads=k % 5 == 0))
    return found


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("form", ["sparse", "dense", "stored"])
@pytest.mark.parametrize("width", [8, 1 << 18])
@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_bits_are_those_of_each_alone(
    monkeypatch: pytest.MonkeyPatch, native: bool, form: str, width: int, loss: str
) -> None:
    if not native:
        monkeypatch.setattr(kernels, "native", None)
    monkeypatch.setattr(slices, "FEATURE_BLOCK", width)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, D)) * (rng.uniform(size=(N, D)) < 0.2)
    # few columns, so that some are left out where there are many
    x[:, 9:] *= form != "sparse"
    y = rng.integers(0, 3 if loss == "softmax" else 2, size=N).astype(float)
    rows = RowSpec(loss_from_json(loss), D, tuple(map(float, range(int(y.max()) + 1))))
    several = queries(rows)
    block = several[0].prepare(make_block(x, y, form=form))
    together = LineQuery.together(several)(block)
    for query, found in zip(several, together, strict=True):
        assert bits(found) == bits(query.map(block))


def bits(statistic: Statistic) -> dict[str, bytes]:
    names = {*statistic.parts, *(name for one in statistic.slices for name in one.parts)}
    return {
        f"{name}/{key}": np.asarray(array).tobytes()
        for name in sorted(names)
        for key, array in statistic.part(name).arrays().items()
    }
