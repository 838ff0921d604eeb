"""The gate on whole nights: bad candidates are refused by the check that is meant for them, sound ones are accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from night import N_ROWS, TABLES, WINDOW, Change, Nights, days

from mr_ml.catalog.provenance import InputFile
from mr_ml.models.base import Model
from mr_ml.retraining.gate.rules import Bounds, GateRules, MaxPsi
from mr_ml.retraining.gate.table import table

Lines = list[list[str]]


def column(name: str, value: Callable[[np.random.Generator, str], str]) -> Change:
    """Change each value of a column."""

    def change(lines: Lines, rng: np.random.Generator) -> Lines:
        k = lines[0].index(name)
        return [lines[0]] + [[*line[:k], value(rng, line[k]), *line[k + 1 :]] for line in lines[1:]]

    return change


def swapped(one: str, other: str) -> Callable[[np.random.Generator, str], str]:
    return lambda rng, value: {one: other, other: one}.get(value, value)


def shuffled_labels(lines: Lines, rng: np.random.Generator) -> Lines:
    labels = [lines[k][0] for k in 1 + rng.permutation(len(lines) - 1)]
    return [lines[0]] + [[label, *line[1:]] for label, line in zip(labels, lines[1:], strict=True)]


def another_column(lines: Lines, rng: np.random.Generator) -> Lines:
    return [[*lines[0], "extra"]] + [[*line, f"{rng.normal():.3f}"] for line in lines[1:]]


def without_last_column(lines: Lines, rng: np.random.Generator) -> Lines:
    return [line[:-1] for line in lines]


def other_order(lines: Lines, rng: np.random.Generator) -> Lines:
    return [[line[0], *line[:0:-1]] for line in lines]


def with_gaps(lines: Lines, rng: np.random.Generator) -> Lines:
    """A feed broke: every third price is missing."""
    return column("price", lambda rng, v: v if rng.random() < 0.67 else "")(lines, rng)


def not_a_number(model: Model) -> Model:
    """The model after an overflow."""
    spoilt: Any = model
    coef = spoilt.coef.copy()
    coef[0, 1] = np.nan
    spoilt = replace(spoilt, coef=coef, reading_coef=coef)
    assert isinstance(spoilt, Model)
    return spoilt


def same_files(*, as_of: int) -> tuple[InputFile, ...]:
    """The last day is a copy of another one."""
    files = days()
    return (*files[:-1], replace(files[-1], size=files[as_of].size, checksum=files[as_of].checksum))


def window(**facts: Any) -> dict[str, Any]:
    return {"window": replace(WINDOW, **facts)}


BAD: list[tuple[str, str, dict[str, Any]]] = [
    ("clicks", "class balance", {"change": column("clicked", swapped("yes", "no"))}),
    ("coins", "label order", {"change": column("label", swapped("0", "1"))}),
    ("species", "class balance", {"change": column("label", swapped("setosa", "virginica"))}),
    ("prices", "label mean", {"change": column("y", lambda rng, y: f"{-float(y)}")}),
    ("prices", "label mean", {"change": column("y", lambda rng, y: f"{1000 * float(y)}")}),
    ("coins", "auc bounds", {"change": shuffled_labels, "rules": GateRules(bounds={"auc": Bounds(min=0.7)})}),
    ("prices", "r2 bounds", {"change": shuffled_labels, "rules": GateRules(bounds={"r2": Bounds(min=0.5)})}),
    ("clicks", "training rows", {"n_rows": N_ROWS // 10}),
    ("species", "training rows", {"n_rows": N_ROWS // 10}),
    ("clicks", "rows", {"n_rows": 1900}),
    ("prices", "training rows", {"n_rows": 3 * N_ROWS}),
    ("clicks", "means", {"change": column("price", lambda rng, v: f"{float(v) + 15}")}),
    ("clicks", "means", {"change": column("price", lambda rng, v: f"{100 * float(v)}")}),
    ("species", "means", {"change": column("c", lambda rng, v: f"{-float(v)}")}),
    ("clicks", "presence", {"change": column("slope", lambda rng, v: v if rng.random() < 0.4 else "0")}),
    ("clicks", "presence", {"change": column("city", lambda rng, v: "Bern" if rng.random() < 0.6 else v)}),
    ("prices", "values", {"change": column("c", lambda rng, v: f"{np.sign(float(v)) + float(v) / 10:.4f}")}),
    ("coins", "values", {"change": column("d", lambda rng, v: f"{float(v) ** 3 / 4:.4f}")}),
    ("clicks", "missing values", {"change": with_gaps, "pack": {"text": {"label_column": 0, "missing": "value:100"}}}),
    ("clicks", "schema", {"change": column("city", lambda rng, v: v.upper())}),
    ("coins", "schema", {"change": another_column}),
    ("prices", "schema", {"change": without_last_column}),
    ("species", "schema", {"change": other_order}),
    ("species", "labels", {"change": column("label", lambda rng, v: "ssp" if rng.random() < 0.05 else v)}),
    ("species", "labels", {"change": column("label", lambda rng, v: "setosa" if v == "virginica" else v)}),
    ("clicks", "newest day", window(days_behind=3, late_days=2)),
    ("clicks", "days", window(files=days(20))),
    ("prices", "last day", window(last="2026-11-20")),
    ("coins", "doubled days", window(files=same_files(as_of=-2))),
    ("species", "doubled days", window(files=same_files(as_of=3))),
    ("clicks", "metrics", {"spoil": not_a_number}),
    ("species", "metrics", {"spoil": not_a_number}),
    ("clicks", "convergence", {"train": {"max_passes": 2, "solver": "lbfgs"}}),
    ("coins", "convergence", {"train": {"max_passes": 3, "solver": "lbfgs"}}),
    ("clicks", "log_loss against m-", {"train": {"l2": 0.5}}),
    ("prices", "mean_squared_error against m-", {"train": {"l2": 0.5}}),
    ("sums", "mean_squared_error against m-", {"train": {"l2": 1e-6}}),
    ("species", "accuracy against m-", {"train": {"l2": 10.0}, "rules": GateRules(margin=0.05, metric="accuracy")}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "by", "how"), BAD, ids=[f"{k}-{bad[0]}-{bad[1]}" for k, bad in enumerate(BAD)])
def test_bad_candidates_are_refused(nights: Nights, name: str, by: str, how: dict[str, Any]) -> None:
    decision = nights.tonight(name, seed=len(by), **how)
    assert not decision.accepted
    refused = [check.name for check in decision.checks if not check.passed]
    assert any(check.startswith(by) for check in refused), table(decision)
    assert any(reason.startswith(by) for reason in decision.reasons)


def rare_city(lines: Lines, rng: np.random.Generator) -> Lines:
    """One city goes, another comes, in one of a hundred rows."""
    return column("city", swapped("Kyiv", "Lima"))(lines, rng)


SOUND: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in TABLES for _ in range(5)),
    ("clicks", window(published_last=WINDOW.last)),
    ("clicks", {"change": rare_city}),
    ("coins", {"change": other_order, "rules": GateRules(margin=0.05, schema="may_grow")}),
    ("species", {"change": another_column, "rules": GateRules(margin=0.05, schema="may_grow")}),
    ("prices", {"change": without_last_column, "rules": GateRules(margin=0.3, schema="any")}),
    ("clicks", {"n_rows": 4500}),
    ("species", {"n_rows": 2100}),
    ("coins", window(days_behind=2, late_days=2, files=days(26, last=26), least_days=25)),
    ("prices", window(published_last=None)),
    ("coins", {"pack": {"seed": 5, "partitions": 3}, "rules": GateRules(margin=0.05, bounds={"auc": Bounds(min=0.7)})}),
    ("clicks", {"rules": GateRules(margin=0.05, metric="accuracy", confidence=0.9)}),
    ("prices", {"rules": GateRules(margin=0.05, metric="mean_absolute_error")}),
    ("sums", {"rules": GateRules(margin=0.05, metric="mean_absolute_error")}),
    ("species", {"train": {"max_passes": 4, "solver": "lbfgs"}, "rules": GateRules(margin=2, require_converged=False)}),
    (
        "prices",
        {
            "change": column("c", lambda rng, v: f"{float(v) + 3}"),
            "rules": GateRules(margin=9, max_mean_shift=None, max_psi=MaxPsi(values=None)),
        },
    ),
    (
        "prices",
        {
            "change": column("c", lambda rng, v: f"{float(v) + 3}"),
            "rules": GateRules(margin=9, unwatched=("c",), max_mean_shift=1.5),
        },
    ),
]


@pytest.mark.parametrize(
    ("number", "name", "how"),
    [(k, *sound) for k, sound in enumerate(SOUND)],
    ids=[f"{k}-{sound[0]}" for k, sound in enumerate(SOUND)],
)
def test_sound_candidates_are_accepted(nights: Nights, number: int, name: str, how: dict[str, Any]) -> None:
    decision = nights.tonight(name, seed=200 + number, **how)
    assert decision.accepted, table(decision)
    assert decision.reasons == []
