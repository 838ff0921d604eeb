"""What the map and reduce tasks of packing do. Pure of mrjob: the jobs hand over lines and yield what comes back.

scan   text -> Summary                                (counts, labels, columns, bad rows)
map    text -> rows -> mini-blocks by partition, spilled to a file; pointers go through the shuffle
reduce mini-blocks of a partition -> partition file, its facts and feature moments
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mr_ml import frame
from mr_ml.engine.blas import one_thread
from mr_ml.errors import BadDataError
from mr_ml.pack.miniblock import cut, split_rows
from mr_ml.pack.plan import PackPlan
from mr_ml.partition_file import PartitionFacts, write_whole
from mr_ml.query import MomentsQuery
from mr_ml.readers import formats
from mr_ml.readers.rows import Rows
from mr_ml.readers.schema import Schema, Summary, TextOptions
from mr_ml.readers.source import TextRange
from mr_ml.statistic import Statistic
from mr_ml.tree import Node, PartialSums, PartitionPlan, SumTree

REPORT = b"report"


@dataclass(frozen=True)
class ScanRequest:
    options: TextOptions

    def encode(self) -> bytes:
        return json.dumps(self.options.to_json()).encode()

    @classmethod
    def decode(cls, data: bytes) -> ScanRequest:
        return cls(TextOptions.from_json(json.loads(data)))


@dataclass(frozen=True)
class PackRequest:
    """Attributes
    ----------
    paths
        File of each partition, which every task can write.
    spill
        Where map tasks leave mini-blocks for the reduce tasks. On a cluster, where mini-blocks go through the shuffle
        and Hadoop names the files, there are no such paths.
    """

    schema: Schema
    plan: PackPlan
    paths: tuple[str, ...]
    spill: str

    def encode(self) -> bytes:
        return json.dumps(
            {
                "schema": self.schema.to_json(),
                "plan": self.plan.to_json(),
                "paths": list(self.paths),
                "spill": self.spill,
            }
        ).encode()

    @classmethod
    def decode(cls, data: bytes) -> PackRequest:
        found: dict[str, Any] = json.loads(data)
        schema, plan = Schema.from_json(found["schema"]), PackPlan.from_json(found["plan"])
        return cls(schema, plan, tuple(found["paths"]), found["spill"])


class Text(Protocol):
    """A range of text that can be read once."""

    @property
    def file(self) -> str: ...

    def chunks(self) -> Iterator[bytes]:
        """Whole lines, some megabytes at a time."""

    def key(self) -> bytes:
        """JSON of the file, the first byte and perhaps more; asked for when all is read."""


def scan(request: ScanRequest, text: Text) -> Summary:
    """Summarise one range of text; line numbers of bad rows count from the start of the range."""
    total = Summary()
    for chunk in text.chunks():
        found = formats.scan(chunk, request.options, file=text.file)
        total = total + shifted(found, by=total.n_lines)
    return total


def summary_line(summary: Summary) -> bytes:
    return json.dumps(summary.to_json(), separators=(",", ":")).encode()


def shifted(summary: Summary, *, by: int) -> Summary:
    """The same summary, its line numbers counted from `by` lines earlier."""
    examples = tuple((file, replace(row, line=row.line + by)) for file, row in summary.examples)
    return replace(summary, examples=examples)


class SpillFile:
    """The mini-blocks of one map task, in a file of their own that the reduce tasks read."""

    def __init__(self, request: PackRequest) -> None:
        self._request = request
        self._path = str(Path(request.spill) / f"spill-{uuid.uuid4().hex}")

    def __enter__(self) -> SpillFile:
        self._out = open(self._path, "wb")
        return self

    def __exit__(self, *exception: object) -> None:
        self._out.close()

    def append(self, text: TextRange) -> Iterator[tuple[bytes, bytes]]:
        """Parse one range of text; yield partition and pointer of each mini-block that it makes, then the report."""
        for partition, data in pack_text(self._request, text):
            if partition is None:
                yield REPORT, data
                continue
            offset = self._out.tell()
            self._out.write(data)
            yield b"%08d" % partition, json.dumps([self._path, offset, len(data)]).encode()


def pack_text(request: PackRequest, text: Text) -> Iterator[tuple[int | None, bytes]]:
    """Parse one range of text; yield partition and encoded mini-block of each that it makes.

    At last comes, for no partition, a report: which range it was, with a summary of the rows that were sent and of
    those that were refused.
    """
    report = Summary()
    for chunk in text.chunks():
        parsed = formats.parse(chunk, request.schema, labels="required")
        found = Summary(
            n_rows=parsed.rows.n_rows,
            n_lines=parsed.n_lines,
            n_dropped=parsed.n_dropped,
            bad_counts=parsed.bad_counts,
            examples=tuple((text.file, row) for row in parsed.bad),
        )
        report = report + shifted(found, by=report.n_lines)
        _check_width(request.schema, parsed.rows, text)
        yield from split_rows(parsed.rows, request.plan)
    yield None, json.dumps([json.loads(text.key()), report.to_json()]).encode()


def _check_width(schema: Schema, rows: Rows, text: Text) -> None:
    if rows.indices.max(initial=-1) >= schema.n_features:
        raise BadDataError(
            f"{text.file}: found feature id {int(rows.indices.max()) + schema.index_base}, expected ids up to "
            f"{schema.n_features - 1 + schema.index_base} as in the dataset given by --like; pack without --like"
        )


def reduce_key(request: PackRequest, key: bytes, values: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Partitions are written and answered for; reports pass through."""
    if key == REPORT:
        yield from ((key, value) for value in values)
    else:
        yield key, facts_line(*reduce_partition(request, int(key), values))


def reduce_partition(
    request: PackRequest, partition: int, pointers: Iterable[bytes]
) -> tuple[PartitionFacts, Statistic]:
    """Write one partition file; returns its facts and its `MomentsQuery` statistic."""
    miniblocks = []
    for pointer in pointers:
        path, offset, length = json.loads(pointer)
        with open(path, "rb") as source:
            source.seek(offset)
            miniblocks.append(source.read(length))
    where = f"the shuffle of partition {partition}"
    blocks = list(cut(miniblocks, block_rows=request.plan.block_rows, where=where))
    tree = SumTree((PartitionPlan(partition, len(blocks)),))
    query = MomentsQuery(request.schema.n_features)
    sums: PartialSums[Statistic] = PartialSums(tree, Statistic.__add__)
    path = request.paths[partition]
    facts = PartitionFacts.of_nothing(partition)
    # moments that overflow are infinite, which describe and train show
    with one_thread(), np.errstate(all="ignore"):
        for stored, writer in write_whole(path, blocks, partition=partition):
            sums.add(tree.leaf(partition, stored.address.index), query.map(stored.block))
            facts = writer.facts()
    return facts, sums.total()


def report_of(line: bytes) -> tuple[tuple[str, int], Summary]:
    """File, first byte and summary of a range."""
    (file, start), summary = json.loads(line)
    return (file, start), Summary.from_json(summary)


def facts_line(facts: PartitionFacts, moments: Statistic) -> bytes:
    """One reducer's answer as text without tabs: facts, a blank, the statistic."""
    statistic = frame.to_text(moments.encode(Node(0, facts.partition)))
    return json.dumps(facts.to_json(), separators=(",", ":")).encode() + b" " + statistic


def facts_of(line: bytes) -> tuple[PartitionFacts, Statistic]:
    """Undo `facts_line`."""
    facts, statistic = line.split(b" ")
    where = "a reducer's answer"
    _, moments = Statistic.decode(frame.from_text(statistic, where=where), where=where)
    return PartitionFacts.from_json(json.loads(facts)), moments
