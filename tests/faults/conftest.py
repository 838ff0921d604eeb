import random
import shutil
import uuid
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_libsvm
from train_commands import INLINE, TRAIN

from mr_ml.packing import plan


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """A root with the dataset `rows`: 4 partitions of several blocks; tests work on copies."""
    folder = tmp_path_factory.mktemp("faults")
    rng = np.random.default_rng(11)
    x = rng.normal(size=(800, 5))
    y = (x @ [2, -1, 0.5, 0, 1] + rng.normal(size=800) > 0).astype(int)
    commands = Commands(folder / "root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_BYTES", 1 << 11)
        shape = commands(
            "pack", write_libsvm(folder / "rows", x, y), "--to", "rows", "--partitions", "4", "-r", "inline"
        )
    assert shape["partitions"] == 4
    assert shape["blocks"] >= 16
    return commands


@pytest.fixture
def mr_ml(pristine: Commands, tmp_path: Path) -> Commands:
    """A copy of the pristine root."""
    shutil.copytree(pristine.root, tmp_path / "root")
    return Commands(tmp_path / "root")


@pytest.fixture
def chance() -> random.Random:
    """Chance that is the same every time."""
    return random.Random(20261123)


@pytest.fixture(scope="session")
def expected(pristine: Commands, tmp_path_factory: pytest.TempPathFactory) -> str:
    """sha256 of the undisturbed coefficients."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(pristine.root, folder / "root")
    commands = Commands(folder / "root")
    commands(*TRAIN, *INLINE)
    return commands.coef("m").sha256


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> str:
    """A mark in the environment of every process that a command starts."""
    mark = f"MR_ML_TEST_MARK={uuid.uuid4().hex}"
    monkeypatch.setenv(*mark.split("="))
    return mark
