"""Rows through the shuffle of jobs, where tasks share no files with the driver, as on Hadoop.

How many partitions there are follows from all rows, and what a row is from all of the text. So one job scans the text,
unless a sample of it tells, see `mr_ml.packing.sample`: then the map tasks of the next one do, which writes the
partition files. A reduce task has no way to say more than its file holds, so facts and moments are found by who reads
the files back: the driver, where that takes it less time than a job takes to start, else another job. Where rows are
equal, files are written and read back once more, see `mr_ml.packing.equal_rows`.

Text is streamed to map tasks on the nodes that store it. The shuffle moves the mini-blocks, and the runner names the
partition files: reduce task p writes part-0000p of the job's output folder, which is the folder of the dataset's
partitions. One more reduce task collects the reports; its file is read and removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

from hdfs_layout import NotFoundError, Root
from hdfs_layout.dataclass import dataclass
from hdfs_layout.faults import storage_error
from mr_ml.errors import InternalError
from mr_ml.ids import unique_id
from mr_ml.packing.cluster_tasks import Inspection
from mr_ml.packing.exchange import Target
from mr_ml.packing.tasks import PackRequest, ScanRequest
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.text.source import TextFile
from mr_ml.runners.base import Pair, Runner, pair_of
from mr_ml.runners.job_input import JobInput, StoredLines
from mr_ml.runners.task_errors import first_error

# Of partition files: some 7 s of processor time.
READ_BACK_BYTES = 1 << 30


@dataclass(frozen=True)
class JobExchange:
    """See `mr_ml.packing.exchange.Exchange`."""

    root: Root
    runner: Runner
    may_scan: ClassVar[bool] = True

    def __enter__(self) -> JobExchange:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def scan_request(self, options: Options, files: Sequence[TextFile]) -> ScanRequest:
        """See `Exchange.scan_request`."""
        return ScanRequest(options)

    @contextmanager
    def writing(self, target: Target) -> Iterator[JobWriting]:
        """See `Exchange.writing`."""
        request = PackRequest(target.schema, target.plan, splits=target.splits, scan=target.scan)
        yield JobWriting(self.root, self.runner, target, request, target.data_id)


@dataclass
class JobWriting:
    """See `mr_ml.packing.exchange.Writing`.

    Attributes
    ----------
    request
        Of all tasks.
    n_bytes
        Of the text: about as much are the partition files.
    """

    root: Root
    runner: Runner
    target: Target
    request: PackRequest
    data_id: str
    n_bytes: int = 0

    def first(self, input: JobInput) -> list[bytes]:
        """See `Writing.first`.

        Raises
        ------
        MrMlError
            What a task raised.
        """
        from mr_ml_jobs.pack_job import MRPack

        store, n_partitions = self.root.store, self.target.plan.n_partitions
        self.n_bytes = input.n_bytes
        output = self.root.layout.dataset_data(self.target.name, self.data_id)
        self.runner.produce(
            MRPack, request=self.request.encode(), input=input, output=output, n_reducers=n_partitions + 1
        )
        path = self.root.layout.partition(self.target.name, self.data_id, n_partitions)
        try:
            pairs = [pair_of(line) for line in store.read(path).splitlines()]
        except NotFoundError:
            raise InternalError(f"the job left no reports in {store.uri(path)}; run it again") from None
        store.remove(path)
        error = first_error(pairs)
        if error is not None:
            raise error
        return [value for _, value in pairs]

    def answers(self, schema: Schema) -> list[Pair]:
        """See `Writing.answers`; the files are read back."""
        self.request = replace(self.request, schema=schema)
        return self._inspected(self.data_id)

    def again(self, answers: list[Pair]) -> list[Pair]:
        """See `Writing.again`; its files are in another folder."""
        from mr_ml_jobs.spread_job import MRSpread

        store, layout, name, second = self.root.store, self.root.layout, self.target.name, unique_id()
        first, output = layout.dataset_data(name, self.data_id), layout.dataset_data(name, second)
        n_reducers = self.target.plan.n_partitions
        try:
            lines = self._partitions(self.data_id)
            self.runner.produce(
                MRSpread, request=self.request.encode(), input=lines, output=output, n_reducers=n_reducers
            )
            answers = self._inspected(second)
        except BaseException:
            store.remove_tree(output)
            raise
        store.remove_tree(first)
        self.data_id = second
        return answers

    def _inspected(self, data_id: str) -> list[Pair]:
        from mr_ml_jobs.inspect_job import MRInspect

        folder = self.root.layout.dataset_data(self.target.name, data_id)
        try:
            n_bytes = sum(entry.size for entry in self.root.store.entries(folder))
            if n_bytes <= READ_BACK_BYTES:
                numbers = range(self.target.plan.n_partitions)
                return [pair for number in numbers for pair in self._read_back(data_id, number)]
        except NotFoundError as error:
            raise InternalError(f"the job left not all partitions: {error}; run it again") from error
        lines = self._partitions(data_id, whole=True)
        return self.runner.run(MRInspect, request=self.request.encode(), input=lines)

    def _read_back(self, data_id: str, number: int) -> Iterator[Pair]:
        """Do for a partition file what a map task would."""
        store, path = self.root.store, self.root.layout.partition(self.target.name, data_id, number)
        task = Inspection(self.request)
        try:
            with store.open_read(path) as lines:
                for line in lines:
                    task.add(line.removesuffix(b"\n"))
        except OSError as error:
            raise storage_error(error, doing="read", place=store.uri(path)) from error
        yield from task.results()

    def _partitions(self, data_id: str, *, whole: bool = False) -> StoredLines:
        layout, n_partitions = self.root.layout, self.target.plan.n_partitions
        paths = (layout.partition(self.target.name, data_id, number) for number in range(n_partitions))
        return StoredLines(tuple(map(self.root.store.uri, paths)), self.n_bytes, whole=whole)
