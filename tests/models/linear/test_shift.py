"""Shifted features and targets: exactly what is left, in any form of block, and the same function as before."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from builders import make_block
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mr_ml.data.block import BlockAddress, decode_line, encode_line
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.reading import Linear, RowSpec
from mr_ml.models.linear.shift import NO_SHIFT, Shift

NUMBERS = st.sampled_from([0.0, 0.0, 1.0, -2.5, 1e9 + 0.125, 1.7e12, -3e-9])


@pytest.mark.parametrize("form", ["dense", "sparse", "stored"])
@given(data=st.data())
def test_what_is_read_is_the_difference_rounded_once(form: str, data: st.DataObject) -> None:
    """Absent entries too; by exact arithmetic."""
    x = data.draw(hnp.arrays(np.float64, (5, 4), elements=NUMBERS))
    y = data.draw(hnp.arrays(np.float64, 5, elements=NUMBERS))
    ids = sorted(data.draw(st.sets(st.integers(0, 3), min_size=1)))
    by = data.draw(st.lists(NUMBERS.filter(bool), min_size=len(ids), max_size=len(ids)))
    block = make_block(x, y, form="sparse" if form == "stored" else form)
    if form == "stored":
        block = decode_line(encode_line(block, BlockAddress(0, 0)), where="a test").block
    shift = Shift(tuple(ids), tuple(by), 0.1)
    found = shift.read(block)
    expected = x.copy()
    for column, less in zip(ids, by, strict=True):
        expected[:, column] = [float(Fraction(value) - Fraction(less)) for value in x[:, column].tolist()]
    assert found.features.toarray(n_features=4).tolist() == expected.tolist()
    assert found.labels.tolist() == [float(Fraction(value) - Fraction(0.1)) for value in y.tolist()]
    # what was stored is as it was
    assert block.features.toarray(n_features=4).tolist() == x.tolist()


def test_far_columns_are_shifted_and_no_others() -> None:
    mean = np.array([0.0, 7.9, 8.0, -1e12, 5.0, 0.0])
    spread = np.array([0.0, 1.0, 1.0, 1.0, 0.0, 3.0])
    assert Shift.of(mean=mean, spread=spread) == Shift((2, 3, 4), (8.0, -1e12, 5.0))
    assert Shift.of(mean=mean, spread=spread, target=(-9.0, 1.0)).target == -9.0
    # datasets of before did not say what their labels are like
    assert not Shift.of(mean=np.zeros(1), spread=np.ones(1), target=(np.nan, np.nan))


def test_the_intercepts_at_the_origin_give_the_same_margins() -> None:
    shift = Shift((0, 2), (4.0, -2.0), 8.0)
    coef = np.array([[1.5, 2.0, 0.25, 0.5], [0.0, -1.0, 4.0, 1.0]])
    x = np.array([[4.5, 1.0, -1.0], [3.0, 0.0, 0.0]])
    block = make_block(x, np.zeros(2))
    read = RowSpec(loss_from_json("squared"), 3, shift=shift)
    shifted = read.margins(read.read(block), Linear.of(coef)) + shift.target
    raw = np.column_stack([coef[:, :-1], shift.intercepts(coef)])
    np.testing.assert_array_equal(RowSpec(loss_from_json("squared"), 3).margins(block, Linear.of(raw)), shifted)


@pytest.mark.parametrize("shift", [NO_SHIFT, Shift((3,), (1e300,), -0.1)])
def test_a_shift_is_the_same_after_a_journey(shift: Shift) -> None:
    assert Shift.from_json(shift.to_json()) == shift


def test_a_block_without_anything_far_is_handed_on_as_it_is() -> None:
    block: Any = make_block(np.ones((2, 2)), np.ones(2))
    assert NO_SHIFT.read(block) is block
