"""The kinds of runner of this machine; cheap to load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hdfs_layout import Root
from mr_ml.errors import UsageError
from mr_ml.runners.base import RunnerKind, RunnerOptions

if TYPE_CHECKING:
    from mr_ml.runners.local.machine import LocalJobRunner


def _inline(root: Root, options: RunnerOptions) -> LocalJobRunner:
    return _opened("inline", options)


def _local(root: Root, options: RunnerOptions) -> LocalJobRunner:
    return _opened("local", options)


def _opened(name: str, options: RunnerOptions) -> LocalJobRunner:
    from mr_ml.runners.local.machine import LocalJobRunner

    _check(None, options)
    return LocalJobRunner.of(name, workers=options.workers)


def _check(root: str | None, options: RunnerOptions) -> None:
    if options.config is not None:
        raise UsageError("`config` says how to use a cluster; give `runner` hadoop too")


def _start_server(modules: Sequence[str]) -> None:
    # workers load their modules while the driver loads its own
    from mr_ml.runners.local.fork_server import prepare

    prepare(modules)


INLINE = RunnerKind(description="in this process", open=_inline, check=_check, share_files=True)
LOCAL = RunnerKind(
    description="in warm worker processes", open=_local, check=_check, share_files=True, prepare=_start_server
)
