"""Sums of very many features in slices: the bits of whole arrays, whatever is sparse, and no slice goes missing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_blocks, make_engine
from commands import Commands, write_libsvm
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.data.block import encode_line
from mr_ml.errors import BadDataError, InternalError
from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.reading import RowSpec
from mr_ml.passes.in_memory import InMemoryEngine
from mr_ml.passes.mapreduce import MapReduceEngine
from mr_ml.passes.request import PassRequest
from mr_ml.passes.tasks import MapTask, decode_value, reduce_sums
from mr_ml.runners.reduce_keys import hash_of
from mr_ml.sums import slices
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.parts import ColumnPart, Minimum, Moments, Sum
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import PartialSums

N, D, WIDTH = 160, 300, 16
SPEC = RowSpec(loss_from_json("softmax"), D, classes=(0.0, 1.0, 2.0))


@pytest.fixture
def narrow_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "FEATURE_BLOCK", WIDTH)


def rows() -> tuple[Any, Any]:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(N, D)) * (rng.random((N, D)) < 0.02)
    # some columns that most rows have, some that none has
    x[:, :3] = rng.normal(size=(N, 3))
    x[:, 40:90] = 0
    x[8:12] = 0
    return x, rng.integers(0, 3, N).astype(float)


def queries() -> list[Query]:
    rng = np.random.default_rng(5)
    coef, direction = rng.normal(size=(2, 3, D + 1))
    return [LineQuery(SPEC, coef, direction, steps=(1.0, 0.5), chosen=1, cross=True), MomentsQuery(D)]


def bits(total: Statistic) -> dict[str, bytes]:
    names = {*total.parts, *(name for mine in total.slices for name in mine.parts)}
    return {
        f"{name}/{key}": np.asarray(array).tobytes()
        for name in sorted(names)
        for key, array in total.part(name).arrays().items()
    }


def whole(query: Query, *, form: str, block_rows: int) -> Statistic:
    weights = np.arange(N) % 5 / 4
    return make_engine(*rows(), weights=weights, form=form, block_rows=block_rows, partitions=3).run(query)


# blocks of 4 rows are mapped over their own columns, blocks of 64 over all
@pytest.mark.parametrize("form", ["sparse", "dense"])
@pytest.mark.parametrize("block_rows", [4, 64])
@pytest.mark.parametrize("query", queries(), ids=lambda query: query.kind)
def test_slices_have_the_bits_of_whole_sums(
    monkeypatch: pytest.MonkeyPatch, query: Query, form: str, block_rows: int
) -> None:
    expected = whole(query, form=form, block_rows=block_rows)
    assert not expected.slices
    monkeypatch.setattr(slices, "FEATURE_BLOCK", WIDTH)
    found = whole(query, form=form, block_rows=block_rows)
    assert len(found.slices) == -(-found.slices[0].width // WIDTH)
    assert bits(found) == bits(expected)
    if form == "sparse" and block_rows == 4:
        assert {mine.ids is None for mine in found.slices} == {True, False}


@pytest.mark.usefixtures("narrow_slices")
@pytest.mark.parametrize("n_reducers", [1, 2, 7, 40])
@pytest.mark.parametrize("query", queries(), ids=lambda query: query.kind)
def test_reduce_tasks_share_the_features(query: Query, n_reducers: int) -> None:
    engine = make_engine(*rows(), form="sparse", block_rows=4, partitions=3)
    total = engine.run(query)
    shuffled = shuffle(engine, query, n_reducers=n_reducers, n_tasks=5)
    by_task: dict[int, set[int]] = {}
    pieces = []
    for key, values in shuffled.items():
        found = [decode_value(value) for _, value in reduce_sums(request_of(engine, query), key, values)]
        assert [node for node, _ in found] == [engine.tree.root]
        pieces.append(found[0][1])
        by_task.setdefault(hash_of(key) % n_reducers, set()).add(found[0][1].first_feature)
    assert len(pieces) == len(total.slices)
    assert set(by_task) == set(range(min(n_reducers, len(pieces))) if n_reducers < len(pieces) else set(by_task))
    sizes = [len(features) for features in by_task.values()]
    assert max(sizes) - min(sizes) <= 1
    assert bits(Statistic.joined(pieces)) == bits(total)


def request_of(engine: InMemoryEngine, query: Query) -> PassRequest:
    return PassRequest(query, engine.tree, "rows", 0)


def shuffle(engine: InMemoryEngine, query: Query, *, n_reducers: int, n_tasks: int) -> dict[bytes, list[bytes]]:
    """What map tasks send, by key."""
    tasks = [MapTask(request_of(engine, query), n_reducers=n_reducers) for _ in range(n_tasks)]
    for k, stored in enumerate(engine.blocks):
        tasks[k * n_tasks // len(engine.blocks)].add(encode_line(stored.block, stored.address))
    sent: dict[bytes, list[bytes]] = {}
    for task in tasks:
        for key, value in task.results():
            sent.setdefault(key, []).append(value)
    return sent


@pytest.mark.usefixtures("narrow_slices")
def test_a_task_sends_every_slice_of_a_node_once() -> None:
    engine = make_engine(*rows(), form="sparse", block_rows=4, partitions=3)
    query = queries()[0]
    sent = shuffle(engine, query, n_reducers=3, n_tasks=2)
    for values in sent.values():
        nodes = [decode_value(value)[0] for value in values]
        assert len(nodes) == len(set(nodes))
    parts = [decode_value(value)[1].parts.keys() for values in sent.values() for value in values]
    with_losses = sum("loss_sums" in names for names in parts)
    assert with_losses * len(sent) == len(parts)


@pytest.mark.usefixtures("narrow_slices")
@pytest.mark.parametrize(("lost", "named"), [(0, "features 0 to 15"), (5, "features 80 to 95"), (18, "288 to 300")])
def test_a_lost_slice_is_named(lost: int, named: str) -> None:
    pieces = whole(queries()[0], form="sparse", block_rows=4).pieces()
    with pytest.raises(InternalError, match=f"{named} missing"):
        Statistic.joined([piece for k, piece in enumerate(pieces) if k != lost])
    with pytest.raises(InternalError, match=f"{named} doubled"):
        Statistic.joined([*pieces, pieces[lost]])


@pytest.mark.usefixtures("narrow_slices")
def test_a_slice_without_some_block_is_refused() -> None:
    """One slice of one node of one map task is lost on the way: that slice's own tree shows it."""
    engine = make_engine(*rows(), form="sparse", block_rows=4, partitions=3)
    query = queries()[0]
    sent = shuffle(engine, query, n_reducers=2, n_tasks=4)
    lost = sorted(sent)[7]
    sums: PartialSums[Statistic] = PartialSums(engine.tree, Statistic.__add__)
    for value in sent[lost][1:]:
        sums.add(*decode_value(value))
    with pytest.raises(InternalError, match="is not complete"):
        sums.total()


@pytest.mark.usefixtures("narrow_slices")
def test_a_row_beyond_the_last_feature_is_refused() -> None:
    (stored,) = make_blocks(*rows(), form="sparse", block_rows=N)
    for query in (
        MomentsQuery(D - 1),
        LineQuery(RowSpec(loss_from_json("softmax"), D - 1, SPEC.classes), np.zeros((3, D))),
    ):
        with pytest.raises(BadDataError, match=f"feature {D - 1}"):
            query.map(stored.block)


def parts_of(values: Any) -> dict[str, ColumnPart]:
    return {
        "sum": Sum(values),
        "minimum": Minimum(values[0] + 0.5),
        "moments": Moments(np.float64(3), values[1], np.abs(values[0])),  # type: ignore[arg-type]
    }


@given(seed=st.integers(0, 2**32), n=st.integers(1, 12), share=st.floats(0, 1))
def test_sparse_additions_are_dense_additions(seed: int, n: int, share: float) -> None:
    """Also of negative zeros, infinities and columns that only one side has."""
    rng = random.Random(seed)
    choices = [0.0, -0.0, 1.5, -1.5, 1e308, np.inf, 5e-324]

    def side() -> tuple[Any, Any]:
        ids = np.array([i for i in range(n) if rng.random() < share], np.int64)
        return ids, np.array([[rng.choice(choices) for _ in ids] for _ in range(2)]).reshape(2, len(ids))

    def dense(ids: Any, values: Any) -> dict[str, ColumnPart]:
        full = np.zeros((2, n))
        full[:, ids] = values
        low = np.full(n, np.inf)
        low[ids] = values[0] + 0.5
        return {**parts_of(full), "minimum": Minimum(low)}

    with np.errstate(all="ignore"):
        sides = [side(), side()]
        one, other = (slices.slices(parts_of(values), width=n, ids=ids) for ids, values in sides)
        found = Statistic({}, slices=(one[0] + other[0],))
        ours, theirs = (dense(*given) for given in sides)
        for name, part in ours.items():
            expected = part + theirs[name]  # type: ignore[operator]
            for key, array in expected.arrays().items():
                assert np.asarray(array).tobytes() == np.asarray(found.part(name).arrays()[key]).tobytes()


def test_slices_of_different_columns_do_not_add() -> None:
    (one,) = slices.slices({"sum": Sum(np.ones(4))}, width=4)
    (other,) = slices.slices({"sum": Sum(np.ones(5))}, width=5)
    with pytest.raises(ValueError, match="different columns"):
        one + other


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that brings all but one of the reduce tasks' answers."""
    run = MapReduceEngine._run

    def lossy(engine: MapReduceEngine, request: bytes) -> Statistic:
        class Losing:
            def run(self, *args: Any, **options: Any) -> Any:
                return engine.runner.run(*args, **options)[1:]

        return run(MapReduceEngine(engine.dataset, engine.split, engine.store, Losing(), 0), request)  # type: ignore[arg-type]

    monkeypatch.setattr(MapReduceEngine, "_run", lossy)


TRAIN = ("train", "rows", "--loss", "softmax", "--l2", "0.01", "--solver", "lbfgs", "--max-passes", "6")


def test_a_model_trained_in_slices_has_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = write_libsvm(tmp_path / "rows", *rows())
    local = Commands(tmp_path / "root", runner=("-r", "inline"))
    local("pack", text, "--to", "rows")
    local(*TRAIN, "--model", "whole")
    monkeypatch.setattr(slices, "FEATURE_BLOCK", WIDTH)
    local(*TRAIN, "--model", "sliced")
    assert local.coef("sliced").sha256 == local.coef("whole").sha256
    local("pack", text, "--to", "again")
    ours, theirs = (local.manifest(f"{name}@1")["moments"]["train"]["sha256"] for name in ("rows", "again"))
    assert ours == theirs


@pytest.mark.usefixtures("narrow_slices", "losing")
def test_a_training_that_loses_a_slice_ends(tmp_path: Path) -> None:
    local = Commands(tmp_path / "root", runner=("-r", "inline"))
    local("pack", write_libsvm(tmp_path / "rows", *rows()), "--to", "rows")
    found = local.run(*TRAIN, "--model", "m")
    assert found.code == 70
    assert "missing" in found.err
