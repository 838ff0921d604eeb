"""The work on one window, step by step.

A step whose result is in the journal is left out. One that was cut off is done again, and makes the same thing once:
what it makes has a name that was noted before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hdfs_layout import Root, append_events
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.catalog.decision import Decision
from mr_ml.catalog.model import load_model, read_manifest
from mr_ml.catalog.promotions import promote
from mr_ml.catalog.retention import carry_out, plan
from mr_ml.catalog.run import find_run
from mr_ml.errors import BadDataError, MrMlError, NotFoundError, UsageError
from mr_ml.interrupts import stage
from mr_ml.models.base import TrainSpec
from mr_ml.retraining.journal import Attempt, Journal, OwnJournal, candidate_of, now
from mr_ml.retraining.judging import judged
from mr_ml.retraining.provenance import provenance_of
from mr_ml.retraining.requests import pack_choices
from mr_ml.retraining.window import TRAIN, Window
from mr_ml.session import Session
from mr_ml.training.begin import look_at
from mr_ml.whoami import whoami

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig

#: Between any two effects there is one of these; see `reached`.
POINTS = (
    "begun", "packed", "packed noted", "fitted", "judged", "published", "published noted", "promoted",
    "promoted noted", "cleaned", "cleaned noted", "ended", "ended noted", "told", "told noted",
)  # fmt: skip


def reached(point: str) -> None:
    """Do nothing: a place where tests end the process, between something that was done and what comes next."""


def add_event(root: Root, run: str, step: str, **numbers: Any) -> None:
    """Add an event of a retraining to the log of its run."""
    add_events(root, run, [{"step": step, **numbers}])


def add_events(root: Root, run: str, steps: Sequence[Mapping[str, Any]]) -> None:
    """Add some at once."""
    append_events(root.store, root.layout.run_log(run), [{"event": "retrain", "at": now(), **step} for step in steps])


@dataclass
class Work:
    """The work on one window; its journal says how far it has come.

    Attributes
    ----------
    config, session, window
        What is to be done, with what, and on what.
    own
        The journal of this process, and the lock.
    seen
        Number of the entry in the log of promotions after which the candidate may be promoted.
    removed
        How many things were removed.
    """

    config: RetrainConfig
    session: Session
    window: Window
    own: OwnJournal
    seen: int
    removed: int = 0

    @property
    def journal(self) -> Journal:
        """How far the work has come."""
        return self.own.journal

    @property
    def attempt(self) -> Attempt:
        """The attempt that is worked on."""
        return self.journal.attempt

    @property
    def root(self) -> Root:
        """Where everything is kept."""
        return self.session.root

    def note(self, step: str, **changes: Any) -> None:
        """Write down what a step has come to; raises LockedError if somebody else may work on this by now."""
        reached(step)
        self.own.note(**changes)
        reached(f"{step} noted")

    def log(self, step: str, **numbers: Any) -> None:
        """Add an event to the log of the run."""
        add_event(self.root, self.attempt.run, step, **numbers)

    def all_steps(self) -> None:
        """Do what is left to do."""
        with stage():
            dataset = self._pack()
        with stage():
            decision = self._publish(dataset)
        with stage():
            self._promote(decision)
        with stage():
            self._clean()
        with stage():
            self._end()

    def _pack(self) -> Dataset:
        attempt = self.attempt
        if attempt.dataset is not None:
            return load_dataset(self.root, attempt.dataset)
        if not self._starts_from_published:
            # what is wrong with a file is said before the work
            self._file_options()
        began = time.monotonic()
        inputs, choices = pack_choices(self.config, self.window)
        dataset = self.session.pack(inputs, self.config.dataset_name, choices, request=attempt.request)
        rows = {split: dataset.n_rows(split) for split in dataset.splits}
        self.log("packed", dataset=dataset.reference, rows=rows, seconds=_since(began))
        self.note("packed", dataset=dataset.reference)
        return dataset

    def _publish(self, dataset: Dataset) -> Decision:
        """Fit the candidate, judge it, and publish it with the decision."""
        attempt = self.attempt
        version = attempt.version if attempt.version is not None else candidate_of(self.root, attempt)
        if version is None:
            version = self._make(dataset)
        decision = read_manifest(self.root, self.config.model, version)[0].decision
        if decision is None:
            raise BadDataError(
                f"expected that {self.config.model}@{version}, the candidate of run {attempt.run}, says what the gate "
                f"decided; found nothing: it was published by other means. Promote it with `mr-ml models promote`, or "
                f"retrain with changed settings"
            )
        if attempt.version is None:
            self.note("published", version=version, accepted=decision.accepted, reasons=tuple(decision.reasons))
        return decision

    def _make(self, dataset: Dataset) -> int:
        began = time.monotonic()
        spec = self._spec(dataset)
        fitted = self.session.fit(spec, run=self.attempt.run)
        training = fitted.training
        self.log(
            "fitted", **{name: training[name] for name in ("passes", "objective", "converged", "stop")},
            warm_start=spec.warm_start, seconds=_since(began),
        )  # fmt: skip
        reached("fitted")
        began = time.monotonic()
        with self._reading_published():
            published = None if self._base is None else load_model(self.root, self._base)
        decision = judged(self.config, self.session, fitted, published, self.window)
        # that were all passes
        self.session.release()
        self.log(
            "judged", accepted=decision.accepted, against=decision.against, reasons=decision.reasons,
            checks=[check.to_json() for check in decision.checks], seconds=_since(began),
        )  # fmt: skip
        reached("judged")
        self.own.lock.check()
        provenance = provenance_of(self.window, self.config.to_json())
        return self.session.publish(fitted, decision=decision, provenance=provenance).version

    @property
    def _base(self) -> str | None:
        return None if self.attempt.base is None else f"{self.config.model}@{self.attempt.base}"

    @property
    def _starts_from_published(self) -> bool:
        return self.config.warm_start and self._base is not None

    def _file_options(self) -> dict[str, str]:
        """Return the option by which training begins with the file of the settings, if any, which is looked at."""
        file = self.config.warm_start_from
        if file is None:
            return {}
        look_at(file, None)
        return {"warm_start_from": file}

    def _spec(self, dataset: Dataset) -> TrainSpec:
        """Return what is fitted; a start from a model of another kind, loss or labels is left out."""
        from mr_ml.training.train import make_problem, warm_start

        config, root = self.config, self.root
        begun = find_run(root, self.attempt.run)
        if begun is not None:
            return begun.spec
        where = config.kind, dataset.reference, config.model, TRAIN
        if not self._starts_from_published:
            return self.session.spec(*where, {**config.train_options, **self._file_options()})
        cold = self.session.spec(*where, config.train_options)
        warm = replace(cold, warm_start=self._base)
        problem = make_problem(warm, dataset, root)
        try:
            with self._reading_published():
                warm_start(problem, warm, dataset, root)
        except UsageError as error:
            file = config.warm_start_from
            self.session.warn(f"training starts from {'nothing' if file is None else file}: {error}")
            return self.session.spec(*where, {**config.train_options, **self._file_options()})
        return warm

    @contextmanager
    def _reading_published(self) -> Iterator[None]:
        """Say of a published model that cannot be read what ends that: every night would fail by it."""
        try:
            yield
        except (BadDataError, NotFoundError) as error:
            model = self.config.model
            raise type(error)(
                f"{self._base} is in use and cannot be read, so no candidate can be held against it: {error} Restore "
                f"that file, or let {model} mean another version: `mr-ml models rollback {model}`"
            ) from error

    def _promote(self, decision: Decision) -> None:
        attempt = self.attempt
        if attempt.promotion is not None or attempt.version is None:
            return
        if not decision.accepted and attempt.forced is None:
            return
        self.own.lock.check()
        entry = promote(
            self.root, self.config.model, attempt.version, by=whoami(), reason=attempt.forced,
            forced=not decision.accepted, after=self.seen, retrain=attempt.run,
            began=attempt.seen,
        )  # fmt: skip
        self.log("promoted", version=entry.version, previous=entry.previous, entry=entry.number, forced=entry.forced)
        self.note("promoted", promotion=entry.number)

    def _clean(self) -> None:
        if self.attempt.cleaned:
            return
        config, warn = self.config, self.session.warn
        try:
            planned = plan(self.root, config.retention, model=config.model, dataset=config.dataset_name, say=warn)
            gone = carry_out(self.root, planned, warn, held={config.model: self.own.lock})
        except MrMlError as error:
            # also if another process removes things just now: the outcome does not depend on it, and the next window
            # removes the same
            warn(f"not everything that is old was removed: {error}")
            self.log("cleaned", failed=self.config.hide(str(error)))
        else:
            self.removed = len(gone)
            self.log("cleaned", removed=[removal.what for removal in gone], bytes=sum(r.bytes for r in gone))
        self.note("cleaned", cleaned=True)

    def _end(self) -> None:
        outcome = "refused" if self.attempt.promotion is None else "published"
        self.log("ended", outcome=outcome)
        self.note("ended", outcome=outcome, ended=now())

    def fail(self, message: str, exit_code: int) -> None:
        """Note that a step failed, as far as that can be written."""
        with suppress(MrMlError):
            self.own.lock.check()
            self.log("failed", message=message, exit_code=exit_code)
        with suppress(MrMlError):
            self.note("ended", outcome="failed", message=message, exit_code=exit_code, ended=now())

    def told(self) -> None:
        """Note that those who wait have been told of the outcome."""
        self.note("told", notified=True)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
