"""What the map and reduce tasks of packing do. Knows no mrjob: the jobs hand over lines and yield what comes back.

scan   text -> Summary                                (counts, labels, columns, bad rows)
map    text -> rows, in a file of the map task; pointers to those of each partition go through the shuffle
reduce rows of a partition -> partition file and its facts; feature moments of the task's partitions; pointers to rows
       that are equal to another
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import field
from itertools import starmap
from typing import Any, TypeVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from hdfs_layout.open import path_of
from mr_ml.data.partition_file import PartitionFacts, PartitionShelf
from mr_ml.packing.dealing import MOST_BYTES, Dealer, dealt_again
from mr_ml.packing.drafts import DRAFTS
from mr_ml.packing.miniblock import Array, RowSource, cut, joined, ranked
from mr_ml.packing.plan import PackPlan
from mr_ml.packing.spill import SpillFile, read_spilled
from mr_ml.packing.split_moments import MOMENTS, SplitMoments
from mr_ml.readers.base import Draft, Piece, format_named
from mr_ml.readers.rows import Parsed
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.summary import Summary
from mr_ml.sums.blas import one_thread
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import PartialSums, PartitionPlan, SumTree

REPORT = b"report"
# Rows that are equal to others: see `mr_ml.packing.equal_rows`.
AGAIN = b"!again"

Sent = TypeVar("Sent")


@dataclass(frozen=True)
class ScanRequest:
    """A scan, as its tasks read it.

    Attributes
    ----------
    pack
        Identity of this pack, so that a process knows whose rows it keeps.
    keep_bytes
        How much of what was read each process may keep for its map tasks.
    """

    options: Options
    pack: str = ""
    keep_bytes: int = 0

    def encode(self) -> bytes:
        """Return the bytes that `decode` turns into the same request."""
        return json.dumps([self.options.to_json(), self.pack, self.keep_bytes]).encode()

    @classmethod
    def decode(cls, data: bytes) -> ScanRequest:
        """Undo `encode`."""
        options, *others = json.loads(data)
        return cls(format_named(options["format"]).options_from_json(options), *others)


@dataclass(frozen=True)
class PackRequest:
    """A pack, as its tasks read it.

    Attributes
    ----------
    paths
        File of each partition, which every task can write: of this machine, or below `root`.
    spill
        Where map tasks leave rows for the reduce tasks. On a cluster, where mini-blocks go through the shuffle and
        Hadoop names the files, there are no such paths.
    pack
        Identity of this pack, as in `ScanRequest`.
    splits
        Split of each file, if that goes by file: by the path that `mr_ml.runners.base.TextSource.known_as` gives.
    root
        Of the store to which tasks bring the files of partitions; empty if they write them in their place.
    scan
        How map tasks scan what they parse, where no job has scanned it before; only on a cluster.
    together_bytes
        The most that a map task keeps of rows that wait for others; see `mr_ml.packing.dealing`.
    """

    schema: Schema
    plan: PackPlan
    paths: tuple[str, ...] = ()
    spill: str = ""
    pack: str = ""
    splits: Mapping[str, str] = field(default_factory=dict)
    root: str = ""
    scan: Options | None = None
    together_bytes: int = MOST_BYTES

    def shelf(self) -> PartitionShelf:
        """Return what a task writes partition files with."""
        return PartitionShelf(root=self.root, scratch=self.spill)

    def plan_of(self, file: str) -> PackPlan:
        """Return the plan of the rows of a file, by the name that its task knows."""
        if not self.plan.by_file:
            return self.plan
        return self.plan.of_split(self.splits[path_of(file)])

    def encode(self) -> bytes:
        """Return the bytes that `decode` turns into the same request."""
        return json.dumps(
            {
                "schema": self.schema.to_json(),
                "plan": self.plan.to_json(),
                "paths": list(self.paths),
                "spill": self.spill,
                "pack": self.pack,
                "splits": dict(self.splits),
                "root": self.root,
                "scan": None if self.scan is None else self.scan.to_json(),
                "together_bytes": self.together_bytes,
            }
        ).encode()

    @classmethod
    def decode(cls, data: bytes) -> PackRequest:
        """Undo `encode`."""
        document: dict[str, Any] = json.loads(data)
        schema, plan = Schema.from_json(document["schema"]), PackPlan.from_json(document["plan"])
        scan = document["scan"]
        return cls(
            schema, plan, tuple(document["paths"]), document["spill"], document["pack"], document["splits"],
            document["root"], scan and format_named(scan["format"]).options_from_json(scan), document["together_bytes"],
        )  # fmt: skip


def scan(request: ScanRequest, piece: Piece) -> Summary:
    """Summarise one piece of the input; line numbers of bad rows count from its start."""
    room = DRAFTS.room(request.pack, budget=request.keep_bytes)
    kept: list[Draft] | None = []

    def keep(draft: Draft | None) -> None:
        nonlocal kept, room
        if kept is not None:
            draft = None if draft is None else draft.narrowed()
            room -= 0 if draft is None else draft.nbytes
            kept = None if draft is None or room < 0 else [*kept, draft]

    total = format_named(request.options.format).scan(piece, request.options, keep=keep)
    if kept is not None:
        DRAFTS.keep(request.pack, piece.key(), kept)
    return total


def summary_line(summary: Summary) -> bytes:
    """Return a summary as JSON on one line."""
    return json.dumps(summary.to_json(), separators=(",", ":")).encode()


def spill_text(request: PackRequest, text: Piece, spill: SpillFile) -> Iterator[tuple[bytes, bytes]]:
    """Parse one range of text; yield each partition and a pointer to the rows that it gets, then the report."""
    parts = _parsed(request, text, DRAFTS.take(request.pack, text.key()))
    dealer = Dealer(request.plan_of(text.file), request.together_bytes)
    report = yield from _each(text, parts, dealer, lambda number, data: (b"%08d" % number, spill.append(data)))
    yield REPORT, _report_line(text, report)


def pack_text(request: PackRequest, text: Piece) -> Iterator[tuple[int | None, bytes]]:
    """Parse one range of text; yield partition and encoded mini-block of each that it makes.

    At last comes, for no partition, a report: which range it was, with a summary of the rows that were sent and of
    those that were refused, and the summary of a scan if the request asks for one.
    """
    scanned: list[Summary] = []
    parts = _parsed(request, text, None) if request.scan is None else _scanned(request, text, scanned)
    dealer = Dealer(request.plan_of(text.file), request.together_bytes)
    report = yield from _each(text, parts, dealer, lambda number, data: (number, data))
    yield None, _report_line(text, report, *scanned)


@dataclass(frozen=True)
class _Chunk:
    """A chunk of a piece, which can be read as often as needed."""

    file: str
    start: int
    content: Any

    def chunks(self) -> Iterator[Any]:
        """See `Piece.chunks`."""
        yield self.content

    def key(self) -> bytes:
        """See `Piece.key`."""
        return json.dumps([self.file, self.start]).encode()


def _scanned(request: PackRequest, text: Piece, found: list[Summary]) -> Iterator[Parsed]:
    """Parse text and scan it, a chunk at a time, for what is streamed to a task is read once; append the summary."""
    form, total = format_named(request.schema.format), Summary()
    for content in text.chunks():
        chunk, drafts = _Chunk(text.file, text.start, content), list[Draft | None]()
        total = total + form.scan(chunk, request.scan, keep=drafts.append).shifted(by=total.n_lines)
        read = [draft for draft in drafts if draft is not None]
        yield from _parsed(request, chunk, read if len(read) == len(drafts) else None)
    found.append(total)


def _parsed(request: PackRequest, piece: Piece, drafts: list[Draft] | None) -> Iterator[Parsed]:
    if drafts is not None and all(draft.fits(request.schema) for draft in drafts):
        while drafts:
            yield drafts.pop(0).under(request.schema)
        return
    yield from format_named(request.schema.format).rows(piece, request.schema, labels="required")


def _each(
    text: Piece, parts: Iterable[Parsed], dealer: Dealer, send: Callable[[int, bytes], Sent]
) -> Generator[Sent, None, Summary]:
    """Send the rows of all parts of a range of text; return the summary of these and of those that were refused."""
    report = Summary()
    for parsed in parts:
        written = Summary(
            n_rows=parsed.rows.n_rows,
            n_lines=parsed.n_lines,
            n_dropped=parsed.n_dropped,
            n_unseen=parsed.n_unseen,
            bad_counts=parsed.bad_counts,
            missing=parsed.missing,
            examples=tuple((text.file, row) for row in parsed.bad),
        )
        report = report + written.shifted(by=report.n_lines)
        yield from starmap(send, dealer.add(parsed.rows))
    yield from starmap(send, dealer.rest())
    return report


def _report_line(text: Piece, *found: Summary) -> bytes:
    """Return what a map task says of a range of text that it has read: its key, and what was found in it."""
    return json.dumps([json.loads(text.key()), *(summary.to_json() for summary in found)]).encode()


class ReduceTask:
    """Writes the partitions to whose rows it gets pointers; answers with facts of each, and at the end with moments.

    Of equal rows only the first is written; to the others it answers pointers, as map tasks do.
    """

    def __init__(self, request: PackRequest) -> None:
        self._request = request
        self._shelf = request.shelf()
        self._moments = SplitMoments(request.plan)
        self._open = ExitStack()
        self._again: SpillFile | None = None

    def add(self, key: bytes, values: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Take the pointers to the rows of a partition; reports pass through."""
        try:
            yield from self._add(key, values)
        except BaseException:
            # nothing may appear in a store any more whose driver removes what there is
            self._shelf.abandon()
            self._open.close()
            raise

    def _add(self, key: bytes, values: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
        if key == REPORT:
            yield from ((key, value) for value in values)
            return
        partition = int(key)
        where = f"the shuffle of partition {partition}"
        rows = joined(read_spilled(values, where=where), where=where)
        rank = ranked(rows)
        # moments that overflow are infinite, which describe and train show
        with one_thread(), np.errstate(all="ignore"):
            facts, moments = write_partition(self._request, partition, rows, rank.firsts, self._shelf)
            self._moments.add(partition, moments)
        yield key, facts_line(facts)
        most_bytes = self._request.together_bytes
        for number, data in dealt_again(rows, rank, self._request.plan, home=partition, most_bytes=most_bytes):
            if self._again is None:
                self._again = self._open.enter_context(SpillFile(self._request.spill))
            yield AGAIN, b"%08d " % number + self._again.append(data)

    def results(self) -> Iterator[tuple[bytes, bytes]]:
        """Moments, when all files are there."""
        self._open.close()
        self._shelf.close()
        yield from ((MOMENTS, line) for line in self._moments.lines())


def write_partition(
    request: PackRequest, partition: int, rows: RowSource, rank: Array, shelf: PartitionShelf
) -> tuple[PartitionFacts, Statistic]:
    """Write one partition file, of the rows that `rank` says in that order, there when the shelf is closed.

    Returns its facts and its `MomentsQuery` statistic.
    """
    n_blocks = -(-len(rank) // request.plan.block_rows)
    blocks = cut(rows, rank, block_rows=request.plan.block_rows)
    tree = SumTree((PartitionPlan(partition, n_blocks),))
    query = MomentsQuery(request.schema.n_features)
    sums: PartialSums[Statistic] = PartialSums(tree, Statistic.absorb)
    path = request.paths[partition]
    facts = PartitionFacts.of_nothing(partition)
    for stored, writer in shelf.write(path, blocks, partition=partition):
        sums.add(tree.leaf(partition, stored.address.index), query.map(stored.block))
        facts = writer.facts()
    return facts, sums.total()


def facts_line(facts: PartitionFacts) -> bytes:
    """Return the facts of a partition as JSON on one line; `facts_of` reads it."""
    return json.dumps(facts.to_json(), separators=(",", ":")).encode()


def facts_of(line: bytes) -> PartitionFacts:
    """Undo `facts_line`."""
    return PartitionFacts.from_json(json.loads(line))
