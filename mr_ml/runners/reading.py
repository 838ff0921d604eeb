"""Tell how much of some text the tasks of a job have read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mr_ml import progress
from mr_ml.readers.text.source import TextFile
from mr_ml.runners.base import Runner
from mr_ml.runners.local.scratch import scratch_folder
from mr_ml.ticks import counted


@contextmanager
def reading(name: str, files: Sequence[TextFile], runner: Runner) -> Iterator[None]:
    """Within the block a job reads these files: a stage of their bytes, as far as these can be counted.

    Tasks on a cluster count nothing here; how far their job is, its own stage says.
    """
    total = sum(file.size for file in files)
    if not (progress.current().hears_stages and runner.tasks.share_memory):
        with progress.stage(name, unit="steps") as stage:
            stage.tell(f"{total / 1e6:.3g} MB")
            yield
        return
    with (
        tempfile.TemporaryDirectory(dir=scratch_folder(needs_bytes=0), prefix="ticks-") as folder,
        counted(folder) as measure,
        progress.stage(name, unit="bytes", total=total, measure=measure),
    ):
        yield
