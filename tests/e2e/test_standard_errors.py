"""Standard errors on the command line: found once, kept beside a model that stays as it is, the same on all runners."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, write_csv
from golden_frames import CONTRASTED, INFERENCE, golden

import mr_ml
from mr_ml import session
from mr_ml.data import frame
from mr_ml.errors import BadDataError, InternalError
from mr_ml.models.inference import Inference
from mr_ml.packing import plan

MODELS = {
    "two": ("rows", "--loss", "probit"),
    "counts": ("rows", "--loss", "poisson"),
    "three": ("classes", "--loss", "softmax"),
    # rows are factored
    "numbers": ("dense", "--loss", "squared"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Rows with weights and offsets in many blocks, and models without standard errors."""
    folder = tmp_path_factory.mktemp("inference")
    place = Commands(folder / "root", runner=("-r", "inline"))
    rng = np.random.default_rng(4)
    n = 600
    x = rng.normal(size=(n, 2)) * [1, 20] + [0, 500]
    sparse = np.where(rng.random((n, 6)) < 0.1, rng.normal(size=(n, 6)), 0.0)
    z = x[:, 0] - (x[:, 1] - 500) / 20
    columns = {"a": x[:, 0], "b": x[:, 1], "w": rng.integers(1, 4, n).astype(float), "o": rng.normal(size=n) * 0.1}
    wide = {**columns, **{f"s{k}": column for k, column in enumerate(sparse.T)}}
    y = (z + rng.normal(size=n) > 0).astype(float)
    labels = {"rows": y, "classes": np.digitize(z + rng.logistic(size=n), [-1, 1]).astype(float), "dense": z + y}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_BYTES", 1 << 10)
        for name, label in labels.items():
            given = {"y": label, **(columns if name == "dense" else wide)}
            text = write_csv(folder / f"{name}.csv", given)
            named = ["--weight-column", "w", *(["--drop", "o"] if name == "classes" else ["--offset-column", "o"])]
            shape = place("pack", text, "--to", name, "--label-column", "y", "--partitions", "3", *named)
            assert shape["blocks"] > 10
    for name, (dataset, *options) in MODELS.items():
        assert place("train", dataset, "--model", name, *options)["converged"]
    return place


def file_of(place: Commands, model: str) -> Path:
    shown = place("models", "show", model)
    return Path(shown["coef_uri"]).parent / "inference"


def test_the_same_bits_on_every_runner(root: Commands) -> None:
    for name in MODELS:
        file = file_of(root, name)
        root("models", "infer", name, "-r", "inline")
        expected = file.read_bytes()
        for runner in (("-r", "local", "--workers", "1"), ("-r", "local", "--workers", "3", "--memory", "700M")):
            file.unlink()
            root("models", "infer", name, *runner)
            assert file.read_bytes() == expected, (name, runner)


def test_a_training_with_it_is_the_training_without(root: Commands) -> None:
    """The same coefficients and, but for the run's name, manifest; what it finds is what is found later."""
    manifests = []
    for extra in ((), ("--inference",)):
        found = root("train", "rows", "--model", "same", "--loss", "poisson", *extra)
        text = (root.root / f"models/same/v{found['version']:06d}.json").read_text()
        document = json.loads(text.replace(found["run"], "RUN"))
        manifests.append({name: value for name, value in document.items() if name != "sha256"})
    assert manifests[0] == manifests[1]
    root("models", "infer", "same@1", "-r", "inline")
    plain, asked = (Inference.decode(file_of(root, f"same@{k}").read_bytes(), where="") for k in (1, 2))
    for name, value in vars(plain).items():
        if isinstance(value, np.ndarray):
            assert getattr(asked, name).tobytes() == value.tobytes(), name
        elif name != "model":
            assert getattr(asked, name) == value, name


def test_killed_in_its_pass_it_goes_on_with_the_same_model(root: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = root("train", "rows", "--model", "whole", "--loss", "poisson", "--inference")

    def killed(*args: object, **more: object) -> None:
        raise InternalError("stopped by the test")

    with monkeypatch.context() as patch:
        patch.setattr("mr_ml.training.infer.infer", killed)
        found = root.run("train", "rows", "--model", "cut", "--loss", "poisson", "--inference")
    assert found.code == 70
    shown = root("models", "show", "cut")
    assert shown["coef_sha256"] == root("models", "show", "whole")["coef_sha256"]
    assert root.run("models", "show", "cut", "--table").code == 74
    resumed = root("train", "--resume", shown["run"], "--inference")
    assert (resumed["version"], root("models", "show", "cut")["coef_sha256"]) == (1, shown["coef_sha256"])
    one, other = (mr_ml.infer(root.root, name) for name in ("cut", "whole"))
    assert one.robust_covariance.tobytes() == other.robust_covariance.tobytes()
    assert undisturbed["version"] == 1


def test_what_is_kept_costs_no_pass(root: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    first = mr_ml.infer(root.root, "numbers")
    monkeypatch.setattr(session.Session, "engine_over", None)
    again = mr_ml.infer(root.root, "numbers")
    assert again.covariance_of().tobytes() == first.covariance_of().tobytes()
    assert again.statistics == first.statistics


def test_the_table(root: Commands) -> None:
    root("models", "infer", "numbers", "-r", "inline")
    said = root.run("models", "show", "numbers", "--table", "--level", "0.9")
    found = mr_ml.infer(root.root, "numbers")
    lines = said.out.splitlines()
    assert "squared" in lines[0]
    assert "passes; converged" in lines[1]
    assert lines[3].split() == ["estimate", "std.", "error", "robust", "s.e.", "t", "value", "Pr(>|t|)", "90", "%"]
    for line, name, estimate, error in zip(
        lines[4:], found.features, found.estimates, found.std_errors(), strict=False
    ):
        assert line.split()[:3] == [name, f"{estimate:.6g}", f"{error:.6g}"]
    assert "residual deviance" in said.out
    assert f"on {found.statistics.df_residual} degrees of freedom" in said.out
    rows = list(csv.DictReader(io.StringIO(root.run("models", "show", "numbers", "--table", "--csv").out)))
    assert [float(row["std_error"]) for row in rows] == found.std_errors().tolist()
    assert [[float(row["low"]), float(row["high"])] for row in rows] == found.intervals().tolist()
    shown = root("models", "show", "numbers", "--table", "--errors", "HC0")["inference"]
    assert [one["p"] for one in shown["parameters"]] == found.p_values("HC0").tolist()
    assert shown["aic"] == found.statistics.aic


def test_classes_have_a_table_each(root: Commands) -> None:
    said = root.run("models", "infer", "three", "-r", "inline").out
    assert [line for line in said.splitlines() if line in ("1:", "2:")] == ["1:", "2:"]
    assert "less those of 0" in said


def test_what_has_none_is_refused_with_a_reason(root: Commands) -> None:
    root("train", "rows", "--model", "shrunk", "--l2", "0.1")
    for words in (
        ("train", "rows", "--model", "shrunk", "--l2", "0.1", "--inference"),
        ("models", "infer", "shrunk", "-r", "inline"),
        ("models", "show", "shrunk", "--table"),
    ):
        found = root.run(*words)
        assert found.code == 2
        assert "train without --l2" in found.err
    root("train", "rows", "--model", "cut-short", "--max-passes", "2")
    found = root.run("models", "infer", "cut-short", "-r", "inline")
    assert found.code == 65
    assert "the budget of passes is used up" in found.err
    assert root.run("models", "show", "numbers", "--table", "--level", "1").code == 2


def test_a_damaged_file_is_told(root: Commands) -> None:
    root("models", "infer", "counts", "-r", "inline")
    file = file_of(root, "counts")
    data = file.read_bytes()
    file.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    found = root.run("models", "show", "counts", "--table")
    assert found.code == 65
    assert str(file) in found.err
    file.write_bytes(file_of(root, "numbers").read_bytes())
    assert "expected standard errors of counts@1" in root.run("models", "show", "counts", "--table").err
    file.write_bytes(data)


@pytest.mark.parametrize(("number", "expected"), [(1, INFERENCE), (2, CONTRASTED)])
def test_the_file_of_an_inference(number: int, expected: Inference) -> None:
    data = golden(f"inference-format-{number}.frame")
    assert expected.encode() == data
    found = Inference.decode(data, where="golden")
    for name, value in vars(expected).items():
        assert (
            np.array_equal(getattr(found, name), value, equal_nan=True)
            if isinstance(value, np.ndarray)
            else (getattr(found, name) == value)
        ), name
    opened = frame.decode(data, kind="inference", where="golden")
    meta: dict[str, Any] = {**opened.meta, "format": 3}
    with pytest.raises(BadDataError, match="expected an inference of format 2 at most, found 3; upgrade mr_ml"):
        Inference.decode(frame.encode("inference", meta, opened.arrays), where="golden")
    short = frame.encode("inference", opened.meta, {**opened.arrays, "estimates": np.zeros(2)})
    with pytest.raises(BadDataError, match=r"expected float64 of shape \(4,\) as estimates"):
        Inference.decode(short, where="golden")


def test_categories_are_compared_with_a_base(root: Commands, tmp_path: Path) -> None:
    """The base is named, --base takes another one, and what is kept stays; names from the data are printable."""
    rng = np.random.default_rng(6)
    city, x = rng.integers(0, 3, 300), rng.normal(size=300)
    names = ["Bergen", "Os=lo", "Tr\x1b[31mom"]
    lines = [
        "city,x,y",
        *(
            f"{names[k]},{a!r},{a + k + e!r}"
            for k, a, e in zip(city.tolist(), x.tolist(), rng.normal(size=300).tolist(), strict=True)
        ),
    ]
    text = tmp_path / "cities.csv"
    text.write_text("\n".join(lines) + "\n")
    root("pack", text, "--to", "cities", "--label-column", "y")
    root("train", "cities", "--model", "cities", "--loss", "squared", "--inference")
    said = root.run("models", "show", "cities", "--table").out
    assert "base levels: city=Bergen; other levels of these columns are less these, and (intercept) is at them" in said
    assert "city=Tr\\x1b[31mom" in said
    assert "\x1b" not in said
    assert "rank               4 of 4 coefficients" in said
    told = root("models", "show", "cities", "--table", "--base", "city=Os=lo")["inference"]
    assert told["bases"] == ["city=Os=lo"]
    other = mr_ml.infer(root.root, "cities").rebased("city=Os=lo")
    assert [one["std_error"] for one in told["parameters"]] == other.std_errors().tolist()
    assert [one["feature"] for one in told["parameters"]] == ["city=Bergen", f"city={names[2]}", "x", "(intercept)"]
    assert root("models", "infer", "cities", "-r", "inline")["bases"] == ["city=Bergen"]
    found = root.run("models", "show", "cities", "--table", "--base", "city=Oslo")
    assert found.code == 2
    assert "--base: expected COLUMN=LEVEL" in found.err


@pytest.mark.parametrize("option", ["--level=0.9", "--errors=HC0", "--base=a=b"])
def test_what_only_the_table_can_have_is_not_ignored(root: Commands, option: str) -> None:
    found = root.run("models", "show", "counts", option)
    assert found.code == 2
    assert f"{option.partition('=')[0]} is for the table of standard errors; give --table too" in found.err
