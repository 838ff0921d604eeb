"""Spread rows that are equal to another row, label included, over splits and partitions.

A row finds its partition by a hash of its content, so equal rows meet in one. That keeps the first; of each other one,
the hash of content and number among its equals says where it belongs, so that equal rows spread over splits, folds,
partitions and places as rows that differ do. Which of them has which number does not matter: they are equal.

Only where a pack met some is there a second round: it adds to the rows of each partition, as its file has them, those
that came to it, and writes it anew. On one machine these come through the files of `mr_ml.packing.spill`; on a cluster
they are stored at the end of the file of the partition in which they met, and one more job shuffles all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mr_ml.data import frame
from mr_ml.data.block import Block, decode_line
from mr_ml.data.partition_file import BlockRange, PartitionFacts
from mr_ml.data.rowhash import row_hashes
from mr_ml.packing.miniblock import encoded, joined, ranked
from mr_ml.packing.plan import PackPlan
from mr_ml.packing.spill import read_spilled
from mr_ml.packing.split_moments import MOMENTS, SplitMoments
from mr_ml.packing.tasks import AGAIN, PackRequest, facts_line, write_partition
from mr_ml.readers.rows import Rows
from mr_ml.runners import task_errors
from mr_ml.sums.blas import one_thread

Pair = tuple[bytes, bytes]


def merging_lines(facts: Mapping[int, PartitionFacts], answers: Sequence[bytes], *, n_tasks: int) -> list[bytes]:
    """Return the line of each task of the second round on one machine.

    Parameters
    ----------
    facts
        Of the partitions that have rows.
    answers
        Partition, a blank and a pointer of each `AGAIN` that the first round answered.
    """
    pointers: dict[int, list[str]] = {}
    for answer in answers:
        place, _, pointer = answer.partition(b" ")
        pointers.setdefault(int(place), []).append(pointer.decode())
    tasks: list[list[object]] = [[] for _ in range(n_tasks)]
    for k, number in enumerate(sorted({*facts, *pointers})):
        line_bytes = facts[number].line_bytes if number in facts else ()
        tasks[k % n_tasks].append([number, list(line_bytes), pointers.get(number, [])])
    return [json.dumps(task, separators=(",", ":")).encode() + b"\n" for task in tasks if task]


class MergeTask:
    """Adds to partition files the rows that came to them; answers as `ReduceTask` does."""

    def __init__(self, request: PackRequest) -> None:
        self._request = request
        self._shelf = request.shelf()
        self._moments = SplitMoments(request.plan)

    def add(self, line: bytes) -> Iterator[Pair]:
        """Take the partitions of a line of `merging_lines`."""
        try:
            yield from self._add(line)
        except BaseException:
            # as in `ReduceTask`
            self._shelf.abandon()
            raise

    def _add(self, line: bytes) -> Iterator[Pair]:
        for partition, line_bytes, pointers in json.loads(line):
            where = f"the second shuffle of partition {partition}"
            path = self._request.paths[partition]
            file = BlockRange(path, partition, 0, 0, tuple(line_bytes), sum(line_bytes), self._request.root)
            parts = [_miniblock(stored.block, self._request.plan) for stored in file.read()] if line_bytes else []
            parts += read_spilled(map(str.encode, pointers), where=where)
            rows = joined(parts, where=where)
            # moments that overflow are infinite, which describe and train show
            with one_thread(), np.errstate(all="ignore"):
                facts, moments = write_partition(self._request, partition, rows, ranked(rows).rows, self._shelf)
                self._moments.add(partition, moments)
            yield b"%08d" % partition, facts_line(facts)

    def results(self) -> Iterator[Pair]:
        """Moments, when all files are there."""
        self._shelf.close()
        yield from ((MOMENTS, line) for line in self._moments.lines())


def line_of_others(partition: int, data: bytes) -> Pair:
    """Return the line by which a partition file on a cluster holds, until the second round, rows for another one."""
    return AGAIN, b"%08d\t" % partition + frame.to_text(data)


def spread_line(line: bytes, plan: PackPlan) -> tuple[int, bytes]:
    """Return the partition to which a line of a partition file goes in the second round, and its mini-block.

    Raises
    ------
    MrMlError
        What the task that should have written the line says, or if it is damaged.
    """
    where = "a partition file just written"
    key, _, value = line.partition(b"\t")
    if key.startswith(task_errors.ERROR_KEY):
        raise task_errors.decode(value)
    if key == AGAIN:
        number, _, text = value.partition(b"\t")
        return int(number), frame.from_text(text, where=where)
    stored = decode_line(line, where=where)
    return stored.address.partition, _miniblock(stored.block, plan)


def _miniblock(block: Block, plan: PackPlan) -> bytes:
    """Encode the rows of a block as a mini-block; rows of a dense block have entries where they are not zero."""
    features = block.features.as_sparse().wide
    rows = Rows(
        labels=block.labels,
        indptr=features.indptr.astype(np.int64),
        indices=features.indices,
        values=features.values,
        lines=np.zeros(block.n_rows, np.int64),
        weights=block.weights,
        offsets=block.offsets,
    )
    return encoded(rows, plan.order(row_hashes(rows)))
