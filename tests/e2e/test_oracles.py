"""What the command line fits, against other people's optima.

`_oracles` hold sums (f = sum_i loss_i + lam/2 |w|^2), we report means: ours = theirs / n with --l2 lam / n, and
C = 1/lam. Where an oracle's bias is penalised, it is a feature that is always 1, and we fit without an intercept.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import read_libsvm
from commands import Commands, packed, write_libsvm

# of adult.names
C45_ERROR, NAIVE_BAYES_ERROR = 0.1554, 0.1612

TIGHT = ("--tolerance", "1e-10")


@pytest.fixture(scope="module")
def mr_ml(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """One root for the module: what is packed once serves many tests."""
    return Commands(tmp_path_factory.mktemp("oracles") / "root")


def oracle(data_dir: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data_dir / "_oracles" / f"{name}.json").read_text())
    return found


LOGISTIC = {
    "a9a": ("a9a/a9a", 123),
    "agaricus": ("agaricus/agaricus.txt.train", 126),
    "heart_scale": ("heart_scale/heart_scale", 13),
    "breast-cancer": ("libsvm_small/breast-cancer", 10),
    # fewer rows than features, separable but for the penalty
    "sample_libsvm_data": ("spark_mllib/sample_libsvm_data.txt", 692),
}


@pytest.mark.parametrize(
    ("name", "case", "solver"),
    [
        *[(name, "C=1.0,free_intercept", "newton") for name in LOGISTIC],
        *[(name, "C=1.0,bias=0", "newton") for name in LOGISTIC],
        *[(name, "C=0.01,bias=0", "newton") for name in LOGISTIC],
        # L-BFGS takes hundreds of passes to the last digit on a9a, whose columns are nearly collinear
        *[(name, "C=1.0,free_intercept", "lbfgs") for name in LOGISTIC if name != "a9a"],
        *[(name, "C=1.0,bias=0", "lbfgs") for name in LOGISTIC if name != "a9a"],
        ("a9a", "C=0.01,bias=0", "lbfgs"),
    ],
)
def test_logistic(mr_ml: Commands, data_dir: Path, name: str, case: str, solver: str) -> None:
    known = oracle(data_dir, f"l2logistic_{name}")
    expected = known["results"][case]
    file, n_features = LOGISTIC[name]
    packed(mr_ml, name, data_dir / file)
    # scaled by the features' deviations, so never far above the oracle's own gradient; a9a's last digits cost passes
    tolerance = "1e-9" if name == "a9a" else "1e-10"
    l2 = 1 / (expected["C"] * known["rows"])
    bias = [] if case.endswith("free_intercept") else ["--no-intercept"]
    found = mr_ml(
        "train",
        name,
        "--model",
        f"{name}-{solver}",
        "--l2",
        repr(l2),
        "--solver",
        solver,
        "--tolerance",
        tolerance,
        *bias,
    )
    assert found["converged"]
    assert found["solver"] == solver
    assert found["objective"] * known["rows"] == pytest.approx(expected["f"] / expected["C"], rel=1e-8)
    coef = mr_ml.coef(f"{name}-{solver}@{found['version']}")
    assert coef.coef.shape == (1, n_features)
    # the curvature is at least lam everywhere, so |w - w*| <= |gradient| / lam; breast-cancer's oracle stopped early
    np.testing.assert_allclose(coef.coef[0], expected["coef"][:n_features], atol=1e-6)
    if bias:
        assert coef.intercept == 0
    else:
        assert coef.intercept[0] == pytest.approx(expected["coef"][-1], abs=2e-6)


def test_logistic_with_a_penalised_bias(mr_ml: Commands, data_dir: Path, tmp_path: Path) -> None:
    known = oracle(data_dir, "l2logistic_heart_scale")
    expected = known["results"]["C=1.0,bias=1"]
    lines = (data_dir / "heart_scale/heart_scale").read_text().splitlines()
    with_bias = tmp_path / "with_bias"
    with_bias.write_text("".join(f"{line.rstrip()} 14:1\n" for line in lines))
    packed(mr_ml, "heart-with-bias", with_bias)
    found = mr_ml(
        "train", "heart-with-bias", "--model", "heart-with-bias", "--l2", repr(1 / 270), "--no-intercept", *TIGHT
    )
    assert found["objective"] * 270 == pytest.approx(expected["f"], rel=1e-8)
    np.testing.assert_allclose(mr_ml.coef("heart-with-bias").coef[0], expected["coef"], atol=1e-7)


def test_a9a_and_its_narrower_test_set(mr_ml: Commands, data_dir: Path) -> None:
    packed(mr_ml, "a9a", data_dir / "a9a/a9a")
    packed(mr_ml, "a9a-test", data_dir / "a9a/a9a.t")
    found = mr_ml("train", "a9a", "--model", "a9a-full", "--l2", repr(1 / 32561), "--tolerance", "1e-9")
    assert found["objective"] * 32561 == pytest.approx(10528.572430543307, rel=1e-10)
    assert mr_ml("describe", "a9a-test")["n_features"] == 122
    metrics = mr_ml("evaluate", "a9a-full", "a9a-test", "--split", "train")
    assert metrics["n_rows"] == 16281
    assert metrics["accuracy"] == pytest.approx(0.8497635280, abs=1e-6)
    assert metrics["auc"] == pytest.approx(0.9022165181, abs=1e-6)
    assert metrics["auc_error"] == 0
    assert metrics["log_loss"] == pytest.approx(0.3240647100335692, abs=1e-7)
    expected = oracle(data_dir, "l2logistic_a9a")["results"]["C=1.0,free_intercept"]["train"]
    metrics = mr_ml("evaluate", "a9a-full", "a9a", "--split", "train")
    assert metrics["accuracy"] == pytest.approx(expected["accuracy"], abs=1e-9)
    assert metrics["auc"] == pytest.approx(expected["auc"], abs=1e-8)
    assert metrics["log_loss"] == pytest.approx(expected["mean_logloss"], abs=1e-9)


def write_digits(data_dir: Path, path: Path) -> Path:
    with gzip.open(data_dir / "sklearn/digits.csv.gz", "rt") as lines:
        table = np.loadtxt(lines, delimiter=",")
    return write_libsvm(path, table[:, :64] / 16, table[:, 64].astype(int))


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("name", ["iris", "dna", "digits_div16"])
def test_softmax(mr_ml: Commands, data_dir: Path, tmp_path: Path, name: str, solver: str) -> None:
    known = oracle(data_dir, f"softmax_{name}")
    files = {"iris": "spark_mllib/iris_libsvm.txt", "dna": "dna/dna.scale"}
    file = write_digits(data_dir, tmp_path / "digits") if name not in files else data_dir / files[name]
    packed(mr_ml, name, file)
    n = known["rows"]
    model = f"{name}-{solver}"
    found = mr_ml(
        "train",
        name,
        "--model",
        model,
        "--loss",
        "softmax",
        "--l2",
        repr(1 / n),
        "--solver",
        solver,
        "--tolerance",
        "1e-9",
    )
    assert found["converged"]
    assert found["objective"] * n == pytest.approx(known["f"], rel=1e-8)
    coef = mr_ml.coef(model)
    np.testing.assert_allclose(coef.coef.T, known["W"], atol=1e-6)
    np.testing.assert_allclose(coef.intercept, known["b"], atol=2e-5 if name == "iris" else 5e-6)
    metrics = mr_ml("evaluate", model, name, "--split", "train")
    assert metrics["accuracy"] == pytest.approx(known["train"]["accuracy"], abs=1e-12)
    assert metrics["log_loss"] == pytest.approx(known["train"]["mean_logloss"], abs=1e-8)


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize(
    "name", ["lam0_housing_scale", "lam1_housing_scale", "lam0_abalone", "lam0_mg", "lam0_spark_linreg"]
)
def test_ridge(mr_ml: Commands, data_dir: Path, name: str, solver: str) -> None:
    known = oracle(data_dir, f"ridge_{name}")
    lam, _, dataset = name.removeprefix("lam").partition("_")
    files = {
        "housing_scale": "libsvm_small/housing_scale",
        "abalone": "abalone/abalone_8d_train.libsvm",
        "mg": "photon/mg.txt",
        "spark_linreg": "spark_mllib/sample_linear_regression_data.txt",
    }
    packed(mr_ml, dataset, data_dir / files[dataset])
    n, coef = known["rows"], np.array(known["coef"], float)
    found = mr_ml(
        "train", dataset, "--model", f"{name}-{solver}", "--loss", "squared", "--l2", repr(float(lam) / n),
        "--solver", solver, "--tolerance", "1e-12",
    )  # fmt: skip
    f = (float(known["rss"]) + float(lam) * coef @ coef) / 2
    assert found["objective"] * n == pytest.approx(f, rel=1e-9)
    fitted = mr_ml.coef(f"{name}-{solver}")
    # relative to the whole vector: abalone's columns have a condition number of a thousand
    scale = np.abs(coef).max()
    np.testing.assert_allclose(fitted.coef[0], coef, rtol=0, atol=1e-9 * scale)
    assert fitted.intercept[0] == pytest.approx(float(known["intercept"]), rel=1e-9)


def test_rcv1_with_l_bfgs(mr_ml: Commands, data_dir: Path, tmp_path: Path) -> None:
    """Its 9,738 features and one that is always 1, penalised; the optimum is better than what VW's 13 passes found."""
    known = oracle(data_dir, "vw_rcv1_small")
    names: dict[str, int] = {}
    lines = []
    for line in (data_dir / "vw/rcv1_small.dat").read_text().splitlines():
        label, _, features = line.partition(" |f ")
        row = {0: "1"}
        for feature in features.split():
            name, _, value = feature.partition(":")
            row[names.setdefault(name, len(names) + 1)] = value or "1"
        entries = "".join(f" {j}:{value}" for j, value in sorted(row.items()))
        lines.append(label.split()[0] + entries + "\n")
    text = tmp_path / "rcv1"
    text.write_text("".join(lines))
    shape = mr_ml("pack", text, "--to", "rcv1")
    assert (shape["n_features"], shape["nnz"]) == (known["distinct_features"], known["nnz"])
    found = mr_ml("train", "rcv1", "--model", "rcv1", "--l2", "0.001", "--no-intercept", "--tolerance", "1e-8")
    assert found["solver"] == "lbfgs-sampled"
    assert found["objective"] == pytest.approx(known["f_over_n"], rel=1e-8)
    assert found["objective"] <= 0.476667637


def test_adult_from_csv(mr_ml: Commands, data_dir: Path, tmp_path: Path) -> None:
    """Categories and missing values straight from CSV: fewer errors than adult.names lists for C4.5 and naive Bayes."""
    train, test = (data_dir / f"adult/adult-{part}.csv" for part in ("train", "test"))
    # the test file writes its labels with a full stop
    lines = test.read_text().replace("K.\n", "K\n").splitlines(keepends=True)
    mended, known = tmp_path / "adult-test.csv", tmp_path / "adult-known.csv"
    mended.write_text("".join(lines))
    # the published errors are those of rows without missing values
    known.write_text("".join(line for line in lines if "?" not in line))
    shape = mr_ml("pack", train, "--to", "adult", "--no-header", "--label-column", "c14", "--missing", "zero")
    assert shape["n_rows"] == 32561
    assert shape["label_counts"]["train"] == {"<=50K": 24720, ">50K": 7841}
    found = mr_ml("train", "adult", "--model", "adult", "--l2", "1e-5")
    assert found["converged"]
    for text, n_rows in ((mended, 16281), (known, 15060)):
        mr_ml("pack", text, "--to", text.stem, "--like", "adult", "--missing", "zero")
        metrics = mr_ml("evaluate", "adult", text.stem, "--split", "train")
        assert metrics["n_rows"] == n_rows
        assert 0.14 < 1 - metrics["accuracy"] < C45_ERROR < NAIVE_BAYES_ERROR
        assert metrics["auc"] > 0.9
    shown = mr_ml("models", "show", "adult")
    assert len(shown["feature_names"]) == shape["n_features"]
    assert any("Doctorate" in name for name in shown["feature_names"])


def test_read_by_another_reader(mr_ml: Commands, data_dir: Path) -> None:
    """What describe counts is what scikit-learn's reader sees."""
    x, y = read_libsvm(data_dir / "agaricus/agaricus.txt.train", n_features=126)
    packed(mr_ml, "agaricus", data_dir / "agaricus/agaricus.txt.train")
    shape = mr_ml("describe", "agaricus", "--features", "200")
    assert (shape["n_rows"], shape["n_features"], shape["nnz"]) == (*x.shape, x.nnz)
    assert shape["label_counts"]["train"] == {f"{v:g}": int((y == v).sum()) for v in np.unique(y)}
    dense = x.toarray()
    found = shape["features"]["train"]
    np.testing.assert_allclose([f["mean"] for f in found], dense.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose([f["std"] for f in found], dense.std(axis=0), atol=1e-12)
    assert [f["min"] for f in found] == dense.min(axis=0).tolist()
    assert [f["max"] for f in found] == dense.max(axis=0).tolist()
    assert [f["nonzero"] for f in found] == (dense != 0).sum(axis=0).tolist()
