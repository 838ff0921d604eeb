"""What below a root is needed, by whom: promoted versions, and what unfinished work or running commands name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Annotated, TypedDict

from hdfs_layout import Root, read_latest
from hdfs_layout.dataclass import dataclass
from hdfs_layout.owners import FORGOTTEN_SECONDS
from hdfs_layout.paths import is_window, join, version_file, version_of
from mr_ml.catalog.history import History, Kind
from mr_ml.catalog.promotions import latest_promotion
from mr_ml.catalog.retention_rules import DAY
from mr_ml.catalog.run import read_run
from mr_ml.catalog.run_log import read_log
from mr_ml.catalog.tree import Folder, is_name
from mr_ml.catalog.uses import Note, read_note
from mr_ml.data import stored
from mr_ml.errors import BadDataError, UsageError

Say = Callable[[str], None]

# Why the version before the promoted one is needed, and the latest of a model of which none was ever promoted.
FOR_ROLLBACK = "a rollback goes to it"
FOR_NAME = "the model's name means it"
_OVER = frozenset({"published", "refused", "superseded"})
_VERSIONED = re.compile(r"(.+)@([0-9]+)")


class _Attempt(TypedDict):
    """What matters here of a retraining's last attempt; see `mr_ml.retraining.journal`."""

    run: stored.Name
    dataset: stored.Versioned | None
    base: int | None
    version: int | None
    outcome: str


class _Journal(TypedDict):
    attempt: Annotated[_Attempt, stored.MORE]


@dataclass(frozen=True)
class Run:
    """A run below the root.

    Attributes
    ----------
    age
        Seconds since it was last at work.
    model
        None if it has not begun.
    dataset, warm_start
        Versions that it reads.
    is_finished
        Its log says so, a version comes from it, or its retraining was decided or given up for another.
    """

    name: str
    folder: Folder
    age: float
    model: str | None = None
    dataset: str | None = None
    warm_start: str | None = None
    is_finished: bool = False


@dataclass(frozen=True)
class Journal:
    """How far a retraining came, as the latest journal of its window says.

    Attributes
    ----------
    folder
        Of the window.
    age
        Seconds since it was written.
    is_newest
        Whether the model has none of a later window.
    attempt
        None if that cannot be read.
    overtaken
        Files of processes after which another one went on, with their sizes.
    """

    folder: Folder
    model: str
    age: float
    is_newest: bool
    attempt: _Attempt | None
    overtaken: Mapping[str, int]

    @property
    def path(self) -> str:
        """Of the window's folder."""
        return self.folder.path

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return self.attempt is not None and self.attempt["outcome"] in _OVER


@dataclass(frozen=True)
class Needed:
    """Why something must stay.

    Attributes
    ----------
    versions
        By kind, name and number.
    names
        Runs, and data, that unfinished work names.
    unknown
        Models of which it cannot be told what is promoted.
    """

    versions: dict[tuple[Kind, str, int], list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def add(self, kind: Kind, reference: str | None, why: str) -> None:
        """Note why a version is needed."""
        match = _VERSIONED.fullmatch(reference or "")
        if match is not None:
            self.versions.setdefault((kind, match[1], int(match[2])), []).append(why)


def read_runs(root: Root, folder: Folder, journals: Sequence[Journal], *, now: float, say: Say) -> list[Run]:
    """Read all runs; one that is damaged is left out with a sentence."""
    over = {journal.attempt["run"] for journal in journals if journal.attempt is not None and journal.is_over}
    runs = []
    for name, of_run in folder.folders.items():
        if not is_name(name):
            continue
        age = now - of_run.newest
        try:
            spec = read_run(root, name).spec.to_json()
            is_finished = name in over or _has_ended(root, name, say)
            runs.append(Run(name, of_run, age, spec["model"], spec["dataset"], spec.get("warm_start"), is_finished))
        except UsageError:
            # it has not begun
            runs.append(Run(name, of_run, age, is_finished=name in over))
        except BadDataError as error:
            say(f"run {name} stays: {error}")
    return runs


def _has_ended(root: Root, run: str, say: Say) -> bool:
    try:
        log = read_log(root, run)
    except BadDataError as error:
        say(f"run {run} counts as unfinished: {error}")
        return False
    return log.published is not None or log.failed is not None or log.fitted is not None


def read_journals(root: Root, folder: Folder, *, now: float, say: Say) -> list[Journal]:
    """Read how far all retrainings came."""
    journals = []
    for model, of_model in folder.folders.items():
        if not is_name(model):
            continue
        # named by their last days
        windows = {name: found for name in sorted(of_model.folders) if (found := _journals(name, of_model))}
        for name, numbers in windows.items():
            folder = of_model.folders[name]
            attempt: _Attempt | None = None
            try:
                # which may be newer than what was listed
                latest = read_latest(root.store, folder.path)
                if latest is None:
                    continue
                kind = Annotated[_Journal, stored.MORE]
                attempt = stored.read(kind, latest.document, where=root.store.uri(latest.path))["attempt"]
            except BadDataError as error:
                say(f"{folder.path} stays: {error}")
            newest = folder.files[version_file(numbers[-1])]
            overtaken = {join(folder.path, file): folder.files[file].size for file in map(version_file, numbers[:-1])}
            is_newest = name == next(reversed(windows))
            journals.append(Journal(folder, model, now - newest.modified, is_newest, attempt, overtaken))
    return journals


def _journals(window: str, of_model: Folder) -> list[int]:
    """Return the numbers of the journals in a folder, ascending; none if it is not that of a window."""
    numbers = (version_of(name) for name in of_model.folders[window].files if is_window(window))
    return sorted(number for number in numbers if number is not None)


def read_notes(folder: Folder) -> list[tuple[Note, float]]:
    """Return the notes of running commands, with the times when they were written."""
    notes = ((read_note(folder.path, name), entry.modified) for name, entry in folder.files.items())
    return [(note, modified) for note, modified in notes if note is not None]


def is_given_up(run: Run | Journal, days: float | None) -> bool:
    """Whether unfinished work was left alone for so long that nobody goes on with it; never without a rule."""
    return days is not None and run.age > max(days * DAY, FORGOTTEN_SECONDS)


def find_needed(
    root: Root, datasets: Iterable[History], models: Mapping[str, History], *, runs: Iterable[Run],
    journals: Iterable[Journal], notes: Iterable[Note], say: Say,
) -> Needed:  # fmt: skip
    """Find what must stay.

    Parameters
    ----------
    runs, journals
        Those that are unfinished and not given up.
    notes
        Of commands that still run.
    """
    needed = Needed()
    for history in (*models.values(), *datasets):
        for damaged in history.damaged:
            needed.add(history.kind, history.reference(damaged), "its manifest cannot be read")
    for model in models.values():
        _add_promoted(root, model, needed, say)
    for run in runs:
        why = f"run {run.name} is unfinished"
        needed.names[run.name] = why
        needed.add("dataset", run.dataset, why)
        needed.add("model", run.warm_start, why)
    for journal in journals:
        if journal.attempt is not None:
            why = f"the retraining {journal.path} is unfinished"
            needed.names[journal.attempt["run"]] = why
            needed.add("dataset", journal.attempt["dataset"], why)
            for number in (journal.attempt["base"], journal.attempt["version"]):
                needed.add("model", f"{journal.model}@{number}", why)
    for note in notes:
        needed.add("dataset", f"{note.dataset}@{note.version}", "a running command reads it")
    return needed


def _add_promoted(root: Root, model: History, needed: Needed, say: Say) -> None:
    try:
        entry = latest_promotion(root, model.name)
    except BadDataError as error:
        needed.unknown.add(model.name)
        say(f"all versions of {model.name}, and what they were trained on, stay: {error}")
        for any_number in model.versions:
            reference = model.reference(any_number)
            needed.add("model", reference, "what is promoted cannot be read")
            needed.add("dataset", model.datasets.get(any_number), f"{reference} was trained on it, and may be promoted")
        return
    promoted: dict[str, int | None] = {FOR_NAME: model.latest}
    if entry is not None:
        promoted = {"it is promoted": entry.version, FOR_ROLLBACK: entry.previous}
    for why, number in promoted.items():
        if number:
            needed.add("model", model.reference(number), why)
            needed.add("dataset", model.datasets.get(number), f"{model.reference(number)} was trained on it")
