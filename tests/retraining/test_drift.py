"""Drift against closed forms and by simulation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mr_ml.readers.same_features import placed
from mr_ml.readers.schema import Schema
from mr_ml.retraining.gate.drift import by_chance, drift, psi, schema_change
from mr_ml.retraining.gate.facts import Move
from mr_ml.retraining.gate.profile import Profile, Ranges, ranged


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


def test_ranges_are_of_features_with_more_than_one_value() -> None:
    rng = np.random.default_rng(5)
    indicator, twos = rng.random(400) < 0.3, 2.5 * (rng.random(400) < 0.1)
    x = np.stack([indicator, rng.normal(size=400), twos, np.ones(400), rng.poisson(1, 400)], axis=1)
    assert ranged(profile(x)).features.tolist() == [1, 4]


def test_ranges_of_a_feature_that_is_gone_are_left_out() -> None:
    x = np.random.default_rng(7).normal(size=(100, 2))
    edges = np.tile(np.linspace(-1, 1, 9), (2, 1))
    ranges = Ranges(features=np.array([0, 1], np.int32), edges=edges, counts=np.full((2, 10), 10.0))
    before = replace(profile(x), ranges=ranges)
    counts = np.array([[100.0] + [0] * 9])
    found = drift(profile(x[:, :1]), before, schema=named("b"), published_schema=named("a", "b"), counts=counts)
    (move,) = found.values or ()
    assert (move.what, found.n_ranged) == ("b", 1)
