"""Where the functions of the Python API run, as they take it: the root, and keyword arguments."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from hdfs_layout import Root
from mr_ml.errors import UsageError
from mr_ml.memory import Memory
from mr_ml.session import Session

if TYPE_CHECKING:
    from mr_ml.training.loop import Progress

Place = Root | str | os.PathLike[str]


class Where(TypedDict, total=False):
    """Where jobs run, and callbacks for messages; all may be left out.

    Attributes
    ----------
    runner : str
        "inline": in this process (default); "local": in worker processes; "hadoop": on the cluster that HADOOP_HOME and
        HADOOP_CONF_DIR name; or another of `mr_ml.runners.base.RUNNERS`.
    workers : int
        Worker processes of "local"; by default as many as there are processors.
    memory : int or str
        Of all processes on this machine together: bytes, or a size such as "2G"; by default half of what is free.
    config : str or os.PathLike
        Path of the YAML settings of a cluster.
    cluster_id : str
        With "emr": of a cluster that runs; by default one is started, and ended after the call.
    master : str
        With "spark": where it runs, such as "yarn" or "local[4]".
    max_hours, max_cost : float
        With "emr": after which no job begins; costs by the prices in `config`.
    engine : str
        How passes are run: "resident", with "hadoop" one job whose tasks stay; "mapreduce", a job for each; or "auto"
        (default), resident where that can be, else mapreduce.
    say, warn : callable
        Called with a sentence that the user should know, or that says what may be wrong with a result.
    """

    runner: str
    workers: int | None
    memory: Memory
    config: str | os.PathLike[str] | None
    cluster_id: str | None
    master: str | None
    max_hours: float | None
    max_cost: float | None
    engine: str | None
    say: Callable[[str], None]
    warn: Callable[[str], None]


class TrainWhere(Where, total=False):
    """The same, and `watch`, which is called with the `Progress` of each pass."""

    watch: Callable[[Progress], None]


def session_of(root: Place, where: Where | TrainWhere) -> Session:
    """Open the session of a function of the API; raises as `Session.open`, or UsageError if it has other parameters."""
    options: dict[str, Any] = {"runner": "inline", **where}
    check_where(options)
    return Session.open(root, **options)


def check_where(where: Mapping[str, Any]) -> None:
    """Raise UsageError if there are other parameters than those that say where jobs run."""
    known = TrainWhere.__annotations__
    for name in where:
        if name not in known:
            raise UsageError(f"`{name}` is no parameter of this function; beside its own it takes {', '.join(known)}")
