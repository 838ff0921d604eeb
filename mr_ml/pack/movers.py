"""Where packing reads its text and writes its partitions: on this machine, or on a cluster.

A mover looks at the files, runs the scan job over them, and runs the job that shuffles their rows into partition files.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from hdfs_layout import Root
from mr_ml.data.partition_file import PartitionFacts
from mr_ml.errors import InternalError, UsageError
from mr_ml.ids import unique_id
from mr_ml.pack.plan import PackPlan
from mr_ml.pack.split_moments import MOMENTS, SplitMoments
from mr_ml.pack.tasks import AGAIN, REPORT, PackRequest, ScanRequest, facts_of, report_of
from mr_ml.readers.base import StoredPiece, format_named, listing
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.chunks import MAX_LINE_BYTES
from mr_ml.readers.text.source import TextFile, check_content, check_rest, expand, first_line
from mr_ml.runners.base import JobRunner, Pair, TaskLines
from mr_ml.runners.local.scratch import scratch_folder
from mr_ml.sums.moments import MomentSums
from mr_ml.sums.slices import is_wide

# Of the moments of a column, in each process that holds them: several times, when they go from one to another. Row
# weights add a mean and a variance.
MOMENTS_BYTES, WEIGHTED_BYTES = 44, 16
_TASK_COPIES, _DRIVER_COPIES = 2, 5

# By file and first byte of a range of text.
Ranges = dict[tuple[str, int], Summary]


@dataclass(frozen=True)
class Shuffled:
    """What came out of the shuffle.

    Attributes
    ----------
    facts
        Of each partition that has rows.
    moments
        Moments of each split that has rows.
    reports
        Of ranges that tile the files.
    data_id
        Of the folder of the partition files.
    """

    facts: dict[int, PartitionFacts]
    moments: dict[str, MomentSums]
    reports: Ranges
    data_id: str

    @classmethod
    def of(cls, plan: PackPlan, pairs: list[Pair], reports: Ranges, *, data_id: str) -> Shuffled:
        """From the answers of tasks, which go as they are read: with many features they are large."""
        facts: dict[int, PartitionFacts] = {}
        lines: list[bytes] = []
        while pairs:
            key, value = pairs.pop()
            if key == MOMENTS:
                lines.append(value)
            elif key != REPORT:
                facts[int(key)] = facts_of(value)
        moments = SplitMoments(plan, filled=facts.keys())
        while lines:
            moments.add_line(lines.pop())
        return cls(facts, moments.totals(), reports, data_id)


class Mover(Protocol):
    def files(self, inputs: Sequence[str]) -> list[TextFile]:
        """The files that the inputs name, sorted; their headers not yet looked at."""

    def first_line(self, file: TextFile) -> bytes:
        """The first line, newline included; empty for an empty file."""

    def scan(self, options: Options, files: Sequence[TextFile]) -> Ranges:
        """Summaries of ranges that tile the files; line numbers count from the start of each range."""

    def shuffle(
        self, schema: Schema, plan: PackPlan, files: Sequence[TextFile], *, name: str, data_id: str, n_columns: int
    ) -> Shuffled:
        """Write the partition files of one pack, empty ones too; of rows that have about `n_columns` features.

        They are in the folder of `data_id`, or of another one; if this fails, only the folder of `data_id` is left.
        """

    def check_rest(self, files: Sequence[TextFile]) -> None:
        """Raise BadDataError if a file is not as `files` found it."""

    def close(self) -> None:
        """Remove what was made to read the files."""


@dataclass(frozen=True, kw_only=True)
class PackMemory:
    """What packing on this machine may hold.

    Attributes
    ----------
    rows_bytes
        In each process, of rows: of those that the scan read, then of the partition that is written.
    spill_bytes
        Of shared memory, for what is between map and reduce tasks; that goes below the root if it needs more.
    longest_line
        Bytes of a line of text that can be read.
    """

    rows_bytes: int
    spill_bytes: int
    longest_line: int = MAX_LINE_BYTES


@dataclass
class LocalMover:
    """Files of this machine, read and written by tasks on this machine."""

    root: Root
    runner: JobRunner
    n_tasks: int
    memory: PackMemory
    pack: str = ""

    def files(self, inputs: Sequence[str]) -> list[TextFile]:
        found = expand(inputs)
        check_content(found)
        return found

    def first_line(self, file: TextFile) -> bytes:
        return first_line(file, longest_line=self.memory.longest_line)

    def scan(self, options: Options, files: Sequence[TextFile]) -> Ranges:
        from mr_ml_jobs.scan_job import MRScan

        found: Ranges = {}
        self.pack = unique_id()
        tasks = self._pieces(options.format, files)
        # the other half is for the partition that is written
        keep = self.memory.rows_bytes // 2
        request = ScanRequest(options, self.pack, keep).encode()
        for key, value in self.runner.run(MRScan, request=request, input=_lines(options.format, tasks)):
            file, start = json.loads(key)
            found[file, start] = Summary.from_json(json.loads(value))
        _check_ranges(tasks, found, doing="scanning")
        return found

    def shuffle(
        self, schema: Schema, plan: PackPlan, files: Sequence[TextFile], *, name: str, data_id: str, n_columns: int
    ) -> Shuffled:
        from mr_ml_jobs.pack_job import MRPack

        if plan.partition_bytes > self.memory.rows_bytes:
            raise UsageError(
                f"--memory: a partition of about {plan.partition_bytes >> 20}M is put in order in memory, and there "
                f"are {self.memory.rows_bytes >> 20}M for each process; give more memory, fewer --workers or more "
                "--partitions"
            )
        column_bytes = MOMENTS_BYTES + (WEIGHTED_BYTES if schema.has_weights else 0)
        moments = column_bytes * n_columns * len(plan.partitions_by_split())
        have = self.n_tasks * self.memory.rows_bytes
        if is_wide(schema.n_features) and (need := moments * (_DRIVER_COPIES + self.n_tasks * _TASK_COPIES)) > have:
            raise UsageError(
                f"--memory: means and extremes of about {n_columns} features take {need >> 20}M in all processes, and "
                f"there are {have >> 20}M beside what these take themselves; give more memory or fewer --workers, or "
                "hash the feature ids to fewer"
            )
        reports: Ranges = {}
        paths = [self.root.layout.partition(name, data_id, number) for number in range(plan.n_partitions)]
        self.root.store.make_folder(self.root.layout.dataset_data(name, data_id))
        tasks = self._pieces(schema.format, files)
        with self._spill(plan, name=name, data_id=data_id) as spill:
            local = tuple(map(self._local, paths))
            request = PackRequest(schema, plan, local, spill, self.pack).encode()
            pairs = self.runner.run(
                MRPack, request=request, input=_lines(schema.format, tasks), n_reducers=self.n_tasks
            )
            for place, summary in [report_of(value) for key, value in pairs if key == REPORT]:
                add_report(reports, place, summary)
            _check_ranges(tasks, reports, doing="packing")
            pairs = self._spread(pairs, request)
        shuffled = Shuffled.of(plan, pairs, reports, data_id=data_id)
        for number in set(range(plan.n_partitions)) - set(shuffled.facts):
            self.root.store.write(paths[number], b"")
        return shuffled

    def _spread(self, pairs: list[Pair], request: bytes) -> list[Pair]:
        """The second round, if equal rows met: see `mr_ml.pack.equal_rows`."""
        met = [value for key, value in pairs if key == AGAIN]
        if not met:
            return pairs
        from mr_ml_jobs.merge_job import MRMerge

        from mr_ml.pack.equal_rows import merging_lines

        facts = {int(key): facts_of(value) for key, value in pairs if key not in (AGAIN, MOMENTS, REPORT)}
        lines = merging_lines(facts, met, n_tasks=self.n_tasks)
        return self.runner.run(MRMerge, request=request, input=TaskLines(lines))

    @contextmanager
    def _spill(self, plan: PackPlan, *, name: str, data_id: str) -> Iterator[str]:
        """The folder for rows between map and reduce tasks, for as long as it is needed."""
        if plan.shuffled_bytes <= self.memory.spill_bytes:
            parent = scratch_folder(needs_bytes=plan.shuffled_bytes)
            with tempfile.TemporaryDirectory(prefix="spill-", dir=parent) as folder:
                yield folder
            return
        spill = self.root.layout.spill(name, data_id)
        self.root.store.make_folder(spill)
        yield self._local(spill)
        self.root.store.remove_tree(spill)

    def check_rest(self, files: Sequence[TextFile]) -> None:
        check_rest(files)

    def _pieces(self, form: str, files: Sequence[TextFile]) -> Sequence[Sequence[StoredPiece]]:
        return format_named(form).pieces(files, n_tasks=self.n_tasks, longest_line=self.memory.longest_line)

    def close(self) -> None:
        """Nothing to remove."""

    def _local(self, path: str) -> str:
        found = self.root.store.local_path(path)
        if found is None:
            raise UsageError(
                f"{self.root.store.uri(path)} cannot be written by tasks on this machine; use -r hadoop, or a "
                "folder as --root"
            )
        return found


def add_report(reports: Ranges, place: tuple[str, int], summary: Summary) -> None:
    """Note the report of a range.

    Raises
    ------
    InternalError
        If it came before.
    """
    if place in reports:
        raise InternalError(f"{place[0]} from byte {place[1]} was packed twice in one pass; run it again")
    reports[place] = summary


def _lines(form: str, tasks: Sequence[Sequence[StoredPiece]]) -> TaskLines:
    return TaskLines([listing(form, task) for task in tasks])


def _check_ranges(
    tasks: Sequence[Sequence[StoredPiece]], found: Mapping[tuple[str, int], Summary], *, doing: str
) -> None:
    lost = sorted({(text.file, text.start) for task in tasks for text in task} - set(found))
    if lost:
        raise InternalError(f"{doing} {lost[0][0]} from byte {lost[0][1]} brought no answer; run it again")
