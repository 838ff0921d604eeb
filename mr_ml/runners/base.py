"""Runners: where jobs run, how text gets to their tasks, and what is particular to these.

A runner is one folder here, or in another package, and one line in `RUNNERS`, or an entry point of the group
``mr_ml.runners``. The contract suite is tests/contract/test_runner.py. What depends on where tasks run asks for
`Runner.tasks`, never for a runner's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hdfs_layout import Root
from hdfs_layout.dataclass import dataclass
from hdfs_layout.registry import Registry
from mr_ml.errors import UsageError
from mr_ml.runners.job_input import JobInput as JobInput
from mr_ml.runners.job_input import StoredLines as StoredLines
from mr_ml.runners.job_input import TaskLines as TaskLines

if TYPE_CHECKING:
    from mr_ml.readers.text.source import TextFile
    from mr_ml.runners.node_check import Findings
    from mr_ml.runners.staying import Seats

Pair = tuple[bytes, bytes]


class Place(NamedTuple):
    """A range of text that a task has read.

    Attributes
    ----------
    file
        By its user's name, `TextFile.path`.
    start
        First byte of the range.
    n_bytes
        That the task read, before decompression if they were streamed to it; None if it does not say.
    """

    file: str
    start: int
    n_bytes: int | None


class TextSource(Protocol):
    """The text files that some inputs name, and how the tasks of one runner get at their rows.

    Within a ``with`` block; at its end goes what was made to read them.

    Attributes
    ----------
    files
        Sorted, by the names that users give them; their headers not yet looked at.
    """

    files: list[TextFile]

    def __enter__(self) -> TextSource: ...

    def __exit__(self, *exc_info: object) -> None: ...

    def first_line(self, file: TextFile) -> bytes:
        """Read the first line, newline included; empty for an empty file.

        Raises
        ------
        BadDataError
            If the file is damaged, or not as its name says.
        """

    def input(self, files: Sequence[TextFile], form: str) -> JobInput:
        """Make the input of a job whose map tasks map ranges of text, see `mr_ml.runners.job.TextJob`.

        Parameters
        ----------
        files
            Those of `files`, with the length of their headers where they have one.
        form
            The format of which they are.
        """

    def known_as(self, file: TextFile, form: str) -> str:
        """Give the path by which tasks know a file of a format.

        It is without the scheme and the host, which they may spell otherwise.
        """

    def place(self, file: str, start: int, n_bytes: int | None = None) -> Place:
        """Give the range that a task names so.

        Raises
        ------
        InternalError
            If it is of no file of these.
        """

    def check_read(self, files: Sequence[TextFile], form: str, places: Sequence[Place], *, doing: str) -> None:
        """Prove that tasks have read all of the files, and nothing twice.

        Parameters
        ----------
        doing
            What was done with the text, for messages: "scanning", "packing".

        Raises
        ------
        BadDataError
            If a file changed meanwhile.
        InternalError
            If some of the text was not read, or twice.
        """

    def check_rest(self, files: Sequence[TextFile]) -> None:
        """Raise `BadDataError` if a file is not as it was found."""

    def renaming(self) -> AbstractContextManager[None]:
        """Within this block, errors of tasks name files as their user does."""


class TaskFile(Protocol):
    """The lines that a map task left, see `Runner.left`."""

    @property
    def report(self) -> bytes:
        """What the task says of them."""

    def lines(self) -> Iterator[bytes]:
        """Their bytes, some at a time; as often as needed."""


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """What is particular to the tasks of a runner.

    Attributes
    ----------
    n_tasks
        How many run at once: for so many tasks the driver cuts what they open themselves.
    share_files
        They open and write files of this machine, by path. Else their text is streamed to them, and what they write is
        brought to the store by their cluster, see `Runner.produce`.
    share_memory
        They and the driver have the memory of this machine together. Else a task has what its cluster gives it.
    in_driver
        They run in the driver's process, one after the other.
    taken_bytes
        Memory of this machine that the runner takes for itself, where they share it.
    cache_bytes
        Decoded blocks that each process of theirs may keep, where they do not share memory.
    pack_bytes
        Up to so many bytes of text the driver packs itself rather than start jobs, where they do not share files.
    hint
        What its users should know before they begin, in a sentence; nothing if there is nothing.
    seats
        How they can stay; None where they cannot.
    """

    n_tasks: int
    share_files: bool
    share_memory: bool
    in_driver: bool = False
    taken_bytes: int = 0
    cache_bytes: int = 0
    pack_bytes: int = 0
    hint: str = ""
    seats: Seats | None = None


class Runner(Protocol):
    """Where jobs run."""

    @property
    def name(self) -> str:
        """As users choose it, with -r."""

    @property
    def tasks(self) -> Tasks:
        """What is particular to its tasks."""

    def run(self, job: Any, *, request: bytes, input: JobInput, n_reducers: int | None = None) -> list[Pair]:
        """Run the job class over the input; its output in no particular order.

        Parameters
        ----------
        n_reducers
            Reduce tasks; by default as many as the runner likes.

        Raises
        ------
        MrMlError
            What a task raised, or InternalError if one died.
        """

    def produce(self, job: Any, *, request: bytes, input: JobInput, output: str, n_reducers: int | None = None) -> None:
        """Run the job class and leave its output, part-00000 and so on by reduce task, in a folder of the store.

        Only where tasks do not share files with the driver.

        Raises
        ------
        UnavailableError
            If the cluster does not answer.
        InternalError
            If the job failed. What tasks raised is in the output, see `mr_ml.runners.task_errors`.
        """

    def left(self, job: Any, *, request: bytes, input: JobInput) -> AbstractContextManager[Sequence[TaskFile]]:
        """Run a job without reduce tasks whose map tasks leave lines, and give these within the block.

        Tasks that share files with the driver leave them in a folder that the request names, and answer for each file
        its path in JSON as key and their report as value. Others write them as their output, and behind them a last
        line with `mr_ml.runners.job.REPORT` as key and the report as value.

        Raises
        ------
        MrMlError
            What a task raised, or InternalError if one died.
        """

    def text(self, inputs: Sequence[str], *, longest_line: int | None = None) -> TextSource:
        """Find the text files that the inputs name: files, folders and globs, wherever tasks can read them.

        Parameters
        ----------
        longest_line
            Bytes of a line that can be read by tasks that share the driver's memory; by default
            `mr_ml.readers.text.chunks.MAX_LINE_BYTES`.

        Raises
        ------
        UsageError
            If an input names nothing, is elsewhere, or a file is named twice, by whatever names.
        StorageError
            If something cannot be looked at.
        """

    def of_work(self, work: str) -> Runner:
        """Give the same runner for the jobs of one run, by which what an earlier process left of it is known."""

    def environment(self) -> Mapping[str, Any] | None:
        """Say what a run's log notes of where its tasks run; None if that is as the driver."""

    def check(self, *, n_tasks: int, say: Callable[[str], None], driver: tuple[str, int] | None = None) -> Findings:
        """Run one small job, and judge what its tasks say of the machines on which they run.

        They try to reach `driver`, a host and a port; there is none where tasks of this runner do not stay.

        Raises
        ------
        UnavailableError
            If the cluster does not answer.
        """

    def close(self) -> None:
        """Give up what it keeps from job to job, such as a cluster that it started; again, it does nothing.

        It and what `of_work` made of it have that together. None of them runs a job afterwards.
        """


_MEANT_FOR = {
    "workers": "says how many processes of this machine run tasks, and a cluster has settings of its own in `config`",
    "memory": "is that of this machine, and tasks on a cluster have settings of their own in `config`",
    "config": "says how to use a cluster",
    "cluster_id": "names a cluster on EMR",
    "master": "says where Spark runs",
    "max_hours": "limits the use of a cluster on EMR",
    "max_cost": "limits the use of a cluster on EMR",
}


@dataclass(frozen=True, kw_only=True)
class RunnerOptions:
    """What a user says of where jobs run; each kind of runner refuses what is not for it.

    Attributes
    ----------
    workers
        How many processes run tasks on this machine.
    memory
        Of all processes on this machine together, as it was said.
    config
        Path of the YAML file with the settings of a cluster.
    cluster_id
        Of a cluster on EMR that runs.
    master
        Of Spark, such as "yarn" or "local[4]".
    max_hours, max_cost
        After which no job begins on a rented cluster.
    say
        Called with what the user should know.
    """

    workers: int | None = None
    memory: str | None = None
    config: str | None = None
    cluster_id: str | None = None
    master: str | None = None
    max_hours: float | None = None
    max_cost: float | None = None
    say: Callable[[str], None] = field(default=lambda text: None, compare=False, repr=False)

    def only(self, *names: str, runner: str) -> None:
        """Raise `UsageError` if anything but these is said."""
        for name, meant_for in _MEANT_FOR.items():
            if name not in names and getattr(self, name) is not None:
                raise UsageError(f"`{name}` {meant_for}; it is not for `runner` {runner}")


@dataclass(frozen=True, kw_only=True)
class RunnerKind:
    """A kind of runner.

    Attributes
    ----------
    description
        For the command line's help; a few words.
    open
        Makes the runner of a root by the user's options, or raises `UsageError`.
    check
        Raises `UsageError` if options, or the root as the user named it (None if that is not known), are not for it;
        looks at no file and no cluster.
    prepare
        Begins in the background what takes time before the first task can run, given the modules that tasks import.
    look
        Has this process see the cluster that the settings in a file name as its tasks do; before the root is opened.
    """

    description: str
    open: Callable[[Root, RunnerOptions], Runner]
    check: Callable[[str | None, RunnerOptions], None] = lambda root, options: None
    prepare: Callable[[Sequence[str]], None] = lambda modules: None
    look: Callable[[str], None] = lambda config: None


RUNNERS: Registry[RunnerKind] = Registry(
    "runner",
    group="mr_ml.runners",
    built_in={
        "inline": "mr_ml.runners.local.kinds:INLINE",
        "local": "mr_ml.runners.local.kinds:LOCAL",
        "hadoop": "mr_ml.runners.hadoop.kind:HADOOP",
        "emr": "mr_ml.runners.emr.kind:EMR",
        "spark": "mr_ml.runners.spark.kind:SPARK",
    },
)
"""Name -> kind."""


def pair_of(line: bytes) -> Pair:
    """Key and value of a line of output."""
    key, _, value = line.partition(b"\t")
    return key, value
