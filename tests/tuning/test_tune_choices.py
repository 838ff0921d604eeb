"""Tunings by metrics of installed losses, and with what holds for all candidates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from commands import Commands, write_libsvm
from test_tune import D, N, rows

import mr_ml
from mr_ml.errors import UsageError
from mr_ml.models.linear.losses import LOSSES
from mr_ml.models.linear.losses.squared import SquaredLoss
from mr_ml.models.linear.measured import Asked, Measured
from mr_ml.sums.parts import Part, Sum
from mr_ml.sums.statistic import Statistic


class _Rounded(SquaredLoss):
    """The squared loss, with metrics of its own: of one more is better."""

    name: ClassVar[str] = "rounded"
    higher: ClassVar[frozenset[str]] = frozenset({"within_one"})

    def metric_sums(self, measured: Measured) -> dict[str, Part]:
        near = np.abs(measured.predictions[:, 0] - measured.targets) < 1
        return {**super().metric_sums(measured), "near": Sum((measured.weights * near).sum())}

    def metrics(self, total: Statistic, *, asked: Asked) -> Any:
        found = super().metrics(total, asked=asked)
        near = float(total.sum("near")) / float(total.sum("weight_sum"))
        return Told({**found.to_json(), "within_one": near, "beyond_one": 1 - near})


@dataclass(frozen=True)
class Told:
    found: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return self.found


@pytest.mark.parametrize(("metric", "higher"), [("within_one", True), ("beyond_one", False), ("r2", True)])
def test_metrics_of_a_loss_that_is_installed(tmp_path: Path, metric: str, higher: bool) -> None:
    x, _ = rows(dense=True)
    y = x @ np.arange(D) / D + np.random.default_rng(3).normal(size=N)
    mr_ml.pack_arrays(tmp_path / "root", x, y, "rows")
    LOSSES.register("rounded", _Rounded)
    try:
        found = mr_ml.tune(tmp_path / "root", "rows", "m", loss="rounded", l2=[1e-3, 10.0], metric=metric).tuned
        with pytest.raises(UsageError, match=r"beyond_one.*within_one, which rounded models have, found 'accuracy'"):
            mr_ml.tune(tmp_path / "root", "rows", "m", loss="rounded", l2=[1e-3, 10.0], metric="accuracy")
    finally:
        LOSSES.unregister("rounded")
    assert (found.metric, found.higher, found.chosen) == (metric, higher, 0)
    first, second = (one.mean or 0.0 for one in found.tried)
    assert (first > second) is higher


def test_rules_of_single_features_hold_for_all_candidates(tmp_path: Path) -> None:
    x, y = rows(dense=True)
    mr_ml = Commands(tmp_path / "root", runner=("-r", "inline"))
    mr_ml("pack", write_libsvm(tmp_path / "rows.libsvm", x, y), "--to", "rows")
    (tmp_path / "rules.csv").write_text("feature,factor,upper\n1,0,0.25\n2,100,\n")
    rules = ("--per-feature", tmp_path / "rules.csv", "--non-negative")
    found = mr_ml("tune", "rows", "--model", "m", "--l2", "1e-4,1e-2", "--folds", "3", *rules, "-r", "inline")
    best = found["tuned"]["tried"][found["tuned"]["chosen"]]["options"]
    mr_ml("train", "rows", "--model", "again", "--l2", best["l2"], *rules)
    assert mr_ml.coef("again").coef.tobytes() == mr_ml.coef("m").coef.tobytes()
    assert mr_ml.coef("m").coef.min() == 0
    assert mr_ml.coef("m").coef[0, 0] <= 0.25
    refused = mr_ml.run("tune", "--resume", found["tuned"]["run"], "--non-negative")
    assert "leave --non-negative out" in refused.err
