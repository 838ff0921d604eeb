"""Jobs on Spark: the same map and reduce tasks as everywhere, in Spark's Python workers.

Where all of Spark is on this machine, ``local[N]``, tasks open files themselves and share them with the driver, as
with ``-r local``. On a cluster Spark feeds them the lines of files, of any store that the cluster can read, and keeps
those of a dataset for the next pass; what jobs leave Spark writes below the root:

    tmp/spark-<id>/owner      which process waits for the job
    tmp/spark-<id>/output     what map tasks leave; removed when it is read

What tasks of a pass return the driver adds up along the dataset's tree, so the order in which Spark ends tasks, loses
them and runs them again does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from hdfs_layout import Root
from hdfs_layout.dataclass import dataclass
from mr_ml import spent
from mr_ml.errors import InternalError, StorageError, UnavailableError
from mr_ml.ids import unique_id
from mr_ml.progress import stage
from mr_ml.runners.base import Pair, TaskFile, Tasks, TextSource
from mr_ml.runners.hadoop.file_systems import check_root
from mr_ml.runners.hadoop.left import left_parts
from mr_ml.runners.hadoop.work import OWNER_NAME, Owner, tag_of, take_over
from mr_ml.runners.job_input import JobInput, TaskLines
from mr_ml.runners.local.machine import left_files
from mr_ml.runners.spark import feeding, tasks
from mr_ml.runners.spark.context import Opened, SharedContext
from mr_ml.runners.spark.master import Master
from mr_ml.runners.spark.settings import SparkSettings
from mr_ml.runners.spark.watching import watched
from mr_ml.runners.task_errors import first_error

if TYPE_CHECKING:
    from mr_ml.runners.node_check import Findings

RUNNER = "spark"
_WORK = "spark-"
# A request as large asks for millions of coefficients: sums of many tasks together would not fit into the driver.
_WIDE_BYTES = 8 << 20
# Of Java beside its heap.
_JAVA_BYTES = 200 << 20
_HINT = (
    "on one machine `runner` local gives the same model in a fifth of the time or less, and starts at once; "
    "`master` {master} is for trying out what a cluster will run"
)


@dataclass(frozen=True)
class SparkJobRunner:
    """See `mr_ml.runners.base.Runner`.

    Attributes
    ----------
    root
        Of any store where Spark runs on this machine, whose tasks open files as the driver does; else of one that the
        cluster reads.
    shared
        The SparkContext, opened at the first job.
    work
        What the jobs are for: a run, or this process.
    """

    root: Root
    shared: SharedContext
    work: str = field(default_factory=unique_id)
    # the input that is read often, and its rows
    _kept: dict[int, tuple[JobInput, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Root, master: Master, settings: SparkSettings) -> SparkJobRunner:
        """Make one that has opened nothing yet.

        Raises
        ------
        UsageError
            If tasks on that master cannot reach the root.
        """
        is_folder = root.store.local_path("") is not None
        if not (master.is_here or (is_folder and master.is_on_loopback)):
            check_root(root.store.root, runner=f"spark with `master` {master.url}")
        return cls(root, SharedContext(root, master, settings))

    @property
    def name(self) -> str:
        """See `Runner.name`."""
        return RUNNER

    @property
    def _master(self) -> Master:
        return self.shared.master

    @property
    def tasks(self) -> Tasks:
        """See `Runner.tasks`."""
        settings = self.shared.settings
        if self._master.threads is None:
            return Tasks(
                n_tasks=1, share_files=False, share_memory=False, cache_bytes=settings.cache_mb << 20,
                pack_bytes=settings.pack_in_driver_mb << 20,
            )  # fmt: skip
        return Tasks(
            n_tasks=self._master.threads, share_files=True, share_memory=True,
            taken_bytes=(settings.driver_memory_mb << 20) + _JAVA_BYTES, hint=_HINT.format(master=self._master.url),
        )  # fmt: skip

    def text(self, inputs: Sequence[str], *, longest_line: int | None = None) -> TextSource:
        """See `Runner.text`."""
        if self._master.threads is not None:
            from mr_ml.runners.local.text import LocalText

            return LocalText(inputs, n_tasks=self._master.threads, longest_line=longest_line)
        from mr_ml.runners.hadoop.text import ClusterText

        return ClusterText(self.root, inputs)

    def environment(self) -> Mapping[str, Any]:
        """See `Runner.environment`."""
        python = self.shared.python()
        return {"master": self._master.url, "python": list(python.command), "archive": python.archive}

    def of_work(self, work: str) -> SparkJobRunner:
        """Give the same for the jobs of a run; they share the SparkContext."""
        return replace(self, work=work)

    def close(self) -> None:
        """See `Runner.close`; ends the SparkContext and its process."""
        self.shared.close()

    def run(self, job: Any, *, request: bytes, input: JobInput, n_reducers: int | None = None) -> list[Pair]:
        """See `Runner.run`."""
        return self._run(job, request=request, input=input, n_reducers=n_reducers, n_tasks=self._master.threads)

    def _run(
        self, job: Any, *, request: bytes, input: JobInput, n_reducers: int | None, n_tasks: int | None
    ) -> list[Pair]:
        """Run a job; of so many tasks that open their input themselves, or, for None, of tasks that are fed."""
        if n_tasks is None and input.told is None:
            lines, n_lines = None, len(input.uris())
        else:
            lines = input.lines(n_tasks=n_tasks or 1)
            n_lines = len(lines)
        if not n_lines:
            return []
        with self._job(job, request, n_reducers) as started:
            mapped = self._mapped(started, input) if lines is None else started.told(lines)
            # Spark runs what it reads, maps and reduces as one job, and says no times of its stages
            with spent.current().part("job"):
                pairs: list[Pair] = started.reduced(mapped).collect()
        spent.current().bytes(sent=len(request), received=sum(len(key) + len(value) for key, value in pairs))
        error = first_error(pairs)
        if error is not None:
            raise error
        return pairs

    def produce(self, job: Any, *, request: bytes, input: JobInput, output: str, n_reducers: int | None = None) -> None:
        """See `Runner.produce`."""
        if self._master.is_here:
            raise InternalError(f"`runner` {self.name} on this machine leaves no output in a store")
        with self._job(job, request, n_reducers) as started:
            started.reduced(self._mapped(started, input)).map(b"\t".join).saveAsTextFile(self.root.store.uri(output))

    def _mapped(self, started: _Job, input: JobInput) -> Any:
        """Return the RDD of what map tasks on a cluster yield."""
        if input.told is not None:
            return started.told([line for _, line in input.told])
        return started.fed(self._rows(started.opened, input), feeding.text_of(input))

    @contextmanager
    def left(self, job: Any, *, request: bytes, input: JobInput) -> Iterator[Sequence[TaskFile]]:
        """See `Runner.left`."""
        if self._master.is_here:
            yield left_files(self.run(job, request=request, input=input))
            return
        if input.told is not None and not input.told:
            yield []
            return
        store, folder = self.root.store, self.root.layout.job(f"{_WORK}{unique_id()}")
        output = f"{folder}/output"
        self._take_over  # noqa: B018 - once
        try:
            # should this process be killed outright, the next driver removes what it left
            store.write(f"{folder}/{OWNER_NAME}", Owner.here().encode())
            with self._job(job, request, None) as started:
                if input.told is not None:
                    lines = started.left_told([line for _, line in input.told])
                else:
                    text = feeding.text_of(input)
                    assert text is not None
                    lines = started.left(self._rows(started.opened, input), text)
                lines.saveAsTextFile(store.uri(output))
            yield left_parts(store, output, separator=b"", may_be_empty=True)
        finally:
            with suppress(StorageError, UnavailableError):
                store.remove_tree(folder)

    def check(self, *, n_tasks: int, say: Callable[[str], None], driver: tuple[str, int] | None = None) -> Findings:
        """See `Runner.check`."""
        from mr_ml_jobs.env_job import MREnv

        from mr_ml.runners import node_check, node_report

        python = self.shared.python()
        command = " ".join(python.command)
        say(f"running one job of {n_tasks} tasks, {command}")
        lines = TaskLines([b"%d\n" % number for number in range(n_tasks)])
        pairs = self._run(MREnv, request=b"", input=lines, n_reducers=None, n_tasks=n_tasks)
        built = python.environment
        findings = node_check.find(
            pairs, driver=node_report.report(), command=command, built_for=None if built is None else built.python,
            n_tasks=n_tasks,
        )  # fmt: skip
        if python.archive is not None:
            findings.brought = {"uri": python.archive, **({} if built is None else built.to_json())}
        return findings

    @contextmanager
    def _job(self, job: Any, request: bytes, n_reducers: int | None) -> Iterator[_Job]:
        """Start a job; within the block Spark's errors become ours, and afterwards nothing is kept for it."""
        with spent.current().part("start"):
            opened = self.shared.opened(self.work)
        try:
            with opened.working(), stage("job on Spark", unit="steps") as shown, watched(opened.context, shown):
                order = tasks.Order(
                    module=job.__module__, name=job.__qualname__, attempts=opened.attempts,
                    reduces=self._reduces(job, request, n_reducers, opened),
                )  # fmt: skip
                sent = opened.context.broadcast(request)
                try:
                    yield _Job(opened, order, sent)
                finally:
                    with suppress(Exception):
                        # unpersist would leave the driver's copy
                        sent.destroy()
        except InternalError as error:
            self._blame_store(error)
            raise

    def _blame_store(self, error: InternalError) -> None:
        """Raise UnavailableError if the root's store stopped during a job, whose own error does not say so."""
        try:
            self.root.store.exists("")
        except UnavailableError as unavailable:
            raise UnavailableError(f"{unavailable}; and {error}") from error

    def _reduces(self, job: Any, request: bytes, n_reducers: int | None, opened: Opened) -> int:
        """Return how many reduce tasks a job has; 0 if the driver takes what map tasks yield."""
        if "reducer" not in vars(job):
            return 0
        if n_reducers is not None:
            return n_reducers
        wanted = self.shared.settings.reducers
        if wanted is None:
            wanted = int(opened.context.defaultParallelism) if len(request) >= _WIDE_BYTES else 1
        return 0 if wanted == 1 and job.REDUCE_FROM_BYTES else wanted

    def _rows(self, opened: Opened, input: JobInput) -> Any:
        """Return the RDD of the rows that Spark reads; for an input that is read often the one that it keeps."""
        known = self._kept.get(id(input))
        if known is not None:
            return known[1]
        rows = feeding.rows(opened.session, input, split_bytes=self.shared.settings.split_mb << 20)
        if input.is_read_often:
            for _, former in self._kept.values():
                former.unpersist()
            self._kept.clear()
            self._kept[id(input)] = input, feeding.kept(rows)
        return rows

    @cached_property
    def _take_over(self) -> None:
        """Remove what earlier drivers with Spark left; their applications have ended with them."""
        own = tag_of(_WORK)
        take_over(self.root, unique_id(), stop=lambda tag: tag.startswith(own))


@dataclass(frozen=True)
class _Job:
    """A job that was started.

    Attributes
    ----------
    sent
        The request, as Spark brings it to every executor.
    """

    opened: Opened
    order: tasks.Order
    sent: Any

    def told(self, lines: Sequence[bytes]) -> Any:
        """Return the RDD of what map tasks yield that get one of these lines each."""
        return self._each(lines).mapPartitions(partial(tasks.map_lines, self.order, self.sent))

    def left_told(self, lines: Sequence[bytes]) -> Any:
        """Return the RDD of what map tasks leave, as `left`, that get one of these lines each."""
        return self._each(lines).mapPartitions(partial(tasks.leave_of_lines, self.order, self.sent))

    def _each(self, lines: Sequence[bytes]) -> Any:
        return self.opened.context.parallelize([line.rstrip(b"\n") for line in lines], len(lines))

    def fed(self, rows: Any, text: tasks.Text | None) -> Any:
        """Return the RDD of what map tasks yield that are fed rows."""
        if text is None:
            return rows.mapPartitions(partial(tasks.map_rows, self.order, self.sent))
        return rows.mapPartitions(partial(tasks.map_text, self.order, self.sent, text))

    def left(self, rows: Any, text: tasks.Text) -> Any:
        """Return the RDD of the lines that map tasks leave, in pieces, and of what they yield behind them."""
        return rows.mapPartitions(partial(tasks.leave_lines, self.order, self.sent, text))

    def reduced(self, mapped: Any) -> Any:
        """Return the RDD of what the job yields."""
        n = self.order.reduces
        if not n:
            return mapped
        shuffled = mapped.repartitionAndSortWithinPartitions(n, partial(tasks.place, n))
        return shuffled.mapPartitions(partial(tasks.reduce_pairs, self.order, self.sent))
