"""Trainings of one dataset on different runners, of which tests compare the coefficients."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from hdfs_layout import open_root
from mr_ml.catalog.model import load_model
from mr_ml.runners.base import RUNNERS, Runner, RunnerOptions
from mr_ml.session import Session

# Of the dataset `wide`.
N_FEATURES = 600_000


def session(root: Path, runner: Runner | None = None) -> Session:
    """With the runner, or `inline`."""
    opened = open_root(str(root))
    return Session(root=opened, runner=runner or RUNNERS.get("inline").open(opened, RunnerOptions()))


def trained(root: Path, runner: Runner | None, dataset: str, **options: Any) -> str:
    """Train; the sha256 of the coefficients as they are stored."""
    chosen = {"loss": dataset, "l2": 0.01, "max_passes": 4, **options}
    opened = session(root, runner)
    result = opened.train(opened.spec("linear", dataset, "m", "train", chosen))
    model = load_model(opened.root, f"m@{result.version}")
    (path,) = [path for path in opened.root.store.walk(f"models/m/data/{result.run}") if path.endswith("coef.npz")]
    assert model.reference == f"m@{result.version}"
    return hashlib.sha256(opened.root.store.read(path)).hexdigest()
