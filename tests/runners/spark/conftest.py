"""Datasets that trainings on Spark are compared on, packed by the runner `inline`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_libsvm
from spark_contexts import QUICK_JAVA
from spark_trainings import N_FEATURES

from mr_ml.packing import plan

LOSSES = ("logistic", "softmax", "squared")


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """A dataset for each loss, of three partitions of several blocks; and its text, a folder beside the root."""
    folder = tmp_path_factory.mktemp("packed")
    (folder / "text").mkdir()
    commands = Commands(folder / "root", runner=("-r", "inline"))
    rng = np.random.default_rng(3)
    x = rng.normal(size=(600, 7))
    margin = x @ rng.normal(size=7) + rng.normal(size=600)
    labels = {"logistic": (margin > 0).astype(int), "softmax": np.digitize(margin, [-1, 1]), "squared": margin}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_BYTES", 1 << 11)
        for loss in LOSSES:
            text = write_libsvm(folder / "text" / loss, x, labels[loss])
            shape = commands("pack", text, "--to", loss, "--partitions", "3", "--split", "train=0.8,test=0.2")
            assert shape["blocks"] >= 9
        rows = (f"{k % 2} {1 + k}:1 {1000 + 999 * k}:{k % 5 + 1} {N_FEATURES}:1\n" for k in range(N_FEATURES // 1000))
        (folder / "text" / "wide").write_text("".join(rows))
        commands("pack", folder / "text" / "wide", "--to", "wide", "--partitions", "3")
    return commands


@pytest.fixture(autouse=True)
def quick_java(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in QUICK_JAVA.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def marks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which tests ask tasks to kill something, see `spark_toy_jobs`."""
    return tmp_path_factory.getbasetemp()
