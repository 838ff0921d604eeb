"""How far a job on Spark is: tasks of the stages that run, as Spark's own status tracker counts them.

The tracker is asked in a thread of its own, by a connection of its own to Java, and only where somebody listens.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mr_ml import progress
from mr_ml.progress import Stage

EVERY_SECONDS = 1.0


@contextmanager
def watched(context: Any, stage: Stage, *, every: float = EVERY_SECONDS) -> Iterator[None]:
    """Tell of the stages that run, while the block does; nothing where nobody makes something of it."""
    if not progress.current().hears_stages:
        yield
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(every):
            try:
                told = tasks_text(context.statusTracker())
            except Exception:
                # Java has ended, or is about to: what the job comes to says that
                return
            if told and told != stage.detail:
                stage.tell(told)

    watcher = threading.Thread(target=look, daemon=True, name="mr-ml spark progress")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        # an answer of Java is not waited for: it may have ended
        watcher.join(every)


def tasks_text(tracker: Any) -> str:
    """Return what a tracker knows of the stages that run; empty if there are none."""
    found = [tracker.getStageInfo(number) for number in sorted(tracker.getActiveStageIds())]
    return ", ".join(
        f"stage {stage.stageId}: {stage.numCompletedTasks} of {stage.numTasks} tasks"
        for stage in found
        if stage is not None
    )
