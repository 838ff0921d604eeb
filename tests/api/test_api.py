"""The Python API: what the command line makes of the same choices, bit for bit, and rows in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from commands import Commands
from scipy import sparse

import mr_ml
from mr_ml.data import stored
from mr_ml.errors import BadDataError, StorageError, UsageError
from mr_ml.models.linear.kind.model import LinearModel
from mr_ml.models.linear.losses import LOSSES

CSV_OPTIONS = {"split": {"train": 0.75, "test": 0.25}, "seed": 3, "weight_column": "w", "categorical": ("kind",)}
CSV_WORDS = ("--split", "train=0.75,test=0.25", "--seed", 3, "--weight-column", "w", "--categorical", "kind")


@dataclass(frozen=True)
class Case:
    """The same choices in Python and on the command line."""

    name: str
    text: str
    pack: dict[str, Any]
    pack_words: tuple[object, ...]
    train: dict[str, Any]
    train_words: tuple[object, ...]
    rows: np.ndarray[Any, Any]
    new_text: str


def _csv() -> Case:
    rng = np.random.default_rng(1)
    # a time in milliseconds, which is shifted; and a category of numbers
    x = np.column_stack([rng.normal(size=90).round(3), 1e12 + rng.integers(0, 1000, 90)])
    kind, label = rng.integers(0, 2, 90), np.array(["red", "green", "blue"])[rng.integers(0, 3, 90)]
    lines = [
        f"{a!r},{int(t)},{k},{1 + i % 2},{name}"
        for i, ((a, t), k, name) in enumerate(zip(x.tolist(), kind, label, strict=True))
    ]
    one_hot = np.array([[k == 0, k == 1] for k in kind], float)
    return Case(
        "csv", "\n".join(["a,t,kind,w,label", *lines]) + "\n", CSV_OPTIONS, CSV_WORDS,
        {"loss": "softmax", "l2": 0.01, "row_weights": False, "intercept": True},
        ("--loss", "softmax", "--l2", 0.01, "--weights", "none"),
        np.column_stack([x, one_hot]), "\n".join(["a,t,kind", *(line.rsplit(",", 2)[0] for line in lines)]) + "\n",
    )  # fmt: skip


def _libsvm() -> Case:
    rng = np.random.default_rng(2)
    x = np.where(rng.random((80, 12)) < 0.3, rng.normal(size=(80, 12)).round(4), 0)
    x[0, :] = 0.5
    y = (x @ np.arange(12) + rng.normal(size=80)).round(3)
    texts = [" ".join(f"{j + 1}:{v!r}" for j, v in enumerate(row.tolist()) if v) for row in x]
    return Case(
        "libsvm", "".join(f"{value!r} {text}\n" for value, text in zip(y.tolist(), texts, strict=True)),
        {"format": "libsvm", "split": {"train": 0.5, "test": 0.5}},
        ("--format", "libsvm", "--split", "train=0.5,test=0.5"),
        {"loss": "squared", "l2": 0.1, "solver": "lbfgs", "intercept": False, "max_passes": 50},
        ("--loss", "squared", "--l2", 0.1, "--solver", "lbfgs", "--no-intercept", "--max-passes", 50),
        x, "".join(f"0 {text}\n" for text in texts),
    )  # fmt: skip


CASES = {case.name: case for case in (_csv(), _libsvm())}


@dataclass(frozen=True)
class Made:
    """What Python and the command line made of a case, each below a root of its own."""

    case: Case
    root: mr_ml.Root
    commands: Commands
    result: mr_ml.TrainResult
    text: Path
    new: Path


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    case, folder = CASES[request.param], tmp_path_factory.mktemp("api")
    text, new = folder / f"rows.{case.name}", folder / f"new.{case.name}"
    text.write_text(case.text)
    new.write_text(case.new_text)
    root, commands = mr_ml.open_root(str(folder / "python")), Commands(folder / "commands", ("-r", "inline"))
    mr_ml.pack(root, text, "d", **case.pack)
    result = mr_ml.train(root, "d", "m", **case.train)
    commands("pack", text, "--to", "d", *case.pack_words)
    commands("train", "d", "--model", "m", *case.train_words)
    return Made(case, root, commands, result, text, new)


def test_datasets_and_models_are_those_of_the_commands(made: Made) -> None:
    theirs = made.commands.manifest("d@1")
    ours = mr_ml.load_dataset(made.root, "d").to_json()
    assert [p["sha256"] for p in ours["partitions"]] == [p["sha256"] for p in theirs["partitions"]]
    assert {key: ours[key] for key in ("schema", "splits", "label_counts")} == {
        key: theirs[key] for key in ("schema", "splits", "label_counts")
    }
    model = mr_ml.load_model(made.root, "m@1")
    shown = made.commands("models", "show", "m")
    assert model.manifest["coef"]["sha256"] == shown["coef_sha256"]
    assert dict(model.manifest["spec"]) == shown["spec"]
    assert made.result.stop == shown["training"]["stop"]


def test_metrics_are_those_of_the_command(made: Made) -> None:
    found = mr_ml.evaluate(made.root, "m", "d", split="test")
    assert found == made.commands("evaluate", "m", "d", "--split", "test")


def test_rows_in_memory_are_predicted_as_those_in_files(made: Made, tmp_path: Path) -> None:
    case, model = made.case, mr_ml.load_model(made.root, "m")
    done = mr_ml.predict(made.root, "m", made.new, tmp_path / "ours")
    made.commands("predict", "m", made.new, "--to", tmp_path / "theirs")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    lines = [line.split("\t") for line in (tmp_path / "ours").read_text().splitlines()]
    if case.name == "csv":
        labels, numbers = [line[0] for line in lines[1:]], np.array([line[1:] for line in lines[1:]], float)
        for rows in (case.rows, sparse.csr_matrix(case.rows), sparse.coo_array(case.rows)):
            assert model.predict_proba(rows).tolist() == numbers.tolist()
        assert model.predict(case.rows).tolist() == labels
    else:
        assert model.predict(sparse.csr_array(case.rows)).tolist() == [float(line[0]) for line in lines]
        with pytest.raises(UsageError, match="predicts numbers"):
            model.predict_proba(case.rows)
    assert done["n_rows"] == len(case.rows)
    with pytest.raises(UsageError, match=f"expected rows of {model.n_features} features"):
        model.predict(np.zeros((2, model.n_features + 1)))


def test_coefficients_by_name_give_the_same_predictions(made: Made) -> None:
    """By the text alone: sum of coefficient times value."""
    model = mr_ml.load_model(made.root, "m")
    assert isinstance(model, LinearModel)
    named = [dict(zip(model.feature_names, values, strict=True)) for values in made.case.rows.tolist()]
    weights = model.coefficients.items()
    margins = np.array(
        [[model.intercepts[name] + sum(w * row[f] for f, w in of.items()) for name, of in weights] for row in named]
    )
    if model.classes:
        e = np.exp(margins - margins.max(axis=1, keepdims=True))
        expected = e / e.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(model.predict_proba(made.case.rows), expected, rtol=1e-3, atol=1e-3)
    else:
        np.testing.assert_allclose(model.predict(made.case.rows), margins[:, 0], rtol=1e-9)


def test_a_run_is_resumed_by_name(made: Made) -> None:
    again = mr_ml.resume(made.root, made.result.run)
    assert (again.version, again.stop) == (made.result.version, made.result.stop)
    with pytest.raises(UsageError, match="there is no run 'none'"):
        mr_ml.resume(made.root, "none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"l2": -1}, "`l2`: expected a number of at least 0, found -1"),
        ({"l2": "1"}, "`l2`: expected a number, found '1'"),
        ({"max_passes": 0}, "`max_passes`: expected"),
        ({"loss": "hinge"}, "`loss`: expected one of logistic, softmax, squared"),
        ({"lambda_": 1}, "`lambda_` cannot be chosen of a linear model"),
        ({"kind": "forest"}, "'forest' is not known"),
        ({"runner": "cloud"}, "'cloud' is not known"),
        ({"config": "x.yaml"}, "`config` says how to use a cluster; it is not for `runner` inline"),
    ],
)
def test_choices_that_cannot_be(made: Made, options: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, StorageError), match=message.replace("(", r"\(")):
        mr_ml.train(made.root, "d", "other", **options)
    with pytest.raises(StorageError):
        mr_ml.load_model(made.root, "other")


def test_numbers_of_numpy_are_numbers(made: Made) -> None:
    found = mr_ml.train(
        made.root, "d", "n", **{**made.case.train, "l2": np.float64(made.case.train["l2"]), "max_passes": np.int64(50)}
    )
    assert found.objective == made.result.objective


def test_bad_rows_and_other_features_are_errors(made: Made, tmp_path: Path) -> None:
    (tmp_path / "bad.libsvm").write_text("1 1:x\n")
    with pytest.raises(BadDataError, match=r"bad.libsvm:1"):
        mr_ml.pack(made.root, tmp_path / "bad.libsvm", "bad", format="libsvm")
    with pytest.raises(UsageError, match="`delimiter` is for csv text"):
        mr_ml.pack(made.root, tmp_path / "bad.libsvm", "bad", delimiter=";")


def test_importing_is_light_and_types_are_true() -> None:
    code = (
        "import sys, mr_ml; assert not {'numpy', 'mrjob', 'mr_ml.api', 'mr_ml.session'} & set(sys.modules);"
        "assert set(mr_ml.__all__) <= set(dir(mr_ml)); [getattr(mr_ml, name) for name in mr_ml.__all__];"
        "import mr_ml.packing.driver, mr_ml.prediction.driver; assert callable(mr_ml.pack) and callable(mr_ml.predict)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    (folder / "rows.csv").write_text("a,b,label\n" + "".join(f"{i},{i % 3},{i % 2}\n" for i in range(40)))
    mr_ml.pack(folder / "root", folder / "rows.csv", "rows", split={"train": 0.5, "test": 0.5})
    mr_ml.train(folder / "root", "rows", "m", l2=0.1)
    return folder


WRONG: dict[str, Callable[[Path], object]] = {
    "root": lambda here: mr_ml.load_model(3, "m"),  # type: ignore[arg-type]
    "config": lambda here: mr_ml.evaluate(here / "root", "m", "rows", config=3),  # type: ignore[arg-type]
    "inputs": lambda here: mr_ml.pack(here / "root", [], "x"),
    "to": lambda here: mr_ml.predict(here / "root", "m", here / "rows.csv", ""),
    "row_weights": lambda here: mr_ml.evaluate(here / "root", "m", "rows", row_weights="none"),  # type: ignore[arg-type]
    "watch": lambda here: mr_ml.train(here / "root", "rows", "x", watch=3),  # type: ignore[arg-type]
    "max_bad_rows": lambda here: mr_ml.predict(here / "root", "m", here / "rows.csv", here / "x", max_bad_rows=-1),
    "nothing": lambda here: mr_ml.evaluate(here / "root", "m", "rows", nothing=1),  # type: ignore[call-arg]
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named(small: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"^`{name}`"):
        WRONG[name](small)


@pytest.mark.parametrize(
    "wrong",
    [
        {"split": {"train": 0.5}}, {"split": {}}, {"split": {"a b": 1.0}}, {"split": "train=1"}, {"folds": 0},
        {"seed": "7"}, {"seed": 1.5}, {"partitions": 0}, {"max_bad_rows": -1}, {"like": 3}, {"header": "no"},
        {"index_base": 2}, {"delimiter": 1}, {"percent": "yes"}, {"unseen": "x"}, {"workers": 1.5}, {"say": 3},
    ],
    ids=str,
)  # fmt: skip
def test_a_pack_refuses_a_wrong_choice_before_anything_is_written(small: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"^`{next(iter(wrong))}`"):
        mr_ml.pack(small / "root", small / "rows.csv", "refused", **wrong)
    assert not (small / "root/datasets/refused").exists()


@pytest.mark.parametrize("name", [3, None, Path("x")])
def test_what_is_no_text_is_no_name(small: Path, name: Any) -> None:
    for use in (mr_ml.load_model, mr_ml.load_dataset, mr_ml.resume):
        with pytest.raises(UsageError, match="expected as the name of a"):
            use(small / "root", name)


def test_numbers_of_numpy_and_paths_are_arguments_like_any(small: Path) -> None:
    root, rows = small / "root", small / "rows.csv"
    chosen: dict[str, Any] = {
        "split": {"train": np.float64(0.5), "test": 0.5}, "seed": np.int64(7), "folds": np.int32(2),
        "drop": np.array([1]), "label_column": np.int64(2), "runner": "local", "workers": np.int64(1),
        "memory": np.int64(10**9),
    }  # fmt: skip
    numpys = mr_ml.pack(root, [rows], "numpys", **chosen)
    plain = mr_ml.pack(
        str(root), str(rows), "plain", split={"train": 0.5, "test": 0.5}, seed=7, folds=2, drop=["b"],
        label_column="label",
    )  # fmt: skip
    assert [p.facts for p in numpys.partitions] == [p.facts for p in plain.partitions]


def test_threads_train_in_this_process_as_one_does(small: Path) -> None:
    """Each of them has a session of its own; a task changes the working folder and standard streams of the process."""
    streams, folder = (sys.stdin, sys.stdout, sys.stderr), Path.cwd()

    def objective(number: int) -> float:
        return mr_ml.train(small / "root", "rows", f"thread{number}", l2=0.1).objective

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(objective, range(8)))
    assert set(found) == {mr_ml.train(small / "root", "rows", "alone", l2=0.1).objective}
    assert (sys.stdin, sys.stdout, sys.stderr) == streams
    assert Path.cwd() == folder


@pytest.mark.parametrize("rows", [[["a", "b"]], [[1, 2], [1]], [[1, 2, 3]]])
def test_rows_in_memory_that_are_none_are_refused(small: Path, rows: Any) -> None:
    with pytest.raises(UsageError, match="expected rows of 2"):
        mr_ml.load_model(small / "root", "m").predict(rows)


def test_what_a_package_brought_that_is_gone_is_said() -> None:
    with pytest.raises(BadDataError, match=r"'gone'; install the package that brings it"):
        stored.read(Annotated[str, stored.registered(LOSSES)], "gone", where="m/v000001.json")  # type: ignore[arg-type]
