"""The engine that users get who leave the choice to mr_ml: tasks that stay where they can, else a job for each pass."""

from __future__ import annotations

from mr_ml.passes.base import Engine
from mr_ml.passes.engines import PassesWanted
from mr_ml.passes.mapreduce import open_mapreduce


def open_automatic(wanted: PassesWanted) -> Engine:
    """Open tasks that stay if the runner has them and the model is not too large, and say why not."""
    if wanted.runner.tasks.seats is None:
        return open_mapreduce(wanted)
    # what talks to tasks that stay is loaded where there are any
    from mr_ml.passes.resident.automatic import open_staying

    return open_staying(wanted)
