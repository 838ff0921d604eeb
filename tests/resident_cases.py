"""Small datasets for resident tasks in process: on disk, as blocks in memory, and what passes ask about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from builders import make_block
from resident_tasks import ThreadSeats, Web, WebStore

from mr_ml.catalog.dataset import Dataset, Partition
from mr_ml.data.block import StoredBlock
from mr_ml.data.partition_file import PartitionFacts, PartitionShelf
from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.losses import LOSSES
from mr_ml.models.linear.reading import RowSpec
from mr_ml.passes.in_memory import InMemoryEngine
from mr_ml.passes.resident.engine import ResidentEngine
from mr_ml.passes.resident.turns import Turns
from mr_ml.readers.schema import Schema
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import Node

N_FEATURES = 5


@dataclass(frozen=True)
class Case:
    """A dataset on disk, and its blocks in memory."""

    dataset: Dataset
    store: WebStore
    blocks: tuple[StoredBlock, ...]

    @property
    def oracle(self) -> InMemoryEngine:
        return InMemoryEngine(self.dataset.tree("train"), self.blocks, self.dataset.expected("train"))

    def engine(self, seats: ThreadSeats, **options: Any) -> ResidentEngine:
        return ResidentEngine(self.dataset, "train", self.store, seats, Turns(), **options)


@contextmanager
def ended(engine: ResidentEngine) -> Iterator[ResidentEngine]:
    """An engine, and the end of a session that has no other."""
    try:
        yield engine
    finally:
        engine.close()
        engine.turns.close()


def make_case(folder: Path, web: Web | None, shape: Sequence[Sequence[int]], *, seed: int = 0) -> Case:
    """By partition and block: how many rows."""
    rng = np.random.default_rng(seed)
    (folder / "data").mkdir(parents=True)
    partitions, blocks = [], []
    with PartitionShelf() as shelf:
        for number, sizes in enumerate(shape):
            facts, path = PartitionFacts.of_nothing(number), f"data/part-{number}"
            made = [
                make_block(
                    rng.normal(size=(n, N_FEATURES)) * (rng.random((n, N_FEATURES)) < 0.7),
                    rng.integers(0, 3, n),
                    weights=rng.integers(1, 5, n),
                    form="sparse",
                )
                for n in sizes
            ]
            for stored, writer in shelf.write(str(folder / path), made, partition=number):
                blocks.append(stored)
                facts = writer.facts()
            partitions.append(Partition(path, "train", None, facts))
    dataset = Dataset(
        name="rows", version=1, data_id="some", schema=Schema(format="libsvm", n_features=N_FEATURES, part=None),
        partitions=tuple(partitions), moments={}, label_counts={}, nnz=0, packing={},
    )  # fmt: skip
    return Case(dataset, WebStore(str(folder), web), tuple(blocks))


def line_query(loss: str, n_features: int = N_FEATURES, *, hessian: bool = True, **options: Any) -> LineQuery:
    kind = LOSSES.get(loss)()
    classes = {"logistic": (0.0, 1.0), "softmax": (0.0, 1.0, 2.0), "squared": ()}[loss]
    rows = RowSpec(kind, n_features, classes, **options)
    rng = np.random.default_rng(1)
    coef = rng.normal(size=(rows.n_outputs, n_features + 1))
    return LineQuery(rows, coef, direction=coef[:, ::-1].copy(), steps=(0.0, 0.5), hessian=hessian)


def bits(found: Statistic) -> bytes:
    return found.encode(Node(0, 0))
