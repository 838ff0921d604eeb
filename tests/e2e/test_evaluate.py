"""mr-ml evaluate: what is asked for beyond the usual metrics, as people and as programs read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands

DOCS = Path(__file__).parents[2] / "docs" / "evaluation.md"


def two_labels(folder: Path, *, n: int = 600) -> Path:
    """Rows of labels `no` and `yes`, with weights, in three regions."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(n, 2)).round(1)
    region = rng.choice(["north", "south", "west"], n, p=[0.6, 0.3, 0.1])
    yes = rng.random(n) < 1 / (1 + np.exp(-(1.5 * x[:, 0] - x[:, 1] + (region == "south") - 1)))
    u = rng.integers(0, 4, n)
    lines = [
        f"{'yes' if y else 'no'},{a},{b},{r},{w}" for y, (a, b), r, w in zip(yes, x.tolist(), region, u, strict=True)
    ]
    file = folder / "rows.csv"
    file.write_text("\n".join(["label,a,b,region,w", *lines]) + "\n")
    return file


@pytest.fixture
def packed(mr_ml: Commands, tmp_path: Path) -> Commands:
    mr_ml("pack", two_labels(tmp_path), "--to", "rows", "--split", "train=0.5,test=0.5", "--weight-column", "w")
    mr_ml("train", "rows", "--model", "m", "--l2", "0.01", "-r", "inline")
    return mr_ml


def keys_in(found: Any) -> set[str]:
    if isinstance(found, dict):
        return set(found) | set().union(*map(keys_in, found.values()))
    return set().union(*map(keys_in, found)) if isinstance(found, list) else set()


def test_thresholds_and_tables(packed: Commands, tmp_path: Path) -> None:
    asked = ["--threshold", "0.3", "--at-recall", "0.7", "--at-recall", "0.9", "--at-precision", "0.8", "-r", "inline"]
    found = packed("evaluate", "m", "rows", "--all", *asked)
    # by predictions of the test rows, which pack keeps apart by a hash
    assert [of["wanted"] for of in found["at_recall"]] == [0.7, 0.9]
    assert all(of["recall"] >= of["wanted"] for of in found["at_recall"])
    assert found["at_precision"][0]["precision"] >= 0.8
    (at,) = found["at_threshold"]
    assert at["threshold"] == 0.3
    assert np.sum(at["confusion"]) == np.sum(found["confusion"]) == found["weight_sum"]
    text = DOCS.read_text()
    assert not [key for key in keys_in(found) if f"`{key}`" not in text]

    shown = packed.run("evaluate", "m", "rows", "--all", *asked).out
    assert max(map(len, shown.splitlines())) <= 80
    for part in ("precision >= 0.8", "threshold 0.3", "by label:", "calibration:", "gains:"):
        assert part in shown
    short = packed.run("evaluate", "m", "rows", "-r", "inline").out
    assert len(short.splitlines()) <= 16
    assert "gains" not in short


def test_numbers_against_predictions(mr_ml: Commands, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 2))
    y = rng.poisson(np.exp(0.5 * x[:, 0]))
    text = "".join(f"{n} 1:{a:.3f} 2:{b:.3f}\n" for n, (a, b) in zip(y, x, strict=True))
    (tmp_path / "counts").write_text(text)
    mr_ml("pack", tmp_path / "counts", "--to", "counts")
    mr_ml("train", "counts", "--model", "c", "--loss", "poisson", "-r", "inline")
    found = mr_ml("evaluate", "c", "counts", "--split", "train", "--all", "-r", "inline")
    # the optimum of a loss with the canonical link
    assert found["bias"] == pytest.approx(0, abs=1e-6)
    assert found["mean_label"] == pytest.approx(y.mean())
    assert len(found["calibration"]) == 10
    known = DOCS.read_text()
    assert not [key for key in keys_in(found) if f"`{key}`" not in known]
    shown = mr_ml.run("evaluate", "c", "counts", "--split", "train", "--all", "-r", "inline").out
    assert "tenths of the rows" in shown
    failed = mr_ml.run("evaluate", "c", "counts", "--split", "train", "--threshold", "0.5", "-r", "inline")
    assert failed.code == 2
    assert "--threshold: expected a model of two labels; c@1 predicts numbers" in failed.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--threshold", "1.5"], "--threshold: expected a probability, from 0 to 1, found 1.5"),
        (["--at-precision", "0"], "expected a number above 0 and at most 1, found '0'"),
        (["--threshold", "nan"], "expected a finite number, found 'nan'"),
    ],
)
def test_what_cannot_be_asked_for(packed: Commands, options: list[str], said: str) -> None:
    failed = packed.run("evaluate", "m", "rows", "-r", "inline", *options)
    assert (failed.code, said in failed.err) == (2, True)
