"""What a pass sends to its tasks: queries that arrive as they were, and every block given to exactly one task."""

from __future__ import annotations

import copy
import random
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import same_arrays
from golden_frames import QUERY, REQUEST, golden
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from loss_cases import CASES
from sealed_nonsense import FRAME_DTYPES, as_frame, mutate_arrays, mutate_json

from mr_ml.data import frame
from mr_ml.data.partition_file import PartitionFacts
from mr_ml.errors import BadDataError
from mr_ml.models.groups import GroupsQuery
from mr_ml.models.linear.fold_counts import FoldCountsQuery
from mr_ml.models.linear.inference_query import InferenceQuery, NullQuery
from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.losses import LOSSES, loss_from_text
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.shift import NO_SHIFT, Shift
from mr_ml.models.linear.sides import SidesQuery
from mr_ml.models.paired import PairedQuery
from mr_ml.passes.request import PassRequest, assign, ranges_of, task_line
from mr_ml.sums.histogram import HistogramQuery
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.query import Query
from mr_ml.sums.query_kinds import QUERIES, query_parts
from mr_ml.sums.several import SeveralQueries
from mr_ml.sums.tree import PartitionPlan, SumTree

finite = st.floats(allow_nan=False, allow_infinity=False)
coefs = hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 4)), elements=st.floats())
specs = st.builds(
    RowSpec,
    st.sampled_from([case.loss for case in CASES if case.loss.name in LOSSES]),
    st.integers(0, 10**9),
    classes=st.lists(finite, max_size=4).map(tuple),
    class_weights=st.none() | st.lists(finite, max_size=4).map(tuple),
    row_weights=st.booleans(),
    shift=st.just(NO_SHIFT) | st.builds(Shift, st.just((0, 7)), st.tuples(finite, finite), finite),
)
lines = st.builds(
    LineQuery,
    rows=specs,
    coef=coefs,
    direction=st.none() | coefs,
    steps=st.lists(finite, min_size=1, max_size=4).map(tuple),
    chosen=st.integers(0, 3),
    curvature=st.booleans(),
    cross=st.booleans(),
    hessian=st.booleans(),
    factor=st.booleans(),
    leads=st.booleans(),
)
others = st.builds(MomentsQuery, st.integers(0, 10**9)) | st.builds(SidesQuery, specs)
others |= st.just(
    SidesQuery(RowSpec(loss_from_text("logistic"), 2, classes=(0.0, 1.0)), (np.eye(1, 3), np.ones((1, 3))))
)
measuring = st.builds(MetricsQuery, specs, coefs)
columns = st.none() | st.just(np.array([0, 2, 5], np.int32))
pairs = st.builds(PairedQuery, st.tuples(measuring, measuring), st.tuples(columns, columns))
alone = lines | others | measuring | pairs
grouped = st.builds(GroupsQuery, measuring, columns, st.just(np.array([1, 4], np.int32)))
queries = alone | grouped | st.builds(SeveralQueries, st.lists(alone, max_size=3).map(tuple))
plans = st.lists(st.integers(0, 10**6), max_size=5).map(
    lambda sizes: SumTree(tuple(PartitionPlan(3 * k, n) for k, n in enumerate(sizes)))
)


def same_query(one: Query, other: Query) -> bool:
    (meta, arrays), (other_meta, other_arrays) = query_parts(one), query_parts(other)
    return type(one) is type(other) and meta == other_meta and same_arrays(arrays, other_arrays)


@given(query=queries, tree=plans, dataset=st.text(), cache=st.integers(0, 2**60))
def test_requests_arrive_as_they_were(query: Query, tree: SumTree, dataset: str, cache: int) -> None:
    request = PassRequest(query, tree, dataset, cache)
    data = request.encode()
    found = PassRequest.decode(data, where="here")
    assert same_query(found.query, query)
    assert (found.tree, found.dataset, found.cache_bytes) == (tree, dataset, cache)
    assert found.encode() == data
    if isinstance(query, LineQuery):
        assert isinstance(found.query, LineQuery)
        assert found.query.rows == query.rows
        assert (found.query.steps, found.query.chosen) == (query.steps, query.chosen)


def test_every_kind_of_query_travels() -> None:
    metrics, histogram = MetricsQuery(QUERY.rows, QUERY.coef), HistogramQuery(np.zeros(1, np.int32), np.zeros((1, 9)))
    asked = (
        QUERY, MomentsQuery(1), metrics, SidesQuery(QUERY.rows), SeveralQueries(()), PairedQuery((metrics, metrics)),
        histogram, GroupsQuery(metrics), FoldCountsQuery(QUERY.rows), InferenceQuery(QUERY.rows, QUERY.coef),
        NullQuery(QUERY.rows, QUERY.coef[:, -1]),
    )  # fmt: skip
    assert {query.kind: type(query) for query in asked} == {name: QUERIES.get(name) for name in QUERIES.built_in}


def test_no_changed_byte_passes() -> None:
    data = REQUEST.encode()
    for position, old in enumerate(data):
        for bit in range(8):
            with pytest.raises(BadDataError, match="request-3"):
                PassRequest.decode(
                    data[:position] + bytes([old ^ (1 << bit)]) + data[position + 1 :], where="request-3"
                )
    for length in range(len(data)):
        with pytest.raises(BadDataError, match="request-3"):
            PassRequest.decode(data[:length], where="request-3")


def test_a_query_of_a_later_version_is_refused_by_name() -> None:
    data = frame.encode("pass", {"query": {"kind": "kmeans"}, "plan": [], "dataset": "", "cache_bytes": 0}, {})
    with pytest.raises(
        BadDataError, match=r"request-3: query of kind 'kmeans', this mr_ml knows \[.*'histogram', 'inference', 'line'"
    ):
        PassRequest.decode(data, where="request-3")


def test_no_sealed_nonsense_is_a_defect() -> None:
    """A task that is handed a query of another mr_ml, or none at all, says so."""
    rng, opened = random.Random(3), frame.decode(REQUEST.encode(), kind="pass", where="here")
    refused = 0
    for _ in range(400):
        meta, arrays = copy.deepcopy(dict(opened.meta)), dict(opened.arrays)
        mutate_json(meta, rng) if rng.random() < 0.7 else mutate_arrays(arrays, rng, dtypes=FRAME_DTYPES)
        with suppress(BadDataError):
            PassRequest.decode(as_frame("pass", meta, arrays), where="request-3")
            continue
        refused += 1
    assert refused > 100


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_format_is_read_as_ever(version: int) -> None:
    found = PassRequest.decode(golden(f"pass-format-{version}.frame"), where="golden")
    # the first two knew of no shift and no leads, and the first one asked for the curvature always
    older = replace(QUERY, rows=replace(QUERY.rows, shift=NO_SHIFT), leads=False)
    assert same_query(found.query, {1: replace(older, curvature=True), 2: older, 3: QUERY}[version])
    assert found.tree == SumTree((PartitionPlan(0, 3), PartitionPlan(2, 1)))
    assert (found.dataset, found.cache_bytes) == ("20261123T052811-0badcafe", 1 << 30)


# --- who reads what ---------------------------------------------------------------------------------------------------


def partitions_of(lines: list[list[int]]) -> list[tuple[str, PartitionFacts]]:
    return [
        (f"/data/part-{p:05d}", PartitionFacts(p, sum(sizes), 0, "", 0, tuple(sizes))) for p, sizes in enumerate(lines)
    ]


@given(
    lines=st.lists(st.lists(st.integers(1, 200) | st.just(10_000), max_size=12), max_size=8),
    n_tasks=st.integers(1, 20),
)
def test_every_block_is_read_by_one_task_in_order(lines: list[list[int]], n_tasks: int) -> None:
    tasks = assign(partitions_of(lines), n_tasks=n_tasks)
    assert len(tasks) <= n_tasks
    assert all(ranges and all(r.line_bytes for r in ranges) for ranges in tasks)
    seen: list[tuple[int, int]] = []
    for r in (r for ranges in tasks for r in ranges):
        sizes = lines[r.partition]
        assert r.path == f"/data/part-{r.partition:05d}"
        assert r.line_bytes == tuple(sizes[r.first : r.first + len(r.line_bytes)])
        assert r.offset == sum(sizes[: r.first])
        assert r.file_bytes == sum(sizes)
        seen += [(r.partition, r.first + k) for k in range(len(r.line_bytes))]
    assert seen == [(p, k) for p, sizes in enumerate(lines) for k in range(len(sizes))]
    # a task has its share and at most one block more
    total = sum(map(sum, lines))
    largest = max((size for sizes in lines for size in sizes), default=0)
    assert all(sum(sum(r.line_bytes) for r in ranges) <= total / n_tasks + largest for ranges in tasks)


def test_equal_blocks_are_dealt_evenly() -> None:
    tasks = assign(partitions_of([[100] * 8, [100] * 16]), n_tasks=6)
    assert [sum(len(r.line_bytes) for r in ranges) for ranges in tasks] == [4] * 6


@given(lines=st.lists(st.lists(st.integers(1, 200), min_size=1, max_size=5), min_size=1, max_size=4))
def test_a_tasks_line_says_what_it_was_told(lines: list[list[int]]) -> None:
    (ranges,) = assign(partitions_of(lines), n_tasks=1)
    line = task_line(ranges)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.startswith(b"[")
    assert ranges_of(line) == ranges


def test_paths_of_any_characters_travel() -> None:
    facts: Any = PartitionFacts(0, 1, 0, "", 0, (5,))
    (ranges,) = assign([('/a\n"b"\té\\/part', facts)], n_tasks=3)
    assert ranges_of(task_line(ranges)) == ranges
