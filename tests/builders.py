"""Builders that tests share: rows as blocks, blocks as an engine, a model's optimum, and the real data as arrays."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import chunks
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mr_ml.data import block as block_module
from mr_ml.data.block import Block, BlockAddress, StoredBlock
from mr_ml.data.features import DenseFeatures, Features, SparseFeatures
from mr_ml.data.partition_file import PartitionFacts, PartitionShelf
from mr_ml.models.linear.objective import Objective
from mr_ml.models.linear.penalty import L2Penalty
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.scaling import Scaling
from mr_ml.optimize.base import Optimizer
from mr_ml.passes.in_memory import InMemoryEngine
from mr_ml.readers.rows import Rows
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.options import TextOptions
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.tree import PartitionPlan, SumTree

Array = NDArray[Any]
Floats = NDArray[np.float64]


def scan(text: bytes, options: TextOptions, *, file: str, first_line: int = 0) -> Summary:
    """What is in a text that has so many lines before it in its file."""
    return chunks.draft(text, options, file=file)[0].shifted(by=first_line)


def make_features(x: Any, *, form: str = "dense") -> Features:
    """Features of a 2-d array or scipy matrix; `form` is "dense" or "sparse"."""
    if form == "dense":
        return DenseFeatures(np.ascontiguousarray(x.toarray() if sparse.issparse(x) else x, dtype=np.float64))
    csr = sparse.csr_array(x)
    csr.sort_indices()
    return SparseFeatures(csr.indptr.astype(np.int32), csr.indices.astype(np.int32), csr.data.astype(np.float64))


def make_block(x: Any, y: Any, *, weights: Any = None, offsets: Any = None, form: str = "dense") -> Block:
    """One block of the rows of `x`."""
    return Block(make_features(x, form=form), _column(y), _column(weights), _column(offsets))


def make_blocks(
    x: Any,
    y: Any,
    *,
    weights: Any = None,
    offsets: Any = None,
    form: str = "sparse",
    block_rows: int = 64,
    partitions: int = 1,
) -> tuple[StoredBlock, ...]:
    """The rows in their order as blocks of `partitions` partitions of about equal size.

    Parameters
    ----------
    form
        "dense" or "sparse": what the blocks hold. "stored": what a reader of partition files gets to see.
    """
    stored = []
    for partition, rows in enumerate(np.array_split(np.arange(len(y)), partitions)):
        for index, start in enumerate(range(0, len(rows), block_rows)):
            at = rows[start : start + block_rows]
            taken = [None if column is None else np.asarray(column)[at] for column in (weights, offsets)]
            block = make_block(
                x[at],
                np.asarray(y)[at],
                weights=taken[0],
                offsets=taken[1],
                form="sparse" if form == "stored" else form,
            )
            seen = block_module.decode_line(
                block_module.encode_line(block, BlockAddress(partition, index)), where="a test"
            )
            stored.append(seen if form == "stored" else StoredBlock(seen.address, block, seen.crc))
    return tuple(stored)


def engine_of(blocks: tuple[StoredBlock, ...]) -> InMemoryEngine:
    """An engine whose manifest lists exactly these blocks."""
    count: dict[int, int] = {}
    expected: dict[int, tuple[int, int]] = {}
    for stored in blocks:
        p = stored.address.partition
        rows, digest = expected.get(p, (0, 0))
        digest = (digest + (2 * stored.address.index + 1) * stored.crc) % 2**64
        count[p] = count.get(p, 0) + 1
        expected[p] = rows + stored.block.n_rows, digest
    tree = SumTree(tuple(PartitionPlan(p, n) for p, n in sorted(count.items())))
    return InMemoryEngine(tree, blocks, expected)


def make_engine(x: Any, y: Any, **options: Any) -> InMemoryEngine:
    """An engine over the rows; options as for `make_blocks`."""
    return engine_of(make_blocks(x, y, **options))


def make_objective(
    engine: InMemoryEngine,
    rows: RowSpec,
    *,
    l2: float = 0.0,
    penalty_space: str = "raw",
    intercept: bool = True,
    centre: bool = False,
    scale: bool = True,
) -> Objective:
    """The objective as training makes it from the features' moments; without `scale` theta is in raw space."""
    if not scale:
        d = rows.n_features
        return Objective(rows, Scaling(np.zeros(d), np.ones(d), intercept, np.ones(d)), L2Penalty(l2, penalty_space))
    query = MomentsQuery(rows.n_features)
    moments = query.read(engine.run(query)).moments
    scaling = Scaling.of(
        mean=moments.mean, deviation=np.sqrt(moments.m2 / moments.count), intercept=intercept, centre=centre
    )
    return Objective(rows, scaling, L2Penalty(l2, penalty_space))


def minimise(engine: InMemoryEngine, objective: Objective, optimizer: Optimizer[Any, Any, Any]) -> Any:
    """Run to the end from zero; returns the last state."""
    state = optimizer.init(np.zeros(objective.size))
    while (ask := optimizer.ask(state)) is not None:
        state = optimizer.tell(state, objective.finish(ask, engine.run(objective.query(ask))))
    return state


def make_rows(rows: Sequence[tuple[float, Mapping[int, float], float | None, float | None]]) -> Rows:
    """Rows as a reader makes them, from (label, {column: value}, weight, offset); weight and offset of all or none."""
    entries = [sorted(features.items()) for _, features, _, _ in rows]
    indptr = np.cumsum([0] + [len(row) for row in entries], dtype=np.int64)
    optional = [
        np.array([row[k] for row in rows], np.float64) if rows and rows[0][k] is not None else None for k in (2, 3)
    ]
    return Rows(
        labels=np.array([row[0] for row in rows], np.float64),
        indptr=indptr,
        indices=np.array([j for row in entries for j, _ in row], np.int32),
        values=np.array([v for row in entries for _, v in row], np.float64),
        lines=np.arange(len(rows), dtype=np.int64),
        weights=optional[0],
        offsets=optional[1],
    )


def write_partition(path: Path, blocks: Any, *, partition: int = 0) -> PartitionFacts:
    """Write a partition file; returns its facts."""
    facts = PartitionFacts.of_nothing(partition)
    with PartitionShelf() as shelf:
        for _, writer in shelf.write(str(path), blocks, partition=partition):
            facts = writer.facts()
    return facts


def read_libsvm(path: Path, *, n_features: int) -> tuple[sparse.csr_array, Floats]:
    """A libsvm file with ids from 1, by scikit-learn's reader: independent of the readers under test."""
    from sklearn.datasets import load_svmlight_file

    x, y = load_svmlight_file(str(path), n_features=n_features, zero_based=False)
    return sparse.csr_array(x), y


def read_csv(path: Path, *, skip: int = 1) -> Floats:
    """A CSV file of numbers, plain or .gz."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="ascii") as lines:
        return np.loadtxt(lines, delimiter=",", skiprows=skip)


def same_arrays(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    """Same names, types, shapes and bits."""
    return one.keys() == other.keys() and all(
        one[k].dtype == other[k].dtype and one[k].shape == other[k].shape and one[k].tobytes() == other[k].tobytes()
        for k in one
    )


def _column(values: Any) -> Any:
    return None if values is None else np.ascontiguousarray(values, dtype=np.float64)
