"""A job whose map tasks stay: started in a thread, and ended from another; see `mr_ml.runners.staying.Seats`."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import InternalError, MrMlError, UnavailableError
from mr_ml.ids import unique_id
from mr_ml.runners.hadoop.client import END_SECONDS, STOP_SECONDS, Submission
from mr_ml.runners.hadoop.work import tag_of
from mr_ml.runners.staying import StayingTasks

if TYPE_CHECKING:
    from mr_ml.runners.hadoop.runner import HadoopJobRunner

# Tasks hold no data that another could not read: none is started twice, and the job goes on whatever becomes of one. It
# fails only where all of them have, so that Hadoop says why.
STAYING = MappingProxyType(
    {
        "mapreduce.map.speculative": "false",
        "mapreduce.map.maxattempts": "8",
        "mapreduce.map.failures.maxpercent": "99",
    }
)


@dataclass(frozen=True)
class HadoopSeats:
    """See `mr_ml.runners.staying.Seats`."""

    runner: HadoopJobRunner

    @property
    def n_tasks(self) -> int | None:
        """What the settings say."""
        return self.runner.settings.resident_tasks

    @property
    def host(self) -> str | None:
        """What the settings say."""
        return self.runner.settings.driver_host

    @property
    def ports(self) -> Sequence[int]:
        """What the settings say; 0, any, if they say nothing."""
        first, _, last = (self.runner.settings.driver_port or "0").partition("-")
        return range(int(first), int(last or first) + 1)

    @property
    def memory_bytes(self) -> int | None:
        """What the settings say."""
        memory = self.runner.settings.resident_memory_mb
        return None if memory is None else memory << 20

    @property
    def patience_seconds(self) -> float:
        """What the settings say."""
        return self.runner.settings.patience_seconds

    @property
    def idle_seconds(self) -> float:
        """What the settings say."""
        return self.runner.settings.idle_seconds

    def start(
        self, job: Any, *, request: bytes, n_tasks: int, ended: Callable[[MrMlError | None], None]
    ) -> HadoopStayingTasks:
        """See `mr_ml.runners.staying.Seats.start`."""
        self.runner.take_over()
        runner = self.runner.of_work(unique_id())
        submission = Submission(tag_of(runner.work))

        def run() -> None:
            error: MrMlError | None = None
            try:
                runner.stay(job, submission, request=request, n_tasks=n_tasks)
            except MrMlError as raised:
                error = raised
            except Exception as raised:
                error = InternalError(f"the job could not be run: {raised!r}")
            ended(error)

        # who listens to this thread hears of the job too
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: context.run(run), daemon=True)
        thread.start()
        return HadoopStayingTasks(thread, submission)

    def serving(self, staying: StayingTasks) -> AbstractContextManager[None]:
        """See `mr_ml.runners.staying.Seats.serving`."""
        return self.runner.served_by(staying.name)


@dataclass(frozen=True)
class HadoopStayingTasks:
    """A job that runs in a thread."""

    thread: threading.Thread
    submission: Submission

    @property
    def name(self) -> str:
        """See `mr_ml.runners.staying.StayingTasks.name`."""
        return self.submission.tag

    def stop(self, patience: float) -> None:
        """See `mr_ml.runners.staying.StayingTasks.stop`.

        Raises
        ------
        UnavailableError
            If it cannot be stopped.
        """
        self.thread.join(patience)
        if self.thread.is_alive():
            self.submission.cancel()
            self.thread.join(END_SECONDS + 2 * STOP_SECONDS)
        if self.thread.is_alive() or not self.submission.ended:
            raise UnavailableError(
                "the job whose tasks answered passes may still run, and could not be stopped; look for it with "
                f"`yarn application -list -appTags {self.submission.tag}`. Its tasks end by themselves within a minute"
            )
