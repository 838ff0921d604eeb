"""mr-ml models show: coefficients in an order that says what matters, with all that is known of each."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, write_csv, write_libsvm

import mr_ml

N = 400
SCALES = {"tiny": 1e-3, "b": 1.0, "large": 1e3, "mid": 30.0}


def packed(mr_ml: Commands, folder: Path, labels: Any, x: Any) -> None:
    table = {"y": labels, **dict(zip(SCALES, x.T, strict=True))}
    mr_ml("pack", write_csv(folder / "rows.csv", table), "--to", "rows", "--label-column", "y", "--format", "csv")


def some_rows(seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    scaled = rng.normal(size=(N, 4))
    z = scaled @ [0.2, -0.5, 1.5, -0.9]
    return scaled * list(SCALES.values()) + [0, 0, 5e3, 0], z + rng.logistic(size=N)


def table_of(shown: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(shown)))


def test_the_strongest_feature_is_first(mr_ml: Commands, tmp_path: Path) -> None:
    x, z = some_rows()
    packed(mr_ml, tmp_path, (z > 0) * 1.0, x)
    mr_ml("train", "rows", "--model", "m", "--loss", "logistic", "--l2", "0.001")
    coef = dict(zip(SCALES, mr_ml.coef("m").coef[0], strict=True))
    sizes = {name: coef[name] * np.std(x[:, k]) for k, name in enumerate(SCALES)}
    expected = sorted(SCALES, key=lambda name: -abs(sizes[name]))
    assert expected[0] == "large"
    lines = mr_ml.run("models", "show", "m").out.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("feature"))
    assert lines[at].split() == ["feature", "coef", "standardized", "odds", "ratio"]
    assert [line.split()[0] for line in lines[at + 1 : at + 6]] == ["(intercept)", *expected]
    first = lines[at + 2].split()
    assert first[1:] == [f"{of:.6g}" for of in (coef["large"], sizes["large"], np.exp(coef["large"]))]
    assert lines[at + 6] == "all 4 coefficients, by |coefficient| x standard deviation of the feature"
    for sort, names in {
        "size": expected,
        "raw": sorted(SCALES, key=lambda name: -abs(coef[name])),
        "name": ["b", "large", "mid", "tiny"],
        "order": list(SCALES),
    }.items():
        rows = table_of(mr_ml.run("models", "show", "m", "--sort", sort, "--csv", "--features", "1").out)
        assert [row["feature"] for row in rows] == ["(intercept)", *names]
        for row in rows[1:]:
            assert float(row["coef"]) == coef[row["feature"]]
            assert float(row["standardized"]) == pytest.approx(sizes[row["feature"]], rel=1e-9)
            assert float(row["odds_ratio"]) == pytest.approx(np.exp(coef[row["feature"]]), rel=1e-12)
        shown = mr_ml("models", "show", "m", "--sort", sort, "--features", "2")
        assert [row["feature"] for row in shown["parameters"]] == ["(intercept)", *names[:2]]
        assert (shown["n_parameters"], shown["parameters_left_out"]) == (4, 2)
    said = mr_ml.run("models", "show", "m", "--features", "3", "--sort", "raw").out
    assert "3 of 4 coefficients, by |coefficient|; 1 are left out: --features N for more, --csv for all" in said


@pytest.mark.parametrize(
    ("loss", "ratio"),
    [
        ("poisson", "rate_ratio"), ("negative_binomial:theta=2", "rate_ratio"), ("gamma", "mean_ratio"),
        ("tweedie:power=1.5", "mean_ratio"), ("gamma:link=inverse", None), ("squared", None), ("probit", None),
        ("inverse_gaussian", None), ("cloglog", None),
    ],
)  # fmt: skip
def test_what_a_unit_more_multiplies(mr_ml: Commands, tmp_path: Path, loss: str, ratio: str | None) -> None:
    """Of log links e^coefficient, which is the ratio of two predictions a unit apart; of others nothing."""
    rng = np.random.default_rng(1)
    classes = loss in ("probit", "cloglog")
    labels = rng.integers(0, 2, N) * 1.0 if classes else rng.gamma(9.0, 0.2, N)
    x = rng.normal(size=(N, 4)) * 0.02
    packed(mr_ml, tmp_path, labels, x)
    mr_ml("train", "rows", "--model", "m", "--loss", loss, "--l2", "0.01")
    rows = mr_ml("models", "show", "m")["parameters"]
    names = set(rows[0]) - {"output", "feature", "coef", "standardized"}
    assert names == ({ratio} if ratio else set())
    if ratio:
        model = mr_ml_model(mr_ml)
        at = np.zeros((2, 4))
        at[1, 1] = 1.0
        predicted = model.predict(at)
        assert {row["feature"]: row[ratio] for row in rows}["b"] == pytest.approx(
            predicted[1] / predicted[0], rel=1e-12
        )
        assert rows[0][ratio] is None


def mr_ml_model(commands: Commands) -> Any:
    return mr_ml.load_model(commands.root, "m")


def test_standard_errors_that_are_kept(mr_ml: Commands, tmp_path: Path) -> None:
    x, z = some_rows()
    packed(mr_ml, tmp_path, z, x)
    mr_ml("train", "rows", "--model", "m", "--loss", "squared", "--inference")
    found = mr_ml_infer(mr_ml)
    rows = {row["feature"]: row for row in mr_ml("models", "show", "m")["parameters"]}
    for k, name in enumerate(found.features):
        told = [rows[name][column] for column in ("std_error", "t", "p")]
        assert told == [found.std_errors()[k], found.test_statistics()[k], found.p_values()[k]]
    file = Path(mr_ml("models", "show", "m")["coef_uri"]).parent / "inference"
    file.write_bytes(file.read_bytes()[:-5])
    said = mr_ml.run("models", "show", "m")
    assert said.code == 65
    assert str(file) in said.err
    assert "standardized" in said.out
    assert "std. error" not in said.out


def mr_ml_infer(commands: Commands) -> Any:
    return mr_ml.infer(commands.root, "m")


def test_categories_have_no_standard_error_of_their_own(mr_ml: Commands, tmp_path: Path) -> None:
    """Theirs are of other numbers, differences; that is said, and names from the data are printable."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=N)
    names = ["a", "b\x1b[31m", "c d"]
    city = rng.integers(0, 3, N)
    y = x + city + rng.normal(size=N)
    lines = [f"{names[k]},{a!r},{b!r}" for k, a, b in zip(city.tolist(), x.tolist(), y.tolist(), strict=True)]
    (tmp_path / "rows.csv").write_text("\n".join(["city,x,y", *lines]) + "\n")
    mr_ml("pack", tmp_path / "rows.csv", "--to", "rows", "--label-column", "y")
    mr_ml("train", "rows", "--model", "m", "--loss", "squared", "--inference")
    rows = {row["feature"]: row for row in mr_ml("models", "show", "m")["parameters"]}
    assert [name for name, row in rows.items() if row["std_error"] is not None] == ["x"]
    said = mr_ml.run("models", "show", "m").out
    assert "\x1b" not in said
    assert "city=b\\x1b[31m" in said
    assert "standard errors of categories, each less its base, and of (intercept) at the bases: --table" in said
    found = mr_ml.run("models", "show", "m", "--table", "--sort", "name")
    assert found.code == 2
    assert "leave out --table" in found.err


def test_each_class_has_its_own_order(mr_ml: Commands, tmp_path: Path) -> None:
    x, z = some_rows(3)
    y = np.digitize(z, [-1.0, 1.0]) + (x[:, 1] > 0.8) * (z > 0)
    packed(mr_ml, tmp_path, y * 1.0, x)
    mr_ml("train", "rows", "--model", "m", "--loss", "softmax", "--l2", "0.01")
    coef = mr_ml.coef("m").coef
    rows = table_of(mr_ml.run("models", "show", "m", "--csv").out)
    assert list(rows[0]) == ["output", "feature", "coef", "standardized"]
    for output, of in zip(("0", "1", "2", "3"), coef, strict=True):
        sizes = dict(zip(SCALES, np.abs(of * x.std(axis=0)), strict=True))
        expected = sorted(SCALES, key=lambda name: -sizes[name])
        assert [row["feature"] for row in rows if row["output"] == output] == ["(intercept)", *expected]
    lines = mr_ml.run("models", "show", "m", "--features", "1").out.splitlines()
    assert [line for line in lines if line.endswith(":")] == ["0:", "1:", "2:", "3:"]
    assert "1 of 4 coefficients of each class" in lines[-1]


def test_without_the_dataset(mr_ml: Commands, tmp_path: Path) -> None:
    """Then sizes are not known, which is said; the model is whole."""
    x = np.random.default_rng(0).normal(size=(60, 3)) * [1.0, 100.0, 1.0]
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, np.arange(60) % 2), "--to", "rows")
    mr_ml("train", "rows", "--model", "m", "--l2", "0.1")
    shutil.rmtree(mr_ml.root / "datasets")
    said = mr_ml.run("models", "show", "m")
    assert said.code == 0
    assert "standardized is not known: the moments of the dataset are gone" in said.out
    assert "all 3 coefficients, by |coefficient|" in said.out
    assert {row["standardized"] for row in mr_ml("models", "show", "m")["parameters"]} == {None}
