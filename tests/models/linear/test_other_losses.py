"""A loss from outside: registered, it is trained, stored, evaluated and predicted as those that are built in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from commands import Commands, write_libsvm
from scipy.optimize import minimize

from mr_ml.models.linear.labels import NUMBERS, LabelDomain, TrainingLabels
from mr_ml.models.linear.losses import LOSSES
from mr_ml.models.linear.losses.base import Floats, Loss


@dataclass(frozen=True)
class CountsLoss(Loss):
    """l = e^z - y z: counts, whose logarithms are linear."""

    name: ClassVar[str] = "counts"
    label_domain: ClassVar[LabelDomain] = NUMBERS

    def start(self, labels: TrainingLabels) -> Floats | None:
        return np.array([np.log(labels.mean)])

    def value(self, margins: Floats, labels: Floats) -> Floats:
        return np.asarray(np.exp(margins[:, 0]) - labels * margins[:, 0])

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        mean = np.exp(margins)
        return mean - labels[:, None], mean

    def second_derivatives(self, margins: Floats, labels: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        return {(0, 0): weights * np.exp(margins[:, 0])}

    def inverse_link(self, margins: Floats) -> Floats:
        return np.exp(margins)


@pytest.fixture
def counts() -> Iterator[None]:
    LOSSES.register("counts", CountsLoss)
    yield
    LOSSES.unregister("counts")


@pytest.mark.usefixtures("counts")
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_a_loss_from_outside_is_a_loss_like_any_other(solver: str, tmp_path: Path) -> None:
    """Counts far from zero: their labels must not be shifted, as those of the squared loss are."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    y = rng.poisson(np.exp(x @ [0.3, -0.2, 0.1] + 4)).astype(float)
    place = Commands(tmp_path / "root", runner=("-r", "inline"))
    text = write_libsvm(tmp_path / "rows", x, y)
    place("pack", text, "--to", "rows")
    found = place(
        "train", "rows", "--model", "m", "--loss", "counts", "--l2", "0.01", "--solver", solver, "--tolerance", "1e-9"
    )
    assert found["converged"]

    def objective(w: Any) -> Any:
        z = x @ w[:3] + w[3]
        return (np.exp(z) - y * z).mean() + 0.005 * w[:3] @ w[:3]

    best = minimize(objective, np.array([0.0, 0, 0, 4]), method="BFGS", options={"gtol": 1e-8})
    coef = place.coef("m")
    np.testing.assert_allclose([*coef.coef[0], coef.intercept[0]], best.x, rtol=1e-5)
    metrics = place("evaluate", "m", "rows", "--split", "train")
    mean = np.exp(x @ best.x[:3] + best.x[3])
    assert metrics["mean_squared_error"] == pytest.approx(((mean - y) ** 2).mean(), rel=1e-4)
    place("predict", "m", text, "--to", str(tmp_path / "predicted"))
    np.testing.assert_allclose(np.loadtxt(tmp_path / "predicted"), mean, rtol=1e-5)
