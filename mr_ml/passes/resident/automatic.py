"""The engine that users get who leave the choice to mr_ml, where tasks can stay: these, else a job for each pass."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from hdfs_layout.dataclass import dataclass
from mr_ml.passes.base import Array, Engine
from mr_ml.passes.engines import PassesWanted
from mr_ml.passes.mapreduce import MapReduceEngine, open_mapreduce
from mr_ml.passes.resident.application import NoTasksError
from mr_ml.passes.resident.engine import open_resident
from mr_ml.passes.resident.turns import Turns
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic

# Of the query and the sums of a pass, both of which each task holds: more has not been tried.
MOST_BYTES = 1 << 30
# What tasks that do not reach each other may get and send. The driver sends and adds up all; reduce tasks share it.
MOST_THROUGH_DRIVER_BYTES = 256 << 20


def open_staying(wanted: PassesWanted) -> Engine:
    """Open tasks that stay, of a runner that has them, if the model is not too large, and say why not."""
    if wanted.kept.of(Turns).nobody_came:
        wanted.say("each pass is a job of its own: no task that stays came earlier in this session")
        return open_mapreduce(wanted)
    sums = wanted.needs.sum_bytes + wanted.needs.query_bytes
    if sums > MOST_BYTES:
        wanted.say(
            f"each pass is a job of its own: each task that stays would hold {sums >> 20} MB of queries and sums "
            f"beside its rows, more than {MOST_BYTES >> 20}"
        )
        return _one_job_a_pass(wanted)
    return AutomaticEngine(wanted, replace(open_resident(wanted), most_bytes=MOST_THROUGH_DRIVER_BYTES))


def _one_job_a_pass(wanted: PassesWanted) -> MapReduceEngine:
    # tasks that stay would hold the room that jobs need
    wanted.kept.of(Turns).close()
    return open_mapreduce(wanted)


@dataclass(eq=False)
class AutomaticEngine:
    """An `Engine` of tasks that stay, and of a job for each pass from the moment on when there are none."""

    wanted: PassesWanted
    engine: Engine

    def run(self, query: Query, *, columns: Array | None = None) -> Statistic:
        """See `Engine.run`."""
        try:
            return self.engine.run(query, columns=columns)
        except NoTasksError as error:
            self.wanted.say(f"each pass is a job of its own from here on: {error}")
        with closing(self.engine):
            self.wanted.kept.of(Turns).give_up()
            self.engine = open_mapreduce(self.wanted)
        return self.engine.run(query, columns=columns)

    def close(self) -> None:
        """See `Engine.close`."""
        self.engine.close()
