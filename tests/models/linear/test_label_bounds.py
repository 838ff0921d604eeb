"""Labels that a loss of counts or amounts does not take are refused for the reason that is true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mr_ml
from mr_ml.errors import BadDataError


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
@pytest.mark.parametrize(("labels", "said"), [("balanced", "expected labels >"), ("zero", "needs labels")])
def test_a_mean_of_0_is_not_taken_for_labels_that_are_all_0(tmp_path: Path, loss: str, labels: str, said: str) -> None:
    """Too many different numbers to be listed, whose sum is exactly 0."""
    half = np.arange(1, 3001) / 8.0
    y = np.concatenate([half, -half]) if labels == "balanced" else np.zeros(6000)
    x = np.random.default_rng(0).normal(size=(6000, 2))
    mr_ml.pack_arrays(tmp_path, x, y, "rows")
    with pytest.raises(BadDataError) as refused:
        mr_ml.train(tmp_path, "rows", "m", loss=loss)
    assert said in str(refused.value)
    assert ("all of" in str(refused.value)) is (labels == "zero" and loss != "gamma")
