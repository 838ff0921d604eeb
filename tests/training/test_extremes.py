"""How large values are at most is known of a dataset, whatever its rows look like and however they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_libsvm

from hdfs_layout import open_root
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.models.linear.kind.problem import make_objective
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.training.early_steps import EarlySteps


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("dense", [True, False])
def test_extremes_are_those_of_the_rows_as_they_are_read(tmp_path: Path, dense: bool, intercept: bool) -> None:
    rng = np.random.default_rng(4)
    x = np.round(rng.normal(size=(200, 6)), 3)
    if not dense:
        x *= rng.random((200, 6)) < 0.1
    # one that is far from zero, one of one value, one that is never negative
    x[:, 1] += 5e6
    x[:, 2] = 7
    x[:, 3] = np.abs(x[:, 3])
    mr_ml = Commands(tmp_path / "root")
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, np.arange(200) % 2), "--to", "rows")
    root = open_root(str(mr_ml.root))
    dataset = load_dataset(root, "rows")
    spec = LinearSpec(dataset="rows", model="m", loss="logistic", intercept=intercept)
    objective = make_objective(spec, dataset, FeatureMoments.load(root.store, dataset, "train"))
    blocks = [objective.rows.read(block) for block in EarlySteps(objective, dataset, "train", root.store)._sample]
    read = np.concatenate([block.features.toarray(n_features=6) for block in blocks])
    assert len(read) == 200
    assert objective.extremes is not None
    found = np.abs((read - objective.scaling.mean) / objective.scaling.scale).max(axis=0)
    np.testing.assert_allclose(objective.extremes, found, rtol=1e-9, atol=1e-9)
