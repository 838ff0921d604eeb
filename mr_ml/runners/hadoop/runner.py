"""Jobs on a Hadoop cluster: one ``hadoop jar`` each, and nothing else of Hadoop's is started on this machine.

What a job needs and leaves is stored below the root, by the store:

    env/code-<hash>.zip       the code, uploaded when it is not there yet
    tmp/<work>/owner          which process waits for the job, see `mr_ml.runners.hadoop.work`
    tmp/<work>/request        what to do, which tasks get by -files
    tmp/<work>/pieces         which pieces of files tasks read, where they open these themselves
    tmp/<work>/output-<id>/   the output

tmp/<work>/ is removed when the job has ended.

mrjob's hadoop runner makes the command line. Its own file system, uploads, clean-up and search of logs, each of which
starts Java several times, are not used.
"""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hdfs_layout import NotFoundError, Root
from hdfs_layout.dataclass import dataclass
from mr_ml import spent
from mr_ml.errors import InternalError, StorageError, UnavailableError
from mr_ml.ids import unique_id
from mr_ml.runners.base import Pair, Tasks, pair_of
from mr_ml.runners.hadoop.client import HadoopClient, JobClient, Submission
from mr_ml.runners.hadoop.code import shipped_code, stored_code
from mr_ml.runners.hadoop.env import FOLDER, NodePython, find_python
from mr_ml.runners.hadoop.file_systems import check_root, file_system_of
from mr_ml.runners.hadoop.left import WHOLE_LINES, LeftPart, left_parts
from mr_ml.runners.hadoop.properties import default_properties
from mr_ml.runners.hadoop.seats import STAYING, HadoopSeats
from mr_ml.runners.hadoop.settings import HadoopSettings
from mr_ml.runners.hadoop.splits import LINE_BY_LINE, LINES, addresses, dealt, input_format
from mr_ml.runners.hadoop.text import ClusterText
from mr_ml.runners.hadoop.work import OWNER_NAME, Owner, tag_of, take_over
from mr_ml.runners.job_input import NO_PROPERTIES, JobInput, StoredLines
from mr_ml.runners.local.runner import only_from
from mr_ml.runners.staying import Seats
from mr_ml.runners.task_errors import first_error

if TYPE_CHECKING:
    from mr_ml.runners.node_check import Findings

with warnings.catch_warnings():
    # mrjob imports modules that Python has deprecated, or dropped, since mrjob's last release.
    warnings.simplefilter("ignore", DeprecationWarning)
    from mrjob.hadoop import HadoopJobRunner as MrjobHadoopRunner

_LOG = logging.getLogger(__name__)
RUNNER = "hadoop"
CODE_NAME = "mr_ml.zip"
REQUEST_NAME = "request"
PIECES_NAME = "pieces"
# What a job is started with is the client's to know; mrjob asks for some word.
_LAUNCHER, _STREAMING_JAR = "hadoop", "STREAMING_JAR"
# A job may end well without what its reduce tasks wrote. Seen once, where a node was killed in a pass: perhaps two
# application masters were at work for a while, and one moved finished output away that the other one published.
_MOST_GOES = 2
# Only to tell mrjob that properties have their names of Hadoop 2 and later.
_HADOOP_VERSION = "3.0.0"


@dataclass(frozen=True)
class HadoopJobRunner:
    """Runs jobs on the cluster that the settings, HADOOP_HOME and HADOOP_CONF_DIR name.

    Attributes
    ----------
    root
        Where the cluster reads and writes too: on its HDFS, or on S3.
    work
        What the jobs are for: a run, or this process.
    """

    root: Root
    settings: HadoopSettings
    work: str = field(default_factory=unique_id)

    def __post_init__(self) -> None:
        check_root(self.root.store.root)

    @property
    def name(self) -> str:
        """See `Runner.name`."""
        return RUNNER

    @property
    def tasks(self) -> Tasks:
        """See `Runner.tasks`; Hadoop itself cuts what tasks are fed."""
        pack_bytes = self.settings.pack_in_driver_mb << 20
        return Tasks(
            n_tasks=1, share_files=False, share_memory=False, pack_bytes=pack_bytes, seats=self._seats
        )  # fmt: skip

    @property
    def _seats(self) -> Seats | None:
        return HadoopSeats(self)

    def text(self, inputs: Sequence[str], *, longest_line: int | None = None) -> ClusterText:
        """See `Runner.text`; files that the cluster reads, and files of this machine, which are brought there."""
        return ClusterText(self.root, inputs)

    def environment(self) -> Mapping[str, Any]:
        """See `Runner.environment`."""
        return {"python": list(self.python.command), "archive": self.python.archive}

    def of_work(self, work: str) -> HadoopJobRunner:
        """Give the same for the jobs of a run: what an earlier driver of it left is stopped and removed first."""
        return replace(self, work=work)

    @cached_property
    def _client(self) -> JobClient:
        return HadoopClient.find(self.settings, os.environ)

    @cached_property
    def python(self) -> NodePython:
        """The Python that tasks run."""
        return find_python(self.root, self.settings)

    @cached_property
    def _code_uri(self) -> str:
        """The shipped code, in the store from now on."""
        return stored_code(self.root)

    @cached_property
    def _native_files(self) -> dict[str, str]:
        """The compiled part of the code, in the store from now on; none if this machine has none."""
        native = shipped_code().native
        if native is None:
            return {}
        name, data = native
        path = self.root.layout.native_code(hashlib.sha256(data).hexdigest()[:32])
        if not self.root.store.exists(path):
            self.root.store.write(path, data)
        return {name: self.root.store.uri(path)}

    def run(self, job: Any, *, request: bytes, input: JobInput, n_reducers: int | None = None) -> list[Pair]:
        """See `Runner.run`."""
        if not (input.uris() if input.told is None else input.told):
            return []
        with self._working() as submission:
            output = f"{self._folder}/output-{uuid.uuid4().hex}"
            self._produce(job, submission, request=request, input=input, output=output, n_reducers=n_reducers)
            return self._output(output)

    def _output(self, folder: str) -> list[Pair]:
        """Return what tasks wrote, or raise what one of them raised."""
        try:
            pairs = [pair_of(line) for part in self._parts(folder) for line in self._read(part).splitlines()]
        except NotFoundError:
            raise InternalError(f"the job left no output in {self.root.store.uri(folder)}; run it again") from None
        error = first_error(pairs)
        if error is not None:
            raise error
        return pairs

    def _read(self, part: str) -> bytes:
        text = self.root.store.read(part)
        spent.current().bytes(received=len(text))
        return text

    def produce(self, job: Any, *, request: bytes, input: JobInput, output: str, n_reducers: int | None = None) -> None:
        """See `Runner.produce`; by default as many reduce tasks as the settings say, none if the job has no reducer."""
        with self._working() as submission:
            self._produce(job, submission, request=request, input=input, output=output, n_reducers=n_reducers)

    @contextmanager
    def left(self, job: Any, *, request: bytes, input: JobInput) -> Iterator[list[LeftPart]]:
        """See `Runner.left`; the files are the output of one job, below the root."""
        if input.told is not None and not input.told:
            yield []
            return
        folder = self.root.layout.job(f"left-{unique_id()}")
        output = f"{folder}/output"
        try:
            # should this process be killed outright, the next driver removes what it left
            self.root.store.write(f"{folder}/{OWNER_NAME}", Owner.here().encode())
            with self._working() as submission:
                self._produce(
                    job, submission, request=request, input=input, output=output, n_reducers=None,
                    properties={**WHOLE_LINES, LINES: "1"},
                )  # fmt: skip
            yield left_parts(self.root.store, output)
        finally:
            with suppress(StorageError, UnavailableError):
                self.root.store.remove_tree(folder)

    def stay(self, job: Any, submission: Submission, *, request: bytes, n_tasks: int) -> None:
        """Run a job of so many map tasks that are fed a line each, as one process's work; see `Seats.start`."""
        folder = self.root.layout.job(self.work)
        output = f"{folder}/output-{uuid.uuid4().hex}"
        with self._working(submission):
            seats = f"{folder}/seats"
            self.root.store.write(seats, b"".join(b"%d\n" % number for number in range(n_tasks)))
            lines = StoredLines((self.root.store.uri(seats),), n_bytes=0)
            self._produce(
                job, submission, request=request, input=lines, output=output, n_reducers=0, properties=STAYING,
                line_by_line=True, private=True,
            )  # fmt: skip
            # where none of the tasks could begin, they say why
            self._output(output)

    @contextmanager
    def served_by(self, tag: str) -> Iterator[None]:
        """Own the work's folder while tasks of the application with a tag are at the work; see `Seats.serving`."""
        self.take_over()
        try:
            self.root.store.write(f"{self._folder}/{OWNER_NAME}", Owner.here(served_by=tag).encode())
            yield
        finally:
            with suppress(StorageError, UnavailableError):
                self.root.store.remove_tree(self._folder)

    def take_over(self) -> None:
        """Stop and remove what earlier drivers of this work, and drivers that are gone, have left."""
        self._take_over  # noqa: B018 - once

    def close(self) -> None:
        """See `Runner.close`; the cluster is there for others too."""

    def check(self, *, n_tasks: int, say: Callable[[str], None], driver: tuple[str, int] | None = None) -> Findings:
        """See `Runner.check`; more tasks reach more nodes."""
        from mr_ml_jobs.env_job import MREnv

        from mr_ml.runners import node_check, node_report
        from mr_ml.runners.hadoop import check

        command, built = " ".join(self.python.command), self.python.environment
        say(f"running one job of {n_tasks} tasks, {command}")
        with check.task_files(self.root, n_tasks=n_tasks) as files:
            pairs = self.run(MREnv, request=check.script(driver), input=files)
        built_for = None if built is None else built.python
        findings = node_check.find(
            pairs, driver=node_report.report(), command=command, built_for=built_for, n_tasks=n_tasks, tried=driver
        )
        if self.python.archive is not None:
            findings.brought = {"uri": self.python.archive, **({} if built is None else built.to_json())}
        return findings

    def _produce(
        self, job: Any, submission: Submission, *, request: bytes, input: JobInput, output: str,
        n_reducers: int | None, properties: Mapping[str, str] = NO_PROPERTIES, line_by_line: bool = False,
        private: bool = False,
    ) -> None:  # fmt: skip
        path = f"{self._folder}/{REQUEST_NAME}"
        maps_only = "reducer" not in vars(job)
        reduces = 0 if maps_only else self.settings.reducers if n_reducers is None else n_reducers
        files_there = file_system_of(self.root.store.root)
        cut_by, cutting = input_format(input, self.settings, few_files=files_there.few_files)
        if line_by_line:
            cut_by, cutting = LINE_BY_LINE
        n_bytes, feeding = input.n_bytes, input.properties
        if input.told is not None:
            lines, n_together = dealt(input.told, self.settings, few=files_there.few_files)
            pieces = f"{self._folder}/{PIECES_NAME}"
            self.root.store.write(pieces, b"".join(lines), private=True)
            input = StoredLines((self.root.store.uri(pieces),), n_bytes)
            cut_by, cutting = LINE_BY_LINE[0], {**LINE_BY_LINE[1], LINES: str(n_together)}
        chosen = {
            **default_properties(), **files_there.properties, **cutting,
            **self.settings.properties(input_bytes=n_bytes), **_PROPERTIES,
            "mapreduce.job.reduces": str(reduces), **feeding, **properties,
        }  # fmt: skip
        chosen[_TAGS] = ",".join(filter(None, (submission.tag, chosen.get(_TAGS))))
        chosen.setdefault("mapreduce.job.name", f"mr_ml {job.__name__} {self.work}")
        self.root.store.write(path, request, private=private)
        spent.current().bytes(sent=len(request))
        files = {REQUEST_NAME: self.root.store.uri(path), CODE_NAME: self._code_uri, **self._native_files}
        arguments = ["-r", RUNNER, "--no-conf", "--request", self.root.store.uri(path)]
        arguments += ["--output-dir", self.root.store.uri(output)]
        for name, value in chosen.items():
            arguments += ["--jobconf", f"{name}={value}"]
        for name, value in self.python.variables.items():
            arguments += ["--cmdenv", f"{name}={value}"]
        made = job([*arguments, *addresses(input, few_files=files_there.few_files)])
        made.HADOOP_INPUT_FORMAT = cut_by
        command = [*job.CLUSTER_COMMAND, *self.python.command, CODE_NAME, job.__module__, job.__qualname__]
        for goes in range(1, _MOST_GOES + 1):
            with only_from(logging.ERROR, "mrjob"):
                runner = _StreamingRunner(
                    client=self._client, submission=submission, files=files, archive=self.python.archive,
                    command=command, **made._runner_kwargs(),
                )  # fmt: skip
                try:
                    runner.run()
                except (InternalError, UnavailableError) as error:
                    self._blame_store(error)
                    raise
            n_parts = 0
            with suppress(NotFoundError):
                n_parts = len(self._parts(output))
            if n_parts >= reduces:
                return
            said = (
                f"expected the files of {reduces} reduce task(s) in {self.root.store.uri(output)}, found {n_parts}, "
                "though the job ended well; that was seen where nodes are lost"
            )
            if goes == _MOST_GOES:
                raise UnavailableError(f"{said}; it ran {goes} times. Look at the cluster's nodes and run it again")
            _LOG.warning("%s: the job runs once more", said)
            self.root.store.remove_tree(output)

    def _parts(self, folder: str) -> list[str]:
        """Files of tasks in a job's output."""
        return [f"{folder}/{name}" for name in self.root.store.list(folder) if name.startswith("part-")]

    def _blame_store(self, error: InternalError | UnavailableError) -> None:
        """Raise UnavailableError if the store stopped during a job, whose own error does not say so."""
        try:
            self.root.store.exists("")
        except UnavailableError as unavailable:
            raise UnavailableError(f"{unavailable}; and {error}") from error

    @property
    def _folder(self) -> str:
        return self.root.layout.job(self.work)

    @contextmanager
    def _working(self, submission: Submission | None = None) -> Iterator[Submission]:
        """Own the work's folder while a job runs; afterwards it is gone, unless the job may still run."""
        self.take_over()
        if submission is None:
            submission = Submission(tag_of(self.work))
        try:
            self.root.store.write(f"{self._folder}/{OWNER_NAME}", Owner.here().encode())
            yield submission
        finally:
            if submission.ended:
                with suppress(StorageError, UnavailableError):
                    self.root.store.remove_tree(self._folder)

    @cached_property
    def _take_over(self) -> None:
        take_over(self.root, self.work, stop=lambda tag: self._client.stop(tag))


_TAGS = "mapreduce.job.tags"
_PROPERTIES = {
    # what is read back is text, whatever the cluster does by default
    "mapreduce.output.fileoutputformat.compress": "false",
    "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}


class _StreamingRunner(MrjobHadoopRunner):  # type: ignore[misc]
    """mrjob's runner for the command line of one streaming job; files by URI, the task's command given."""

    def __init__(
        self, *, client: JobClient, submission: Submission, files: Mapping[str, str], archive: str | None,
        command: Sequence[str], **kwargs: Any,
    ) -> None:  # fmt: skip
        self._client = client
        self._submission = submission
        self._files = files
        self._archive = archive
        self._command = list(command)
        super().__init__(**kwargs)

    @classmethod
    def _default_opts(cls) -> dict[str, Any]:
        unused = {"bootstrap_mrjob": False, "check_input_paths": False, "read_logs": False}
        return {**super()._default_opts(), **unused}

    def get_hadoop_version(self) -> str:
        return _HADOOP_VERSION

    def get_hadoop_bin(self) -> list[str]:
        return [_LAUNCHER]

    def get_hadoop_streaming_jar(self) -> str:
        return _STREAMING_JAR

    def _upload_args(self) -> list[str]:
        files = ["-files", ",".join(f"{uri}#{name}" for name, uri in self._files.items())]
        return files if self._archive is None else [*files, "-archives", f"{self._archive}#{FOLDER}"]

    def _script_args_for_step(self, step_num: int, mrc: str, input_manifest: bool = False) -> list[str]:
        return [*self._command, *self._args_for_task(step_num, mrc)]

    def _run(self) -> None:
        for step in range(self._num_steps()):
            launcher, jar, streaming_jar, *arguments = self._args_for_step(step)
            assert (launcher, jar, streaming_jar) == (_LAUNCHER, "jar", _STREAMING_JAR)
            self._client.run(arguments, self._submission)
