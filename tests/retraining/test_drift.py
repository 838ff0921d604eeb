"""Drift against closed forms and by simulation; what is kept beside a model; decisions from facts alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import make_block
from golden_frames import PROFILE, golden
from night import WINDOW, Nights, clicks
from scipy import stats

from mr_ml.catalog.dataset import load_dataset
from mr_ml.data import frame, stored
from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.paired import Difference
from mr_ml.readers.same_features import placed
from mr_ml.readers.schema import Schema
from mr_ml.retraining.gate.drift import by_chance, drift, psi, schema_change
from mr_ml.retraining.gate.facts import Drift, Facts, Measured, Move, SchemaChange
from mr_ml.retraining.gate.judge import judge
from mr_ml.retraining.gate.measure import measure
from mr_ml.retraining.gate.profile import Profile, Ranges, published_profile, ranged, save_profile
from mr_ml.retraining.gate.rules import Bounds, GateRules, MaxPsi
from mr_ml.retraining.gate.table import table
from mr_ml.session import Session
from mr_ml.sums import histogram
from mr_ml.sums.histogram import HistogramQuery


def named(*names: str, part: Any = None) -> Schema:
    return Schema(format="csv", n_features=len(names), feature_names=names, part=part or Plain())


class Plain:
    has_weights = False
    has_offsets = False


def profile(values: Any, **changes: Any) -> Profile:
    """The profile of rows (n, d), by numpy."""
    x = np.asarray(values, float)
    held = np.flatnonzero((x != 0).any(axis=0))
    made = Profile(
        n_rows=len(x), labels={}, label_mean=None, label_deviation=None, missing={}, features=held.astype(np.int32),
        mean=x[:, held].mean(axis=0), deviation=x[:, held].std(axis=0), nonzero=(x[:, held] != 0).sum(axis=0) * 1.0,
    )  # fmt: skip
    return replace(made, **changes)


ONE = named("a")


def test_the_index_of_large_counts_is_the_textbook_one() -> None:
    before, now = np.array([[3e9, 7e9]]), np.array([[5e9, 5e9]])
    assert psi(before, now) == pytest.approx(0.2 * np.log(0.5 / 0.3) - 0.2 * np.log(0.5 / 0.7), rel=1e-6)
    assert psi(before, before) == [0]
    assert np.isfinite(psi(np.array([[0, 10.0]]), np.array([[10.0, 0]]))).all()


def test_without_drift_the_index_is_beyond_chance_as_often_as_it_says() -> None:
    rng, shares = np.random.default_rng(0), [0.1] * 10
    before, now = rng.multinomial(2000, shares, 20_000), rng.multinomial(3000, shares, 20_000)
    limit = by_chance(2000, 3000, kinds=10, among=1) / stats.chi2.isf(1e-3, 9) * stats.chi2.isf(0.05, 9)
    assert (psi(before.astype(np.float64), now.astype(np.float64)) > limit).mean() == pytest.approx(0.05, abs=0.006)


def test_a_mean_moves_in_deviations_before() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(100, 20, size=(1000, 1))
    (move,) = drift(profile(x + 30), profile(x), schema=ONE, published_schema=ONE).means or ()
    assert move.what == "a"
    assert move.by == pytest.approx(30 / x.std())
    assert move.now - move.before == pytest.approx(30)


def test_few_rows_and_rare_features_do_not_move_by_chance() -> None:
    rng = np.random.default_rng(2)
    names = [f"c{k}" for k in range(2000)]
    rate = rng.choice([1e-4, 1e-3, 0.01, 0.3], 2000)
    before, now = ((rng.random((n, 2000)) < rate) * 1.0 for n in (1500, 40))
    found = drift(profile(now), profile(before), schema=named(*names), published_schema=named(*names))
    assert (found.means, found.presence) == ((), ())
    assert found.n_features > 500
    # one that was in 1 of 10,000 rows is in 1 of 100 now: no shift of many deviations
    x, y = np.zeros((10_000, 1)), np.zeros((10_000, 1))
    x[0], y[:100] = 1, 1
    found = drift(profile(y), profile(x), schema=ONE, published_schema=ONE)
    assert all(move.by < 0.5 for move in (found.means or ()) + (found.presence or ()))


def test_classes_of_few_rows_move_by_chance() -> None:
    x = np.ones((10, 1))
    before, now = (profile(x, labels={"no": n, "yes": 10 - n}) for n in (6, 4))
    move = drift(now, before, schema=ONE, published_schema=ONE).classes
    assert move is not None
    assert (move.by, move.before, move.now) == (0, 0.6, 0.4)


def test_columns_of_categories_may_be_unwatched() -> None:
    schema = named("city=Rome", "age")
    before, now = np.ones((100, 2)), np.tile([0, 1], (100, 1))
    for unwatched, moved in ((["age"], ["city=Rome"]), (["city"], []), (["city=Rome"], [])):
        found = drift(profile(now), profile(before), schema=schema, published_schema=schema, unwatched=unwatched)
        assert [move.what for move in found.presence or ()] == moved


def test_constants_that_change_have_moved_and_those_that_do_not_have_not() -> None:
    three, four = np.full((50, 1), 3.0), np.full((50, 1), 4.0)
    (move,) = drift(profile(four), profile(three), schema=ONE, published_schema=ONE).means or ()
    assert move.by == np.inf
    assert drift(profile(three), profile(three), schema=ONE, published_schema=ONE).means == ()
    (move,) = (
        drift(profile(np.zeros((500, 1))), profile(np.ones((500, 1))), schema=ONE, published_schema=ONE).means or ()
    )
    assert (move.before, move.now) == (1, 0)


def test_sums_that_overflow_have_moved() -> None:
    x = np.random.default_rng(8).normal(size=(100, 1))
    huge = replace(profile(x), mean=np.array([np.inf]), deviation=np.array([np.nan]))
    for one, other in ((huge, profile(x)), (profile(x), huge), (huge, huge)):
        (move,) = drift(one, other, schema=ONE, published_schema=ONE).means or ()
        assert not move.by <= 1e9


def test_features_are_known_by_name() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal([0, 10, 20], 1, size=(200, 3))
    before, now = named("a", "b", "c"), named("c", "new", "a")
    y = np.stack([x[:, 2], x[:, 1], x[:, 0]], axis=1)
    found = drift(profile(y), profile(x), schema=now, published_schema=before)
    assert (found.means, found.presence, found.n_features) == ((), (), 2)
    change = schema_change(profile(y), profile(x), schema=now, published_schema=before)
    assert (change.appeared, change.vanished, change.reordered) == (("new",), ("b",), True)
    assert (change.appeared_rate, change.vanished_rate) == (1, 1)
    # the rows of the published model are gone
    assert schema_change(profile(y), None, schema=now, published_schema=before) == change
    moved = drift(profile(y + np.array([5, 0, 0])), profile(x), schema=now, published_schema=before)
    assert [move.what for move in moved.means or ()] == ["c"]
    left_out = drift(profile(y + np.array([5, 0, 0])), profile(x), schema=now, published_schema=before, unwatched=["c"])
    assert left_out.means == ()


def test_categories_come_and_go_where_rows_are_gone() -> None:
    rows = profile(np.ones((10, 2)))
    before, now = named("age", "city=Rome", "city=Oslo", "os=a", "os=b"), named("age", "city=Rome")
    change = schema_change(rows, None, schema=now, published_schema=before)
    assert (change.vanished, change.n_vanished, change.vanished_rate) == (("os",), 3, 1)
    same = named("age", "os=a")
    change = schema_change(rows, None, schema=same, published_schema=named("age", "os=a", "os=b"))
    assert (change.n_vanished, change.vanished_rate, change.n_appeared, change.reordered) == (1, 0, 0, False)


def test_features_with_numbers_are_known_by_these() -> None:
    from_one, from_zero = (Schema(format="libsvm", n_features=4, index_base=b, part=Plain()) for b in (1, 0))
    assert placed(np.array([0, 3]), of=from_one, among=from_zero).tolist() == [1, -1]
    assert placed(np.array([0, 3]), of=from_zero, among=from_one).tolist() == [-1, 2]
    assert placed(np.array([0]), of=from_zero, among=ONE).tolist() == [-1]


def test_missing_values_and_labels_move() -> None:
    x = np.ones((1000, 1))
    before = profile(x, missing={"a": 10, "b": 5}, labels={"no": 900, "yes": 100}, label_mean=5.0, label_deviation=2.0)
    now = profile(x, missing={"a": 400}, labels={"no": 500, "yes": 500}, label_mean=6.5, label_deviation=2.0)
    found = drift(now, before, schema=ONE, published_schema=ONE)
    (missing,) = found.missing or ()
    assert (missing.what, missing.before, missing.now, found.n_columns) == ("a", 0.01, 0.4, 2)
    assert found.classes is not None
    assert found.classes.by == pytest.approx(0.4 * np.log(0.5 / 0.1) - 0.4 * np.log(0.5 / 0.9), rel=0.01)
    assert found.label == Move(what="label", by=0.75, before=5.0, now=6.5)
    same = drift(before, before, schema=ONE, published_schema=ONE)
    assert (same.missing, same.classes and same.classes.by, same.label and same.label.by) == ((), 0, 0)


def test_a_histogram_counts_what_numpy_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 5)) * (rng.random((300, 5)) < 0.6)
    columns, edges = np.array([1, 4], np.int32), np.sort(rng.normal(size=(2, 6)))
    # some values are edges
    edges[:, 3] = 0
    edges.sort()
    x[:6, 1] = edges[0]
    for form, at_once in (("dense", 1 << 20), ("sparse", 1 << 20), ("sparse", 1)):
        monkeypatch.setattr(histogram, "_DENSE_VALUES", at_once)
        query = HistogramQuery(columns, edges)
        found = query.read(query.map(make_block(x, np.zeros(300), form=form)))
        for k in range(2):
            bounds = [-np.inf, *edges[k], np.inf]
            assert found[k].tolist() == np.histogram(x[:, columns[k]], bounds)[0].tolist()


def test_ranges_are_of_features_with_more_than_one_value() -> None:
    rng = np.random.default_rng(5)
    indicator, twos = rng.random(400) < 0.3, 2.5 * (rng.random(400) < 0.1)
    x = np.stack([indicator, rng.normal(size=400), twos, np.ones(400), rng.poisson(1, 400)], axis=1)
    assert ranged(profile(x)).features.tolist() == [1, 4]


def test_what_is_kept_beside_a_model(nights: Nights) -> None:
    model = nights.yesterday("clicks")
    root = nights.session.root
    kept = published_profile(root, model)
    assert kept is not None
    assert kept.ranges is not None
    rows = np.array([line[1:4] for line in clicks(np.random.default_rng(1000), 3000)[1:]], float)
    assert kept.n_rows == model.manifest["n_rows"] == sum(kept.labels.values()) < len(rows)
    assert kept.mean[:3] == pytest.approx(rows.mean(axis=0), abs=4 * rows.std(axis=0).max() / 40)
    assert (kept.ranges.counts.sum(axis=1) == kept.n_rows).all()
    # a tenth of the rows of normal features is in each range
    assert kept.ranges.counts / kept.n_rows == pytest.approx(0.1, abs=0.03)
    path = root.layout.profile(model.name, model.manifest["run"])
    data = root.store.read(path)
    try:
        save_profile(root, model.name, model.manifest["run"], kept)
        assert root.store.read(path) == data
        root.store.write(path, data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
        with pytest.raises(BadDataError, match="profile: checksum mismatch"):
            published_profile(root, model)
        root.store.remove(path)
        of_dataset = published_profile(root, model)
        assert of_dataset is not None
        assert of_dataset.mean.tolist() == kept.mean.tolist()
        gone = replace(model, manifest={**model.manifest, "dataset": "no-such@3"})
        assert published_profile(root, gone) is None
    finally:
        root.store.write(path, data)


def test_a_file_of_a_profile() -> None:
    data = golden("profile-format-1.frame")
    assert PROFILE.encode() == data
    found = Profile.decode(data, n_features=70_001, where="golden")
    assert found.ranges is not None
    assert PROFILE.ranges is not None
    for one, other in ((found, PROFILE), (found.ranges, PROFILE.ranges)):
        for name, value in vars(other).items():
            if name != "ranges":
                assert np.array_equal(getattr(one, name), value), name
    with pytest.raises(BadDataError, match="golden: expected features from 0 to 69999"):
        Profile.decode(data, n_features=70_000, where="golden")
    opened = frame.decode(data, kind="profile", where="golden")
    newer = frame.encode("profile", {**opened.meta, "format": 2}, opened.arrays)
    with pytest.raises(BadDataError, match="expected a profile of format 1, found 2; upgrade mr_ml"):
        Profile.decode(newer, n_features=70_001, where="golden")
    short = frame.encode("profile", opened.meta, {**opened.arrays, "mean": np.zeros(2)})
    with pytest.raises(BadDataError, match=r"expected float64 of shape \(3,\) as mean"):
        Profile.decode(short, n_features=70_001, where="golden")


def test_the_same_bits_on_other_runners(nights: Nights) -> None:
    published = nights.yesterday("clicks")
    name = nights.pack(clicks(np.random.default_rng(6), 3000), partitions=4)
    candidate = nights.fit(name, "logistic")
    local = Session.open(nights.session.root, runner="local", workers=2)
    found = [
        replace(nights, session=session).gathered(candidate, published, name) for session in (nights.session, local)
    ]
    assert found[0].facts == found[1].facts
    ranges = [one.profile.ranges for one in found]
    assert ranges[0] is not None
    assert ranges[1] is not None
    assert ranges[0].counts.tolist() == ranges[1].counts.tolist()


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


def test_ranges_of_a_feature_that_is_gone_are_left_out() -> None:
    x = np.random.default_rng(7).normal(size=(100, 2))
    edges = np.tile(np.linspace(-1, 1, 9), (2, 1))
    ranges = Ranges(features=np.array([0, 1], np.int32), edges=edges, counts=np.full((2, 10), 10.0))
    before = replace(profile(x), ranges=ranges)
    counts = np.array([[100.0] + [0] * 9])
    found = drift(profile(x[:, :1]), before, schema=named("b"), published_schema=named("a", "b"), counts=counts)
    (move,) = found.values or ()
    assert (move.what, found.n_ranged) == ("b", 1)
