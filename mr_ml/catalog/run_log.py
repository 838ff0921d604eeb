"""Read the log of a run: events are checked against their schema; unknown kinds are skipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

from hdfs_layout import Root, find_version, read_events
from hdfs_layout.dataclass import dataclass
from hdfs_layout.limits import MAX_PASS, MAX_VERSION
from mr_ml.catalog.attempts import Attempt, attempts_of
from mr_ml.catalog.run import RunDocument
from mr_ml.catalog.tuning import Tuned
from mr_ml.data import stored

# as the log writes numbers
Number = float | Literal["nan", "inf", "-inf"]


class _Event(TypedDict):
    event: str


class SpentOnPass(TypedDict, total=False):
    """What is known of where the time of a pass went, by `mr_ml.spent`; a later release may know more."""

    seconds: dict[str, stored.NotNegative]
    task_seconds: dict[str, stored.NotNegative]
    bytes: dict[str, stored.NotNegative]


class _PassEvent(_Event):
    number: Annotated[int, stored.at_least(1), stored.at_most(MAX_PASS)]
    objective: Number
    gradient_norm: Number
    step: Number
    rows_per_second: Number


class PassEvent(_PassEvent, total=False):
    """A finished pass."""

    seconds: Number
    spent: Annotated[SpentOnPass, stored.MORE]


class PublishedEvent(_Event):
    """The end: the model's version, and why it ended."""

    version: Annotated[int, stored.at_least(1), stored.at_most(MAX_VERSION)]
    stop: str


class FailedEvent(_Event):
    """The end without a model, which would come again: why."""

    stop: str


class FittedEvent(_Event):
    """The end of a fit that publishes nothing: why it ended."""

    stop: str


class TunedEvent(_Event):
    """What came of a tuning, before the model that was chosen is trained on all rows."""

    tuned: Tuned


class BegunEvent(_Event):
    """A process has begun, or goes on with, the run; see `mr_ml.catalog.attempts`."""

    at: str
    owner: str
    host: str
    pid: int


class _StoppedEvent(_Event):
    at: str
    interrupted: bool


class StoppedEvent(_StoppedEvent, total=False):
    """A process ended without a model: by a signal, or by an error, after which the run can be resumed."""

    error: str


class ContinuesEvent(_Event):
    """The run goes on where another one was after a pass."""

    run: stored.Name
    after: Annotated[int, stored.at_least(1), stored.at_most(MAX_PASS)]


class RetrainEvent(_Event):
    """A step of a retraining, when it was done, and its numbers; the first one has `model` and `window`."""

    step: str
    at: str


_ANY: Any = Annotated[_Event, stored.MORE]
KINDS: dict[str, Any] = {
    "pass": Annotated[PassEvent, stored.MORE],
    "published": Annotated[PublishedEvent, stored.MORE],
    "failed": Annotated[FailedEvent, stored.MORE],
    "fitted": Annotated[FittedEvent, stored.MORE],
    "tuned": Annotated[TunedEvent, stored.MORE],
    "retrain": Annotated[RetrainEvent, stored.MORE],
    "begun": Annotated[BegunEvent, stored.MORE],
    "stopped": Annotated[StoppedEvent, stored.MORE],
    "continues": Annotated[ContinuesEvent, stored.MORE],
}
# What a retraining has come to, by its last step; of the step "ended", what that says.
_ENDS = {"ended": "outcome", "failed": "step", "superseded": "step"}
# Steps that tell of the outcome, whatever it is.
_TELLING = ("notified", "metrics", "report")


@dataclass(frozen=True)
class RunLog:
    """Passes in the order of the log, each once, how the run ended, if it did, and the steps of a retraining.

    `attempts` are the processes that were at work, in their order, `continues` where it went on from another run.
    """

    passes: tuple[PassEvent, ...]
    published: PublishedEvent | None
    failed: FailedEvent | None
    retrain: tuple[Mapping[str, Any], ...] = ()
    tuned: Tuned | None = None
    attempts: tuple[Attempt, ...] = ()
    continues: ContinuesEvent | None = None
    fitted: FittedEvent | None = None

    @property
    def retrained(self) -> tuple[str, str] | None:
        """Model and window, if this is the run of a retraining."""
        return next(
            (
                (str(event["model"]), str(event["window"]))
                for event in self.retrain
                if {"model", "window"} <= event.keys()
            ),
            None,
        )

    @property
    def outcome(self) -> str:
        """What the retraining has come to: published, refused, failed, superseded, or unfinished."""
        last = next((event for event in reversed(self.retrain) if event["step"] not in _TELLING), None)
        return "unfinished" if last is None else str(last.get(_ENDS.get(last["step"], ""), "unfinished"))


def read_log(root: Root, run: str) -> RunLog:
    """Read the log of a run; a run that has written none has no passes.

    Raises
    ------
    BadDataError
        If it is damaged.
    """
    path = root.layout.run_log(run)
    events: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    in_order: list[Mapping[str, Any]] = []
    for number, event in enumerate(read_events(root.store, path), start=1):
        where = f"{root.store.uri(path)}: event {number}"
        kind = stored.read(_ANY, event, where=where)["event"]
        if kind in KINDS:
            events[kind].append(stored.read(KINDS[kind], event, where=where))
            in_order.append(event)
    # who resumes a run that has ended makes its last pass again
    passes = {event["number"]: event for event in events["pass"]}
    published, failed, fitted = (
        events[kind][-1] if events[kind] else None for kind in ("published", "failed", "fitted")
    )
    tuned = events["tuned"][-1]["tuned"] if events["tuned"] else None
    continues = events["continues"][-1] if events["continues"] else None
    return RunLog(
        tuple(passes.values()), published, failed, tuple(events["retrain"]), tuned, attempts_of(in_order), continues,
        fitted,
    )  # fmt: skip


def published_version(root: Root, run: str, document: RunDocument) -> int | None:
    """Find the version that a run published, without its log; None if it published none."""
    model = document.spec.model
    # written just before a manifest
    if not root.store.exists(root.layout.coef(model, run)):
        return None
    return find_version(root.store, root.layout.model(model), key="run", value=run, after=document.after)
