"""mr-ml evaluate: what is asked for beyond the usual metrics, as people and as programs read it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import resident_tasks
from commands import Commands
from resident_tasks import Staying, ThreadSeats, WebStore
from scipy import stats

import mr_ml
from hdfs_layout import decode_document, encode_document, open_root
from mr_ml.models.metric_choices import MetricChoices
from mr_ml.runners.base import RUNNERS, RunnerOptions
from mr_ml.session import Session

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


def test_groups_are_measured_as_if_they_were_alone(packed: Commands, tmp_path: Path) -> None:
    """Against the rows of each region packed by themselves, whose hash gives them the same split."""
    found = packed("evaluate", "m", "rows", "--by", "region", "--split", "test", "-r", "inline")
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    groups = {of["group"]: of for of in found["groups"]}
    assert list(groups) == ["north", "south", "west"]
    assert sum(of["n_rows"] for of in groups.values()) == found["n_rows"]
    for region, of in groups.items():
        (tmp_path / region).write_text("\n".join([lines[0], *(line for line in lines if f",{region}," in line)]) + "\n")
        packed(
            "pack", tmp_path / region, "--format", "csv", "--to", region, "--split", "train=0.5,test=0.5", "--like",
            "rows",
        )  # fmt: skip
        alone = packed("evaluate", "m", region, "-r", "inline")
        assert of["n_rows"] == alone["n_rows"]
        for name in ("weight_sum", "log_loss", "auc", "average_precision", "mcc", "ece", "brier"):
            assert of[name] == pytest.approx(alone[name], rel=1e-12), (region, name)
    whole = packed("evaluate", "m", "rows", "-r", "inline")
    assert {name: value for name, value in found.items() if name not in ("by", "groups")} == whole
    # of a feature that all rows have, and of one category
    north = packed("evaluate", "m", "rows", "--by", "region=north", "-r", "inline")["groups"]
    assert [of["group"] for of in north] == ["not 0", "0"]
    assert north[0]["log_loss"] == groups["north"]["log_loss"]
    shown = packed.run("evaluate", "m", "rows", "--by", "region", "-r", "inline").out
    # behind all that is said of the rows as a whole
    assert shown.index("truth \\ predicted") < shown.index("by region:")
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("column", ["label", "regio", "", "\x1b[31m"])
def test_groups_that_the_dataset_cannot_tell(packed: Commands, column: str) -> None:
    failed = packed.run("evaluate", "m", "rows", "--by", column, "-r", "inline")
    assert failed.code == 2
    assert "--by: expected a feature of rows@1 or a column of categories (region), found" in failed.err
    assert "\x1b" not in failed.err


def test_too_many_groups(mr_ml: Commands, tmp_path: Path) -> None:
    lines = [f"{k % 2},{k % 7},city{k % 101}" for k in range(404)]
    (tmp_path / "rows.csv").write_text("\n".join(["label,a,city", *lines]) + "\n")
    mr_ml("pack", tmp_path / "rows.csv", "--to", "rows")
    mr_ml("train", "rows", "--model", "m", "--l2", "1", "-r", "inline")
    failed = mr_ml.run("evaluate", "m", "rows", "--split", "train", "--by", "city", "-r", "inline")
    assert (failed.code, "expected at most 100 groups, found 101" in failed.err) == (2, True)


def test_several_models_side_by_side(packed: Commands, tmp_path: Path) -> None:
    """Also of other features and losses; each has the bits that it has alone."""
    packed("train", "rows", "--model", "svm", "--loss", "squared_hinge", "--l2", "0.1", "-r", "inline")
    packed(
        "pack", tmp_path / "rows.csv", "--to", "few", "--split", "train=0.5,test=0.5", "--drop", "region,a",
        "--weight-column", "w",
    )  # fmt: skip
    packed("train", "few", "--model", "few", "-r", "inline")
    asked = ["--unseen-features", "ignore", "--threshold", "0.25", "-r", "inline"]
    together = packed("evaluate", "m", "svm@1", "few", "--data", "rows", *asked)
    assert (together["dataset"], together["split"], len(together["models"])) == ("rows@1", "test", 3)
    alone = [packed("evaluate", name, "rows", *asked) for name in ("m", "svm", "few")]
    assert together["models"] == alone
    assert [of["unseen_features"] for of in alone] == [0, 0, 4]
    refused = packed.run("evaluate", "m", "few", "--data", "rows", "-r", "inline")
    assert (refused.code, "has other features than those of few@1" in refused.err) == (65, True)
    # with features that the dataset lacks, which are 0 then
    lacking = packed("evaluate", "m", "few", "--data", "few", *asked)["models"]
    assert lacking[1] == packed("evaluate", "few", "few", "-r", "inline", "--threshold", "0.25")
    assert lacking[0]["log_loss"] > alone[0]["log_loss"]

    shown = packed.run("evaluate", "m", "svm@1", "--data", "rows", "-r", "inline").out.splitlines()
    assert shown[1].split() == ["m@1", "svm@1"]
    assert next(line.split() for line in shown if line.startswith("log_loss"))[2] == "-"
    failed = packed.run("evaluate", "m", "svm", "rows", "-r", "inline")
    assert (failed.code, "or models and --data DATASET, found 3 names" in failed.err) == (2, True)


@pytest.mark.parametrize("n_tasks", [1, 3])
def test_the_same_bits_wherever_it_runs(packed: Commands, tmp_path: Path, n_tasks: int) -> None:
    """Of groups and of models side by side: one process, worker processes, and tasks that stay, few and many."""
    asked: dict[str, Any] = {
        "split": "train", "by": "region", "choices": MetricChoices(threshold=(0.3,), at_precision=(0.7,)),
    }  # fmt: skip
    packed("train", "rows", "--model", "svm", "--loss", "squared_hinge", "--l2", "0.1", "-r", "inline")
    packed("pack", tmp_path / "rows.csv", "--to", "rows", "--partitions", "5", "--weight-column", "w")
    root = open_root(str(packed.root))
    runner = RUNNERS.get("inline").open(root, RunnerOptions())

    def found(session: Session) -> Any:
        with session:
            return session.evaluate_several(["m", "svm"], "rows", **asked)

    expected = found(Session(root=root, runner=runner))
    assert len(expected[0]["groups"]) == 3
    assert found(Session.open(root, runner="local", workers=n_tasks)) == expected
    seats = ThreadSeats(tmp_path / "seats")
    seats.n_tasks = n_tasks
    with resident_tasks.web() as web:
        there = replace(root, store=WebStore(root.store.root, web))
        assert found(Session(root=there, runner=Staying(runner, seats), engine="resident")) == expected
    assert seats.n_started == 1


def test_two_models_row_by_row(packed: Commands, tmp_path: Path) -> None:
    """Whose intervals and directions are right, whichever comes first."""
    packed("train", "rows", "--model", "flat", "--l2", "5", "-r", "inline")
    found = packed("compare", "m", "flat", "--data", "rows", "--split", "train", "--weights", "none", "-r", "inline")
    alone = packed("evaluate", "m", "rows", "--split", "train", "--weights", "none", "-r", "inline")
    assert found["metrics"]["a"]["log_loss"] == alone["log_loss"]
    told = found["differences"]
    assert {"log_loss", "brier", "accuracy"} == set(told)
    for metric, of in told.items():
        assert of["difference"] == pytest.approx(of["a"] - of["b"], rel=1e-9, abs=1e-12)
        # a wider interval for a greater confidence, about the same middle
        assert of["low"] < of["difference"] < of["high"]
        width = stats.t.ppf(0.975, of["effective_rows"] - 1) * of["standard_error"]
        assert of["high"] - of["difference"] == pytest.approx(width, rel=1e-6), metric
    assert (told["log_loss"]["better"], told["log_loss"]["high"] < 0) == ("a", True)
    back = packed("compare", "flat", "m", "--data", "rows", "--split", "train", "--weights", "none", "-r", "inline")
    for metric, of in back["differences"].items():
        assert of["difference"] == -told[metric]["difference"]
        assert of["better"] == {"a": "b", "b": "a", None: None}[told[metric]["better"]]
    same = mr_ml.compare(packed.root, "m", "m@1", "rows")
    assert [(of["difference"], of["better"]) for of in same["differences"].values()] == [(0, None)] * 3
    shown = packed.run("compare", "m", "flat", "--data", "rows", "-r", "inline").out
    assert shown.splitlines()[1].split()[:2] == ["a", "b"]
    assert max(map(len, shown.splitlines())) <= 80
    failed = packed.run("compare", "m", "flat", "--data", "rows", "--confidence", "1", "-r", "inline")
    assert (failed.code, "--confidence: expected a number above 0 and below 1, found 1" in failed.err) == (2, True)


def test_evaluations_are_kept_beside_the_model(packed: Commands) -> None:
    """The last of each split; what is damaged is said; they go with the version."""
    assert packed("models", "show", "m")["evaluations"] == []
    packed("evaluate", "m", "rows", "--save", "--by", "region", "-r", "inline")
    found = [packed("evaluate", "m", "rows", "--save", "--split", split, "-r", "inline") for split in ("test", "train")]
    shown = packed("models", "show", "m")
    assert shown["evaluations"] == found
    lines = packed.run("models", "show", "m").out.splitlines()
    assert sum(line.startswith("evaluated on rows@1 t") for line in lines) == 2
    # as `evaluate --all` tells it
    assert packed("evaluate", "m", "rows", "--all", "-r", "inline") == found[0]
    assert 5 < len(found[0]["curves"][0]["recall"]) <= 200
    assert mr_ml.evaluate(packed.root, "m", "rows", save=True) == found[0]
    root = open_root(str(packed.root))
    candidate = replace(mr_ml.load_model(root, "m"), version=0)
    with pytest.raises(mr_ml.MrMlError, match=r"`save`: expected a published model, found m \(candidate\)"):
        mr_ml.evaluate(packed.root, candidate, "rows", save=True)
    file = next((packed.root / "models" / "m" / "data").glob("*/evaluations/rows@1.test.json"))
    written = file.read_bytes()
    document = decode_document(written, where="a test")
    # releases before wrote neither the number nor curves; one that comes may write what this one cannot read
    file.write_bytes(encode_document({k: of for k, of in document.items() if k not in ("evaluation_format", "curves")}))
    assert packed("models", "show", "m")["evaluations"][0] == {k: of for k, of in found[0].items() if k != "curves"}
    file.write_bytes(encode_document({**document, "dataset": "x"}))
    other = packed.run("models", "show", "m", "--json")
    assert (other.code, "rows@1.test.json: no evaluation" in other.err) == (65, True)
    file.write_bytes(encode_document({**document, "evaluation_format": 3}))
    newer = packed.run("models", "show", "m", "--json")
    assert (newer.code, "expected an evaluation of format 2, found 3; upgrade mr_ml" in newer.err) == (65, True)
    file.write_bytes(written[:-9])
    damaged = packed.run("models", "show", "m", "--json")
    assert (damaged.code, damaged.result["evaluations"]) == (65, found[1:])
    assert "rows@1.test.json" in damaged.err
    packed("train", "rows", "--model", "m", "-r", "inline")
    packed("models", "delete", "m@1")
    assert not file.parent.exists()
