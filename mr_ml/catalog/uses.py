"""Notes of which versions of datasets running commands read, so that nobody removes these meanwhile.

A note is an empty file in the folder `uses`, ``dataset-clicks-v000003-<owner>``. Its name says which process wrote it:
on this machine it counts while that process lives; one from elsewhere counts for 30 days, by the clock of the store. It
is written before the version is looked at once more, and who removes a version removes the manifest before it looks for
notes: so one of the two notices the other.

Models have no notes: a command has the whole of a model in memory before it begins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hdfs_layout import NotFoundError, Root, Store
from hdfs_layout.dataclass import dataclass
from hdfs_layout.owners import FORGOTTEN_SECONDS, can_be_seen, is_gone, owned
from hdfs_layout.paths import join
from mr_ml.catalog.dataset import Dataset
from mr_ml.errors import StorageError, UnavailableError
from mr_ml.interrupts import uninterrupted

_NOTE = re.compile(r"dataset-(.+)-v([0-9]{6})-[0-9a-f]{8}-[0-9]+-[0-9]+-[0-9a-f]{8}", re.ASCII)


@dataclass(frozen=True)
class Note:
    """A note of a version that a command reads; `path` is that of its file."""

    path: str
    dataset: str
    version: int

    def is_abandoned(self, *, age: float) -> bool:
        """Whether the command has ended, as far as can be seen here; `age` in seconds."""
        return is_gone(self.path) if can_be_seen(self.path) else age > FORGOTTEN_SECONDS


def read_note(folder: str, name: str) -> Note | None:
    """Read the name of a file in the folder of notes; None if it is not one."""
    match = _NOTE.fullmatch(name)
    return None if match is None else Note(join(folder, name), match[1], int(match[2]))


@contextmanager
def using(root: Root, dataset: Dataset) -> Iterator[None]:
    """Within the block this version of a dataset is known to be in use.

    Where this user cannot write there is no note: who removes the version meanwhile is not kept from it.

    Raises
    ------
    NotFoundError
        If it was removed since it was opened.
    """
    store, layout = root.store, root.layout
    path = join(layout.uses, owned(f"dataset-{dataset.name}-v{dataset.version:06d}"))
    try:
        with suppress(StorageError, OSError):
            _write(store, layout.uses, path)
        if not store.exists(layout.dataset_version(dataset.name, dataset.version)):
            raise NotFoundError(
                f"expected {dataset.reference} in {store.root}; found that it was removed at this moment. Use a "
                f"version that is kept"
            )
        yield
    finally:
        with uninterrupted(), suppress(StorageError, UnavailableError):
            store.remove(path)


def _write(store: Store, folder: str, path: str) -> None:
    place = store.local_path(path)
    if place is None:
        store.write(path, b"")
        return
    store.make_folder(folder)
    # not brought to the disk, which takes ten times as long: what ends this machine ends the command too
    os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
