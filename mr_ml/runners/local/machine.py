"""Jobs on this machine: `inline` in the driver's process, `local` in warm worker processes."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hdfs_layout.dataclass import dataclass
from hdfs_layout.faults import storage_error
from mr_ml import spent
from mr_ml.errors import InternalError, UsageError
from mr_ml.runners.base import Pair, Tasks, pair_of
from mr_ml.runners.job_input import JobInput, TaskLines
from mr_ml.runners.local.scratch import scratch_folder

if TYPE_CHECKING:
    from mr_ml.runners.local.text import LocalText
    from mr_ml.runners.node_check import Findings

_CHUNK_BYTES = 1 << 20
# Tasks in this process change its standard streams and its working folder: jobs of several threads take turns.
_IN_DRIVER = threading.RLock()


@dataclass(frozen=True)
class LocalJobRunner:
    """See `mr_ml.runners.base.Runner`.

    Attributes
    ----------
    name
        `inline`, one task after the other in this process, or `local`, in warm worker processes.
    n_tasks
        Tasks that can run at once.
    """

    name: str
    n_tasks: int

    @classmethod
    def of(cls, name: str, *, workers: int | None) -> LocalJobRunner:
        """Check the number of workers, which is by default that of the processors.

        Raises
        ------
        UsageError
            If it is not positive.
        """
        if workers is not None and workers < 1:
            raise UsageError(f"`workers`: expected at least 1, found {workers}")
        return cls(name, 1 if name == "inline" else workers or len(os.sched_getaffinity(0)))

    @property
    def tasks(self) -> Tasks:
        """See `Runner.tasks`."""
        return Tasks(n_tasks=self.n_tasks, share_files=True, share_memory=True, in_driver=self.name == "inline")

    def of_work(self, work: str) -> LocalJobRunner:
        """Itself: jobs on this machine end with their process."""
        return self

    def environment(self) -> None:
        """See `Runner.environment`."""

    def text(self, inputs: Sequence[str], *, longest_line: int | None = None) -> LocalText:
        """See `Runner.text`; files of this machine and of any store."""
        from mr_ml.runners.local.text import LocalText

        return LocalText(inputs, n_tasks=self.n_tasks, longest_line=longest_line)

    def run(self, job: Any, *, request: bytes, input: JobInput, n_reducers: int | None = None) -> list[Pair]:
        """See `Runner.run`."""
        with _IN_DRIVER if self.tasks.in_driver else nullcontext():
            return self._run(job, request=request, input=input, n_reducers=n_reducers)

    def _run(self, job: Any, *, request: bytes, input: JobInput, n_reducers: int | None) -> list[Pair]:
        from mr_ml.runners.local.runner import run_job

        tasks = input.lines(n_tasks=self.n_tasks)
        if not tasks:
            # mrjob would read standard input instead
            return []
        needs = len(request) + sum(map(len, tasks))
        with tempfile.TemporaryDirectory(dir=scratch_folder(needs_bytes=needs), prefix="job-") as name:
            folder = Path(name)
            (folder / "request").write_bytes(request)
            inputs = [folder / f"task-{k:05d}" for k in range(len(tasks))]
            for path, line in zip(inputs, tasks, strict=True):
                path.write_bytes(line)
            args = ["-r", self.name, "--request", str(folder / "request")]
            if n_reducers is not None:
                args += ["--jobconf", f"mapreduce.job.reduces={n_reducers}"]
            if self.name == "local":
                args += ["--num-cores", str(self.n_tasks)]
            made = job([*args, *map(str, inputs)])
            if made.SCRATCH_BYTES is not None:
                # what tasks of a pass write grows with the model
                made.SCRATCH_BYTES = max(made.SCRATCH_BYTES, 4 * needs)
            spent.current().bytes(sent=len(request))
            del request
            lines = run_job(made).lines
            spent.current().bytes(received=sum(map(len, lines)))
            pairs = []
            while lines:
                # together they may be as large as several models of millions of features
                pairs.append(pair_of(lines.pop()))
            return pairs

    def produce(self, job: Any, *, request: bytes, input: JobInput, output: str, n_reducers: int | None = None) -> None:
        """Not for tasks that share files with the driver, see `Runner.produce`."""
        raise InternalError(f"`runner` {self.name} leaves no output in a store")

    @contextmanager
    def left(self, job: Any, *, request: bytes, input: JobInput) -> Iterator[list[LeftFile]]:
        """See `Runner.left`; whose folder it is removes the files."""
        yield left_files(self.run(job, request=request, input=input))

    def check(self, *, n_tasks: int, say: Callable[[str], None], driver: tuple[str, int] | None = None) -> Findings:
        """See `Runner.check`."""
        from mr_ml_jobs.env_job import MREnv

        from mr_ml.runners import node_check, node_report

        lines = TaskLines([b"%d\n" % number for number in range(min(n_tasks, self.n_tasks))])
        pairs = self.run(MREnv, request=b"", input=lines)
        return node_check.find(pairs, driver=node_report.report(), command=sys.executable, n_tasks=len(pairs))

    def close(self) -> None:
        """See `Runner.close`; worker processes end with this one."""


def left_files(pairs: Sequence[Pair]) -> list[LeftFile]:
    """Return the files that tasks have left, of what they yielded."""
    return [LeftFile(value, json.loads(key)) for key, value in pairs]


@dataclass(frozen=True)
class LeftFile:
    """Lines in a file of this machine; see `mr_ml.runners.base.TaskFile`."""

    report: bytes
    path: str

    def lines(self) -> Iterator[bytes]:
        """See `TaskFile.lines`."""
        try:
            with open(self.path, "rb") as part:
                while chunk := part.read(_CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise storage_error(error, doing="read", place=self.path) from error
