"""How rows get from the map tasks that parse them to the files of their partitions.

There are two ways, and `exchange_of` alone decides which: through files that map tasks leave on this machine, where
tasks share these with the driver; else through the shuffle of the jobs, whose reduce tasks write partition files as
their output. The driver uses both through the same protocol.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import field
from typing import Protocol

from hdfs_layout import Root
from hdfs_layout.dataclass import dataclass
from mr_ml.data.partition_file import PartitionFacts
from mr_ml.errors import UsageError
from mr_ml.packing.plan import PackPlan
from mr_ml.packing.split_moments import MOMENTS, SplitMoments
from mr_ml.packing.tasks import AGAIN, ScanRequest, facts_of
from mr_ml.progress import stage
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.source import TextFile
from mr_ml.runners.base import Pair, Place, Runner, TextSource
from mr_ml.runners.job_input import JobInput
from mr_ml.runners.reading import reading
from mr_ml.sums.moments import MomentSums

# By file and first byte of a range of text.
Ranges = dict[tuple[str, int], Summary]


class NoRoomError(UsageError):
    """The rows of a partition, or what is known of features, do not fit into memory; nothing was written yet."""


@dataclass(frozen=True, kw_only=True)
class PackMemory:
    """Memory that a pack may use whose tasks share this machine's memory.

    Attributes
    ----------
    rows_bytes
        In each process, of rows: of those that the scan read, then of the partition that is written.
    spill_bytes
        Of shared memory, for what is between map and reduce tasks; that goes below the root if it needs more, or to
        where temporary files are if the root is no folder of this machine.
    longest_line
        Bytes of a line of text that can be read; None for all that can be.
    """

    rows_bytes: int
    spill_bytes: int
    longest_line: int | None = None


@dataclass(frozen=True, kw_only=True)
class Target:
    """The dataset that the rows are written to.

    Attributes
    ----------
    name, data_id
        Of the dataset and of the folder of its partition files.
    n_columns
        About how many features have a value anywhere.
    splits, scan
        As of `PackRequest`.
    """

    schema: Schema
    plan: PackPlan
    name: str
    data_id: str
    n_columns: int
    splits: Mapping[str, str] = field(default_factory=dict)
    scan: Options | None = None


class Writing(Protocol):
    """The partition files of one pack, while they are written.

    Attributes
    ----------
    data_id
        Of the folder in which they are; the second round may write another one.
    """

    data_id: str

    def first(self, input: JobInput) -> list[bytes]:
        """Parse the text and bring every row to its partition; return the reports of map tasks.

        A report is JSON of the range, as `TextSource.place` takes it, and of a summary of its rows; and of what a scan
        found in it, if the target asks for one.
        """

    def answers(self, schema: Schema) -> list[Pair]:
        """Facts of each partition that has rows, moments, and `AGAIN` where equal rows met.

        Parameters
        ----------
        schema
            Of the rows; the target may have had another one that reads the same rows.
        """

    def again(self, answers: list[Pair]) -> list[Pair]:
        """Run the second round, which is for equal rows, see `mr_ml.packing.equal_rows`, and return its answers."""


class Exchange(Protocol):
    """One of the two ways. Used in a ``with`` block, at whose end the files between the jobs are removed."""

    @property
    def may_scan(self) -> bool:
        """Whether tasks can scan the text while they bring its rows to partitions, which spares a job that scans it."""

    def __enter__(self) -> Exchange: ...

    def __exit__(self, *exc_info: object) -> None: ...

    def scan_request(self, options: Options, files: Sequence[TextFile]) -> ScanRequest:
        """Make the request of a scan, and forget the drafts of an earlier one."""

    def writing(self, target: Target) -> AbstractContextManager[Writing]:
        """Write the partition files, empty ones too.

        If this fails, only the folder of the target's `data_id` is left.
        """


@dataclass(frozen=True)
class Shuffled:
    """The result of the shuffle.

    Attributes
    ----------
    facts
        Of each partition that has rows.
    moments
        Moments of each split that has rows.
    data_id
        Of the folder of the partition files.
    """

    facts: dict[int, PartitionFacts]
    moments: dict[str, MomentSums]
    data_id: str

    @classmethod
    def of(cls, plan: PackPlan, pairs: list[Pair], *, data_id: str) -> Shuffled:
        """From the answers of tasks, which go as they are read: with many features they are large."""
        facts: dict[int, PartitionFacts] = {}
        lines: list[bytes] = []
        while pairs:
            key, value = pairs.pop()
            if key == MOMENTS:
                lines.append(value)
            else:
                facts[int(key)] = facts_of(value)
        moments = SplitMoments(plan, filled=facts.keys())
        while lines:
            moments.add_line(lines.pop())
        return cls(facts, moments.totals(), data_id)


def exchange_of(runner: Runner, root: Root, memory: PackMemory) -> Exchange:
    """Choose the way that suits the runner's tasks."""
    if runner.tasks.share_files:
        from mr_ml.packing.through_files import FileExchange

        return FileExchange(root, runner, memory)
    from mr_ml.packing.through_jobs import JobExchange

    return JobExchange(root, runner)


def scan(runner: Runner, exchange: Exchange, text: TextSource, options: Options, files: Sequence[TextFile]) -> Ranges:
    """Summaries of ranges that tile the files; line numbers count from the start of each range.

    Raises
    ------
    InternalError
        If some of the text was not read, or twice.
    """
    from mr_ml_jobs.scan_job import MRScan

    with text.renaming(), reading("scanning text", files, runner):
        request = exchange.scan_request(options, files).encode()
        pairs = runner.run(MRScan, request=request, input=text.input(files, options.format))
    read = [(text.place(*json.loads(key)), Summary.from_json(json.loads(value))) for key, value in pairs]
    return _by_place(text, files, options.format, read, doing="scanning")


@dataclass(frozen=True, kw_only=True)
class Brought:
    """Rows that are in their partitions; a proof that all text was read has been given.

    Attributes
    ----------
    reports
        Of ranges that tile the files.
    scanned
        What a scan found in the same ranges; empty if the target did not ask for one.
    """

    reports: Ranges
    scanned: Ranges
    _writing: Writing
    _plan: PackPlan

    def shuffled(self, schema: Schema) -> Shuffled:
        """Bring equal rows to where they belong, and return what is in the partition files.

        Parameters
        ----------
        schema
            Of the rows; the target may have had another one that reads the same rows.
        """
        answers = self._writing.answers(schema)
        if any(key == AGAIN for key, _ in answers):
            answers = self._writing.again(answers)
        return Shuffled.of(self._plan, answers, data_id=self._writing.data_id)


@contextmanager
def bring(exchange: Exchange, text: TextSource, files: Sequence[TextFile], target: Target) -> Iterator[Brought]:
    """Parse the text and bring its rows to their partitions, whose files are all there at the end of the block.

    Raises
    ------
    InternalError
        If some of the text was not read, or twice.
    """
    form = target.schema.format
    with exchange.writing(target) as writing:
        with text.renaming(), stage("packing text", unit="steps"):
            reports = [json.loads(line) for line in writing.first(text.input(files, form))]
        read = [(text.place(*place), list(map(Summary.from_json, found))) for place, *found in reports]
        packed = [(place, found[0]) for place, found in read]
        scanned = [(place, found[1]) for place, found in read if len(found) > 1]
        yield Brought(
            reports=_by_place(text, files, form, packed, doing="packing"),
            scanned=_by_place(text, files, form, scanned, doing="scanning") if target.scan is not None else {},
            _writing=writing,
            _plan=target.plan,
        )


def _by_place(
    text: TextSource, files: Sequence[TextFile], form: str, read: Sequence[tuple[Place, Summary]], *, doing: str
) -> Ranges:
    text.check_read(files, form, [place for place, _ in read], doing=doing)
    return {(place.file, place.start): summary.renamed(place.file) for place, summary in read}
