"""Decisions of the gate from facts alone, and the rules that it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from night import WINDOW, Nights
from scipy import stats

from mr_ml.catalog.dataset import load_dataset
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.models.paired import Difference
from mr_ml.retraining.gate.facts import Drift, Facts, Measured, Move, SchemaChange
from mr_ml.retraining.gate.judge import judge
from mr_ml.retraining.gate.measure import measure
from mr_ml.retraining.gate.rules import Bounds, GateRules, MaxPsi
from mr_ml.retraining.gate.table import table


def test_what_cannot_be_measured_is_said(nights: Nights) -> None:
    model = nights.yesterday("species")
    rows = [["label", "a", "b", "c", "d"]] + [["daisy" if k % 3 else "setosa", *"1234"] for k in range(60)]
    name = nights.pack(rows)
    dataset = load_dataset(nights.session.root, name)
    found = measure(nights.session, model, None, dataset, "test")
    assert found.fault is not None
    assert found.fault.startswith(f"rows of test have labels that {model.reference} does not know, such as daisy")
    assert (found.metrics, found.published_metrics, found.published_fault) == ({}, {}, None)
    with pytest.raises(UsageError, match="has no split 'dev'"):
        measure(nights.session, nights.yesterday("clicks"), None, dataset, "dev")


MEASURED = Measured(
    n_rows=1000, metrics={"log_loss": 0.5, "auc": 0.8}, published_metrics={"log_loss": 0.5}, fault=None,
    published_fault=None,
    differences={"log_loss": Difference(mean=0.0, standard_error=0.001, n_rows=1000, effective_rows=1000.0)},
)  # fmt: skip

FACTS = Facts(
    published="m@1", n_rows=900, n_all_rows=1900, published_n_rows=1000,
    labels={"no": 600, "yes": 300}, test_labels={"no": 700, "yes": 300}, published_labels=("no", "yes"),
    training={"converged": True, "stop": "done", "objective": 0.5, "gradient_norm": 0.0}, measured=MEASURED,
    window=None, drift=None, schema=None,
)  # fmt: skip


def compared(difference: Difference, **rules: Any) -> Any:
    facts = replace(FACTS, measured=replace(MEASURED, differences={"log_loss": difference}))
    decision = judge(GateRules(**rules), facts)
    (check,) = [check for check in decision.checks if check.name == "log_loss against m@1"]
    assert decision.accepted == check.passed
    return check


def test_not_worse_must_be_shown() -> None:
    quantile = stats.t.ppf(0.95, 999)
    right = 0.005 - quantile * 0.001
    for mean, passed in ((right - 1e-9, True), (right + 1e-9, False), (0.006, False), (np.nan, False)):
        check = compared(Difference(mean=mean, standard_error=0.001, n_rows=1000, effective_rows=1000.0), margin=0.01)
        assert check.passed == passed
        assert ("too few test rows" in check.found) == (mean == right + 1e-9)
    # so many rows would do: with them the bound is the margin
    wide = Difference(mean=0.001, standard_error=0.01, n_rows=1000, effective_rows=1000.0)
    check = compared(wide, margin=0.01)
    assert check.numbers["rows_needed"] == pytest.approx(1000 * (quantile * 0.01 / 0.004) ** 2)
    assert check.found.endswith("1000 rows, about 17000 would be enough")
    assert compared(wide, margin=0.1).passed
    assert not compared(wide, margin=0.03).passed
    assert compared(wide, margin=0.03, confidence=0.75).passed


def test_accuracy_is_worse_where_it_is_lower() -> None:
    for mean, passed in ((0.02, True), (-0.02, False)):
        difference = Difference(mean=mean, standard_error=1e-4, n_rows=1000, effective_rows=1000.0)
        metrics = {"accuracy": 0.9}
        measured = replace(MEASURED, metrics=metrics, published_metrics=metrics, differences={"accuracy": difference})
        decision = judge(GateRules(metric="accuracy"), replace(FACTS, measured=measured))
        assert decision.accepted == passed


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, []),
        ({"labels": {"no": 900, "yes": 0}}, ["classes", "labels"]),
        ({"test_labels": {"no": 0, "yes": 1000}}, ["test labels"]),
        ({"test_labels": {"no": 18, "yes": 0}}, ["test labels"]),
        # one label by chance: (2/3)^17 is more than one in a thousand
        ({"test_labels": {"no": 17, "yes": 0}}, []),
        (
            {
                "test_labels": {"no": 1000},
                "labels": {"no": 899_999, "yes": 1},
                "published_n_rows": 900_000,
                "n_rows": 900_000,
            },
            [],
        ),
        ({"n_rows": 499}, ["training rows"]),
        ({"n_rows": 2001}, ["training rows"]),
        ({"n_rows": 500}, []),
        ({"n_rows": 2000}, []),
        ({"training": {"converged": False, "stop": "max_passes"}}, ["convergence"]),
        ({"training": {"converged": True, "stop": "done", "objective": np.nan}}, ["metrics"]),
        ({"measured": replace(MEASURED, fault="overflow")}, ["metrics", "log_loss against m@1"]),
        ({"measured": replace(MEASURED, published_fault="overflow")}, ["log_loss against m@1"]),
        ({"measured": replace(MEASURED, differences={})}, ["log_loss against m@1"]),
        ({"measured": replace(MEASURED, metrics={"log_loss": 0.5, "auc": np.nan})}, ["metrics", "auc bounds"]),
        ({"measured": replace(MEASURED, metrics={"log_loss": 0.5, "auc": None})}, ["auc bounds"]),
        ({"measured": replace(MEASURED, metrics={"log_loss": 0.5, "auc": 0.69})}, ["auc bounds"]),
        ({"published": None, "published_n_rows": None, "published_labels": ()}, []),
        ({"window": replace(WINDOW, least_rows=1900, published_last=WINDOW.last)}, []),
        ({"window": replace(WINDOW, least_rows=1901, published_last="2026-11-29")}, ["rows", "last day"]),
    ],
)
def test_a_decision_from_facts(change: dict[str, Any], refused: list[str]) -> None:
    decision = judge(GateRules(bounds={"auc": Bounds(min=0.7)}), replace(FACTS, **change))
    assert [check.name for check in decision.checks if not check.passed] == refused
    assert decision.accepted == (not refused)
    # the manifest takes it
    assert stored.read(type(decision), decision.to_json(), where="a test") == decision


def test_bounds_hold_on_both_sides() -> None:
    for bounds, passes in (
        (Bounds(max=0.5), True), (Bounds(max=0.49), False), (Bounds(min=0.5), True), (Bounds(min=0.51), False),
        (Bounds(min=0.4, max=0.6), True), (Bounds(), True),
    ):  # fmt: skip
        assert judge(GateRules(bounds={"log_loss": bounds}), FACTS).accepted == passes, bounds
    # what is not a number is not within bounds, not even where there are none
    facts = replace(FACTS, measured=replace(MEASURED, metrics={"log_loss": np.nan}))
    checks = judge(GateRules(bounds={"log_loss": Bounds()}), facts).checks
    assert [check.passed for check in checks if check.name == "log_loss bounds"] == [False]


def test_other_labels_if_they_may_be_there() -> None:
    facts = replace(FACTS, labels={"no": 600, "yes": 200, "maybe": 100}, measured=replace(MEASURED, differences={}))
    assert not judge(GateRules(), facts).accepted
    decision = judge(GateRules(labels="any"), facts)
    assert decision.accepted
    assert "not compared: m@1 does not know all labels" in table(decision)


@pytest.mark.parametrize(
    ("schema", "known", "change", "passed", "found"),
    [
        ("same", True, {}, True, "the same"),
        ("same", False, {}, True, "the same columns; how often each was there"),
        ("any", True, {"settings": ("format: csv, before libsvm",)}, True, "format: csv, before libsvm"),
        ("may_grow", True, {"settings": ("offsets: yes, before no",)}, False, "offsets: yes, before no"),
        ("may_grow", True, {"reordered": True}, True, "the features are in another order"),
        ("same", True, {"n_appeared": 1, "appeared_rate": 0.01}, True, "1 features appeared and 0 vanished, all of"),
        ("any", True, {"n_vanished": 1, "vanished": ("a",), "vanished_rate": 1.0}, True, "1 features vanished, such"),
    ],
)
def test_what_has_changed_is_said_also_where_it_may(
    schema: Any, known: bool, change: dict[str, Any], passed: bool, found: str
) -> None:
    facts = replace(FACTS, schema=SchemaChange(**change), drift=Drift() if known else None)
    (check,) = [check for check in judge(GateRules(schema=schema), facts).checks if check.name == "schema"]
    assert check.passed == passed
    assert check.found.startswith(found)


def test_a_table_obeys_no_hostile_name() -> None:
    move = Move(what="x\x1b[31m\n=cmd", by=np.inf, before=0, now=1)
    decision = judge(GateRules(), replace(FACTS, drift=Drift(means=(move,), n_features=1)))
    assert not decision.accepted
    lines = table(decision).splitlines()
    assert len(lines) == len(decision.checks)
    assert all(line.isprintable() for line in lines)
    assert [line[:2] for line in lines] == ["ok" if check.passed else "NO" for check in decision.checks]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"margin": -0.1}, "`margin`: expected a number of at least 0, found -0.1"),
        ({"confidence": 1.0}, "`confidence`: expected a number below 1"),
        ({"metric": "auc"}, "`metric`: expected one of 'log_loss', "),
        ({"bounds": {"auc": {"min": 0.9, "max": 0.1}}}, "`bounds`.auc: expected"),
        ({"max_psi": {"class": 1}}, "`max_psi`"),
        ({"max_row_change": 1}, "`max_row_change`: expected a number below 1"),
    ],
)
def test_rules_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        stored.check(GateRules, given, what="`gate`")


def test_rules_are_all_optional() -> None:
    given = {"bounds": {"auc": {"min": 0.7}}, "max_psi": {"classes": None}}
    rules = stored.check(GateRules, given, what="`gate`")
    assert rules == GateRules(bounds={"auc": Bounds(min=0.7)}, max_psi=MaxPsi(classes=None))
