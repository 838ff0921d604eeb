"""What there is below a root at one time, what of it is needed, and which versions go by the rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cached_property

from hdfs_layout import Entry, NotFoundError, Root, Store
from hdfs_layout.dataclass import dataclass
from hdfs_layout.owners import can_be_seen, is_gone
from hdfs_layout.paths import STAGED_PREFIX, staged_path
from mr_ml.catalog.history import History, Kind, read_history
from mr_ml.catalog.needed import Journal, Needed, Run, find_needed, is_given_up, read_journals, read_notes, read_runs
from mr_ml.catalog.retention_rules import DAY, RetentionRules
from mr_ml.catalog.tree import Folder, is_name, look
from mr_ml.catalog.uses import Note
from mr_ml.errors import StorageError

Say = Callable[[str], None]

# Below this no age shows that nobody is at work, whatever the rules say.
_LEAST_ORPHAN_SECONDS = 3_600.0


def store_time(store: Store) -> float:
    """Return the present time by the store's clock, for which a file is written; by this machine's if none can be."""
    path = staged_path("")
    try:
        store.write(path, b"")
        try:
            return next(entry.modified for entry in store.entries("", hidden=True) if entry.name == path)
        finally:
            store.remove(path)
    except (StorageError, StopIteration):
        return time.time()


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What there is below a root, and what of it is needed.

    Attributes
    ----------
    now
        Seconds since the epoch by the store's clock.
    folders
        By the paths that `Layout` has for all datasets, all models and so on; by "" what is half-written in the root.
    notes
        Of running commands, with the times when they were written.
    """

    root: Root
    rules: RetentionRules
    now: float
    folders: dict[str, Folder]
    histories: list[History]
    runs: list[Run]
    journals: list[Journal]
    notes: list[tuple[Note, float]]
    needed: Needed

    @property
    def models(self) -> dict[str, History]:
        """All models by name."""
        return {history.name: history for history in self.histories if history.kind == "model"}

    def history(self, kind: Kind, name: str) -> History:
        """Return the versions of a dataset or model that is there."""
        return next(history for history in self.histories if (history.kind, history.name) == (kind, name))

    def is_old(self, modified: float, days: float) -> bool:
        """Whether something was written more than so many days ago."""
        return self.now - modified > days * DAY

    def is_orphan(self, name: str, modified: float) -> bool:
        """Whether nobody is at work any more at what has a name that may say who made it."""
        return is_gone(name) if can_be_seen(name) else self.is_left(modified)

    def is_left(self, modified: float) -> bool:
        """Whether nothing has been written for so long that nobody is at work any more."""
        return self.now - modified > max(self.rules.orphans_days * DAY, _LEAST_ORPHAN_SECONDS)

    @cached_property
    def removed(self) -> dict[tuple[Kind, str], list[int]]:
        """By kind and name: numbers of the versions that go."""
        return {(history.kind, history.name): self._removed(history) for history in self.histories}

    def _removed(self, history: History) -> list[int]:
        keep = self.rules.models if history.kind == "model" else self.rules.datasets
        if keep is None or (history.kind == "model" and history.name in self.needed.unknown):
            return []
        return [
            number
            for number in sorted(history.versions)[: -keep.versions]
            if self.is_old(history.versions[number].modified, keep.days)
            and (history.kind, history.name, number) not in self.needed.versions
        ]

    @cached_property
    def data(self) -> set[str]:
        """Folders in which the files of versions lie."""
        return {path for history in self.histories for paths in history.data.values() for path in paths}

    @cached_property
    def kept_data(self) -> set[str]:
        """Those of versions that are kept."""
        return {
            path
            for history in self.histories
            for number, paths in history.data.items()
            if number not in self.removed[history.kind, history.name]
            for path in paths
        }


def survey(root: Root, rules: RetentionRules, only: dict[Kind, str | None], *, now: float | None, say: Say) -> Survey:
    """Look at everything below a root.

    Parameters
    ----------
    only
        What is to be removed: of this model, of this dataset; None for all.
    now
        As of `mr_ml.catalog.retention.plan`.
    say
        Called with a sentence for what stays because it cannot be read.
    """
    now = store_time(root.store) if now is None else now
    layout, folders = root.layout, dict[str, Folder]()
    # what is at work is looked at before what it makes: so whatever has ended by then is found among the versions
    for place in (layout.all_retrains, layout.runs, layout.uses, layout.jobs):
        folders[place] = look(root.store, place)
    journals = read_journals(root, folders[layout.all_retrains], now=now, say=say)
    runs = read_runs(root, folders[layout.runs], journals, now=now, say=say)
    notes = read_notes(folders[layout.uses])
    for place in (layout.datasets, layout.models):
        folders[place] = look(root.store, place)
    # who asks for the time, or whether the root can be written to, may be killed
    folders[""] = Folder("", 0.0, files={e.name: e for e in _hidden_files(root.store)})
    for folder in folders.values():
        for link in _links(folder):
            say(f"{link} is a link: what it leads to is not looked at, and stays")
    kinds: tuple[tuple[Kind, str], ...] = (("dataset", layout.datasets), ("model", layout.models))
    histories = [
        read_history(root, kind, name, of_name, say)
        for kind, place in kinds
        for name, of_name in folders[place].folders.items()
        if is_name(name)
    ]
    models = {history.name: history for history in histories if history.kind == "model"}
    published = {run for model in models.values() for run in model.runs.values()}
    runs = [replace(run, is_finished=run.is_finished or run.name in published) for run in runs]
    days = None if rules.runs is None else rules.runs.days
    needed = find_needed(
        root, [history for history in histories if history.kind == "dataset"], models,
        runs=[
            run for run in runs
            if not run.is_finished and not (is_given_up(run, days) and is_chosen(only, "model", run.model))
        ],
        journals=[
            journal for journal in journals
            if not journal.is_over
            and (journal.is_newest or not (is_given_up(journal, days) and is_chosen(only, "model", journal.model)))
        ],
        notes=[note for note, modified in notes if not note.is_abandoned(age=now - modified)], say=say,
    )  # fmt: skip
    return Survey(
        root=root, rules=rules, now=now, folders=folders, histories=histories, runs=runs, journals=journals,
        notes=notes, needed=needed,
    )  # fmt: skip


def is_chosen(only: dict[Kind, str | None], kind: Kind, name: str | None) -> bool:
    """Whether what belongs to a dataset or model is to be removed."""
    return set(only.values()) == {None} or only[kind] == name is not None


def _hidden_files(store: Store) -> Iterator[Entry]:
    """Yield what is in the root itself with a name that no command gives to what it keeps."""
    with suppress(NotFoundError):
        yield from (entry for entry in store.entries("", hidden=True) if entry.name.startswith(STAGED_PREFIX))


def _links(folder: Folder) -> Iterator[str]:
    yield from folder.links
    for below in folder.folders.values():
        yield from _links(below)
