"""Orthogonal reduction: what is kept of the rows of a matrix, however they are cut, against fractions and numpy."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.sums.parts import Triangle
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import Node

Floats = np.ndarray[Any, np.dtype[np.float64]]


@st.composite
def matrices(draw: st.DrawFn) -> Floats:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_rows, n = draw(st.integers(0, 40)), draw(st.integers(1, 6))
    return np.asarray(rng.normal(size=(n_rows, n)) * 10.0 ** draw(st.integers(-8, 8)))


@given(rows=matrices(), data=st.data())
def test_however_rows_are_cut_their_gram_matrix_is_kept(rows: Floats, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=5)))
    parts = [Triangle.of(piece) for piece in np.split(rows, cuts)]
    r = reduce(Triangle.__add__, parts).r
    assert r.shape == (min(rows.shape), rows.shape[1])
    assert (np.tril(r, -1) == 0).all()
    assert (np.diagonal(r) >= 0).all()
    gram = rows.T @ rows
    np.testing.assert_allclose(r.T @ r, gram, rtol=1e-12, atol=1e-13 * np.trace(gram))


def test_it_keeps_the_digits_that_a_gram_matrix_loses() -> None:
    """Of two columns that are the same to ten digits how far they are apart, which 16 digits of squares do not say."""
    rng = np.random.default_rng(0)
    one = rng.normal(size=400)
    rows = np.column_stack([one, one + 1e-10 * rng.normal(size=400)])
    a, b = ([Fraction(v) for v in column] for column in rows.T.tolist())
    aa, ab, bb = (sum((x * y for x, y in zip(p, q, strict=True)), Fraction()) for p, q in ((a, a), (a, b), (b, b)))
    apart = float(bb - ab * ab / aa) ** 0.5
    r = reduce(Triangle.__add__, [Triangle.of(block) for block in np.split(rows, 8)]).r
    assert r[1, 1] == pytest.approx(apart, rel=1e-4)
    gram = np.sum([block.T @ block for block in np.split(rows, 8)], axis=0)
    assert abs(gram[1, 1] - gram[0, 1] ** 2 / gram[0, 0]) ** 0.5 != pytest.approx(apart, rel=0.5)


def test_it_travels() -> None:
    part = Triangle.of(np.random.default_rng(1).normal(size=(9, 3)))
    node, found = Statistic.decode(Statistic({"factor": part}).encode(Node(0, 5)), where="here")
    assert node == Node(0, 5)
    assert found.part_of("factor", Triangle).r.tolist() == part.r.tolist()
