"""A search that begins with coefficients in a file: of models that other programs fitted to their optimum.

They are independent oracles of signs, order, intercept and scale: with the converted penalty (docs/models.md) the first
pass of ours is at the optimum already, so its objective is that of the end and nothing is left to do.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import coefficient_files as files
import numpy as np
import pytest
from begun import Here, rows, saved, vw_rows
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.svm import LinearSVC

import mr_ml
from hdfs_layout import open_root
from mr_ml.catalog.run_log import read_log
from mr_ml.coefficients import COEFFICIENT_FILES


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


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
