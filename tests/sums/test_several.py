"""Several queries in one pass: each gets the very bits of a pass of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_blocks, make_engine
from commands import Commands, write_libsvm
from test_slices import SPEC, WIDTH, D, bits, rows, shuffle

from hdfs_layout import open_root
from mr_ml.catalog.dataset import load_dataset
from mr_ml.errors import BadDataError
from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.shift import Shift
from mr_ml.models.linear.sides import SidesQuery
from mr_ml.passes.mapreduce import MapReduceEngine
from mr_ml.passes.request import PassRequest
from mr_ml.passes.tasks import decode_value, reduce_sums
from mr_ml.runners.local.machine import LocalJobRunner
from mr_ml.sums import slices
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.query import Query
from mr_ml.sums.query_kinds import query_from, query_parts
from mr_ml.sums.several import SeveralQueries
from mr_ml.sums.statistic import Statistic


def queries() -> tuple[Query, ...]:
    """Of all kinds and widths; some read rows otherwise, and some never have slices."""
    coef, direction = np.random.default_rng(5).normal(size=(2, 3, D + 1))
    shifted = replace(SPEC, shift=Shift((1, 7), (0.5, -2.0)))
    numbers = RowSpec(loss_from_json("squared"), D)
    return (
        LineQuery(SPEC, coef, direction, steps=(1.0, 0.5), chosen=1),
        LineQuery(shifted, coef),
        LineQuery(numbers, coef[:1], leads=True),
        LineQuery(numbers, coef[:1], cross=True, hessian=True),
        MomentsQuery(D),
        MomentsQuery(D + WIDTH + 3),
        SidesQuery(SPEC),
        MetricsQuery(SPEC, coef),
    )


@pytest.mark.parametrize("width", [WIDTH, 1 << 18])
@pytest.mark.parametrize("form", ["sparse", "dense", "stored"])
@pytest.mark.parametrize("block_rows", [4, 64])
def test_each_query_gets_the_bits_of_its_own_pass(
    monkeypatch: pytest.MonkeyPatch, width: int, form: str, block_rows: int
) -> None:
    monkeypatch.setattr(slices, "FEATURE_BLOCK", width)
    engine = make_engine(*rows(), form=form, block_rows=block_rows, partitions=3)
    meta, arrays = query_parts(SeveralQueries(queries()))
    together = query_from(meta, arrays, where="here")
    assert isinstance(together, SeveralQueries)
    total = engine.run(together)
    assert bool(total.slices) == (width == WIDTH)
    _, travelled = Statistic.decode(total.encode(engine.tree.root), where="here")
    for given in (total, travelled):
        for query, found in zip(queries(), together.statistics(given), strict=True):
            alone = engine.run(query)
            assert bits(found) == bits(alone)
            assert found.n_rows == alone.n_rows
            assert bool(found.slices) == bool(alone.slices)
    # what is read of it is typed, and in order
    line, *_, metrics = together.read(total)
    assert line.loss_sums.tobytes() == queries()[0].read(engine.run(queries()[0])).loss_sums.tobytes()
    assert metrics == queries()[-1].read(engine.run(queries()[-1]))


def test_reduce_tasks_share_several_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "FEATURE_BLOCK", WIDTH)
    engine = make_engine(*rows(), form="sparse", block_rows=4, partitions=3)
    query = SeveralQueries(queries())
    request = PassRequest(query, engine.tree, "rows", 0)
    pieces = [
        decode_value(value)[1]
        for key, values in shuffle(engine, query, n_reducers=3, n_tasks=5).items()
        for _, value in reduce_sums(request, key, values)
    ]
    for one, found in zip(query.queries, query.statistics(Statistic.joined(pieces)), strict=True):
        assert bits(found) == bits(engine.run(one))


def test_a_block_is_prepared_once_for_each_reading() -> None:
    coef = np.zeros((3, D + 1))
    shifted = replace(SPEC, shift=Shift((1,), (0.5,)))
    alike = SeveralQueries((LineQuery(shifted, coef), SidesQuery(shifted)))
    assert alike.reading == shifted.reading != ""
    mixed = SeveralQueries((LineQuery(shifted, coef), MomentsQuery(D), SidesQuery(shifted)))
    assert mixed.reading == ""
    (stored,) = make_blocks(*rows(), form="sparse", block_rows=1000)
    assert mixed.prepare(stored.block) is stored.block
    prepared: list[str] = []

    class Counting(LineQuery):
        def prepare(self, block: Any) -> Any:
            prepared.append(self.reading)
            return super().prepare(block)

    SeveralQueries((Counting(shifted, coef), Counting(shifted, coef), MomentsQuery(D))).map(stored.block)
    assert prepared == [shifted.reading]


@pytest.mark.parametrize("wrong", [{"queries": [{"kind": "kmeans"}]}, {"queries": [{"kind": "line"}]}, {}])
def test_queries_that_are_none_are_bad_data(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadDataError, match="request: not a query of kind 'several'"):
        query_from({"kind": "several", **wrong}, {}, where="request")


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_a_job_answers_several_queries(runner: str, tmp_path: Path) -> None:
    place = Commands(tmp_path / "root", runner=("-r", runner))
    place("pack", write_libsvm(tmp_path / "rows", *rows()), "--to", "rows", "--partitions", "3")
    root = open_root(str(place.root))
    engine = MapReduceEngine(
        load_dataset(root, "rows"), "train", root.store, LocalJobRunner.of(runner, workers=2), 1 << 20
    )
    together = SeveralQueries(queries())
    for query, found in zip(queries(), together.statistics(engine.run(together)), strict=True):
        assert bits(found) == bits(engine.run(query))
