"""One call of the driver: earlier windows that are unfinished, then the one that is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from hdfs_layout import Root
from hdfs_layout.dataclass import dataclass
from hdfs_layout.lock import Lock
from mr_ml.catalog.model import read_manifest
from mr_ml.catalog.promotions import fence, manage, promoted_version
from mr_ml.catalog.run_log import read_log
from mr_ml.errors import GateRefusedError, LockedError, MrMlError, NotFoundError, StorageError
from mr_ml.retraining.finish import finish, tell
from mr_ml.retraining.journal import Attempt, Journal, OwnJournal, now, read_journal
from mr_ml.retraining.result import RetrainResult, failure
from mr_ml.retraining.resume import MOST_STARTS, give_up, new_attempt, unfinished, untold, why_anew
from mr_ml.retraining.window import Window, find_window
from mr_ml.retraining.work import Work
from mr_ml.session import Session
from mr_ml.whoami import whoami

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig
    from mr_ml.training.loop import Progress


@dataclass
class Night:
    """One call of `retrain`; `label` names the window that it is at, `window` is what there is of it.

    `work` is the work on it.
    """

    config: RetrainConfig
    root: Root
    force: str | None
    settings_file: str | None
    say: Callable[[str], None]
    warn: Callable[[str], None]
    watch: Callable[[Progress], None]
    label: str | None = None
    window: Window | None = None
    work: Work | None = None
    _started: str = field(default_factory=now)
    _clock: float = field(default_factory=time.monotonic)

    def run(self, lock: Lock, last: date | None) -> RetrainResult:
        """Retrain for a window; while the lock is held, also what fails is recorded and told."""
        self.label = None if last is None else last.isoformat()
        try:
            return self._run(lock, last)
        except LockedError:
            # what comes of it is for the other process to say
            raise
        except Exception as error:
            self._failed(lock, error)
            raise

    def _run(self, lock: Lock, last: date | None) -> RetrainResult:
        config, root = self.config, self.root
        if lock.taken_over:
            self.say("the process that held the lock before was killed or hangs; it can promote nothing any more")
            fence(root, config.model, by=whoami())
        self._owed(lock)
        with Session.open(
            root, runner=config.runner.name, workers=config.runner.workers, memory=config.runner.memory,
            config=config.runner.config, cluster_id=config.runner.cluster_id, master=config.runner.master,
            engine=config.runner.engine, say=self.say, warn=self.warn, watch=self.watch,
        ) as session:  # fmt: skip
            window = self._find(last)
            if last is None:
                self._earlier(session, lock, window)
            return self._retrain(session, lock, window, self.force)

    def _find(self, last: date | None) -> Window:
        window = find_window(self.config.input, timezone=self.config.timezone, last=last)
        self.label, self.window = window.label, window
        return window

    def _owed(self, lock: Lock) -> None:
        """Tell of what has ended, if the process that was to tell of it was killed."""
        for journal in untold(self.root, self.config.model):
            try:
                tell(self.config, self.root, self._ended(journal), warn=self.warn)
                OwnJournal(self.root, lock, journal).note(notified=True)
            except LockedError:
                raise
            except MrMlError as error:
                # whatever it is, the window of today finds it too if it needs what is broken
                self.warn(f"nobody was told of the window {journal.window}: {error}")

    def _earlier(self, session: Session, lock: Lock, window: Window) -> None:
        """Finish or give up what is unfinished of earlier windows."""
        for journal in unfinished(self.root, self.config.model, window.label, warn=self.warn):
            self.label, self.window, self.work = journal.window, None, None
            try:
                why = self._resume(session, lock, journal)
            except LockedError:
                raise
            except Exception as error:
                # what comes later does not wait for what fails
                self.warn(f"the window {journal.window} failed: {error}")
                if self.work is not None:
                    self._failed(lock, error)
                    continue
                why = self.config.hide(str(error))
            if why is not None:
                message = f"superseded by the window {window.label}: {why}"
                own = OwnJournal(self.root, lock, journal)
                give_up(own, message)
                self.say(f"the window {journal.window} is {message}")
                tell(self.config, self.root, self._ended(own.journal), warn=self.warn)
                own.note(notified=True)
        self.label, self.window, self.work = window.label, window, None

    def _resume(self, session: Session, lock: Lock, journal: Journal) -> str | None:
        """Finish an earlier window; if it is to be given up, say why."""
        if self.config.on_unfinished != "resume":
            return "it was interrupted"
        if journal.attempt.starts >= MOST_STARTS:
            return f"it was interrupted {journal.attempt.starts} times"
        window = self._find(date.fromisoformat(journal.window))
        why = why_anew(self.config, self.root, journal, window)
        if why is None:
            self.say(f"the window {journal.window} is unfinished and comes first")
            self._retrain(session, lock, window, None)
        return why

    def _retrain(self, session: Session, lock: Lock, window: Window, force: str | None) -> RetrainResult:
        """Do what is left to do for a window."""
        work = self.work = self._begin(session, lock, window, force)
        if work.attempt.is_decided:
            if not work.attempt.notified:
                self._tell(work)
            result = self._result(work.journal, repeated=True)
            return finish(self.config, self.root, result, warn=self.warn)
        work.all_steps()
        return self._tell(work)

    def _begin(self, session: Session, lock: Lock, window: Window, force: str | None) -> Work:
        """Make the journal of a new attempt, or take up the one that there is."""
        config, root = self.config, session.root
        journal = read_journal(root, config.model, window.label)
        entry = manage(root, config.model, by=whoami())
        # only now is it certain that nobody has fenced this process off before the entry was read
        lock.check()
        why = None if journal is None else why_anew(config, root, journal, window)
        if journal is not None and why is None:
            work = Work(config, session, window, OwnJournal(root, lock, journal), seen=entry.number)
            attempt = journal.attempt
            if not attempt.is_decided or (attempt.outcome == "refused" and force is not None):
                self.say(f"continues run {attempt.run}, which began at {attempt.started}")
                work.note(
                    "begun", outcome="running", starts=attempt.starts + 1, message=None, ended=None, notified=False,
                    forced=force or (None if _has_failed(attempt, entry.version) else attempt.forced),
                )  # fmt: skip
                self.work = work
                work.log("resumed", model=config.model, window=window.label, starts=work.attempt.starts)
            return work
        if why is not None:
            self.say(f"the window {window.label} is retrained anew: {why}")
        attempt = new_attempt(config, window, entry=entry, force=force)
        if journal is None:
            journal = Journal(
                model=config.model, window=window.label, settings_file=self.settings_file, attempt=attempt
            )
        else:
            journal = replace(journal.with_attempt(attempt), settings_file=self.settings_file)
        work = Work(config, session, window, OwnJournal(root, lock, journal), seen=entry.number)
        work.note("begun")
        self.work = work
        work.log(
            "window", model=config.model, window=window.label, first=window.first.isoformat(), days=len(window.days),
            missing=[day.isoformat() for day in window.missing], files=len(window.files), bytes=window.n_bytes,
            base=attempt.base,
        )  # fmt: skip
        return work

    def _failed(self, lock: Lock, error: Exception) -> None:
        """Record an error, and tell those who wait; raises LockedError if another process has taken over the lock."""
        # what that one now works on may be removed here, or be changed: that is no failure of the window
        with suppress(StorageError):
            lock.check()
        result = failure(error, self.config, self._so_far(None if self.work is None else self.work.journal))
        work = None if self.work is None or self.work.attempt.is_decided else self.work
        if work is not None:
            work.fail(result.message, result.exit_code)
        finish(self.config, self.root, result, warn=self.warn)
        if work is not None:
            with suppress(MrMlError):
                work.told()

    def _so_far(self, journal: Journal | None) -> dict[str, Any]:
        """Return what is known of a result before there is one."""
        found: dict[str, Any] = {"window": self.label, "started": self._started, "seconds": self._seconds}
        if self.window is not None:
            missing = tuple(day.isoformat() for day in self.window.missing)
            found |= {"days": len(self.window.days), "missing_days": missing}
        with suppress(MrMlError):
            found |= {"promoted": promoted_version(self.root, self.config.model)}
        if journal is not None:
            attempt = journal.attempt
            found |= {
                "run": attempt.run,
                "dataset": attempt.dataset,
                "version": attempt.version,
                "forced": attempt.forced,
            }
        return found

    @property
    def _seconds(self) -> float:
        return round(time.monotonic() - self._clock, 3)

    def _tell(self, work: Work) -> RetrainResult:
        """Tell those who wait of what came of a window, and return it."""
        result = self._result(work.journal, removed=work.removed)
        result = finish(self.config, self.root, result, warn=self.warn)
        work.told()
        return result

    def _ended(self, journal: Journal) -> RetrainResult:
        """Return what came of a window that ended before."""
        attempt = journal.attempt
        ended = attempt.ended or now()
        seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(attempt.started)).total_seconds()
        if attempt.is_decided:
            return replace(self._result(journal), seconds=seconds)
        # what the first step said of the window
        begun: Mapping[str, Any] = {}
        with suppress(MrMlError):
            begun = next((step for step in read_log(self.root, attempt.run).retrain if step["step"] == "window"), begun)
        return RetrainResult(
            model=self.config.model, window=journal.window, run=attempt.run, outcome=attempt.outcome,
            dataset=attempt.dataset, version=attempt.version, promoted=promoted_version(self.root, self.config.model),
            forced=attempt.forced, message=attempt.message or "", exit_code=attempt.exit_code, started=attempt.started,
            ended=ended, seconds=seconds, days=begun.get("days"), missing_days=tuple(begun.get("missing", ())),
        )  # fmt: skip

    def _result(self, journal: Journal, *, repeated: bool = False, removed: int = 0) -> RetrainResult:
        """Return what came of a window whose candidate was promoted or refused."""
        attempt, model = journal.attempt, self.config.model
        assert attempt.version is not None
        try:
            manifest = read_manifest(self.root, model, attempt.version)[0]
        except NotFoundError:
            # an old window, and retention has removed its candidate
            manifest = None
        promoted = promoted_version(self.root, model)
        message = _sentence(model, attempt, promoted)
        provenance = None if manifest is None else manifest.provenance
        return RetrainResult(
            model=model, window=journal.window, run=attempt.run, outcome=attempt.outcome, dataset=attempt.dataset,
            version=attempt.version, promoted=promoted, forced=attempt.forced,
            decision=None if manifest is None else manifest.decision,
            message=f"nothing to do for {journal.window}: {message}" if repeated else message,
            exit_code=GateRefusedError.exit_code if attempt.outcome == "refused" else 0, repeated=repeated,
            started=attempt.started, ended=attempt.ended or now(), seconds=self._seconds, removed=removed,
            days=None if provenance is None else len({file.day for file in provenance.inputs}),
            missing_days=() if provenance is None else tuple(provenance.missing_days),
            training={} if manifest is None else manifest.training,
        )  # fmt: skip


def _has_failed(attempt: Attempt, promoted: int | None) -> bool:
    """Whether an attempt ended with an error before it promoted anything: it is forced no more, unless asked again."""
    is_promoted = attempt.promotion is not None or (attempt.version is not None and attempt.version == promoted)
    return attempt.outcome == "failed" and not is_promoted


def _sentence(model: str, attempt: Attempt, promoted: int | None) -> str:
    """Say what came of an attempt that has ended."""
    candidate = f"{model}@{attempt.version}"
    if attempt.outcome == "refused":
        stays = "no version is promoted" if promoted is None else f"{model}@{promoted} stays"
        return f"{candidate} is refused, {stays}: {'; '.join(attempt.reasons)}"
    before = "" if attempt.base is None else f", in place of {model}@{attempt.base}"
    forced = "" if attempt.accepted else f", although the gate refused it ({'; '.join(attempt.reasons)})"
    since = "" if promoted == attempt.version else f"; by now {model} means {model}@{promoted}"
    return f"{candidate} is promoted{before}{forced}{since}"
