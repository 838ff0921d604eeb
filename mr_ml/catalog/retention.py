"""What may be removed below a root, by rules: old versions and runs, and what killed commands left behind.

A version goes if it is neither among the newest nor young, and if nothing needs it (see `needed`). A run goes when it
is finished, old, and no version that is kept came from it. Whatever has no name that anybody could use goes when nobody
is at work at it: on this machine that is when its process is gone, elsewhere after some days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hdfs_layout import Root, parse_reference, read_version
from hdfs_layout.paths import STAGED_PREFIX, WRITING_PREFIX, join, version_file
from mr_ml.catalog.history import History, Kind
from mr_ml.catalog.leftovers import pack_of
from mr_ml.catalog.needed import FOR_NAME, FOR_ROLLBACK, Journal, Run, is_given_up
from mr_ml.catalog.removal import Removal, carry_out
from mr_ml.catalog.retention_rules import DAY, KeepRuns, KeepVersions, RetentionRules
from mr_ml.catalog.survey import Survey, is_chosen, survey
from mr_ml.errors import UsageError

__all__ = [
    "KeepRuns",
    "KeepVersions",
    "Removal",
    "RetentionRules",
    "carry_out",
    "plan",
    "plan_deletion",
    "plan_pruning",
]

Say = Callable[[str], None]

_DATA = "data"
_PASSES = "passes"


def plan(
    root: Root, rules: RetentionRules, *, model: str | None = None, dataset: str | None = None,
    now: float | None = None, say: Say = lambda text: None,
) -> tuple[Removal, ...]:  # fmt: skip
    """Find what may be removed; removes nothing.

    Parameters
    ----------
    model, dataset
        Only what belongs to this model, to this dataset, or to neither; None for all.
    now
        Seconds since the epoch by the store's clock; None to ask the store.
    say
        Called with a sentence for what cannot be read, and therefore stays.

    Returns
    -------
    tuple of Removal
        In the order in which `carry_out` removes those that need the same lock, or none.

    Raises
    ------
    StorageError
        If the root cannot be read.
    """
    only: dict[Kind, str | None] = {"model": model, "dataset": dataset}
    found = survey(root, rules, only, now=now, say=say)
    chosen = [history for history in found.histories if is_chosen(only, history.kind, history.name)]
    removals = [
        *_notes(found),
        *(removal for run in found.runs if is_chosen(only, "model", run.model) for removal in _run(found, run)),
        *(removal for journal in found.journals if is_chosen(only, "model", journal.model)
          for removal in _journal(found, journal)),
        *(removal for history in chosen for removal in _versions(found, history)),
        *(removal for history in chosen for removal in _orphans(found, history)),
        *(_jobs(found)),
        *(_temporary(found)),
    ]  # fmt: skip
    return _each_once(removals)


def plan_deletion(
    root: Root, reference: str, *, kind: Kind = "model", force: bool = False, by: Mapping[str, Any] | None = None,
    say: Say = lambda text: None,
) -> Removal:  # fmt: skip
    """Plan the removal of one version of a model or dataset, whose number is never given again.

    Parameters
    ----------
    reference
        Name and number, ``ctr@3``.
    force
        Even if a rollback would go to that version, or the model's name means it since none was ever promoted.
    by
        Who wishes it, as of `mr_ml.whoami`; it is recorded.

    Raises
    ------
    UsageError
        If it is none, or the version is needed: the message says for what.
    StorageError
        If there is no such version.
    """
    wanted = parse_reference(reference, kind=kind)
    number = wanted.version
    if number is None:
        raise UsageError(f"expected a {kind} and the number of its version, such as {wanted.name}@3; found {reference}")
    folder = root.layout.model(wanted.name) if kind == "model" else root.layout.dataset(wanted.name)
    read_version(root.store, folder, number)
    found = survey(root, RetentionRules(), {"model": None, "dataset": None}, now=None, say=say)
    reasons = found.needed.versions.get((kind, wanted.name, number), [])
    forceable = {FOR_ROLLBACK, FOR_NAME}
    if force:
        reasons = [reason for reason in reasons if reason not in forceable]
    if reasons:
        remedy = "; `force` deletes it nonetheless" if set(reasons) <= forceable else ""
        raise UsageError(
            f"expected a version that nothing needs; found that {reference} stays: {'; '.join(reasons)}{remedy}"
        )
    history = found.history(kind, wanted.name)
    others = {path for n, paths in history.data.items() if n != number for path in paths}
    note = {"kind": "removed", "version": number, "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "by": dict(by or {})}
    removal = _version_removal(history, number, reason="it was asked for", kept=others)
    return replace(removal, forced=force, note=note)


def plan_pruning(
    root: Root, dataset: str, keep: int, *, say: Say = lambda text: None
) -> tuple[tuple[Removal, ...], dict[str, list[str]]]:
    """Plan the removal of a dataset's versions but for the newest, and for those that something needs.

    Returns
    -------
    removals
        The oldest first.
    stays
        What stays though it is older than the newest `keep`, with the reasons: by ``name@version``.

    Raises
    ------
    NotFoundError
        If there is no such dataset.
    StorageError
        If the root cannot be read.
    """
    rules = RetentionRules(datasets=KeepVersions(versions=keep))
    read_version(root.store, root.layout.dataset(dataset))
    found = survey(root, rules, {"model": None, "dataset": dataset}, now=None, say=say)
    history = found.history("dataset", dataset)
    going = found.removed["dataset", dataset]
    older = sorted(history.versions)[:-keep]
    stays = {
        history.reference(number): found.needed.versions["dataset", dataset, number]
        for number in older
        if ("dataset", dataset, number) in found.needed.versions
    }
    why = f"not among the newest {keep}"
    removals = (_version_removal(history, number, reason=why, kept=found.kept_data) for number in going)
    return tuple(removals), stays


def _notes(found: Survey) -> Iterator[Removal]:
    for note, modified in found.notes:
        if note.is_abandoned(age=found.now - modified):
            yield Removal(path=note.path, what="note of a use", reason="the command has ended", bytes=0)


def _versions(found: Survey, history: History) -> Iterator[Removal]:
    keep = found.rules.models if history.kind == "model" else found.rules.datasets
    for number in found.removed[history.kind, history.name]:
        assert keep is not None
        age = (found.now - history.versions[number].modified) / DAY
        reason = f"{age:.0f} days old, and not among the newest {keep.versions}"
        yield _version_removal(history, number, reason=reason, kept=found.kept_data)


def _version_removal(history: History, number: int, *, reason: str, kept: set[str]) -> Removal:
    """Return the removal of a version, with those of its data folders that no version names that is kept."""
    below = history.folder.at(_DATA)
    own = {} if below is None else {folder.path: folder for folder in below.folders.values()}
    data = {path: own[path] for path in sorted(history.data.get(number, ())) if path in own and path not in kept}
    size = history.versions[number].size + sum(folder.bytes for folder in data.values())
    return Removal(
        path=join(history.folder.path, version_file(number)), what=history.reference(number), reason=reason, bytes=size,
        data=tuple(data), version=(history.kind, history.name, number), lock=_lock(history),
    )  # fmt: skip


def _lock(history: History) -> str | None:
    return history.name if history.kind == "model" else None


def _orphans(found: Survey, history: History) -> Iterator[Removal]:
    """Find data that no manifest names, not even one that goes now."""
    if history.damaged or history.name in found.needed.unknown:
        return
    below = history.folder.at(_DATA)
    # notes of packs on their way: data id -> name of the note
    packs = {data_id: name for name in history.folder.files if (data_id := pack_of(name)) is not None}
    for data_id, folder in ({} if below is None else below.folders).items():
        note = packs.get(data_id, "")
        if folder.path in found.data or data_id in found.needed.names or not found.is_orphan(note, folder.newest):
            continue
        yield Removal(
            path=folder.path, what=f"data of {history.name}", reason="no version names it", bytes=folder.bytes,
            orphan_of=(history.kind, history.name), lock=_lock(history),
        )  # fmt: skip
    for name in packs.values():
        entry = history.folder.files[name]
        if found.is_orphan(name, entry.modified):
            path = join(history.folder.path, name)
            yield Removal(path=path, what="note of a pack", reason="the pack has ended", bytes=entry.size)


def _run(found: Survey, run: Run) -> Iterator[Removal]:
    keep = found.rules.runs
    if keep is None or run.name in found.needed.names:
        return
    model = found.models.get(run.model or "")
    is_kept = model is not None and (
        bool(model.damaged)
        or model.name in found.needed.unknown
        or run.name in {r for number, r in model.runs.items() if number not in found.removed["model", model.name]}
    )
    days = run.age / DAY
    if not is_kept and days > keep.days and (run.is_finished or run.model is None or is_given_up(run, keep.days)):
        state = "finished" if run.is_finished else "left unfinished"
        yield Removal(
            path=run.folder.path, what=f"run {run.name}", bytes=run.folder.bytes, lock=run.model,
            reason=f"{state} {days:.0f} days ago, and no version that is kept comes from it",
        )  # fmt: skip
        return
    passes = run.folder.at(_PASSES)
    if run.is_finished and passes is not None and found.is_left(run.folder.newest):
        yield Removal(
            path=passes.path, what=f"checkpoints of run {run.name}", reason="the run is finished", bytes=passes.bytes,
            lock=run.model,
        )  # fmt: skip


def _journal(found: Survey, journal: Journal) -> Iterator[Removal]:
    if journal.attempt is None:
        return
    for path, size in journal.overtaken.items():
        reason = "another process went on with it"
        yield Removal(path=path, what=f"journal of {journal.model}", reason=reason, bytes=size, lock=journal.model)
    keep = found.rules.runs
    if keep is None or journal.is_newest or journal.age <= keep.days * DAY:
        return
    if journal.is_over or is_given_up(journal, keep.days):
        yield Removal(
            path=journal.path, what=f"journal of a retraining of {journal.model}", bytes=journal.folder.bytes,
            lock=journal.model, reason=f"{journal.age / DAY:.0f} days old, and not the newest",
        )  # fmt: skip


def _jobs(found: Survey) -> Iterator[Removal]:
    for name, folder in found.folders[found.root.layout.jobs].folders.items():
        if found.is_left(folder.newest):
            reason = "no job has written to it for days"
            yield Removal(path=folder.path, what=f"files of jobs of {name}", reason=reason, bytes=folder.bytes)


def _temporary(found: Survey) -> Iterator[Removal]:
    """Find files that were on their way when their process was killed."""
    for folder in found.folders.values():
        for path, entry in folder.walk():
            if entry.name.startswith((STAGED_PREFIX, WRITING_PREFIX)) and found.is_orphan(entry.name, entry.modified):
                yield Removal(path=path, what="half-written file", reason="its process is gone", bytes=entry.size)


def _each_once(removals: list[Removal]) -> tuple[Removal, ...]:
    """Leave out what goes with something else."""
    folders = {path for removal in removals for path in (removal.path, *removal.data)}

    def goes_with(path: str) -> bool:
        parts = path.split("/")
        return any("/".join(parts[:length]) in folders for length in range(1, len(parts)))

    return tuple(removal for removal in removals if not goes_with(removal.path))
