"""Means and deviations without cancellation: against exact fractions and certified values."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_engine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mr_ml.sums.moments import MAX_LABEL_VALUES, MomentsQuery
from mr_ml.sums.parts import Keyed, Minimum, Moments, WeightedMoments
from mr_ml.sums.statistic import Statistic

FORMS = ["dense", "sparse", "stored"]


def moments_of(x: Any, *, part: str = "moments", y: Any = None, **options: Any) -> Moments:
    y = np.zeros(len(x)) if y is None else y
    found = make_engine(x, y, **options).run(MomentsQuery(x.shape[1])).parts[part]
    assert isinstance(found, Moments)
    return found


def exact_moments(column: Any) -> tuple[Fraction, Fraction]:
    values = [Fraction(float(v)) for v in column]
    mean = sum(values, Fraction()) / len(values)
    return mean, sum(((v - mean) ** 2 for v in values), Fraction())


@given(
    x=st.tuples(st.integers(1, 30), st.integers(1, 3)).flatmap(
        lambda shape: hnp.arrays(
            np.float64, shape, elements=st.integers(-3, 3).map(float) | st.floats(-1e3, 1e3, width=32)
        )
    ),
    form=st.sampled_from(FORMS),
    block_rows=st.integers(1, 9),
    partitions=st.integers(1, 3),
)
def test_moments_are_those_of_exact_arithmetic(x: Any, form: str, block_rows: int, partitions: int) -> None:
    total = make_engine(x, x[:, 0], form=form, block_rows=block_rows, partitions=min(partitions, len(x))).run(
        MomentsQuery(x.shape[1] + 1)
    )
    moments, lows, highs = (total.parts[name] for name in ("moments", "lows", "highs"))
    assert isinstance(moments, Moments)
    assert isinstance(lows, Minimum)
    assert isinstance(highs, Minimum)
    assert moments.count == len(x)
    for j, column in enumerate(x.T):
        mean, m2 = exact_moments(column)
        scale = float(np.abs(column).max())
        assert abs(moments.mean[j] - float(mean)) <= 1e-14 * scale
        assert abs(moments.m2[j] - float(m2)) <= 1e-13 * float(m2) + 1e-28 * scale**2 * len(x)
        stored = column[column != 0]
        assert total.sum("stored")[j] == len(stored)
        assert lows.value[j] == stored.min(initial=np.inf)
        assert -highs.value[j] == stored.max(initial=-np.inf)
    # a column that no row has
    assert (moments.mean[-1], moments.m2[-1], total.sum("stored")[-1]) == (0, 0, 0)
    labels = total.parts["label_moments"]
    assert isinstance(labels, Moments)
    np.testing.assert_allclose(labels.mean, moments.mean[:1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("level", [1e3, 1e6, 1e9, 1e12])
def test_a_small_spread_beside_a_large_mean_is_not_lost(form: str, level: float) -> None:
    """The textbook formula sum x^2 - n mean^2 has no digit left from 1e9 on."""
    x = (np.random.default_rng(1).integers(-64, 65, size=(6000, 2)) / 64 + level).astype(float)
    found = moments_of(x, form=form, block_rows=2048, partitions=2)
    for j, column in enumerate(x.T):
        mean, m2 = exact_moments(column)
        assert found.mean[j] == pytest.approx(float(mean), rel=1e-15)
        # the condition number of a deviation is mean / deviation (Chan, Golub & LeVeque 1983, sec. 3)
        condition = abs(float(mean)) / (float(m2) / len(x)) ** 0.5
        assert found.m2[j] == pytest.approx(float(m2), rel=1e-13 + 3e-16 * condition)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e9 + 0.1, -7e-5])
def test_a_constant_column_has_no_deviation_worth_the_name(form: str, value: float) -> None:
    found = moments_of(np.full((1000, 1), value), form=form, block_rows=64)
    assert np.sqrt(found.m2[0] / found.count) <= 1e-13 * abs(value)


def weighted_of(x: Any, weights: Any, **options: Any) -> WeightedMoments:
    found = make_engine(x, np.zeros(len(x)), weights=weights, **options).run(MomentsQuery(x.shape[1])).parts["weighted"]
    assert isinstance(found, WeightedMoments)
    return found


@given(
    rows=st.lists(
        st.tuples(
            st.integers(-3, 3).map(float) | st.floats(-1e3, 1e3, width=32), st.sampled_from([0.0, 1.0, 2.5, 3.0, 1e-9])
        ),
        min_size=1,
        max_size=30,
    ),
    unit=st.sampled_from([0, -1060, 990]),
    form=st.sampled_from(FORMS),
    block_rows=st.integers(1, 9),
    partitions=st.integers(1, 3),
)
def test_weighted_moments_are_those_of_exact_arithmetic(
    rows: Any, unit: int, form: str, block_rows: int, partitions: int
) -> None:
    """Whatever the unit of the weights: 2^-1060 leaves them 14 bits."""
    x, weights = np.array([[v] for v, _ in rows]), np.ldexp([u for _, u in rows], unit)
    found = weighted_of(x, weights, form=form, block_rows=block_rows, partitions=min(partitions, len(x)))
    total, counted = sum(map(Fraction, weights.tolist())), x[weights > 0, 0]
    assert found.weight == pytest.approx(float(total), rel=1e-14)
    if not total:
        assert (found.mean[0], found.variance[0]) == (0, 0)
        return
    u = [Fraction(w) / total for w in weights.tolist()]
    mean = sum(w * Fraction(v) for w, (v, _) in zip(u, rows, strict=True))
    variance = sum(w * (Fraction(v) - mean) ** 2 for w, (v, _) in zip(u, rows, strict=True))
    scale = float(np.abs(counted).max())
    assert abs(found.mean[0] - float(mean)) <= 1e-14 * scale
    assert abs(found.variance[0] - float(variance)) <= 1e-13 * float(variance) + 1e-14 * float(mean) ** 2 + 1e-28


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("level", [1e3, 1e9, 1e12])
def test_a_small_weighted_spread_beside_a_large_mean_is_not_lost(form: str, level: float) -> None:
    random = np.random.default_rng(2)
    x, weights = random.integers(-64, 65, size=(6000, 1)) / 64 + level, random.integers(0, 4, 6000).astype(float)
    found = weighted_of(x, weights, form=form, block_rows=2048, partitions=2)
    mean, m2 = exact_moments(np.repeat(x[:, 0], weights.astype(int)))
    variance = float(m2) / weights.sum()
    assert found.mean[0] == pytest.approx(float(mean), rel=1e-15)
    assert found.variance[0] == pytest.approx(variance, rel=1e-13 + 3e-16 * level / variance**0.5)


def numacc(data_dir: Path, k: int) -> tuple[Any, dict[str, Any]]:
    lines = (data_dir / "nist_strd" / f"NUMACC{k}.DAT").read_text(encoding="ascii").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("---")) + 1
    values = np.array([float(line) for line in lines[first:] if line.strip()])
    certified = json.loads((data_dir / "_oracles" / f"nist_univariate_numacc{k}.json").read_text())
    assert len(values) == certified["n"]
    return values, certified


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("k", "digits"), [(1, 14), (2, 14), (3, 9), (4, 8)])
def test_certified_means_and_deviations(data_dir: Path, k: int, digits: int, form: str) -> None:
    """NIST StRD. How many digits a deviation can have depends on how well doubles hold the data."""
    values, certified = numacc(data_dir, k)
    for block_rows in (64, 4096):
        features = moments_of(values[:, None], form=form, block_rows=block_rows)
        labels = moments_of(np.ones((len(values), 1)), y=values, part="label_moments", form=form, block_rows=block_rows)
        for found in (features, labels):
            deviation = float(np.sqrt(found.m2[0] / (found.count - 1)))
            assert found.mean[0] == pytest.approx(float(certified["mean"]), rel=1e-15)
            assert deviation == pytest.approx(float(certified["sd_sample"]), rel=10.0**-digits)
            exact_mean, exact_m2 = exact_moments(values)
            condition = abs(float(exact_mean)) / float(certified["sd_sample"])
            assert found.m2[0] == pytest.approx(float(exact_m2), rel=1e-14 + 3e-16 * condition)


# --- labels -----------------------------------------------------------------------------------------------------------


def label_counts(total: Statistic) -> tuple[dict[float, float], int]:
    table = total.parts["labels"]
    assert isinstance(table, Keyed)
    return dict(zip(table.keys.view(np.float64).tolist(), table.values[:, 0].tolist(), strict=True)), table.shift


@given(
    y=st.lists(st.sampled_from([0.0, 1.0, -1.0, 2.5, -7.0, 1e150, -1e-300]), min_size=1, max_size=40),
    block_rows=st.integers(1, 9),
)
def test_labels_are_counted_by_value(y: list[float], block_rows: int) -> None:
    total = make_engine(np.ones((len(y), 1)), y, block_rows=block_rows).run(MomentsQuery(1))
    counts, shift = label_counts(total)
    assert shift == 0
    assert counts == {value: y.count(value) for value in set(y)}


@pytest.mark.parametrize(("distinct", "shifted"), [(MAX_LABEL_VALUES, False), (MAX_LABEL_VALUES + 1, True)])
def test_too_many_labels_are_told_by_the_shift(distinct: int, shifted: bool) -> None:
    y = np.arange(distinct, dtype=float) + 0.5
    total = make_engine(np.ones((distinct, 1)), y, block_rows=100).run(MomentsQuery(1))
    counts, shift = label_counts(total)
    assert bool(shift) == shifted
    assert sum(counts.values()) == distinct
