"""Running one of our mrjob jobs: a request file, one input line per task, key-value pairs back."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mr_ml.engine.scratch import scratch_folder
from mr_ml.errors import UsageError

RUNNERS = ("inline", "local")
Pair = tuple[bytes, bytes]


class JobRunner(Protocol):
    """Where jobs run."""

    @property
    def n_tasks(self) -> int:
        """Map tasks that can run at once."""

    def run(self, job: Any, *, request: bytes, tasks: Sequence[bytes], n_reducers: int = 1) -> list[Pair]:
        """Run the job class with a map task for each line of `tasks`; the output in no particular order.

        Raises
        ------
        MrMlError
            What a task raised, or InternalError if one died.
        """


@dataclass(frozen=True)
class LocalJobRunner:
    """This machine: `inline` in this process, one task after the other; `local` in warm worker processes."""

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
        if runner not in RUNNERS:
            raise UsageError(f"runner {runner!r} is not known; choose one of {', '.join(RUNNERS)}")
        if workers is not None and workers < 1:
            raise UsageError(f"--workers: expected at least 1, found {workers}")
        return cls(runner, 1 if runner == "inline" else workers or len(os.sched_getaffinity(0)))

    def run(self, job: Any, *, request: bytes, tasks: Sequence[bytes], n_reducers: int = 1) -> list[Pair]:
        from mr_ml.engine.local_runner import run_job

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
            args += ["--jobconf", f"mapreduce.job.reduces={n_reducers}"]
            if self.runner == "local":
                args += ["--num-cores", str(self.n_tasks)]
            return [_pair(line) for line in run_job(job([*args, *map(str, inputs)]))]


def _pair(line: bytes) -> Pair:
    key, _, value = line.partition(b"\t")
    return key, value
