"""Standard errors of columns of categories: contrasts to a base, as of R's treatment contrasts, against statsmodels."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from commands import Commands
from inference_cases import EXACTLY, inferred
from test_glm_optima import r_table

from mr_ml.errors import UsageError
from mr_ml.models.inference import Inference

N = 500
FAMILIES: dict[str, Callable[[], Any]] = {
    "squared": sm.families.Gaussian,
    "logistic": sm.families.Binomial,
    "poisson": sm.families.Poisson,
    "probit": lambda: sm.families.Binomial(sm.families.links.Probit()),
    "gamma": lambda: sm.families.Gamma(sm.families.links.Log()),
}
# a few levels and rows are stored dense and factored; many, and they are sparse and summed
SIZES = {"dense": (3, 2), "sparse": (30, 12)}


def packed(folder: Path, table: Mapping[str, Sequence[Any]], *options: str) -> Commands:
    place = Commands(folder / "root", runner=("-r", "inline"))
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*(map(_exact, column) for column in table.values()), strict=True))
    place("pack", folder / "rows.csv", "--to", "rows", "--label-column", "y", *options)
    return place


def _exact(value: Any) -> str:
    return value if isinstance(value, str) else repr(float(value))


def fitted(folder: Path, table: Mapping[str, Sequence[Any]], loss: str, *options: str, pack: Sequence[str] = ()) -> Any:
    folder.mkdir(exist_ok=True)
    place = packed(folder, table, *pack)
    place("train", "rows", "--model", "m", "--loss", loss, *EXACTLY, *options)
    return inferred(folder)


def rows(size: tuple[int, ...], family: str, *, seed: int = 3) -> dict[str, Any]:
    """Two columns of categories of names that sort in their own way, and numbers, one far from 0."""
    rng = np.random.default_rng(seed)
    of = [rng.integers(0, n, N) for n in size]
    x, t = rng.normal(size=N), 3e4 + rng.normal(size=N)
    z = 0.4 * np.sin(of[0]) - 0.3 * np.cos(of[1]) + 0.3 * x + 0.2 * (t - 3e4)
    y: dict[str, Any] = {
        "squared": z + rng.normal(size=N), "logistic": (z + rng.logistic(size=N) > 0) * 1.0,
        "probit": (z + rng.normal(size=N) > 0) * 1.0, "poisson": rng.poisson(np.exp(z)) * 1.0,
        "gamma": rng.gamma(3.0, np.exp(z) / 3),
    }  # fmt: skip
    names = [np.array([f"{chr(97 + k * 7 % 26)}=,{k}" for k in range(n)]) for n in size]
    return {"city": names[0][of[0]], "x": x, "kind=": names[1][of[1]], "t": t, "y": y[family]}


def design(table: Mapping[str, Any], *, bases: Mapping[str, str] | None = None, intercept: bool = True) -> Any:
    """The matrix of R's treatment contrasts, the intercept last, and the names of its columns."""
    columns, names, full = [], [], not intercept
    for name, column in table.items():
        if name in ("y", "w", "o"):
            continue
        if isinstance(column[0], str):
            levels = sorted(set(column))
            base = None if full else (bases or {}).get(name, levels[0])
            full = False
            names += [f"{name}={level}" for level in levels if level != base]
            columns += [np.array([value == level for value in column], float) for level in levels if level != base]
        else:
            names.append(name)
            columns.append(column)
    if intercept:
        names.append("(intercept)")
        columns.append(np.ones(len(table["y"])))
    return np.column_stack(columns), tuple(names)


def check(found: Inference, theirs: Any, *, digits: float = 1e-8) -> None:
    estimates = np.asarray(theirs.params)
    # of a sum of large numbers, which the intercept is, in units of its error
    np.testing.assert_allclose(found.estimates / found.std_errors(), estimates / theirs.bse, rtol=digits, atol=digits)
    np.testing.assert_allclose(found.std_errors(), theirs.bse, rtol=digits)
    np.testing.assert_allclose(found.p_values(), theirs.pvalues, rtol=1e-6, atol=1e-12)
    covariance = np.asarray(theirs.cov_params())
    size = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(found.covariance_of() / size, covariance / size, atol=digits)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("loss", FAMILIES)
def test_each_category_less_the_first(tmp_path: Path, loss: str, size: str) -> None:
    table = rows(SIZES[size], loss)
    found = fitted(tmp_path, table, loss)
    x, names = design(table)
    assert found.features == names
    assert found.statistics.rank == len(names) == len(found.estimates)
    assert found.bases == tuple(f"{column}={min(table[column])}" for column in ("city", "kind="))
    theirs = sm.GLM(table["y"], x - (np.array(names) == "t") * 3e4, family=FAMILIES[loss]()).fit(
        tol=1e-13, tol_criterion="params", maxiter=99
    )
    # the same numbers but for the intercept, which is that at t = 0
    back = np.eye(len(names))
    back[-1, names.index("t")] = -3e4
    covariance = back @ np.asarray(theirs.cov_params()) @ back.T
    bse = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found.std_errors(), bse, rtol=1e-8)
    np.testing.assert_allclose((found.estimates - back @ theirs.params) / bse, 0, atol=1e-8)
    np.testing.assert_allclose(found.covariance_of() / np.outer(bse, bse), covariance / np.outer(bse, bse), atol=1e-8)
    assert found.statistics.deviance == pytest.approx(theirs.deviance, rel=1e-9)
    assert found.statistics.df_residual == theirs.df_resid
    # any base can be had of what is kept, robust errors too
    table.pop("t")
    near = fitted(tmp_path / "near", table, loss)
    bases = {column: sorted(set(table[column]))[-2] for column in ("city", "kind=")}
    x, names = design(table, bases=bases)
    other = near.rebased(*(f"{column}={base}" for column, base in bases.items()))
    assert other.features == names
    theirs = sm.GLM(table["y"], x, family=FAMILIES[loss]()).fit(
        tol=1e-13, tol_criterion="params", maxiter=99, use_t=near.statistic == "t"
    )
    check(other, theirs)
    bread = np.linalg.inv(-theirs.model.hessian(theirs.params, scale=1.0, observed=True))
    score = theirs.model.score_obs(theirs.params, scale=1.0)
    np.testing.assert_allclose(other.std_errors("HC0") ** 2, np.diag(bread @ score.T @ score @ bread), rtol=1e-8)
    again = other.rebased(*near.bases)
    np.testing.assert_allclose(again.covariance_of(), near.covariance_of(), rtol=1e-9)
    assert (again.features, again.contrasts) == (near.features, near.contrasts)


@pytest.mark.parametrize("size", SIZES)
def test_weights_and_offsets(tmp_path: Path, size: str) -> None:
    table, rng = rows(SIZES[size], "poisson"), np.random.default_rng(1)
    table = {**table, "t": table["t"] - 3e4, "w": rng.integers(0, 4, N) * 1.0, "o": rng.normal(size=N)}
    found = fitted(tmp_path, table, "poisson", pack=("--weight-column", "w", "--offset-column", "o"))
    x, names = design(table)
    assert found.features == names
    given: dict[str, Any] = {"var_weights": table["w"], "offset": table["o"]}
    check(
        found,
        sm.GLM(table["y"], x, family=sm.families.Poisson(), **given).fit(tol=1e-13, tol_criterion="params", maxiter=99),
    )


@pytest.mark.parametrize("size", SIZES)
def test_without_an_intercept_the_first_column_keeps_all(tmp_path: Path, size: str) -> None:
    """As R's `y ~ 0 + city + x + kind`: its categories are those at the bases of the others."""
    table = rows(SIZES[size], "logistic")
    table.pop("t")
    found = fitted(tmp_path, table, "logistic", "--no-intercept")
    x, names = design(table, intercept=False)
    assert found.features == names
    assert found.bases == (f"kind=={min(table['kind='])}",)
    check(
        found, sm.GLM(table["y"], x, family=sm.families.Binomial()).fit(tol=1e-13, tol_criterion="params", maxiter=99)
    )
    base = sorted(set(table["kind="]))[1]
    x, names = design(table, bases={"kind=": base}, intercept=False)
    check(
        found.rebased(f"kind=={base}"),
        sm.GLM(table["y"], x, family=sm.families.Binomial()).fit(tol=1e-13, tol_criterion="params", maxiter=99),
    )


def test_of_each_class(tmp_path: Path) -> None:
    table, rng = rows((4, 3), "squared"), np.random.default_rng(2)
    table.pop("t")
    table["y"] = np.digitize(table["y"] + rng.normal(size=N), [-0.6, 0.5]) * 1.0
    found = fitted(tmp_path, table, "softmax")
    x, names = design(table)
    assert found.features == names
    theirs = sm.MNLogit(table["y"], x).fit(disp=0, method="newton", tol=1e-13, maxiter=99)
    np.testing.assert_allclose(found.estimates, theirs.params.T.ravel(), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found.std_errors(), theirs.bse.T.ravel(), rtol=1e-8)
    base = sorted(set(table["city"]))[2]
    x, _ = design(table, bases={"city": base})
    theirs = sm.MNLogit(table["y"], x).fit(disp=0, method="newton", tol=1e-13, maxiter=99)
    other = found.rebased(f"city={base}")
    np.testing.assert_allclose(other.estimates, theirs.params.T.ravel(), rtol=1e-8, atol=1e-8)
    covariance = np.asarray(theirs.cov_params())
    np.testing.assert_allclose(other.covariance_of(), covariance, rtol=1e-7, atol=1e-9 * np.abs(covariance).max())


@pytest.mark.parametrize("name", ["Insurance", "dobson", "quine"])
def test_tables_of_r(data_dir: Path, tmp_path: Path, name: str) -> None:
    """Standard errors that R printed, from the columns of texts themselves."""
    columns = {
        "Insurance": ("District", "Group", "Age"),
        "dobson": ("outcome", "treatment"),
        "quine": ("Eth", "Sex", "Age", "Lrn"),
    }[name]
    expected = json.loads((data_dir / "_oracles" / f"glm_{name}.json").read_text())
    given = r_table(data_dir, name)
    y = {"Insurance": "Claims", "dobson": "counts", "quine": "Days"}[name]
    table: dict[str, Any] = {column: [f"l{value}" for value in given[column]] for column in columns}
    table["y"] = [float(value) for value in given[y]]
    pack: tuple[str, ...] = ()
    if name == "Insurance":
        table["o"] = np.log(np.array(given["Holders"], float))
        pack = ("--offset-column", "o")
    found = fitted(tmp_path, table, "poisson", pack=pack)
    if name == "Insurance":
        found = found.rebased("Group=l<1l", "Age=l<25")
    ours = dict(zip(found.features, zip(found.estimates, found.std_errors(), strict=True), strict=True))
    theirs = {
        key: (coef, expected["se"][key]) for key, coef in expected["coef"].items()
    }  # fmt: skip
    spelled = {"(Intercept)": "(intercept)"} | {
        f"{column}{value}": f"{column}=l{value}" for column in columns for value in set(given[column])
    }
    assert sorted(spelled.get(key, key) for key in theirs) == sorted(ours)
    for key, pair in theirs.items():
        np.testing.assert_allclose(ours[spelled[key]], pair, rtol=1e-8, atol=1e-8)


def test_what_categories_do_not_tell_stays_open(tmp_path: Path) -> None:
    """A column that follows from another has none; columns beside them, and the intercept, have what R gives."""
    table = rows((4, 3), "logistic")
    table.pop("t")
    table["region"] = np.where(np.isin(table["city"], sorted(set(table["city"]))[:2]), "north", "south")
    table["same"] = np.full(N, "all")
    found = fitted(tmp_path, table, "logistic")
    assert found.bases[2:] == ("region=north", "same=all")
    errors = dict(zip(found.features, found.std_errors(), strict=True))
    assert np.isnan(errors["region=south"])
    x, names = design({name: table[name] for name in ("city", "x", "kind=", "y")})
    theirs = sm.GLM(table["y"], x, family=sm.families.Binomial()).fit(tol=1e-13, tol_criterion="params", maxiter=99)
    known = dict(zip(names, theirs.bse, strict=True))
    second = sorted(set(table["city"]))[1]
    # within the north nothing is open, nor where both are at their bases
    for name in ("x", f"city={second}", "(intercept)", *(name for name in names if name.startswith("kind="))):
        assert errors[name] == pytest.approx(known[name], rel=1e-8), name
    assert "region=south" in found.notes[0] or "region=south" in found.notes[-1]
    assert f"city={second}" not in " ".join(found.notes)
    with pytest.raises(UsageError, match=r"expected COLUMN=LEVEL.*found 'city=nowhere'; there are 'city="):
        found.rebased("city=nowhere")
    with pytest.raises(UsageError, match="expected one base of 'region'"):
        found.rebased("region=north", "region=south")


def test_rows_without_a_category_need_no_base(tmp_path: Path) -> None:
    """Categories that were not seen before and are ignored are none: each that is there has a parameter of its own."""
    table = rows((3, 2), "logistic")
    table.pop("t")
    place = packed(tmp_path, table, "--unseen", "ignore")
    more = {**table, "city": np.where(np.arange(N) < 60, "elsewhere", table["city"])}
    packed(tmp_path, more, "--unseen", "ignore", "--like", "rows")
    place("train", "rows@2", "--model", "m", *EXACTLY)
    found = inferred(tmp_path)
    assert found.bases == (f"kind=={min(table['kind='])}",)
    # the base of the design is none of the cities
    x, names = design({**more, "city": np.where(np.arange(N) < 60, " ", more["city"])})
    assert found.features == names
    check(
        found, sm.GLM(table["y"], x, family=sm.families.Binomial()).fit(tol=1e-13, tol_criterion="params", maxiter=99)
    )


def test_a_category_that_no_row_of_the_split_has_is_no_base(tmp_path: Path) -> None:
    table = rows((3, 2), "logistic")
    table.pop("t")
    cities = sorted(set(table["city"]))
    table["city"] = np.where(table["city"] == cities[0], cities[1], table["city"])
    place = Commands(tmp_path / "root", runner=("-r", "inline"))
    packed(tmp_path, table)
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text((tmp_path / "rows.csv").read_text())
    header, first, *_ = (tmp_path / "rows.csv").read_text().splitlines()
    test.write_text(f"{header}\n{first.replace(cities[1], cities[0]).replace(cities[2], cities[0])}\n")
    place(
        "pack",
        "--split-inputs",
        f"train={train}",
        "--split-inputs",
        f"test={test}",
        "--to",
        "rows",
        "--label-column",
        "y",
    )
    place("train", "rows", "--model", "m", *EXACTLY)
    found = inferred(tmp_path)
    assert found.bases[0] == f"city={cities[1]}"
    kept = [name for name in found.features if name != f"city={cities[0]}"]
    x, names = design(table)
    assert tuple(kept) == names
    theirs = sm.GLM(table["y"], x, family=sm.families.Binomial()).fit(tol=1e-13, tol_criterion="params", maxiter=99)
    errors = dict(zip(found.features, found.std_errors(), strict=True))
    np.testing.assert_allclose([errors[name] for name in names], theirs.bse, rtol=1e-8)
    assert np.isnan(errors.get(f"city={cities[0]}", np.nan))
