"""Statistics add as their algebras say, carry receipts that cannot be faked by accident, and survive the wire."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest
from builders import engine_of, make_blocks, make_engine, same_arrays
from golden_frames import NODE, STATISTIC, golden
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mr_ml.data import frame
from mr_ml.data.block import StoredBlock
from mr_ml.errors import BadDataError, InternalError
from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.reading import RowSpec
from mr_ml.passes.in_memory import InMemoryEngine, add_block
from mr_ml.passes.tasks import decode_value
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.parts import Keyed, Minimum, Moments, Sum, WeightedMoments
from mr_ml.sums.statistic import Receipts, Statistic
from mr_ml.sums.tree import Node, PartialSums

floats = st.floats(allow_nan=False)
shapes = hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4)


@st.composite
def keyed(draw: st.DrawFn, *, limit: int = 8) -> Keyed:
    n = draw(st.integers(0, 12))
    keys = draw(hnp.arrays(np.int64, n, elements=st.integers(-20, 20) | st.integers(-(2**63), 2**63 - 1)))
    values = draw(hnp.arrays(np.float64, (n, 2), elements=st.integers(-5, 5).map(float)))
    return Keyed.of(keys, values, limit=limit)


@st.composite
def statistics(draw: st.DrawFn) -> Statistic:
    sums = hnp.arrays(np.float64, shapes, elements=floats) | hnp.arrays(np.int64, shapes)
    columns = hnp.arrays(np.float64, draw(st.integers(0, 4)), elements=floats)
    rows = st.tuples(*[st.integers(0, 2**40)] * 4)
    runs = draw(st.lists(rows, max_size=3))
    digests = draw(st.lists(st.integers(0, 2**64 - 1), min_size=len(runs), max_size=len(runs)))
    names = draw(st.lists(st.text(max_size=6), unique=True, max_size=5))
    makers = st.one_of(
        sums.map(Sum),
        sums.map(Minimum),
        st.builds(Moments, floats.map(np.float64), columns, columns),
        st.builds(WeightedMoments, floats.map(np.float64), columns, columns),
        keyed(),
    )
    return Statistic(
        {name: draw(makers) for name in names},
        Receipts(np.array(runs, np.int64).reshape(-1, 4), np.array(digests, np.uint64)),
    )


def arrays_of(statistic: Statistic) -> dict[str, Any]:
    found: dict[str, Any] = {"runs": statistic.receipts.runs, "digests": statistic.receipts.digests}
    for name, part in statistic.parts.items():
        found |= {f"{part.rule} {name} {key}": np.asarray(value) for key, value in part.arrays().items()}
    return found


@given(statistic=statistics(), level=st.integers(0, 60), number=st.integers(0, 2**60))
def test_the_wire_carries_every_bit(statistic: Statistic, level: int, number: int) -> None:
    data = statistic.encode(Node(level, number))
    node, found = Statistic.decode(data, where="here")
    assert node == (level, number)
    assert same_arrays(arrays_of(found), arrays_of(statistic))
    assert found.encode(node) == data


@given(left=statistics())
def test_what_came_over_the_wire_adds_to_the_same_bits(left: Statistic) -> None:
    _, received = Statistic.decode(left.encode(NODE), where="here")
    with np.errstate(all="ignore"):
        assert same_arrays(arrays_of(received + left), arrays_of(left + left))
        assert same_arrays(arrays_of(left + received), arrays_of(left + left))


TEXT = frame.to_text(STATISTIC.encode(NODE))


@pytest.mark.parametrize("backend", ["pybase64", "standard library"])
def test_no_changed_or_missing_or_added_character_passes(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "pybase64":
        pytest.importorskip("pybase64")
    else:
        monkeypatch.setattr(frame, "pybase64", None)
    assert decode_value(TEXT)[0] == NODE
    damaged = [TEXT[:length] for length in range(len(TEXT))] + [TEXT + bytes([b]) for b in range(256)]
    for position, old in enumerate(TEXT):
        others = {old ^ (1 << bit) for bit in range(8)} | set(b"\0\t\n =+/09AZaz") - {old}
        damaged += [TEXT[:position] + bytes([other]) + TEXT[position + 1 :] for other in others]
    for text in damaged:
        with pytest.raises(BadDataError, match="partial sum"):
            decode_value(text)


def sealed(meta: Any, arrays: dict[str, Any]) -> bytes:
    return frame.encode("statistic", meta, arrays)


RECEIPTS = {"receipts": np.zeros((0, 4), np.int64), "digests": np.zeros(0, np.uint64)}


@pytest.mark.parametrize(
    "data",
    [
        sealed({}, RECEIPTS),
        sealed({"node": [0, 0]}, RECEIPTS),
        sealed({"node": [0, 0], "parts": {}}, {}),
        sealed({"node": [0], "parts": {}}, RECEIPTS),
        sealed({"node": 0, "parts": {}}, RECEIPTS),
        sealed({"node": [0, 0], "parts": []}, RECEIPTS),
        sealed({"node": [0, 0], "parts": {"a": "sum"}}, RECEIPTS),
        sealed({"node": [0, 0], "parts": {"a": "product"}}, RECEIPTS | {"a/value": np.ones(1)}),
        sealed({"node": [0, 0], "parts": {"a": ["sum"]}}, RECEIPTS | {"a/value": np.ones(1)}),
        sealed({"node": [0, 0], "parts": {"a": "sum"}}, RECEIPTS | {"a/value": np.ones(1), "a/more": np.ones(1)}),
        sealed({"node": [0, 0], "parts": {"a": "moments"}}, RECEIPTS | {"a/mean": np.ones(1)}),
        sealed({"node": [0, 0], "parts": {"a": "keyed"}}, RECEIPTS | {"a/keys": np.ones(1), "a/values": np.ones(1)}),
        sealed(
            {"node": [0, 0], "parts": {"a": "keyed"}},
            RECEIPTS | {"a/keys": np.ones(1), "a/values": np.ones(1), "a/bounds": np.ones(3)},
        ),
    ],
    ids=range(13),
)
def test_a_sealed_frame_that_is_no_statistic_is_bad_data(data: bytes) -> None:
    with pytest.raises(BadDataError, match="part 7"):
        Statistic.decode(data, where="part 7")


def test_format_1_is_read_as_ever() -> None:
    node, found = Statistic.decode(golden("statistic-format-1.frame"), where="golden")
    assert node == NODE
    assert same_arrays(arrays_of(found), arrays_of(STATISTIC))
    assert found.n_rows == 150
    table = found.parts["table"]
    assert isinstance(table, Keyed)
    assert (table.limit, table.shift) == (1024, 1)


def test_statistics_of_different_queries_do_not_add() -> None:
    with pytest.raises(ValueError, match="different queries"):
        Statistic({"a": Sum(np.ones(1))}) + Statistic({"b": Sum(np.ones(1))})


def test_absorbing_is_adding_in_place_where_that_is_allowed() -> None:
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(2, 50))

    def statistic(row: int) -> Statistic:
        return Statistic(
            {
                "a": Sum(numbers[row].copy()),
                "least": Minimum(numbers[row].copy()),
                "n": Sum(cast("Any", np.float64(row))),
            }
        )

    expected = arrays_of(statistic(0) + statistic(1))
    mine, theirs = statistic(0), statistic(1)
    memory = mine.sum("a")
    found = mine.absorb(theirs)
    assert same_arrays(arrays_of(found), expected)
    assert found.sum("a") is memory
    assert theirs.sum("a").tolist() == numbers[1].tolist()
    frozen = statistic(0)
    frozen.sum("a").flags.writeable = False
    assert same_arrays(arrays_of(frozen.absorb(theirs)), expected)
    assert frozen.sum("a").tolist() == numbers[0].tolist()
    with pytest.raises(ValueError, match="different queries"):
        mine.absorb(Statistic({"b": Sum(np.ones(1))}))


# --- the algebras -----------------------------------------------------------------------------------------------------


def table_of(part: Keyed) -> dict[int, list[float]]:
    assert (part.keys[1:] > part.keys[:-1]).all()
    return dict(zip(part.keys.tolist(), part.values.tolist(), strict=True))


@given(
    entries=st.lists(st.tuples(st.integers(-9, 9) | st.integers(-(2**63), 2**63 - 1), st.integers(-5, 5)), max_size=30),
    limit=st.integers(2, 12),
    cuts=st.lists(st.integers(0, 30), max_size=4),
)
def test_keyed_sums_are_those_of_a_dictionary(entries: list[tuple[int, int]], limit: int, cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(entries)]
    total = None
    for first, last in pairwise(bounds):
        keys = np.array([k for k, _ in entries[first:last]], np.int64)
        values = np.array([[v, 1] for _, v in entries[first:last]], np.float64).reshape(-1, 2)
        part = Keyed.of(keys, values, limit=limit)
        total = part if total is None else total + part
    assert total is not None
    expected: dict[int, list[float]] = {}
    for key, value in entries:
        slot = expected.setdefault(key >> total.shift, [0.0, 0.0])
        slot[0] += value
        slot[1] += 1
    assert table_of(total) == expected
    assert len(expected) <= limit
    # no coarser than it must be
    assert total.shift == 0 or len({key >> (total.shift - 1) for key, _ in entries}) > limit


@given(parts=st.lists(hnp.arrays(np.float64, 3, elements=floats), min_size=1, max_size=6))
def test_minima(parts: list[Any]) -> None:
    total = Minimum(parts[0])
    for part in parts[1:]:
        total = total + Minimum(part)
    assert total.value.tolist() == [min(column) for column in zip(*(p.tolist() for p in parts), strict=True)]


@given(
    values=st.lists(st.integers(-(2**40), 2**40).map(lambda k: k / 2**10), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=5),
    seed=st.integers(0, 99),
)
def test_moments_of_parts_join_to_those_of_the_whole(values: list[float], cuts: list[int], seed: int) -> None:
    bounds = [0, *sorted(min(c, len(values)) for c in cuts), len(values)]
    parts = []
    for first, last in pairwise(bounds):
        some = np.array(values[first:last])[:, None]
        mean = some.mean(axis=0) if len(some) else np.zeros(1)
        parts.append(Moments(np.float64(len(some)), mean, ((some - mean) ** 2).sum(axis=0)))  # type: ignore[arg-type]
    random.Random(seed).shuffle(parts)
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    assert total.count == len(values)
    exact = [Fraction(v) for v in values]
    if exact:
        mean = sum(exact) / len(exact)
        m2 = sum((v - mean) ** 2 for v in exact)
        scale = max(abs(v) for v in values) or 1.0
        assert abs(total.mean[0] - float(mean)) <= 1e-14 * scale
        assert abs(total.m2[0] - float(m2)) <= 1e-13 * float(m2) + 1e-28 * scale**2 * len(values)


# --- receipts ---------------------------------------------------------------------------------------------------------


def test_receipts_of_large_partitions_wrap_around_silently() -> None:
    top = 2**32 - 1
    total = Receipts.of_block(partition=0, index=2**31, rows=1, crc=top)
    expected = (2**32 + 1) * top
    for index in range(2**31 + 1, 2**31 + 9):
        total = total + Receipts.of_block(partition=0, index=index, rows=1, crc=top)
        expected += (2 * index + 1) * top
    assert total.runs.tolist() == [[0, 2**31, 2**31 + 9, 9]]
    assert total.digests.tolist() == [expected % 2**64]


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    crcs=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_receipts_join_neighbours_only(sizes: list[int], crcs: int, data: st.DataObject) -> None:
    """Any contiguous pieces, joined in any bracketing that keeps their order, end as one run a partition."""
    blocks = [(p, i) for p, n in enumerate(sizes) for i in range(n)]
    digest = {address: (crcs * (3 + k) + k) % 2**32 for k, address in enumerate(blocks)}
    pieces = [Receipts.of_block(partition=p, index=i, rows=p + i, crc=digest[p, i]) for p, i in blocks]
    while len(pieces) > 1:
        at = data.draw(st.integers(0, len(pieces) - 2))
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    assert pieces[0].runs.tolist() == [[p, 0, n, sum(p + i for i in range(n))] for p, n in enumerate(sizes)]
    assert pieces[0].digests.tolist() == [
        sum((2 * i + 1) * digest[p, i] for i in range(n)) % 2**64 for p, n in enumerate(sizes)
    ]


def test_receipts_of_blocks_that_are_no_neighbours_stay_apart() -> None:
    one = Receipts.of_block(partition=0, index=0, rows=1, crc=1)
    for partition, index in ((0, 0), (0, 2), (1, 1)):
        assert len((one + Receipts.of_block(partition=partition, index=index, rows=1, crc=1)).runs) == 2


# --- whole passes -----------------------------------------------------------------------------------------------------


def some_rows(n: int = 60) -> tuple[Any, Any]:
    rng = np.random.default_rng(5)
    return rng.normal(size=(n, 4)) * 10.0 ** rng.integers(-6, 6, size=(n, 4)), rng.normal(size=n)


QUERY = LineQuery(rows=RowSpec(loss_from_json("squared"), 4), coef=np.array([[0.1, 0.2, -0.3, 1.0, 0.5]]))


def test_a_pass_has_the_same_bits_however_it_is_cut() -> None:
    engine = make_engine(*some_rows(), block_rows=4, partitions=3)
    alone = engine.run(QUERY)
    rng = random.Random(3)
    for n_tasks in (1, 2, 5, 15):
        tasks = [PartialSums(engine.tree, Statistic.__add__) for _ in range(n_tasks)]
        for stored in rng.sample(engine.blocks, len(engine.blocks)):
            add_block(rng.choice(tasks), engine.tree, QUERY, stored)
        nodes = [Statistic.decode(s.encode(node), where="") for task in tasks for node, s in task.items()]
        rng.shuffle(nodes)
        sums: PartialSums[Statistic] = PartialSums(engine.tree, Statistic.__add__)
        for node, statistic in nodes:
            sums.add(node, statistic)
        assert same_arrays(arrays_of(sums.total()), dict(arrays_of(alone)))


def without(engine: InMemoryEngine, *, at: int) -> tuple[StoredBlock, ...]:
    return engine.blocks[:at] + engine.blocks[at + 1 :]


def test_every_block_is_missed_and_named() -> None:
    engine = make_engine(*some_rows(), block_rows=4, partitions=3)
    for at, stored in enumerate(engine.blocks):
        for faulty in (without(engine, at=at), (*engine.blocks, stored)):
            with pytest.raises(InternalError, match=rf"partition\(s\) {stored.address.partition}\b"):
                InMemoryEngine(engine.tree, faulty, engine.expected).run(MomentsQuery(4))


def test_blocks_that_changed_places_are_noticed() -> None:
    """The tree is complete then; the digests are not those of the manifest."""
    engine = make_engine(*some_rows(), block_rows=4, partitions=3)
    for i, one in enumerate(engine.blocks):
        for j, other in enumerate(engine.blocks[:i]):
            swapped = list(engine.blocks)
            swapped[i] = StoredBlock(one.address, other.block, other.crc)
            swapped[j] = StoredBlock(other.address, one.block, one.crc)
            with pytest.raises(BadDataError, match="is not the one that was packed") as refused:
                InMemoryEngine(engine.tree, tuple(swapped), engine.expected).run(MomentsQuery(4))
            assert f"partition {other.address.partition} " in str(refused.value)


def test_a_block_of_another_dataset_is_noticed() -> None:
    x, y = some_rows()
    engine = make_engine(x, y, block_rows=4, partitions=3)
    for row in range(len(y)):
        changed = y.copy()
        changed[row] = np.nextafter(changed[row], np.inf)
        blocks = make_blocks(x, changed, block_rows=4, partitions=3)
        (at,) = [k for k, stored in enumerate(blocks) if stored.crc != engine.blocks[k].crc]
        mixed = InMemoryEngine(engine.tree, blocks, engine.expected, dataset="iris@3")
        with pytest.raises(BadDataError, match=rf"iris@3: partition {blocks[at].address.partition} is not the one"):
            mixed.run(MomentsQuery(4))
        assert engine_of(blocks).run(MomentsQuery(4)).n_rows == len(y)


def test_an_engine_without_blocks_refuses() -> None:
    with pytest.raises(InternalError, match="0 blocks of 0 partitions"):
        engine_of(()).run(MomentsQuery(4))
