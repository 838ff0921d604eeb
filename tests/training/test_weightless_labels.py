"""A class whose rows weigh nothing is nowhere: its intercept would run away, whatever the penalty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mr_ml
from mr_ml.errors import BadDataError, UsageError

X = np.random.default_rng(0).normal(size=(12, 2))


def trained(root: Path, labels: Any, loss: str, *, weights: Any = None, **options: Any) -> Any:
    mr_ml.pack_arrays(root, X, labels, "rows", weights=weights)
    return mr_ml.train(root, "rows", "model", loss=loss, **options)


@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize(("loss", "n_classes"), [("logistic", 2), ("squared_hinge", 2), ("softmax", 2), ("softmax", 3)])
def test_a_class_without_weight_is_refused(tmp_path: Path, loss: str, n_classes: int, l2: float) -> None:
    labels = np.arange(12) % n_classes
    with pytest.raises(BadDataError, match=r"all rows of \['1'\] in split 'train' of rows@1 weigh 0"):
        trained(tmp_path, labels, loss, weights=np.where(labels == 1, 0.0, 1.0), l2=l2)
    with pytest.raises(UsageError, match=r"`class_weights`: expected factors above 0, found 0 for \['1'\]"):
        trained(tmp_path, labels, loss, l2=l2, class_weights="1=0")


@pytest.mark.parametrize("loss", ["poisson", "tweedie", "negative_binomial:theta=2"])
def test_counts_that_are_zero_wherever_they_weigh_are_refused(tmp_path: Path, loss: str) -> None:
    labels = np.arange(12) % 3
    with pytest.raises(BadDataError, match="all rows of split 'train' of rows@1 that have another label weigh 0"):
        trained(tmp_path, labels, loss, weights=np.where(labels > 0, 0.0, 1.0), l2=0.01)


@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_weights_that_do_not_count_leave_nothing_out(tmp_path: Path, loss: str) -> None:
    labels = np.arange(12) % 2
    weights = np.where(labels == 1, 0.0, 1.0)
    assert trained(tmp_path, labels, loss, weights=weights, l2=0.01, row_weights=False).converged
    weights[1] = 1e-9
    assert trained(tmp_path, labels, loss, weights=weights, l2=0.01).converged
