"""Which features are said to be sums of others; which are is known by how they are made, or of numpy's rank."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import read_csv
from scipy import sparse

import mr_ml
from mr_ml.optimize.choose import OPTIMIZERS

N = 300
NAMES = ["a", "b", "c", "d"]
START = "collinear features, to 7 digits or more: "


def told(root: Path, x: Any, y: Any, names: list[str] | None = None, *, with_rows: Any = None, **options: Any) -> str:
    """Return what is said to be a sum, of a model that was trained; empty for nothing."""
    mr_ml.pack_arrays(root, x, y, "rows", feature_names=names, **(with_rows or {}))
    return trained(root, "rows", **options)


def some_rows(seed: int = 0) -> tuple[Any, Any]:
    """Three features of which none is a sum, one that is; labels 0 and 1."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(N, 4)) + 0.5
    x[:, 3] = x[:, 0] - 2 * x[:, 2] + 3
    return x, (x[:, 0] + random.logistic(size=N) > 0.5) * 1.0


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets with a sum and without one, dense and sparse."""
    root = tmp_path_factory.mktemp("packed")
    x, y = some_rows()
    x[:, 1] *= np.arange(N) % 3 == 0
    near = x + [0, 0, 0, 1e-3] * np.sin(np.arange(N))[:, None]
    for name, rows in (("sum", x), ("near", near)):
        mr_ml.pack_arrays(root, rows, y, f"{name}-dense", feature_names=NAMES)
        mr_ml.pack_arrays(root, sparse.csr_array(rows), y, f"{name}-sparse", feature_names=NAMES)
    return root


def trained(root: Path, dataset: str, **options: Any) -> str:
    said = [text for text in mr_ml.train(root, dataset, "m", **options).warnings if text.startswith(START)]
    assert len(said) <= 1
    return said[0].removeprefix(START).split(": ")[0] if said else ""


@pytest.mark.parametrize("solver", [name for name in OPTIMIZERS.built_in if name != "auto"])
@pytest.mark.parametrize(("loss", "form", "l2"), [("squared", "dense", 0), ("squared", "sparse", 0.01),
                                                  ("logistic", "dense", 0.01), ("logistic", "sparse", 0)])  # fmt: skip
def test_by_every_solver(packed: Path, loss: str, solver: str, l2: float, form: str) -> None:
    assert trained(packed, f"sum-{form}", loss=loss, solver=solver, l2=l2) == "d = a - 2 c + 3"
    assert trained(packed, f"near-{form}", loss=loss, solver=solver, l2=l2) == ""


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_by_every_runner_alike(packed: Path, form: str) -> None:
    (one,) = mr_ml.train(packed, f"sum-{form}", "m", l2=0.1).warnings
    (other,) = mr_ml.train(packed, f"sum-{form}", "m", l2=0.1, runner="local", workers=2).warnings
    assert one == other


@pytest.mark.parametrize("loss", ["softmax", "poisson", "huber:delta=1", "squared_hinge", "probit"])
def test_of_every_kind_of_loss(packed: Path, loss: str) -> None:
    """Adding one number to all margins of a row is no sum of features."""
    assert trained(packed, "sum-dense", loss=loss) == "d = a - 2 c + 3"
    assert trained(packed, "near-sparse", loss=loss) == ""


def test_by_rows_that_count(tmp_path: Path) -> None:
    """What rows of weight 0 say is not known; offsets change nothing."""
    x, y = some_rows(2)
    extra = {"weights": (np.arange(N) % 4 > 0) * 1.0, "offsets": np.linspace(-2, 2, N)}
    x[::4, 3] += 1
    assert told(tmp_path, x, y, NAMES, with_rows=extra, l2=0.1) == "d = a - 2 c + 3"
    assert told(tmp_path, x, y, NAMES, with_rows=extra, l2=0.1, row_weights=False) == ""


def test_without_an_intercept_a_number_is_no_sum(tmp_path: Path) -> None:
    x, y = some_rows()
    assert told(tmp_path, x, y, NAMES, intercept=False) == ""
    x[:, 3] -= 3
    assert told(tmp_path, x, y, NAMES, intercept=False) == "d = a - 2 c"


def test_what_it_means_goes_by_the_penalty(tmp_path: Path) -> None:
    x, y = some_rows()
    mr_ml.pack_arrays(tmp_path, x, y, "rows", feature_names=NAMES)
    for options, says in (
        ({}, "other coefficients of theirs predict as well, so that those of a single one say nothing"),
        ({"l2": 0.1}, "the penalty decides how these share what they tell together"),
        ({"l1": 0.001}, "the penalty decides how these share"),
    ):
        (said,) = mr_ml.train(tmp_path, "rows", "m", **options).warnings  # type: ignore[arg-type]
        assert says in said


def test_one_number_is_told_apart_from_sums(tmp_path: Path) -> None:
    """It has a warning of its own, and is in no sum."""
    x, y = some_rows()
    x[:, 1] = 7
    mr_ml.pack_arrays(tmp_path, x, y, "rows", feature_names=NAMES)
    first, second = mr_ml.train(tmp_path, "rows", "m").warnings
    assert first.startswith("b: one number in all rows")
    assert second.startswith(f"{START}d = a - 2 c + 3: ")


def test_many_are_cut_short(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    x = random.normal(size=(N, 20))
    x[:, 10:19] = x[:, 1:10]
    x[:, 19] = x[:, :10].sum(axis=1)
    y = (random.random(N) < 0.5) * 1.0
    names = [f"f{k}" for k in range(20)]
    said = told(tmp_path, x, y, names)
    assert said == "f10 = f1; f11 = f2; f12 = f3; f13 = f4; f14 = f5; and 5 more"
    keep = [*range(10), 19]
    assert told(tmp_path, x[:, keep], y, [names[k] for k in keep]) == "f19 follows from f0, f1, f2 and 7 more"


def test_with_fewer_rows_than_features_only_what_is_short_is_said(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    x = random.normal(size=(20, 30))
    x[:, 9] = 2 * x[:, 4]
    y = (np.arange(20) % 2) * 1.0
    assert told(tmp_path, x, y, [f"f{k}" for k in range(30)], l2=0.1) == "f9 = 2 f4"


def test_the_features_are_those_that_a_rank_in_order_leaves_out(tmp_path: Path) -> None:
    """R's rule, by numpy's rank of the columns up to each."""
    random = np.random.default_rng(6)
    x = random.integers(0, 3, size=(N, 8)).astype(float)
    x[:, 2], x[:, 5], x[:, 6] = x[:, 0] + x[:, 1], 4 - x[:, 3], x[:, 2] - x[:, 5] + x[:, 4]
    columns = np.column_stack([np.ones(N), x])
    ranks = [np.linalg.matrix_rank(columns[:, : k + 1]) for k in range(9)]
    left_out = [f"f{k - 1}" for k in range(1, 9) if ranks[k] == ranks[k - 1]]
    y = (random.random(N) < 0.5) * 1.0
    for solver in ("newton", "lbfgs"):
        said = told(tmp_path, x, y, [f"f{k}" for k in range(8)], solver=solver)
        assert re.findall(r"(\w+) =", said) == left_out


@pytest.mark.parametrize("name", ["longley", "filip"])
def test_what_is_merely_hard_is_no_sum(tmp_path: Path, data_dir: Path, name: str) -> None:
    """Powers of which each is a sum of the others but for 1e-9 of it, in the loss that NIST made them for."""
    table = read_csv(data_dir / "nist_strd" / f"{name}.csv")
    x = table[:, 1:] if name == "longley" else table[:, 1:] ** np.arange(1, 11)
    for options in ({}, {"l2": 1e-6}, {"intercept": False}):
        assert told(tmp_path, x, table[:, 0], loss="squared", **options) == ""
    again = np.column_stack([x, x[:, 0] - x[:, 2]])
    assert told(tmp_path, again, table[:, 0], [f"x{k}" for k in range(again.shape[1])], loss="squared") == (
        f"x{again.shape[1] - 1} = x0 - x2"
    )


def test_near_and_far_numbers_are_no_sums(tmp_path: Path) -> None:
    """Years with their squares and cubes, a number with itself and noise, counters."""
    random = np.random.default_rng(7)
    year = random.integers(1950, 2026, N).astype(float)
    noisy = year + 1e-4 * random.normal(size=N)
    counter = 1e9 + np.arange(N)
    x = np.column_stack([year, year**2, year**3, noisy, counter, counter % 2 + 1e7])
    y = (random.random(N) < 0.5) * 1.0
    for loss in ("squared", "logistic"):
        assert told(tmp_path, x, y, loss=loss) == ""
        more = np.column_stack([x, year - 1990])
        assert told(tmp_path, more, y, [*"abcdef", "since"], loss=loss) == "since = a - 1990"


def test_a_run_that_goes_on_knows_it_still(tmp_path: Path) -> None:
    x, y = some_rows()
    whole = told(tmp_path / "whole", x, y, NAMES, l2=1e-3)
    assert told(tmp_path / "parts", x, y, NAMES, l2=1e-3, max_passes=1) == whole
    (run,) = (tmp_path / "parts" / "runs").iterdir()
    again = mr_ml.resume(tmp_path / "parts", run.name, max_passes=20)
    assert [text for text in again.warnings if text.startswith(START)] == [
        text for text in mr_ml.train(tmp_path / "whole", "rows", "m", l2=1e-3).warnings if text.startswith(START)
    ]


def test_rows_that_a_search_does_not_see_are_no_proof(tmp_path: Path) -> None:
    """A column that is another one but for outliers, which L-BFGS has left far behind where it asks for the Hessian."""
    random = np.random.default_rng(8)
    x = random.normal(size=(N, 3))
    y = (x[:, 0] + random.logistic(size=N) > 0) * 1.0
    x[0, 0], y[0] = 200.0, 1.0
    x[:, 2] = np.minimum(x[:, 0], 10)
    for solver in ("newton", "lbfgs"):
        assert told(tmp_path, x, y, NAMES[:3], solver=solver, l2=0.01) == ""
    assert told(tmp_path, x, y, NAMES[:3], solver="lbfgs", loss="squared_hinge") == ""
