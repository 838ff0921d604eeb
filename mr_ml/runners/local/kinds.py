"""The kinds of runner of this machine; cheap to load."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from hdfs_layout import Root
from mr_ml.runners.base import RunnerKind, RunnerOptions

if TYPE_CHECKING:
    from mr_ml.runners.local.machine import LocalJobRunner


def _open(name: str, root: Root, options: RunnerOptions) -> LocalJobRunner:
    from mr_ml.runners.local.machine import LocalJobRunner

    _check(name, None, options)
    return LocalJobRunner.of(name, workers=options.workers)


def _check(name: str, root: str | None, options: RunnerOptions) -> None:
    options.only("workers", "memory", runner=name)


def _look(name: str, config: str) -> None:
    _check(name, None, RunnerOptions(config=config))


def _start_server(modules: Sequence[str]) -> None:
    from mr_ml.runners.local.fork_server import fork

    fork(modules)


INLINE = RunnerKind(
    description="in this process",
    open=partial(_open, "inline"),
    check=partial(_check, "inline"),
    look=partial(_look, "inline"),
)
LOCAL = RunnerKind(
    description="in warm worker processes", open=partial(_open, "local"), check=partial(_check, "local"),
    prepare=_start_server, look=partial(_look, "local"),
)  # fmt: skip
