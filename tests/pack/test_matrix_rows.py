"""Rows that come as a matrix end in the blocks in which the same rows end that come as entries."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from miniblocks import partition_lines, plan_of

from mr_ml.data import kernels
from mr_ml.data.narrow import narrow
from mr_ml.data.rowhash import matrix_hashes, row_hashes
from mr_ml.packing.miniblock import split_rows
from mr_ml.packing.plan import PackPlan
from mr_ml.readers.csv.draft import MatrixRows, sparse_rows
from mr_ml.readers.rows import Rows

# what narrow makes of each: one, two and four bytes, with places and without, single and double floats
KINDS = {
    "bytes": [0.0, 1.0, -3.0, 7.0],
    "tenths": [0.0, 0.1, -0.2, 12.5],
    "thousands": [0.0, -0.0, 1000.0, -2.0],
    "decimals": [0.0, 1.23456, -0.5, 98.76543],
    "floats": [0.0, 0.5**20, 2.0**100, 1.0],
    "doubles": [0.0, 1e-300, 0.1, 3.0],
    "nothing": [0.0],
}
MATRICES = st.tuples(
    st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=4), st.integers(0, 7), st.integers(0, 2**32 - 1)
)


@pytest.fixture(params=["compiled", "plain"])
def _kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setattr(kernels, "native", None)
    elif not kernels.installed():
        pytest.skip("mr_ml was installed without its compiled loops")


def as_entries(labels: Any, values: Any) -> Rows:
    indptr, indices, stored = sparse_rows(values, np.arange(values.shape[1], dtype=np.int32))
    return Rows(labels, indptr, indices, stored, np.arange(len(labels)))


def as_matrix(labels: Any, values: Any) -> Rows:
    return MatrixRows(labels, *narrow(values))


def lines(chunks: list[Rows], plan: PackPlan) -> dict[int, list[bytes]]:
    """Return the lines of each partition that map and reduce tasks make of chunks of rows."""
    return partition_lines((one for chunk in chunks for one in split_rows(chunk, plan)), plan)


def tables(matrices: Any) -> list[tuple[Any, Any]]:
    """Return labels and values of each piece of a table; few values of each kind, so that some rows are equal."""
    kinds, width, seed = matrices
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 12, len(kinds)).tolist()
    return [
        (rng.integers(0, 2, n).astype(float), rng.choice(KINDS[kind], (n, width)) * (rng.random(width) < 0.8))
        for kind, n in zip(kinds, sizes, strict=True)
    ]


@pytest.mark.usefixtures("_kernel")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(matrices=MATRICES, block_rows=st.sampled_from([1, 4, 64]), data=st.data())
def test_blocks_do_not_depend_on_how_rows_came(matrices: Any, block_rows: int, data: st.DataObject) -> None:
    pieces, plan = tables(matrices), plan_of(partitions=3, block_rows=block_rows)
    expected = lines([as_entries(*piece) for piece in pieces], plan)
    assert lines([as_matrix(*piece) for piece in pieces], plan) == expected
    ways = data.draw(st.lists(st.sampled_from([as_entries, as_matrix]), min_size=len(pieces), max_size=len(pieces)))
    assert lines([way(*piece) for way, piece in zip(ways, pieces, strict=True)], plan) == expected


@pytest.mark.usefixtures("_kernel")
@pytest.mark.parametrize("width", [0, 1, 511, 512, 513, 1025])
@pytest.mark.parametrize("kind", KINDS)
def test_hashes_and_entries_are_the_same(kind: str, width: int) -> None:
    rng = np.random.default_rng(5)
    labels, values = np.array([1.0, 0.0, -2.5]), rng.choice(KINDS[kind], (3, width))
    ours, theirs = as_matrix(labels, values), as_entries(labels, values)
    assert ours.matrix is not None
    assert matrix_hashes(ours, *ours.matrix).tolist() == row_hashes(theirs).tolist()
    for name, expected in vars(theirs).items():
        found = getattr(ours, name)
        assert (found is expected is None) or (found.dtype, found.tolist()) == (expected.dtype, expected.tolist())


def test_a_matrix_of_single_floats_and_one_of_doubles_come_together() -> None:
    labels, plan = np.ones(4), plan_of(partitions=3, block_rows=4)
    pieces = [(labels, np.full((4, 2), 0.5**20)), (labels, np.full((4, 2), 0.1) + np.arange(8.0).reshape(4, 2) / 3)]
    assert [as_matrix(*piece).matrix[0].dtype.str for piece in pieces] == ["<f4", "<f8"]  # type: ignore[index]
    assert lines([as_matrix(*piece) for piece in pieces], plan) == lines([as_entries(*piece) for piece in pieces], plan)


def test_pieces_are_cut_at_any_row() -> None:
    rng = np.random.default_rng(6)
    labels, values = np.ones(60), np.round(rng.normal(size=(60, 5)), 3)
    whole = lines([as_entries(labels, values)], plan_of(partitions=3, block_rows=8))
    for bounds in ([0, 60], [0, 1, 59, 60], list(range(0, 61, 4))):
        assert (
            lines(
                [as_matrix(labels[a:b], values[a:b]) for a, b in pairwise(bounds)], plan_of(partitions=3, block_rows=8)
            )
            == whole
        )
