"""What docs/extending.md says: kinds from an installed package do all that the built-in ones do.

The package is tests/extending/installed: a loss, a store, a runner and a format, and the entry points that name them.
Nothing else knows of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from toys import environment

L2 = 0.01
N_ROWS, N_FEATURES = 400, 3
Floats = np.ndarray[Any, np.dtype[np.float64]]


@pytest.fixture(scope="module")
def rows() -> Floats:
    """Label and features; a tenth of the labels are far off, which the loss is made for."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(N_ROWS, N_FEATURES))
    y = x @ [1.0, -2.0, 0.5] + 3.0 + 0.1 * rng.normal(size=N_ROWS)
    y[:: N_ROWS // 10] += 50.0
    return np.column_stack([y, x])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, rows: Floats) -> Path:
    folder = tmp_path_factory.mktemp("toys")
    text = "\n".join(";".join(map(repr, row)) for row in rows.tolist()) + "\n"
    (folder / "rows.ssv").write_text(text, encoding="ascii")
    return folder


def command(folder: Path, *words: object, root: str = "toy") -> dict[str, Any]:
    place = f"toy://{folder}/root" if root == "toy" else f"{folder}/{root}"
    done = subprocess.run(
        [sys.executable, "-m", "mr_ml", *map(str, words), "--root", place, "--json"],
        capture_output=True, text=True, check=False, env=environment(), cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


TRAIN = ("--loss", "pseudo-huber", "--l2", L2, "--tolerance", "1e-9")


@pytest.fixture(scope="module")
def trained(folder: Path) -> dict[str, Any]:
    """Packed and trained with the toys alone."""
    packed = command(folder, "pack", "rows.ssv", "--to", "d", "--format", "semicolons", "--seed", 5, "-r", "toy")
    assert (packed["n_rows"], packed["n_features"]) == (N_ROWS, N_FEATURES)
    return command(folder, "train", "d", "--model", "m", *TRAIN, "-r", "toy")


def coefficients(folder: Path, root: str = "root") -> bytes:
    (path,) = (folder / root / "models" / "m" / "data").glob("*/coef.npz")
    return path.read_bytes()


def test_the_model_is_the_optimum(folder: Path, rows: Floats, trained: dict[str, Any]) -> None:
    assert trained["converged"]

    def objective(theta: Floats) -> float:
        residual = rows[:, 1:] @ theta[:-1] + theta[-1] - rows[:, 0]
        return float(np.mean(np.sqrt(1 + residual**2) - 1) + L2 / 2 * theta[:-1] @ theta[:-1])

    best = minimize(objective, np.zeros(N_FEATURES + 1), method="BFGS", options={"gtol": 1e-9}).x
    (path,) = (folder / "root" / "models" / "m" / "data").glob("*/coef.npz")
    with np.load(path) as model:
        np.testing.assert_allclose([*model["coef"][0], *model["intercept"]], best, rtol=1e-5)


def test_it_predicts_and_is_evaluated(folder: Path, rows: Floats, trained: dict[str, Any]) -> None:
    command(folder, "predict", "m", "rows.ssv", "--to", folder / "out", "-r", "toy")
    predicted = [float(line.split("\t")[0]) for line in (folder / "out").read_text().splitlines()]
    metrics = command(folder, "evaluate", "m", "d", "--split", "train", "-r", "toy")
    assert metrics["mean_absolute_error"] == pytest.approx(np.abs(np.array(predicted) - rows[:, 0]).mean())


def test_another_store_and_runner_give_the_same_bits(folder: Path, trained: dict[str, Any]) -> None:
    """Worker processes find the format and the loss too, by the installed package."""
    runner = ("-r", "local", "--workers", "2")
    command(folder, "pack", "rows.ssv", "--to", "d", "--format", "semicolons", "--seed", 5, *runner, root="plain")
    command(folder, "train", "d", "--model", "m", *TRAIN, *runner, root="plain")
    assert coefficients(folder, "plain") == coefficients(folder)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["train", "d", "--model", "m", "--loss", "none"], "pseudo-huber"),
        (["train", "d", "--model", "m", "-r", "none"], "toy"),
        (["pack", "rows.ssv", "--to", "d", "--format", "none"], "semicolons"),
    ],
)
def test_they_are_among_the_choices(folder: Path, words: list[str], name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mr_ml", *words], capture_output=True, text=True, check=False, env=environment(),
        cwd=folder,
    )  # fmt: skip
    assert (done.returncode, name in done.stderr) == (2, True), done.stderr


def test_without_the_package_they_are_not_known(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mr_ml", "pack", "rows.ssv", "--to", "d", "--format", "semicolons"],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 2
    assert "semicolons" in done.stderr
    assert "Traceback" not in done.stderr
