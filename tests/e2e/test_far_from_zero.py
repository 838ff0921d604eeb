"""Features and targets whose mean is far larger than their spread, from text to predictions, beside those near zero."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import Commands

N = 400
# that many spreads, and exact in binary
FAR = 2.0**41


def rows(*, far: float, target: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    x = np.column_stack([far + rng.integers(-2000, 2000, N) / 1024, rng.integers(-2000, 2000, N) / 1024])
    line = (x[:, 0] - far) - x[:, 1]
    return x, target + line + rng.integers(-512, 512, N) / 1024, (line + rng.logistic(size=N) > 0).astype(float)


def csv(path: Path, x: np.ndarray, y: np.ndarray) -> str:
    path.write_text(
        "t,x,y\n" + "".join(f"{a!r},{b!r},{c!r}\n" for (a, b), c in zip(x.tolist(), y.tolist(), strict=True))
    )
    return str(path)


def libsvm(path: Path, x: np.ndarray, y: np.ndarray) -> str:
    """With features that most rows lack, so that blocks are sparse."""
    lines = [
        f"{c!r} 1:{a!r} 2:{b!r} {3 + i % 40}:1\n"
        for i, ((a, b), c) in enumerate(zip(x.tolist(), y.tolist(), strict=True))
    ]
    path.write_text("".join(lines))
    return str(path)


@pytest.mark.parametrize("write", [csv, libsvm])
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_predictions_are_those_of_the_same_data_near_zero(
    mr_ml: Commands, tmp_path: Path, write: Callable[..., str], loss: str, solver: str
) -> None:
    found = {}
    for name, far in (("near", 0.0), ("far", FAR)):
        x, target, label = rows(far=far, target=far)
        text = write(tmp_path / f"{name}.txt", x, target if loss == "squared" else label)
        kind = ("--format", "csv", "--label-column", "y") if write is csv else ()
        mr_ml("pack", text, "--to", name, *kind)
        result = mr_ml("train", name, "--model", name, "--loss", loss, "--solver", solver, "--l2", "0.001")
        assert result["converged"]
        mr_ml("predict", name, text, "--to", str(tmp_path / f"{name}.out"))
        lines = (tmp_path / f"{name}.out").read_text().splitlines()
        values = np.array([line.split("\t")[-1] for line in lines[write is csv :]], float)
        metrics = mr_ml("evaluate", name, name, "--split", "train")
        found[name] = values - (far if loss == "squared" else 0), metrics
    near, far_off = found["near"], found["far"]
    # a prediction near FAR has no more digits than this
    ulp = np.spacing(FAR) if loss == "squared" else 0.0
    np.testing.assert_allclose(far_off[0], near[0], rtol=1e-5, atol=1e-5 + ulp)
    measure = "root_mean_squared_error" if loss == "squared" else "log_loss"
    assert far_off[1][measure] == pytest.approx(near[1][measure], rel=1e-7)


def test_a_constant_column_takes_nothing_from_the_others(mr_ml: Commands, tmp_path: Path) -> None:
    x, _, label = rows(far=0.0, target=0.0)
    mr_ml("pack", csv(tmp_path / "plain.csv", x, label), "--to", "plain", "--label-column", "y")
    constant = np.column_stack([np.full(N, 1e12 + 1 / 3), x[:, 1]])
    mr_ml("pack", csv(tmp_path / "const.csv", constant, label), "--to", "const", "--label-column", "y")
    mr_ml(
        "pack",
        csv(tmp_path / "none.csv", np.column_stack([0 * x[:, 0], x[:, 1]]), label),
        "--to",
        "none",
        "--label-column",
        "y",
    )
    for name in ("const", "none"):
        assert mr_ml("train", name, "--model", name)["converged"]
    one, other = (mr_ml.coef(name) for name in ("const", "none"))
    assert one.coef[0, 0] == 0
    np.testing.assert_allclose(one.coef, other.coef, rtol=1e-12)


def test_separable_data_is_named_and_kept_with_the_model(mr_ml: Commands, tmp_path: Path) -> None:
    x, _, _ = rows(far=0.0, target=0.0)
    mr_ml("pack", csv(tmp_path / "s.csv", x, (x[:, 1] > 0).astype(float)), "--to", "s", "--label-column", "y")
    found = mr_ml("train", "s", "--model", "s")
    assert not found["converged"]
    assert "no finite optimum" in found["stop"]
    assert any("by x" in warning and "largest margin" in warning for warning in found["warnings"])
    assert mr_ml("models", "show", "s")["training"]["warnings"] == found["warnings"]


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_words_of_one_class_are_found_where_steps_leap(mr_ml: Commands, tmp_path: Path, runner: str) -> None:
    """Most rare words are in rows of one class only; the search for their coefficients is over before that is seen."""
    rng = np.random.default_rng(3)
    words = rng.random((1500, 720)) < 0.5 / np.arange(1, 721) ** 1.1
    label = (words[:, :20].sum(axis=1) + rng.logistic(size=1500) > 1.5).astype(int)
    lines = (f"{y} " + " ".join(f"{j + 1}:1" for j in np.flatnonzero(row)) for y, row in zip(label, words, strict=True))
    (tmp_path / "text").write_text("\n".join(lines) + "\n")
    mr_ml("pack", str(tmp_path / "text"), "--to", "text")
    found = mr_ml("train", "text", "--model", "text", "-r", runner)
    assert (found["solver"], found["converged"]) == ("lbfgs-sampled", False)
    assert any("more features" in warning for warning in found["warnings"])


def test_more_features_than_rows_are_told(mr_ml: Commands, tmp_path: Path) -> None:
    text = "".join(f"{k % 3} " + " ".join(f"{j}:{(k * j) % 7 + j / 3}" for j in range(1, 9)) + "\n" for k in range(5))
    (tmp_path / "wide.libsvm").write_text(text)
    mr_ml("pack", str(tmp_path / "wide.libsvm"), "--to", "wide")
    found = mr_ml("train", "wide", "--model", "wide", "--loss", "squared")
    assert any("not determined by 5 rows" in warning for warning in found["warnings"])
    found = mr_ml("train", "wide", "--model", "wide", "--loss", "squared", "--l2", "0.1")
    assert not any("not determined" in warning for warning in found["warnings"])


@pytest.mark.parametrize("l2", ["0", "1e-12"])
def test_times_that_only_some_rows_have_are_not_called_converged_by_a_search_that_cannot_see_them(
    mr_ml: Commands, tmp_path: Path, l2: str
) -> None:
    """A time in milliseconds beside whether there is one, and more features than Newton's method is taken for."""
    rng = np.random.default_rng(6)
    n, d = 1600, 720
    has, shop = rng.random(n) < 0.5, rng.integers(0, d, n)
    moved = rng.integers(-1_000_000, 1_000_000, n)
    label = (has * moved / 4e5 + rng.logistic(size=n) > 0).astype(int)
    found = {}
    for name, start in (("far", 1_700_000_000_000), ("near", 0)):
        lines = [
            f"{label[i]} " + (f"1:1 2:{start + moved[i]} " if has[i] else "") + f"{3 + shop[i]}:1\n" for i in range(n)
        ]
        (tmp_path / name).write_text("".join(lines))
        mr_ml("pack", str(tmp_path / name), "--to", name)
        found[name] = mr_ml("train", name, "--model", name, "--l2", l2, "--solver", "lbfgs")
    if found["far"]["objective"] > found["near"]["objective"] + 1e-6:
        assert not found["far"]["converged"]
        assert l2 == "0" or any(warning.startswith("2: absent") for warning in found["far"]["warnings"])
    # the features that are left are no reason to doubt
    assert not any("absent" in warning for warning in found["near"]["warnings"])
