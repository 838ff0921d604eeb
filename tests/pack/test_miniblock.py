"""What a partition's blocks hold depends on the rows that went in, not on how they travelled."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from builders import make_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from miniblocks import by_partition, lines_of, plan_of

from mr_ml.data import frame, kernels
from mr_ml.data.block import Block
from mr_ml.data.features import SparseFeatures
from mr_ml.errors import BadDataError
from mr_ml.packing.miniblock import RowSource, cut, encoded, joined, ranked, split_rows, take

values = st.sampled_from([0.0, 1.0, -2.5, 1e300])
row_contents = st.tuples(
    st.sampled_from([0.0, 1.0]), st.dictionaries(st.integers(0, 5), values, max_size=3), values, values
)
# few distinct rows, so that equal ones come up
many_rows = st.lists(row_contents, max_size=25)


def content(block: Block) -> list[tuple[Any, ...]]:
    f = block.features
    assert isinstance(f, SparseFeatures)
    columns = [a if a is None else a.tolist() for a in (block.labels, block.weights, block.offsets)]
    found = []
    for i, (a, b) in enumerate(zip(f.indptr[:-1], f.indptr[1:], strict=True)):
        entries = tuple(zip(f.indices[a:b].tolist(), f.values[a:b].tolist(), strict=True))
        found.append((*(c if c is None else c[i] for c in columns), entries))
    return found


def blocks_of(rows: RowSource, block_rows: int) -> Any:
    return cut(rows, ranked(rows).rows, block_rows=block_rows)


def pack(chunks: Any, plan: Any, *, order: Any = None) -> dict[int, list[bytes]]:
    """Partition -> block lines, as map and reduce tasks make them of chunks of rows."""
    mini = by_partition(one for chunk in chunks for one in split_rows(make_rows(chunk), plan))
    if order is not None:
        for p in mini:
            mini[p] = [mini[p][k] for k in order(len(mini[p]))]
    return {p: lines_of(blocks_of(joined(m, where="here"), plan.block_rows)) for p, m in mini.items()}


@given(
    rows=many_rows,
    weighted=st.booleans(),
    offset=st.booleans(),
    partitions=st.integers(1, 5),
    block_rows=st.sampled_from([1, 2, 4, 64]),
    data=st.data(),
)
def test_the_blocks_do_not_depend_on_chunks_or_order(
    rows: Any, weighted: bool, offset: bool, partitions: int, block_rows: int, data: st.DataObject
) -> None:
    rows = [(y, x, w if weighted else None, o if offset else None) for y, x, w, o in rows]
    plan = plan_of(partitions=partitions, block_rows=block_rows)
    alone = pack([rows], plan)
    shuffled = data.draw(st.permutations(rows))
    bounds = [0, *sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=5))), len(rows)]
    chunks = [shuffled[a:b] for a, b in pairwise(bounds)]
    assert pack(chunks, plan, order=lambda n: data.draw(st.permutations(range(n)))) == alone


def sealed(rows: Any, order: list[int]) -> bytes:
    """A mini-block with order hashes of one's own choosing."""
    return encoded(make_rows(rows), np.array(order, np.uint64))


@given(
    rows=st.lists(st.tuples(row_contents, st.integers(0, 2)), min_size=1, max_size=12),
    data=st.data(),
)
def test_rows_whose_order_hashes_collide_have_an_order_too(rows: Any, data: st.DataObject) -> None:
    rows = [((y, x, None, None), h) for (y, x, _, _), h in rows]

    def blocks(dealt: list[list[Any]]) -> list[bytes]:
        mini = [sealed([row for row, _ in some], [h for _, h in some]) for some in dealt]
        return lines_of(blocks_of(joined(mini, where="here"), 4))

    alone = blocks([rows])
    shuffled = data.draw(st.permutations(rows))
    at = data.draw(st.integers(0, len(rows)))
    assert blocks([shuffled[:at], shuffled[at:]]) == alone


@given(rows=many_rows, block_rows=st.sampled_from([1, 2, 8]))
def test_no_row_is_lost_or_changed(rows: Any, block_rows: int) -> None:
    plan = plan_of(partitions=3, block_rows=block_rows)
    mini = by_partition(split_rows(make_rows(rows), plan))
    assert all(len(parts) == 1 for parts in mini.values())
    found = []
    for parts in mini.values():
        blocks = list(blocks_of(joined(parts, where="here"), block_rows))
        assert all(block.n_rows == block_rows for block in blocks[:-1])
        assert 1 <= blocks[-1].n_rows <= block_rows
        found += [row for block in blocks for row in content(block)]
    assert sorted(found) == sorted((y, w, o, tuple(sorted(x.items()))) for y, x, w, o in rows)


def test_rows_are_in_the_order_of_their_hashes() -> None:
    rows = [(float(k), {0: 1.0}, None, None) for k in range(5)]
    order = [2**63, 5, 2**64 - 1, 0, 7]
    (block,) = blocks_of(joined([sealed(rows[:2], order[:2]), sealed(rows[2:], order[2:])], where="here"), 8)
    assert block.labels.tolist() == [3.0, 1.0, 4.0, 0.0, 2.0]


def test_nothing_gives_no_blocks() -> None:
    plan = plan_of(partitions=2, block_rows=4)
    assert list(split_rows(make_rows([]), plan)) == []
    assert list(blocks_of(joined([sealed([], [])], where="here"), 4)) == []


def test_weights_of_some_rows_only_are_bad_data() -> None:
    with_weights, without = (sealed([(1.0, {}, w, None)], [1]) for w in (2.0, None))
    for parts in ([with_weights, without], [without, with_weights]):
        with pytest.raises(BadDataError, match=r"partition 7: some input has weights or offsets and some has not"):
            joined(parts, where="the shuffle of partition 7")


def test_a_damaged_mini_block_is_bad_data() -> None:
    good = sealed([(1.0, {2: 3.0}, None, None)], [1])
    for position, old in enumerate(good):
        damaged = good[:position] + bytes([old ^ 8]) + good[position + 1 :]
        with pytest.raises(BadDataError, match="partition 7"):
            joined([damaged], where="the shuffle of partition 7")
    with pytest.raises(BadDataError, match="partition 7"):
        joined([good[:-24]], where="the shuffle of partition 7")


@given(rows=many_rows, data=st.data())
def test_take_picks_rows(rows: Any, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, max(len(rows) - 1, 0)), max_size=8)) if rows else []
    taken = take(make_rows(rows), np.array(chosen, np.int64))
    picked = make_rows([rows[k] for k in chosen])
    for name in ("labels", "indptr", "indices", "values"):
        assert getattr(taken, name).tolist() == getattr(picked, name).tolist()
    for name in ("weights", "offsets"):
        if rows:
            assert getattr(taken, name).tolist() == [
                row[2 if name == "weights" else 3] for row in (rows[k] for k in chosen)
            ]


@pytest.fixture(params=["compiled", "plain"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setattr(kernels, "native", None)
    elif not kernels.installed():
        pytest.skip("mr_ml was installed without its compiled loops")


def assert_taken(parts: list[Any], chosen: list[int]) -> None:
    """Rows that are taken from mini-blocks of these parts are the same numbers, to the bit."""
    rows = [row for part in parts for row in part]
    taken = joined([sealed(part, list(range(len(part)))) for part in parts], where="here").take(np.array(chosen))
    expected = take(make_rows(rows), np.array(chosen))
    for name in ("labels", "indptr", "indices", "values", "weights", "offsets"):
        ours, theirs = getattr(taken, name), getattr(expected, name)
        assert (ours is theirs is None) or (ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()), name


@pytest.mark.usefixtures("kernel")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.lists(row_contents, min_size=1, max_size=9), min_size=1, max_size=3), data=st.data())
def test_rows_are_taken_from_mini_blocks(parts: Any, data: st.DataObject) -> None:
    n = sum(map(len, parts))
    assert_taken(parts, data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=12)))


ENTRIES = {
    "tenths": [0.1, -0.2, 12.5],
    "bytes": [1.0, -3.0, 100.0],
    "two bytes": [1000.0, 0.0, -2.0],
    "floats": [0.5**20, 2.0**100, 1.0],
    "doubles": [1e-300, 0.1, 3.0],
}


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("same_ids", [True, False])
@pytest.mark.parametrize("most", [10, 70_000])
@pytest.mark.parametrize("kind", ENTRIES)
def test_every_kind_of_number_comes_back(kind: str, most: int, same_ids: bool) -> None:
    rows = [(1.0, {0: v, 3: 1.0, most: 0.0 - v}, 1.0, None) for v in ENTRIES[kind]]
    if not same_ids:
        rows[1][1].pop(3)
    assert_taken([rows, rows[::-1]], [4, 0, 5, 1, 1, 3, 2])


def test_ids_that_all_rows_have_are_written_once() -> None:
    rows = make_rows([(float(k), {1: k / 8, 4: 0.0, 9: -1.0}, None, None) for k in range(40)])
    for _, data in split_rows(rows, plan_of(partitions=3, block_rows=4)):
        assert len(frame.decode(data, kind="miniblock", where="here").arrays["indices"]) == 3
