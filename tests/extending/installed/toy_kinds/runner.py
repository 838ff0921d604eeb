"""A runner: jobs run as by ``inline``, and their output comes in another order, as it may on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from hdfs_layout import Root
from mr_ml.runners.base import RUNNERS, Pair, Runner, RunnerKind, RunnerOptions, TaskFile, Tasks, TextSource
from mr_ml.runners.job_input import JobInput


@dataclass(frozen=True)
class ToyRunner:
    """See `Runner`; `inner` does the work."""

    inner: Runner
    name: str = "toy"

    @property
    def tasks(self) -> Tasks:
        return self.inner.tasks

    def run(self, job: Any, *, request: bytes, input: JobInput, n_reducers: int | None = None) -> list[Pair]:
        return self.inner.run(job, request=request, input=input, n_reducers=n_reducers)[::-1]

    def produce(self, job: Any, *, request: bytes, input: JobInput, output: str, n_reducers: int | None = None) -> None:
        self.inner.produce(job, request=request, input=input, output=output, n_reducers=n_reducers)

    def left(self, job: Any, *, request: bytes, input: JobInput) -> AbstractContextManager[Sequence[TaskFile]]:
        return self.inner.left(job, request=request, input=input)

    def text(self, inputs: Sequence[str], *, longest_line: int | None = None) -> TextSource:
        return self.inner.text(inputs, longest_line=longest_line)

    def of_work(self, work: str) -> Runner:
        return self

    def environment(self) -> Mapping[str, Any] | None:
        return self.inner.environment()

    def check(self, *, n_tasks: int, say: Callable[[str], None], driver: tuple[str, int] | None = None) -> Any:
        return self.inner.check(n_tasks=n_tasks, say=say)

    def close(self) -> None:
        self.inner.close()


def _open(root: Root, options: RunnerOptions) -> Runner:
    return ToyRunner(RUNNERS.get("inline").open(root, options))


TOY = RunnerKind(description="as a test adds it", open=_open)
