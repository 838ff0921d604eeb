"""Running one of our mrjob jobs: a request file, an input, key-value pairs back."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mr_ml.errors import UsageError
from mr_ml.runners.local.scratch import scratch_folder

LOCAL_RUNNERS = ("inline", "local")
Pair = tuple[bytes, bytes]


class JobInput(Protocol):
    """What a job reads, told in both ways in which a map task can get at it; the runner takes the one that it can."""

    def lines(self, *, n_tasks: int) -> Sequence[bytes]:
        """A line for each map task, which names what that task opens itself.

        Raises
        ------
        UsageError
            If tasks on this machine cannot open it.
        """

    def uris(self) -> Sequence[str]:
        """The files whose own lines the map tasks are fed, wherever the runner cuts them.

        Raises
        ------
        UsageError
            If nobody but this machine can open them.
        """

    @property
    def n_bytes(self) -> int:
        """Size of those files together."""

    @property
    def n_mixable(self) -> int:
        """How many files there are, if a map task may be fed the lines of several; else 0."""


@dataclass(frozen=True)
class TaskLines:
    """An input that only tasks on this machine can open."""

    tasks: Sequence[bytes]
    n_bytes: int = 0
    n_mixable: int = 0

    def lines(self, *, n_tasks: int) -> Sequence[bytes]:
        return self.tasks

    def uris(self) -> Sequence[str]:
        raise UsageError("these files can be read on this machine only; use -r local")


class JobRunner(Protocol):
    """Where jobs run."""

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

    def of_work(self, work: str) -> JobRunner:
        """The same runner for the jobs of one run, by which those that an earlier process left behind are known."""


@dataclass(frozen=True)
class LocalJobRunner:
    """This machine: `inline` in this process, one task after the other; `local` in warm worker processes.

    Attributes
    ----------
    n_tasks
        Tasks that can run at once.
    """

    runner: str
    n_tasks: int

    @classmethod
    def of(cls, runner: str, *, workers: int | None) -> LocalJobRunner:
        """Check the names and numbers of the command line.

        Raises
        ------
        UsageError
            If the runner is not known or the number of workers is not positive.
        """
        if runner not in LOCAL_RUNNERS:
            raise UsageError(f"runner {runner!r} is not known; choose one of {', '.join(LOCAL_RUNNERS)}")
        if workers is not None and workers < 1:
            raise UsageError(f"--workers: expected at least 1, found {workers}")
        return cls(runner, 1 if runner == "inline" else workers or len(os.sched_getaffinity(0)))

    def of_work(self, work: str) -> LocalJobRunner:
        """Itself: jobs on this machine end with their process."""
        return self

    def run(self, job: Any, *, request: bytes, input: JobInput, n_reducers: int | None = None) -> list[Pair]:
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
            args = ["-r", self.runner, "--request", str(folder / "request")]
            if n_reducers is not None:
                args += ["--jobconf", f"mapreduce.job.reduces={n_reducers}"]
            if self.runner == "local":
                args += ["--num-cores", str(self.n_tasks)]
            made = job([*args, *map(str, inputs)])
            if made.SCRATCH_BYTES is not None:
                # what tasks of a pass write grows with the model
                made.SCRATCH_BYTES = max(made.SCRATCH_BYTES, 4 * needs)
            del request
            lines = run_job(made).lines
            pairs = []
            while lines:
                # together they may be as large as several models of millions of features
                pairs.append(pair_of(lines.pop()))
            return pairs


def pair_of(line: bytes) -> Pair:
    """Key and value of a line of output."""
    key, _, value = line.partition(b"\t")
    return key, value
