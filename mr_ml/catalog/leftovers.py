"""Remove what killed commands left below a root on this machine; `retention` removes the rest.

The name of a temporary file says which process it belongs to. The data of a pack has its final name from the start; so
while it is written, a note beside the dataset's versions says whose it is. On HDFS there are no such notes: jobs of a
driver that was killed may still be writing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from hdfs_layout import (
    PerhapsPublishedError,
    Root,
    Store,
    list_versions,
    publish_version,
    publish_version_once,
    read_version,
)
from hdfs_layout.faults import storage_error
from hdfs_layout.owners import is_abandoned, owned, sweep
from hdfs_layout.paths import STAGED_PREFIX, WRITING_PREFIX
from mr_ml.errors import MrMlError, StorageError, UnavailableError
from mr_ml.interrupts import see_through, uninterrupted

_NOTE = ".packing-"


def sweep_folders(store: Store, *folders: str) -> None:
    """Remove half-written files of processes that are gone from these folders; not below them."""
    for folder in folders:
        place = store.local_path(folder)
        if place is not None:
            sweep(place, STAGED_PREFIX, WRITING_PREFIX)


def pack_of(name: str) -> str | None:
    """Return which data a note beside the versions of a dataset is of, by its name; None if it is no such note."""
    return name.rpartition(".")[2] if name.startswith(_NOTE) else None


class UnfinishedPack:
    """The data of a pack: within the block it is known as unfinished, and left without `publish` it goes.

    At the start of the block goes what killed packs of the same dataset left. With the data go folders of this machine
    that were made for it, unless something else is in them by then.

    Attributes
    ----------
    data_id
        Of the data that is there; on a cluster it may become another one.
    """

    def __init__(self, root: Root, name: str, data_id: str) -> None:
        self._root, self._name, self.data_id = root, name, data_id
        self._folder = root.layout.dataset(name)
        place = root.store.local_path(self._folder)
        self._note = None if place is None else os.path.join(place, f"{owned(_NOTE)}.{data_id}")
        if place is not None:
            _sweep_packs(root, name, place)
        self._publishing = False
        data = root.store.local_path(root.layout.dataset_data(name, data_id))
        self._made = [] if data is None else _missing(os.path.dirname(data))

    def __enter__(self) -> UnfinishedPack:
        if self._note is not None:
            self._root.store.make_folder(self._folder)
            try:
                try:
                    open(self._note, "xb").close()
                except FileNotFoundError:
                    # another pack, for which the folder was made, has ended just now
                    self._root.store.make_folder(self._folder)
                    open(self._note, "xb").close()
            except OSError as error:
                raise storage_error(error, doing="write", place=self._note) from error
        return self

    def publish(self, document: Mapping[str, Any]) -> int:
        """Publish the manifest, which names the data; of several with one ``request`` only the first.

        The data of another one goes then, and the number is that of the first. Raises as
        `hdfs_layout.publish_version_once`.
        """
        see_through()
        self._publishing = True
        store = self._root.store
        if "request" not in document:
            return publish_version(store, self._folder, document)
        number = publish_version_once(store, self._folder, document, key="request")
        if read_version(store, self._folder, number).document["data_id"] != self.data_id:
            store.remove_tree(self._root.layout.dataset_data(self._name, self.data_id))
        return number

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # what went wrong here is not worth as much as what went wrong before
        with uninterrupted(), suppress(OSError, StorageError, UnavailableError):
            if not self._publishing or (error is not None and not _may_be_visible(error)):
                self._root.store.remove_tree(self._root.layout.dataset_data(self._name, self.data_id))
            if self._note is not None:
                os.unlink(self._note)
            # the first that is not empty ends it: another pack, or a version, is there
            for folder in self._made:
                with suppress(FileNotFoundError):
                    os.rmdir(folder)


def _missing(folder: str) -> list[str]:
    """Return a folder and those above it that are not there, the deepest first."""
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    return missing


def _may_be_visible(error: BaseException) -> bool:
    """Whether a version may be there in spite of the error that ended its publication; then its data must stay."""
    return not isinstance(error, StorageError) or isinstance(error, PerhapsPublishedError | UnavailableError)


def _sweep_packs(root: Root, name: str, place: str) -> None:
    sweep(place, STAGED_PREFIX, WRITING_PREFIX)
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            data_id = pack_of(entry.name)
            if data_id is None:
                continue
            # what cannot be told or removed stays
            with suppress(OSError, MrMlError):
                status = entry.stat(follow_symlinks=False)
                if status.st_uid == os.getuid() and is_abandoned(entry.name, since=status.st_mtime):
                    if not _is_published(root, name, data_id):
                        root.store.remove_tree(root.layout.dataset_data(name, data_id))
                    os.unlink(entry.path)


def _is_published(root: Root, name: str, data_id: str) -> bool:
    """Whether a version has this data: a pack may be killed between its publication and its end."""
    folder = root.layout.dataset(name)
    numbers = reversed(list_versions(root.store, folder))
    return any(read_version(root.store, folder, number).document["data_id"] == data_id for number in numbers)
