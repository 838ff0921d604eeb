"""A search that begins with coefficients in a file: of models that other programs fitted to their optimum.

They are independent oracles of signs, order, intercept and scale: with the converted penalty (docs/models.md) the first
pass of ours is at the optimum already, so its objective is that of the end and nothing is left to do.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import coefficient_files as files
import numpy as np
import pytest
from commands import Commands
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.svm import LinearSVC

import mr_ml
from hdfs_layout import open_root
from mr_ml.catalog.run_log import read_log
from mr_ml.coefficients import COEFFICIENT_FILES
from mr_ml.errors import BadDataError, UsageError
from mr_ml.session import Session
from mr_ml.training.loop import Progress

Floats = Any
NAMES = ["height", "b", "c", "far"]


@dataclass
class Here:
    """A root with datasets, and what a training said."""

    folder: Path
    said: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def pack(self, name: str, lines: list[str], **options: Any) -> None:
        path = self.folder / f"{name}.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        mr_ml.pack(self.root, path, name, **options)

    def table(self, name: str, x: Floats, y: list[Any], *, order: list[int] | None = None) -> None:
        """Columns in another order than the other program had them."""
        order = [2, 0, 3, 1] if order is None else order
        rows = zip(x[:, order].tolist(), y, strict=True)
        lines = [",".join(map(str, [*row, label])) for row, label in rows]
        self.pack(name, [",".join([*(NAMES[k] for k in order), "y"]), *lines], format="csv")

    def write(self, data: bytes, name: str = "model.file") -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def train(self, dataset: str, given: Any, **options: Any) -> Any:
        self.said.clear()
        return mr_ml.train(self.root, dataset, f"of-{dataset}", warm_start_from=given, say=self.said.append, **options)

    def begins_at_the_optimum(
        self, dataset: str, given: Any, *, passes: int = 2, digits: float = 1e-12, **options: Any
    ) -> None:
        warm = self.train(dataset, given, **options)
        cold = mr_ml.train(self.root, dataset, "cold", **options)
        assert warm.converged, warm.stop
        assert warm.passes <= passes < cold.passes
        assert warm.objective == pytest.approx(cold.objective, rel=max(digits, 1e-9))
        first = read_log(open_root(str(self.root)), warm.run).passes[0]
        assert first["objective"] == pytest.approx(cold.objective, rel=digits)
        assert not any("starts from zero" in text for text in self.said)


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def rows(n: int = 200) -> tuple[Floats, Floats]:
    """Features, one of them far from zero, and a score of each row."""
    draw = np.random.default_rng(5)
    x = np.round(draw.normal(size=(n, 4)) * [1, 3, 0.2, 1] + [0, 0, 0, 50], 3)
    return x, x @ [1.0, -0.4, 3.0, 0.7] - 35 + draw.logistic(size=n)


def saved(model: Any, **more: Any) -> dict[str, Any]:
    """What docs/training.md tells users to save."""
    return {"coef": model.coef_, "intercept": model.intercept_, "feature_names": NAMES, **more}


# --- scikit-learn -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [("no", "yes"), ("yes", "no"), (0, 1), (-1, 1), (2.0, 1e9)])
def test_logistic_regression(here: Here, labels: tuple[Any, Any]) -> None:
    x, score = rows()
    y = np.where(score > 0, labels[1], labels[0])
    model = LogisticRegression(C=2.0, tol=1e-13, max_iter=100_000, solver="newton-cholesky").fit(x, y)
    here.table("d", x, y.tolist())
    path = here.write(files.npz(**saved(model, classes=list(model.classes_))))
    here.begins_at_the_optimum("d", path, l2=1 / (2.0 * len(y)))


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_two_classes_as_one_margin_or_two(here: Here, loss: str) -> None:
    """With half the penalty on either of two margins, the softmax of two classes is the logistic loss."""
    x, score = rows()
    y = np.where(score > 0, "b", "a")
    model = LogisticRegression(C=2.0, tol=1e-13, max_iter=100_000, solver="newton-cholesky").fit(x, y)
    here.table("d", x, y.tolist())
    one = saved(model, classes=model.classes_)
    two = {
        **one,
        "coef": np.vstack([-one["coef"], one["coef"]]) / 2,
        "intercept": np.array([-0.5, 0.5]) * model.intercept_,
    }
    scale = 2 if loss == "softmax" else 1
    for given in (one, two):
        here.begins_at_the_optimum("d", given, loss=loss, l2=scale / (2.0 * len(y)), digits=1e-11)


def test_several_classes(here: Here) -> None:
    x, score = rows()
    y = np.array(["low", "high", "mid"])[np.digitize(score, [-1, 1])]
    model = LogisticRegression(C=1.0, tol=1e-13, max_iter=100_000, solver="newton-cholesky").fit(x, y)
    here.table("d", x, y.tolist())
    path = here.write(files.npz(**saved(model, classes=list(model.classes_))))
    here.begins_at_the_optimum("d", path, loss="softmax", l2=1 / len(y), digits=1e-11)


def test_numbers(here: Here) -> None:
    x, score = rows()
    here.table("d", x, score.round(6).tolist())
    ridge = Ridge(alpha=3.0, solver="cholesky").fit(x, score.round(6))
    here.begins_at_the_optimum("d", saved(ridge), loss="squared", l2=3.0 / len(x), solver="lbfgs", passes=4)
    counts = np.random.default_rng(1).poisson(np.exp(np.clip(score, -3, 2)))
    here.table("counts", x, counts.tolist())
    poisson = PoissonRegressor(alpha=0.1, tol=1e-12, max_iter=100_000, solver="newton-cholesky").fit(x, counts)
    here.begins_at_the_optimum("counts", saved(poisson), loss="poisson", l2=0.1)


def test_a_linear_svm(here: Here) -> None:
    x, score = rows()
    x[:, 3] -= 50
    y = np.where(score > 0, 1, 0)
    model = LinearSVC(C=0.1, dual=False, tol=1e-13, max_iter=1_000_000, fit_intercept=False).fit(x, y)
    here.table("d", x, y.tolist())
    given = saved(model, classes=model.classes_)
    here.begins_at_the_optimum("d", given, loss="squared_hinge", l2=1 / (0.1 * len(y)), intercept=False, passes=2)


def test_libsvm_rows_by_their_ids_or_in_their_order(here: Here) -> None:
    x, score = rows()
    y = np.where(score > 0, 1, 0)
    model = LogisticRegression(C=2.0, tol=1e-13, max_iter=100_000, solver="newton-cholesky").fit(x, y)
    for base in (0, 1):
        lines = [
            f"{t} " + " ".join(f"{k + base}:{v!r}" for k, v in enumerate(row))
            for t, row in zip(y, x.tolist(), strict=True)
        ]
        here.pack(f"d{base}", lines, format="libsvm", index_base=base)
        given = {"coef": model.coef_, "intercept": model.intercept_, "classes": model.classes_}
        here.begins_at_the_optimum(f"d{base}", given, l2=1 / (2.0 * len(y)))
        assert any("in their order" in text for text in here.said)
        named = {**given, "feature_names": [str(k + base) for k in range(4)]}
        here.begins_at_the_optimum(f"d{base}", named, l2=1 / (2.0 * len(y)))


# --- liblinear --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "labels", "options"),
    [
        (files.L2R_LR, files.TWO, {"l2": 1 / 6, "intercept": False}),
        (files.L2R_LR_BIAS, files.TWO, {"l2": 1 / 6}),
        (files.L2R_L2LOSS_SVC, files.TWO, {"l2": 1 / 6, "intercept": False, "loss": "squared_hinge"}),
        (files.L2R_L2LOSS_SVR, files.NUMBERS, {"l2": 1 / 12, "intercept": False, "loss": "squared", "solver": "lbfgs"}),
    ],
)
def test_what_liblinear_wrote(here: Here, data: bytes, labels: tuple[float, ...], options: dict[str, Any]) -> None:
    here.pack("d", [f"{y} {row}" for y, row in zip(labels, files.ROWS, strict=True)], format="libsvm")
    here.begins_at_the_optimum("d", here.write(data), passes=2, **options)


def test_several_classes_of_liblinear_are_near(here: Here) -> None:
    here.pack("d", [f"{y} {row}" for y, row in zip(files.THREE, files.ROWS, strict=True)], format="libsvm")
    here.train("d", here.write(files.L2R_LR_THREE), loss="softmax", l2=1 / 6)
    assert any("one against all others" in text for text in here.said)
    (path,) = (here.root / "runs").glob("*/log.jsonl")
    first = read_log(open_root(str(here.root)), path.parent.name).passes[0]
    # log 3 is where a cold search begins
    assert first["objective"] < 0.8 * np.log(3)


@pytest.mark.parametrize(
    ("flags", "labels"),
    [("-s 0", (1, -1)), ("-s 7", (-1, 1)), ("-s 0 -B 1 -R", (7, 3)), ("-s 2", (3, 7)), ("-s 1", (1, -1))],
)
def test_liblinear_itself(here: Here, flags: str, labels: tuple[int, int]) -> None:
    """Whichever label stands in the first row, which is the one that its coefficients are positive for."""
    program = pytest.importorskip("liblinear.liblinearutil", reason="needs pip install liblinear-official, and g++")
    x, score = rows()
    x[:, 3] -= 50
    y = [labels[int((t > 0) == (score[0] > 0))] for t in score]
    sparse = [{k + 1: v for k, v in enumerate(row) if k != 1 or v > 0} for row in x.tolist()]
    path = here.folder / "model"
    program.save_model(str(path), program.train(y, sparse, f"{flags} -c 0.5 -e 1e-12 -q"))
    here.pack("d", [f"{t} " + " ".join(f"{k}:{v!r}" for k, v in row.items()) for t, row in zip(y, sparse, strict=True)])
    loss = "squared_hinge" if flags in ("-s 1", "-s 2") else "logistic"
    options: dict[str, Any] = {"loss": loss, "l2": 1 / (0.5 * len(y)), "intercept": "-B" in flags}
    here.begins_at_the_optimum("d", path, digits=1e-10, **options)


# --- Vowpal Wabbit ----------------------------------------------------------------------------------------------------


def vw(folder: Path, words: str) -> None:
    subprocess.run([sys.executable, "-m", "vowpalwabbit", *words.split()], check=True, cwd=folder, timeout=120)


def vw_rows(n: int = 200, *, loss: str) -> list[str]:
    x, score = rows(n)
    labels = {"logistic": np.where(score > 0, 1, -1), "squared": score.round(3), "poisson": np.abs(score).round()}[loss]
    words = ("one", "two", "thrée")
    return [
        f"{y!r} |n a:{row[0]} b:{row[1]} | {words[k % 3]} 7:{row[2]} |x const"
        for k, (y, row) in enumerate(zip(labels.tolist(), x.tolist(), strict=True))
    ]


@pytest.mark.parametrize(("loss", "scale"), [("logistic", 1.0), ("squared", 0.5), ("poisson", 1.0)])
def test_vowpal_wabbit(here: Here, loss: str, scale: float) -> None:
    """It writes six digits of single precision, so the last ones are for a pass of ours."""
    lines = vw_rows(80, loss=loss)
    here.pack("d", lines, format="vw")
    vw(
        here.folder,
        f"--loss_function {loss} --bfgs --passes 60 -k --cache_file cache --termination 1e-14 --l2 2 -d d.txt "
        "--predict_only_model -f model --quiet --holdout_off --noconstant",
    )
    vw(here.folder, "-t --predict_only_model -i model -d d.txt --invert_hash text --quiet")
    options: dict[str, Any] = {"loss": loss, "l2": 2 * scale / len(lines), "intercept": False, "tolerance": 1e-4}
    options |= {"solver": "lbfgs"} if loss == "squared" else {}
    here.begins_at_the_optimum("d", here.folder / "text", digits=1e-7, passes=3, **options)
    assert any("7 of its 7 features" in text for text in here.said)


@pytest.mark.parametrize("penalties", ["", "--l1 1e-3 --l2 1e-2"])
def test_vowpal_wabbit_predicts_what_its_text_says(here: Here, penalties: str) -> None:
    """An SGD too, with a constant, and with what it has not yet taken off its weights."""
    lines = vw_rows(60, loss="squared")
    (here.folder / "d.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    vw(here.folder, f"--loss_function squared {penalties} -d d.txt -f model --invert_hash text --quiet")
    vw(here.folder, "-t -i model -d d.txt -p predicted --quiet")
    found = COEFFICIENT_FILES.get("vw").read((here.folder / "text").read_bytes(), where="text")
    assert found.names is not None
    weights = dict(zip(found.names, found.weights[0].tolist(), strict=True))
    here.pack("d", lines, format="vw")
    assert set(mr_ml.load_dataset(here.root, "d").schema.feature_names or ()) == set(weights)
    x, _ = rows(60)
    named = [
        {"n^a": r[0], "n^b": r[1], ("one", "two", "thrée")[k % 3]: 1, "7": r[2], "x^const": 1} for k, r in enumerate(x)
    ]
    margins = [sum(weights[name] * value for name, value in row.items()) + found.intercepts[0] for row in named]
    predicted = [float(line) for line in (here.folder / "predicted").read_text().split()]
    np.testing.assert_allclose(margins, predicted, atol=1e-4)


# --- our own ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["logistic", "softmax", "squared"])
def test_what_mr_ml_wrote(here: Here, loss: str) -> None:
    x, score = rows()
    y: Any = (
        score.round(3)
        if loss == "squared"
        else np.array(["u", "v", "w"])[np.digitize(score, [-1, 1] if loss == "softmax" else [0])]
    )
    here.table("d", x, y.tolist())
    here.table("other", x, y.tolist(), order=[3, 2, 1, 0])
    options: dict[str, Any] = {"loss": loss, "l2": 0.01, "tolerance": 1e-8}
    done = mr_ml.train(here.root, "d", "first", **options)
    mr_ml.export(here.root, "first", here.folder / "model.json", kind="json")
    (path,) = (here.root / "models/first/data").glob("*/coef.npz")
    options |= {"solver": "lbfgs"} if loss == "squared" else {}
    assert done.converged
    for given in (here.folder / "model.json", path):
        here.begins_at_the_optimum("other", given, passes=4 if loss == "squared" else 2, **options)


def test_a_model_of_libsvm_rows(here: Here) -> None:
    lines = [f"{y} {row}" for y, row in zip(files.TWO, files.ROWS, strict=True)]
    here.pack("d", lines, format="libsvm")
    mr_ml.train(here.root, "d", "first", l2=0.1)
    mr_ml.export(here.root, "first", here.folder / "model.json", kind="json")
    (path,) = (here.root / "models/first/data").glob("*/coef.npz")
    for given in (here.folder / "model.json", path):
        # the objective that newton tells of its own end is that of its last step, where no pass was needed to look
        here.begins_at_the_optimum("d", given, digits=1e-10, l2=0.1)


# --- what is said, kept and refused -----------------------------------------------------------------------------------


class Killed(BaseException):
    """What a driver that dies leaves."""


def without_states(root: Path, run: str) -> None:
    for state in (root / "runs" / run / "passes").rglob("*"):
        if state.is_file():
            state.unlink()


def test_a_run_goes_on_without_the_file_and_with_the_same_bits(here: Here) -> None:
    x, score = rows()
    here.table("d", x, np.where(score > 0, "yes", "no").tolist())
    data = files.npz(coef=[[0.3, 0.1]], intercept=[0.2], feature_names=["height", "b"], classes=["no", "yes"])

    def dies(progress: Progress) -> None:
        raise Killed

    def begun(**options: Any) -> tuple[Session, Any]:
        session = Session.open(here.root, runner="inline", **options)
        given = {"l2": 1e-3, "warm_start_from": here.write(data)}
        return session, session.spec("linear", "d", "m", "train", given)

    session, spec = begun()
    whole = session.train(spec)
    dying, again = begun(watch=dies)
    assert again == spec
    # one was killed after its first pass, one before it
    with pytest.raises(Killed):
        dying.fit(again, run="after")
    with pytest.raises(Killed):
        dying.fit(again, run="before")
    without_states(here.root, "before")
    (here.folder / "model.file").unlink()
    sha256 = mr_ml.load_model(here.root, f"m@{whole.version}").manifest["coef"]["sha256"]
    for run in ("after", "before"):
        done = mr_ml.resume(here.root, run)
        assert mr_ml.load_model(here.root, f"m@{done.version}").manifest["coef"]["sha256"] == sha256


def test_a_copy_that_is_damaged_or_gone_is_no_start(here: Here) -> None:
    x, score = rows()
    here.table("d", x, np.where(score > 0, "yes", "no").tolist())

    def dies(progress: Progress) -> None:
        raise Killed

    with pytest.raises(Killed):
        mr_ml.train(
            here.root, "d", "m", l2=1e-3, watch=dies,
            warm_start_from={"coef": [0.3], "intercept": 0.2, "feature_names": ["b"], "classes": ["no", "yes"]},
        )  # fmt: skip
    (folder,) = (here.root / "runs").iterdir()
    without_states(here.root, folder.name)
    kept = folder / "warm_start"
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(BadDataError, match=r"warm_start.*sha256"):
        mr_ml.resume(here.root, folder.name)
    kept.unlink()
    with pytest.raises(BadDataError, match=r"copy of arrays.*train anew"):
        mr_ml.resume(here.root, folder.name)


def test_more_passes_begin_where_the_first_ones_did(here: Here) -> None:
    x, score = rows()
    here.table("d", x, np.where(score > 0, "yes", "no").tolist())
    path = here.write(
        files.npz(coef=[[0.3, 0.1]], intercept=[0.2], feature_names=["height", "b"], classes=["no", "yes"])
    )
    asked = mr_ml.train(here.root, "d", "m", l2=1e-3, max_passes=9, warm_start_from=path)
    few = mr_ml.train(here.root, "d", "m", l2=1e-3, max_passes=1, warm_start_from=path)
    path.unlink()
    more = mr_ml.resume(here.root, few.run, max_passes=9)
    found = [mr_ml.load_model(here.root, f"m@{done.version}").manifest["coef"]["sha256"] for done in (asked, more)]
    assert found[0] == found[1]


def test_it_is_said_and_written_down(here: Here) -> None:
    x, score = rows()
    here.table("d", x, np.where(score > 0, "yes", "no").tolist())
    path = here.write(
        files.npz(
            coef=[[0.3, 0.1, 9.0]], intercept=[0.2], feature_names=["b", "c", "\x1b[31mgone"], classes=["no", "yes"]
        ),
        "my \x1b[2Jmodel",
    )
    commands = Commands(here.root, runner=("-r", "inline"))
    done = commands.run("train", "d", "--model", "m", "--l2", "0.01", "--warm-start-from", path)
    assert done.code == 0, done.err
    assert "begins with the coefficients of my \\x1b[2Jmodel (npz, sha256" in done.err
    assert "2 of its 3 features are known here" in done.err
    assert "features that it does not use, which begin at 0: 2 (height, far)" in done.err.replace(
        "(far, height)", "(height, far)"
    )
    assert "features that no row has, which are left out: 1 (\\x1b[31mgone)" in done.err
    assert "\x1b" not in done.err
    shown = commands.run("models", "show", "m")
    assert "began with the coefficients of my \\x1b[2Jmodel (npz" in shown.out
    spec = commands("models", "show", "m")["spec"]
    assert spec["warm_start_from"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert spec["warm_start_from"]["format"] == "npz"
    run = commands("models", "show", "m")["run"]
    events = [json.loads(line) for line in (here.root / "runs" / run / "log.jsonl").read_text().splitlines()]
    (event,) = [event for event in events if event["event"] == "warm_start"]
    assert (event["n_features"], event["n_known"], event["vanished"]["count"]) == (3, 2, 1)
    mr_ml.report(here.root, "m", here.folder / "report.html")
    assert "the coefficients of my" in (here.folder / "report.html").read_text()


def test_what_cannot_be_begun_with_is_refused_before_there_is_a_run(here: Here) -> None:
    x, score = rows()
    here.table("d", x, np.where(score > 0, "yes", "no").tolist())
    here.pack("numbered", [f"{y} {row}" for y, row in zip(files.TWO, files.ROWS, strict=True)], format="libsvm")
    here.pack("hashed", vw_rows(20, loss="logistic"), format="vw", hash_bits=10)
    good = {"coef": [[0.3, 0.1]], "intercept": [0.2], "feature_names": ["b", "c"], "classes": ["no", "yes"]}
    mr_ml.train(here.root, "d", "m", l2=1.0)
    runs = sorted((here.root / "runs").iterdir())
    liblinear = here.write(files.L2R_LR, "liblinear")
    cases: list[tuple[str, Any, dict[str, Any], type[Exception], str]] = [
        ("d", {**good, "classes": ["a", "b"]}, {}, UsageError, r"\['no', 'yes'\], found .*\['a', 'b'\]"),
        ("d", {k: v for k, v in good.items() if k != "classes"}, {}, UsageError, "as `classes`"),
        ("d", good, {"loss": "squared"}, UsageError, "squared|labels"),
        ("d", {**good, "feature_names": ["\x1b[2J", "z"]}, {}, UsageError, r"features of d@1.*x1b\[2J"),
        ("d", {k: v for k, v in good.items() if k != "feature_names"}, {}, BadDataError, "have names.*numbers only"),
        ("d", liblinear, {}, BadDataError, "have names.*numbers only"),
        ("hashed", liblinear, {}, BadDataError, "hashes"),
        ("numbered", liblinear, {"loss": "squared_hinge"}, UsageError, "squared_hinge.*logistic"),
        ("numbered", here.write(files.VW, "vw"), {}, UsageError, "found none of them"),
        ("d", good, {"warm_start": "m"}, UsageError, "found both"),
        ("d", 3, {}, UsageError, "path"),
        ("d", "", {}, UsageError, "path"),
        ("d", "a\0b", {}, UsageError, "path"),
        ("d", here.folder, {}, UsageError, "which is none"),
        ("d", here.folder / "nope", {}, UsageError, "No such file"),
        ("d", here.write(b""), {}, BadDataError, "empty"),
        ("d", here.write(b"\x80\x04\x95", "p"), {}, BadDataError, "pickle"),
        ("d", here.write(b"\x07\0\0\x009.11.9", "b"), {}, BadDataError, "--invert_hash"),
        ("d", good, {"warm_start_format": "vw"}, BadDataError, "line"),
        ("d", good, {"warm_start_format": "nope"}, UsageError, "json, npz, liblinear, vw"),
        ("d", None, {"warm_start_format": "vw"}, UsageError, "which was not asked for"),
        ("d", None, {"warm_start": str(liblinear)}, UsageError, "is a file.*warm_start_from"),
    ]  # fmt: skip
    for dataset, given, options, error, words in cases:
        with pytest.raises(error, match=words) as caught:
            mr_ml.train(here.root, dataset, "m2", warm_start_from=given, **options)
        assert str(caught.value).isprintable()
    assert sorted((here.root / "runs").iterdir()) == runs


def test_commands_refuse_with_their_exit_codes(here: Here) -> None:
    here.pack("numbered", [f"{y} {row}" for y, row in zip(files.TWO, files.ROWS, strict=True)], format="libsvm")
    commands = Commands(here.root, runner=("-r", "inline"))
    good, bad = here.write(files.L2R_LR, "good"), here.write(files.L2R_LR[:-9], "bad")
    for words, code, said in (
        (("--warm-start-from", bad), 65, "cut off"),
        (("--warm-start-from", here.folder / "nope"), 2, "--warm-start-from: cannot read"),
        (("--warm-start-from", good, "--warm-start-format", "nope"), 2, "liblinear"),
        (("--warm-start-from", good, "--warm-start", "m"), 2, "found both"),
        (("--warm-start-from", good, "--loss", "squared_hinge"), 2, "--warm-start-from: expected coefficients"),
    ):
        done = commands.run("train", "numbered", "--model", "m", *words)
        assert (done.code, said in done.err) == (code, True), done.err
        assert "Traceback" not in done.err
    trained = commands("train", "numbered", "--model", "m", "--l2", "0.1", "--warm-start-from", good)
    refused = commands.run("train", "--resume", trained["run"], "--warm-start-from", good)
    assert (refused.code, "leave --warm-start-from out" in refused.err) == (2, True), refused.err
    with pytest.raises(UsageError, match="not for a tuning"):
        mr_ml.tune(here.root, "numbered", "m", l2=[0.1, 0.2], options={"warm_start_from": good})


WAYS: list[Callable[[Path], Any]] = [str, Path, lambda path: f"file://{path}"]


@pytest.mark.parametrize("way", WAYS)
def test_where_a_file_may_be(here: Here, way: Callable[[Path], Any]) -> None:
    here.pack("d", [f"{y} {row}" for y, row in zip(files.TWO, files.ROWS, strict=True)], format="libsvm")
    assert here.train("d", way(here.write(files.L2R_LR_BIAS)), l2=1 / 6).passes == 1
