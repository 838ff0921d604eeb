"""Rows through files: map tasks on this machine leave them, reduce tasks read them and write the partition files.

Where the root is no folder of this machine, reduce tasks write each partition file to a temporary folder of it, and
bring it to the store when it is whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from typing import ClassVar

from hdfs_layout import Root
from hdfs_layout.dataclass import dataclass
from mr_ml.ids import unique_id
from mr_ml.packing.dealing import MOST_BYTES
from mr_ml.packing.exchange import NoRoomError, PackMemory, Target
from mr_ml.packing.split_moments import MOMENTS
from mr_ml.packing.tasks import AGAIN, REPORT, PackRequest, ScanRequest, facts_of
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.text.source import TextFile
from mr_ml.runners.base import Pair, Runner
from mr_ml.runners.job_input import JobInput, TaskLines
from mr_ml.runners.local.scratch import scratch_folder
from mr_ml.sums.slices import is_wide

# Of the moments of a column, in each process that holds them: several times, when they go from one to another. Row
# weights add a mean and a variance.
MOMENTS_BYTES, WEIGHTED_BYTES = 44, 16
_TASK_COPIES, _DRIVER_COPIES = 2, 5


@dataclass
class FileExchange:
    """See `mr_ml.packing.exchange.Exchange`."""

    root: Root
    runner: Runner
    memory: PackMemory
    pack: str = ""
    may_scan: ClassVar[bool] = False

    def __enter__(self) -> FileExchange:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Nothing to remove."""

    @property
    def _n_tasks(self) -> int:
        return self.runner.tasks.n_tasks

    def scan_request(self, options: Options, files: Sequence[TextFile]) -> ScanRequest:
        """See `Exchange.scan_request`; processes may keep what they parsed for their map tasks."""
        self.pack = unique_id()
        # the other half is for the partition that is written
        keep = self.memory.rows_bytes // 2
        return ScanRequest(options, self.pack, keep)

    @contextmanager
    def writing(self, target: Target) -> Iterator[FileWriting]:
        """See `Exchange.writing`."""
        self._check_memory(target)
        plan, store, layout = target.plan, self.root.store, self.root.layout
        paths = [layout.partition(target.name, target.data_id, number) for number in range(plan.n_partitions)]
        store.make_folder(layout.dataset_data(target.name, target.data_id))
        here = tuple(path for path in map(store.local_path, paths) if path is not None)
        with self._spill(target) as spill:
            request = PackRequest(
                target.schema,
                plan,
                here or tuple(paths),
                spill,
                self.pack,
                target.splits,
                "" if here else store.root,
                # beside what the scan has kept of rows, which goes into these
                together_bytes=min(MOST_BYTES, self.memory.rows_bytes // 4),
            ).encode()
            writing = FileWriting(self.runner, request, target.data_id)
            yield writing
        for number in set(range(plan.n_partitions)) - writing.filled:
            store.write(paths[number], b"")

    def _check_memory(self, target: Target) -> None:
        plan, schema = target.plan, target.schema
        if plan.partition_bytes > self.memory.rows_bytes:
            raise NoRoomError(
                f"`memory`: a partition of about {plan.partition_bytes >> 20}M is put in order in memory, and there "
                f"are {self.memory.rows_bytes >> 20}M for each process; give more memory, fewer `workers` or more "
                "`partitions`"
            )
        column_bytes = MOMENTS_BYTES + (WEIGHTED_BYTES if schema.has_weights else 0)
        moments = column_bytes * target.n_columns * len(plan.partitions_by_split())
        have = self._n_tasks * self.memory.rows_bytes
        if is_wide(schema.n_features) and (need := moments * (_DRIVER_COPIES + self._n_tasks * _TASK_COPIES)) > have:
            raise NoRoomError(
                f"`memory`: means and extremes of about {target.n_columns} features take {need >> 20}M in all "
                f"processes, and there are {have >> 20}M beside what these take themselves; give more memory or fewer "
                "`workers`, or hash the feature ids to fewer"
            )

    @contextmanager
    def _spill(self, target: Target) -> Iterator[str]:
        """Make the folder for rows between map and reduce tasks, for as long as it is needed."""
        plan, store = target.plan, self.root.store
        spill = self.root.layout.spill(target.name, target.data_id)
        here, is_small = store.local_path(spill), plan.shuffled_bytes <= self.memory.spill_bytes
        if here is None or is_small:
            parent = scratch_folder(needs_bytes=plan.shuffled_bytes if is_small else None)
            with tempfile.TemporaryDirectory(prefix="spill-", dir=parent) as folder:
                yield folder
            return
        store.make_folder(spill)
        yield here
        store.remove_tree(spill)


@dataclass
class FileWriting:
    """See `mr_ml.packing.exchange.Writing`.

    Attributes
    ----------
    request
        Of all tasks.
    filled
        Partitions that have rows.
    """

    runner: Runner
    request: bytes
    data_id: str
    filled: set[int] = field(default_factory=set)
    _answers: list[Pair] = field(default_factory=list)

    def first(self, input: JobInput) -> list[bytes]:
        """See `Writing.first`."""
        from mr_ml_jobs.pack_job import MRPack

        n_tasks = self.runner.tasks.n_tasks
        pairs = self.runner.run(MRPack, request=self.request, input=input, n_reducers=n_tasks)
        self._answers = [pair for pair in pairs if pair[0] != REPORT]
        return [value for key, value in pairs if key == REPORT]

    def answers(self, schema: Schema) -> list[Pair]:
        """See `Writing.answers`; the schema is that of the target, see `FileExchange.may_scan`."""
        answers, self._answers = self._answers, []
        return self._noted(answers)

    def again(self, answers: list[Pair]) -> list[Pair]:
        """See `Writing.again`."""
        from mr_ml_jobs.merge_job import MRMerge

        from mr_ml.packing.equal_rows import merging_lines

        met = [value for key, value in answers if key == AGAIN]
        facts = {int(key): facts_of(value) for key, value in answers if key not in (AGAIN, MOMENTS)}
        lines = merging_lines(facts, met, n_tasks=self.runner.tasks.n_tasks)
        return self._noted(self.runner.run(MRMerge, request=self.request, input=TaskLines(lines)))

    def _noted(self, answers: list[Pair]) -> list[Pair]:
        self.filled = {int(key) for key, _ in answers if key not in (AGAIN, MOMENTS)}
        return answers
