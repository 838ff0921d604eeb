"""Remove what is not kept, so that nobody who is at work notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from hdfs_layout import NotFoundError, Root, mark_removed, unmark_removed
from hdfs_layout.dataclass import dataclass
from hdfs_layout.lock import Lock, hold
from mr_ml.catalog.history import Kind, read_history
from mr_ml.catalog.promotions import latest_promotion
from mr_ml.catalog.tree import Folder, leaves_root
from mr_ml.catalog.uses import read_note
from mr_ml.errors import BadDataError, LockedError, StorageError

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Something that may go.

    Attributes
    ----------
    path
        Of the file or folder, below the root.
    what
        In words: "ctr@3", "run 20261123-c".
    reason
        Why it may go.
    bytes
        That become free.
    data
        Folders that go after it, since nothing names them then.
    version
        Kind, name and number of the version whose manifest it is; None if it is none.
    orphan_of
        Kind and name of the dataset or model whose data it is, if no version names that.
    lock
        The model whose lock must be held to remove it; None if none.
    forced
        It goes although the model's name means it, since no version was ever promoted, or a rollback would go to it.
    note
        What is written down of a version that somebody wishes to be removed, so that its number is never given again;
        None of one that goes by rules, which is never the latest.
    """

    path: str
    what: str
    reason: str
    bytes: int
    data: tuple[str, ...] = ()
    version: tuple[Kind, str, int] | None = None
    orphan_of: tuple[Kind, str] | None = None
    lock: str | None = None
    forced: bool = False
    note: Mapping[str, Any] | None = None


def carry_out(
    root: Root, removals: Sequence[Removal], say: Say, *, held: Mapping[str, Lock] | None = None
) -> tuple[Removal, ...]:
    """Remove what was planned and is still not in use; return what is gone.

    Takes the lock of each model before anything of it goes; a model whose lock another process holds is left alone.

    Parameters
    ----------
    say
        Called with a sentence for what stays after all.
    held
        Locks of models that the caller holds, by name.

    Raises
    ------
    LockedError
        If another process removes things below this root just now.
    StorageError
        If something could not be removed; everything else is.
    """
    if not removals:
        return ()
    gone: list[Removal] = []
    failures: list[StorageError | BadDataError] = []
    with hold(root.store, root.layout.cleaning, what="clean") as cleaning:
        # each lock is taken once; what belongs to no model, such as datasets, goes last
        ordered = sorted(removals, key=lambda removal: (removal.lock is None, removal.lock or ""))
        for model, of_model in groupby(ordered, key=lambda removal: removal.lock):
            try:
                with _lock_of(root, model, held=held or {}) as lock:
                    for removal in of_model:
                        cleaning.check()
                        if lock is not None:
                            lock.check()
                        try:
                            if _remove(root, removal, say):
                                gone.append(removal)
                        except (StorageError, BadDataError) as error:
                            failures.append(error)
            except LockedError as error:
                cleaning.check()
                say(f"nothing more of {model} is removed: {error}")
    if failures:
        raise StorageError(f"{len(failures)} of {len(removals)} things could not be removed. The first: {failures[0]}")
    return tuple(gone)


@contextmanager
def _lock_of(root: Root, model: str | None, *, held: Mapping[str, Lock]) -> Iterator[Lock | None]:
    if model is None or model in held:
        yield held.get(model or "")
    else:
        with hold(root.store, root.layout.lock(model), what=f"clean {model}") as lock:
            yield lock


def _remove(root: Root, removal: Removal, say: Say) -> bool:
    store = root.store
    if any(leaves_root(store, path) for path in (removal.path, *removal.data)):
        say(f"{removal.path} stays: a link is on the way to it")
        return False
    if removal.orphan_of is not None and _is_named_now(root, removal, *removal.orphan_of):
        say(f"{removal.path} stays: a version that names it came back at this moment")
        return False
    if removal.version is None:
        store.remove_tree(removal.path)
        return True
    try:
        manifest = store.read(removal.path)
    except NotFoundError:
        # another one was here
        manifest = None
    folder, _, number = removal.path.rpartition("/")[0], *removal.version[1:]
    if removal.note is not None and manifest is not None:
        mark_removed(store, folder, number, removal.note)
    store.remove(removal.path)
    is_needed = True
    try:
        is_needed = _is_needed_now(root, removal)
    finally:
        if is_needed and manifest is not None:
            # nobody else can have taken its number: it was not the latest, or it is noted
            store.write(removal.path, manifest)
            if removal.note is not None:
                unmark_removed(store, folder, number)
    if is_needed:
        say(f"{removal.what} stays: it came into use at this moment")
        return False
    for path in removal.data:
        store.remove_tree(path)
    return True


def _is_needed_now(root: Root, removal: Removal) -> bool:
    """Whether somebody began to use a version before its manifest was removed, and after it was planned."""
    assert removal.version is not None
    kind, name, number = removal.version
    if kind == "model":
        entry = latest_promotion(root, name)
        return entry is not None and number in (entry.version, None if removal.forced else entry.previous)
    return number in _read_now(root, name)


def _is_named_now(root: Root, removal: Removal, kind: Kind, name: str) -> bool:
    """Whether a version names data after all: another clean may have put one back, or was killed before it could."""
    folder = root.layout.dataset(name) if kind == "dataset" else root.layout.model(name)
    try:
        files = {entry.name: entry for entry in root.store.entries(folder)}
    except NotFoundError:
        return False
    history = read_history(root, kind, name, Folder(folder, 0.0, files=files), lambda text: None)
    lost = kind == "dataset" and not _read_now(root, name) <= history.versions.keys()
    return lost or bool(history.damaged) or any(removal.path in folders for folders in history.data.values())


def _read_now(root: Root, dataset: str) -> set[int]:
    """Versions of a dataset that commands read, or have read before they were killed."""
    try:
        files = root.store.list(root.layout.uses)
    except NotFoundError:
        return set()
    notes = (read_note(root.layout.uses, file) for file in files)
    return {note.version for note in notes if note is not None and note.dataset == dataset}
