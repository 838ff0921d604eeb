"""Features of libsvm rows are known by their ids in the text, whatever each dataset makes of them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands

N = 60


def rows(base: int, seed: int, *, features: int = 3, extra: str = "") -> tuple[str, Any, Any]:
    """Text, features and labels of rows whose ids begin at `base`; the first feature hardly matters."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(N, features)), 3)
    y = (x @ [0.1, 2, -1][:features] + rng.normal(size=N) > 0).astype(int)
    lines = (
        f"{label} {' '.join(f'{j + base}:{v}' for j, v in enumerate(row))}{extra}"
        for label, row in zip(y.tolist(), x.tolist(), strict=True)
    )
    return "".join(f"{line}\n" for line in lines), x, y


def log_loss(mr_ml: Commands, model: str, x: Any, y: Any) -> float:
    coef = mr_ml.coef(model)
    margin = x @ coef.coef[0, : x.shape[1]] + coef.intercept[0]
    return float(np.mean(np.logaddexp(0, margin) - y * margin))


@pytest.fixture(scope="module")
def mr_ml(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Models on ids 0 to 2 and on ids 1 to 3."""
    folder = tmp_path_factory.mktemp("ids")
    commands = Commands(folder / "root", ("-r", "inline"))
    for base in (0, 1):
        (folder / f"from{base}").write_text(rows(base, seed=base)[0])
        commands("pack", folder / f"from{base}", "--to", f"from{base}")
        commands("train", f"from{base}", "--model", f"from{base}", "--l2", "0.1")
    return commands


@pytest.mark.parametrize("density", ["dense", "sparse"])
@pytest.mark.parametrize("base", [0, 1])
def test_other_index_bases(mr_ml: Commands, tmp_path: Path, base: int, density: str) -> None:
    """Rows that lack the model's first feature seem to count from another id; each feature keeps its coefficient."""
    _, x, y = rows(base, seed=7)
    x[:, 0] = 0
    if density == "sparse":
        x[np.random.default_rng(0).random(x.shape) < 0.7] = 0
        x[0, 1:] = 1
    text = "".join(
        f"{label} {' '.join(f'{j + base}:{v}' for j, v in enumerate(row) if v)}\n"
        for label, row in zip(y.tolist(), x.tolist(), strict=True)
    )
    (tmp_path / "test").write_text(text)
    # with base 1 ids from 2 on: a dataset that is said to count from 0
    mr_ml("pack", tmp_path / "test", "--to", "test", *(("--index-base", "0") if base else ()))
    assert mr_ml.manifest("test@1")["schema"]["index_base"] == 1 - base or base == 0
    found = mr_ml("evaluate", f"from{base}", "test", "--split", "train")
    assert found["unseen_features"] == 0
    assert found["log_loss"] == pytest.approx(log_loss(mr_ml, f"from{base}", x, y), rel=1e-12)
    for name in list((mr_ml.root / "datasets").glob("test")):
        for manifest in name.glob("v*.json"):
            manifest.unlink()


@pytest.mark.parametrize("zipped", [False, True])
def test_features_that_the_model_does_not_know(mr_ml: Commands, tmp_path: Path, zipped: bool) -> None:
    """Below and beyond the model's; `evaluate`, `pack --like` and `predict` say and ignore the same."""
    text, x, y = rows(1, seed=9, extra=" 7:2.5 9:1")
    name = f"new{'.gz' if zipped else ''}"
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    expected = log_loss(mr_ml, "from1", x, y)

    mr_ml("pack", tmp_path / name, "--to", name)
    found = mr_ml.run("evaluate", "from1", name, "--split", "train")
    assert (found.code, "2 features that from1@1 does not know, such as 7" in found.err) == (65, True)
    found = mr_ml.run("evaluate", "from1", name, "--split", "train", "--unseen-features", "ignore", "--json")
    assert "ignored: 2 features that" in found.err
    assert found.result["unseen_features"] == 2
    assert found.result["log_loss"] == pytest.approx(expected, rel=1e-12)
    # ids 1 to 3 are the second and third of the other model, and one that it does not know
    coef = mr_ml.coef("from0")
    margin = x[:, :2] @ coef.coef[0, 1:] + coef.intercept[0]
    found = mr_ml.run("evaluate", "from0", name, "--split", "train", "--unseen-features", "ignore", "--json")
    assert "ignored: 3 features that from0@1 does not know, such as 3" in found.err
    assert found.result["log_loss"] == pytest.approx(np.mean(np.logaddexp(0, margin) - y * margin), rel=1e-12)

    like = ("pack", tmp_path / name, "--to", f"like-{name}", "--like", "from1")
    found = mr_ml.run(*like)
    assert (found.code, f"unseen_feature ({N})" in found.err) == (65, True)
    assert f"{tmp_path / name}:1: " in found.err
    for more in (("-r", "inline"), ("-r", "local", "--workers", 2)):
        found = mr_ml.run(*like, "--unseen-features", "ignore", "--json", *more)
        assert (found.code, f"{2 * N} unseen values were ignored: of features" in found.err) == (0, True), found.err
        assert (found.result["n_rows"], found.result["n_features"], found.result["nnz"]) == (N, 3, 3 * N)
    assert mr_ml("evaluate", "from1", f"like-{name}", "--split", "train")["log_loss"] == pytest.approx(
        expected, rel=1e-12
    )


def test_features_below_the_models(mr_ml: Commands, tmp_path: Path) -> None:
    """Ids from 0 for a model that counts from 1: feature 0 is new, the others keep their coefficients."""
    text, x, y = rows(0, seed=11)
    (tmp_path / "below").write_text(text)
    mr_ml("pack", tmp_path / "below", "--to", "below")
    found = mr_ml.run("evaluate", "from1", "below", "--split", "train")
    assert (found.code, "1 features that from1@1 does not know, such as 0" in found.err) == (65, True)
    found = mr_ml.run("evaluate", "from1", "below", "--split", "train", "--unseen-features", "ignore", "--json")
    assert found.result["log_loss"] == pytest.approx(log_loss(mr_ml, "from1", x[:, 1:], y), rel=1e-12)


def test_features_far_from_zero(mr_ml: Commands, tmp_path: Path) -> None:
    """A model that takes the mean off its first feature: rows that lack this, and rows with others beside it."""
    _, x, y = rows(0, seed=3)
    x[:, 0] += 1000

    def write(name: str, first: int, extra: str = "") -> None:
        (tmp_path / name).write_text(
            "".join(
                f"{label} {' '.join(f'{j}:{v}' for j, v in list(enumerate(row))[first:])}{extra}\n"
                for label, row in zip(y.tolist(), x.tolist(), strict=True)
            )
        )
        mr_ml("pack", tmp_path / name, "--to", name)

    write("far", 0)
    mr_ml("train", "far", "--model", "far", "--l2", "0.1")
    write("far-lacking", 1)
    write("far-more", 0, " 8:3")
    found = mr_ml("evaluate", "far", "far-lacking", "--split", "train")
    assert found["log_loss"] == pytest.approx(log_loss(mr_ml, "far", x * [0, 1, 1], y), rel=1e-9)
    found = mr_ml("evaluate", "far", "far-more", "--split", "train", "--unseen-features", "ignore")
    assert found["log_loss"] == pytest.approx(log_loss(mr_ml, "far", x, y), rel=1e-9)
