"""Files of what holds for single features: what they say, what is refused, and runs that go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_csv

from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.linear.kind import per_feature
from mr_ml.models.linear.kind.per_feature import read_rules
from mr_ml.passes.mapreduce import MapReduceEngine


def test_what_a_file_says(tmp_path: Path) -> None:
    path = tmp_path / "rules.csv"
    path.write_bytes(
        "\ufeffupper,feature, lower ,prior_mean,prior_precision,factor\r\n"
        ',"a, b",-inf,,,0\r\n\r\n 2.5 ,x,-1e0,0.5,3,\r\n'.encode()
    )
    assert read_rules(path) == {
        "a, b": {"factor": 0.0},
        "x": {"upper": 2.5, "lower": -1.0, "prior_mean": 0.5, "prior_precision": 3.0},
    }


@pytest.mark.parametrize(
    ("text", "place", "complaint"),
    [
        ("feature,factor\nx,1\nx,2\n", ":3", "each feature once, found 'x' again"),
        ("feature,factor\nx,-1\n", ":2", "factor: expected a number >= 0, found -1"),
        ("feature,factor\nx,inf\n", ":2", "factor: expected a number >= 0, found inf"),
        ("feature,factor\nx,nan\n", ":2: factor", "expected a number, found 'nan'"),
        ("feature,factor\nx,1_0\n", ":2: factor", "expected a number, found '1_0'"),
        ("feature,factor\nx,=cmd|' /C calc'!A0\n", ":2: factor", "expected a number, found"),
        ("feature,lower,upper\n\nx,1,0\n", ":3", "a lower bound that is no larger than the upper one, found 1 and 0"),
        ("feature,prior_mean\nx,1\n", ":2", "prior_mean: expected prior_precision beside it"),
        ("feature,factor\nx,1,2\n", ":2", "expected 2 fields, found 3"),
        ("feature,factor\n,1\n", ":2", "the name of a feature, found nothing"),
        ("feature,weight\nx,1\n", ":1", "expected a header with feature and some of factor, lower"),
        ("feature,factor,factor\nx,1,1\n", ":1", "each once, found"),
        ("name,factor\nx,1\n", ":1", "expected a header"),
        ("feature,factor\n", "", "a line a feature below the header, found none"),
        ("", "", "a line a feature"),
        ('feature,factor\n"x,1\n', ":2", "expected CSV"),
        ("feature,factor\n" + "y" * 200_000 + ",1\n", ":2", "expected CSV"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, text: str, place: str, complaint: str) -> None:
    path = tmp_path / "rules.csv"
    path.write_text(text)
    with pytest.raises(BadDataError) as refused:
        read_rules(path)
    assert str(refused.value).startswith(f"{path}{place}: ")
    assert complaint in str(refused.value)


def test_what_is_no_text_or_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rules.csv"
    path.write_bytes(b"feature,factor\nx,1\n\xff,2\n")
    with pytest.raises(BadDataError, match=r":3: expected UTF-8"):
        read_rules(path)
    with pytest.raises(UsageError, match=r"`per_feature`: cannot read .*: No such file"):
        read_rules(tmp_path / "none")
    monkeypatch.setattr(per_feature, "MOST_FEATURES", 1)
    path.write_text("feature,factor\nx,1\ny,1\n")
    with pytest.raises(BadDataError, match=":3: expected at most 1 features"):
        read_rules(path)


@pytest.fixture
def mr_ml(tmp_path: Path) -> Commands:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 4)) + 3
    y = (x @ [1.0, -1.0, 0.1, 0.0] + rng.logistic(size=300) > 0).astype(float)
    commands = Commands(tmp_path / "root", runner=("-r", "inline"))
    table = {"y": y, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "d": x[:, 3]}
    commands("pack", write_csv(tmp_path / "rows.csv", table), "--to", "rows", "--label-column", "y")
    return commands


def test_a_run_that_goes_on_does_not_read_the_file_again(
    mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has what the file said in its spec, and so has the model."""
    path = tmp_path / "rules.csv"
    path.write_text("feature,factor,lower,upper\na,0,,\nb,,-0.25,\nd,,0.125,\n")
    words = ("train", "rows", "--l1", "0.05", "--per-feature", path, "--tolerance", "1e-9")
    expected = mr_ml(*words, "--model", "whole")
    coef = mr_ml.coef("whole").coef[0]
    assert (coef[1], coef[3]) == (-0.25, 0.125)
    assert "3 features with rules of their own" in mr_ml.run("models", "show", "whole").out
    run_pass, budget = MapReduceEngine.run, [2]

    def run(self: MapReduceEngine, *args: object, **options: object) -> object:
        budget[0] -= 1
        if budget[0] < 0:
            raise KeyboardInterrupt
        return run_pass(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(MapReduceEngine, "run", run)
    mr_ml.run(*words, "--model", "stopped")
    path.unlink()
    budget[0] = 100
    (name,) = [one["run"] for one in mr_ml("runs", "list")["runs"] if one["model"] == "stopped"]
    done = mr_ml("train", "--resume", name)
    assert done["passes"] == expected["passes"] > 2
    assert mr_ml.coef("stopped").sha256 == mr_ml.coef("whole").sha256
    assert mr_ml("models", "show", "stopped")["spec"]["per_feature"]["b"] == {"lower": -0.25}


@pytest.mark.parametrize(
    ("words", "text", "complaint"),
    [
        ((), "feature,factor\nz,1\n", "--per-feature: expected features of the dataset, such as 'a', found 'z'"),
        (("--non-negative",), "feature,upper\na,-1\n", "--non-negative: expected upper bounds of at least 0"),
        (("--solver", "lbfgs"), "feature,lower\na,0\n", "--solver: expected one of auto, proximal-lbfgs"),
    ],
)
def test_what_does_not_fit_together(
    mr_ml: Commands, tmp_path: Path, words: tuple[str, ...], text: str, complaint: str
) -> None:
    path = tmp_path / "rules.csv"
    path.write_text(text)
    found = mr_ml.run("train", "rows", "--model", "m", "--per-feature", path, *words)
    assert (found.code, complaint in found.err) == (2, True), found.err
    assert mr_ml("runs", "list")["runs"] == []


def test_features_that_no_row_has_keep_what_their_prior_says(tmp_path: Path) -> None:
    """Where the model has the features that occur alone; ids far apart."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 3)) + 50
    y = x @ [1.0, -2.0, 0.5] + rng.normal(size=80)
    columns = [1, 7_000_000, 9_000_000]
    entries = ["".join(f" {column}:{value}" for column, value in zip(columns, row, strict=True)) for row in x.tolist()]
    lines = [f"{label}{row}" for label, row in zip(y.tolist(), entries, strict=True)]
    text, rules = tmp_path / "rows", tmp_path / "rules.csv"
    text.write_text("\n".join(lines) + "\n")
    rules.write_text(
        "feature,factor,lower,prior_mean,prior_precision\n5,0,,0.75,0.1\n6,,,0.5,0.1\n8000000,0,0.25,,\n7000000,0,,-2,1e9\n"
    )
    mr_ml = Commands(tmp_path / "root", runner=("-r", "inline"))
    mr_ml("pack", text, "--to", "rows", "--format", "libsvm")
    mr_ml("train", "rows", "--model", "m", "--loss", "squared", "--l1", "0.01", "--l2", "0.1", "--per-feature", rules)
    with np.load(mr_ml("models", "show", "m")["coef_uri"], allow_pickle=False) as arrays:
        coef = dict(zip((arrays["features"] + 1).tolist(), arrays["coef"][0].tolist(), strict=True))
    alone = {5: 0.75, 6: (0.05 - 0.01) / 0.2, 8_000_000: 0.25, 7_000_000: -2}
    assert {feature: coef[feature] for feature in alone} == pytest.approx(alone, abs=1e-6)
    evaluated = mr_ml("evaluate", "m", "rows", "--split", "train")
    assert evaluated["r2"] > 0.8
