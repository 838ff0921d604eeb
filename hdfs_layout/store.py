"""What every store of files does; `hdfs_layout.open` picks one by the root.

A store reads and writes whole files below one root. Paths are relative to the root, joined by ``/`` (see `paths`); the
empty path is the root itself. Files are never changed in place: a file is written whole or not at all, and a
*published* file is never overwritten. One contract suite, tests/contract/test_store.py, runs on every implementation.

What no store does: locks (`lock` makes them), appends, permissions, symbolic links, and a promise that an empty folder
exists (object stores have no folders).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import BinaryIO, Protocol

from hdfs_layout.dataclass import dataclass
from hdfs_layout.errors import AlreadyExistsError, StorageError
from hdfs_layout.paths import staged_path


@dataclass(frozen=True, order=True)
class Entry:
    """What a folder holds under one name.

    Attributes
    ----------
    name : str
        Within the folder.
    is_folder : bool
    size : int
        Bytes of a file; 0 of a folder.
    modified : float
        When the file was last written, in seconds since the epoch by the clock of the store, which need not be that of
        this machine: to be compared with those of other files of the same store only. Of a folder not to be relied on.
    alias : str
        Another address of a file, which says nothing of its name and stays with it when it is renamed; empty where the
        store has none.
    """

    name: str
    is_folder: bool
    size: int
    modified: float
    alias: str = ""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a program that has no store of ours reads a range of a file, or all of it, by a GET that follows redirects.

    The URL and the headers may hold what lets whoever has them read that: they are for the reader alone, for as long as
    its store says, and never to be shown.

    Attributes
    ----------
    url : str
        HTTP or HTTPS.
    headers : mapping
        To be sent with the request. The answer is the range: with status 206 if they ask for it, else with 200.
    proxies : bool
        Whether proxies that the reader's environment names are on the way.
    authorities : str
        Certificates (PEM) by which an HTTPS server is known; empty for those that the reader's machine trusts.
    services : tuple of str
        Names of a service of Hadoop that asks who reads: the reader's job has a token of one, and sends that along; see
        `hdfs_layout.job_tokens`. Empty where nobody is asked.
    part_query, part_headers : str, mapping
        Of the address of all of a file: what is put behind the URL, and what is sent along, to get a range of it, with
        ``{offset}``, ``{last}`` (its last byte) and ``{length}`` in it.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxies: bool = False
    authorities: str = field(default="", repr=False)
    services: tuple[str, ...] = ()
    part_query: str = ""
    part_headers: Mapping[str, str] = field(default_factory=dict)

    def part(self, *, offset: int, length: int) -> Address:
        """Return the address of a range, of at least one byte, where this one is that of all of the file."""
        numbers = {"offset": offset, "last": offset + length - 1, "length": length}
        headers = {name: value.format(**numbers) for name, value in self.part_headers.items()}
        return replace(
            self, url=self.url + self.part_query.format(**numbers), headers={**self.headers, **headers}, part_query="",
            part_headers={},
        )  # fmt: skip


class Store(Protocol):
    """Files below one root.

    Every method raises `StorageError` when the store fails it, of which `NotFoundError`, `AlreadyExistsError` and, on
    remote stores, `StoreUnavailableError` are those that a caller may want to tell apart, and `BadDataError` for a path
    that would leave the root.
    Implementations hold no state between calls: they can be shared by threads and sent to other processes.
    """

    @property
    def root(self) -> str:
        """The root, absolute, such that ``open_store(store.root)`` in any other process opens the same store."""

    def read(self, path: str) -> bytes:
        """Whole content of a file, like ``hadoop fs -cat``.

        Does not check what the content should be: manifests and partitions carry checksums of their own.

        Raises
        ------
        NotFoundError
            If nothing is there.
        StorageError
            If it is a folder or cannot be read.
        """

    def read_range(self, path: str, *, offset: int, length: int) -> bytes:
        """At most `length` bytes from byte `offset` on; fewer, or none, at the end of the file.

        ``hadoop fs`` has no equal (``-head`` and ``-tail`` are of fixed size). Raises as `read`.
        """

    def open_read(self, path: str) -> BinaryIO:
        """Open a file for reading, like ``hadoop fs -cat`` into a pipe. The caller closes it.

        Raises as `read` when it opens. What goes wrong later, while reading, is an `OSError`. A file that is replaced
        meanwhile goes on to be read as it was, or fails; never half of each.
        """

    def write(self, path: str, data: bytes | Iterable[bytes], *, private: bool = False) -> None:
        """Make `path` a file with this content, whole or not at all, like ``hadoop fs -put -f``.

        The bytes go to a temporary name, reach the disk, and only then take the name; readers see the old file or the
        new one. Missing folders are made. If `data` raises, nothing has happened. Of two writers at once the last wins,
        whole: `publish` never overwrites. A killed writer leaves a hidden ``.writing-*`` file behind.

        Parameters
        ----------
        private : bool
            Let nobody but its owner read it, at no moment (mode 600). Where files have no owners, as on S3, who may
            read is for the bucket to say, and this does nothing.

        Raises
        ------
        StorageError
            If it cannot be written (no space, no permission, a folder has that name...).
        """

    def exists(self, path: str) -> bool:
        """Whether a file or a folder has this name, like ``hadoop fs -test -e``.

        An empty folder may count as missing. Not being allowed to look is an error, not an absence.
        """

    def status(self, path: str) -> Entry | None:
        """Look at one file or folder: what `entries` of its folder says of it; None if nothing is there.

        Like ``hadoop fs -stat``. The root's name is empty. An empty folder may count as missing. Not being allowed to
        look is an error, not an absence.
        """

    def size(self, path: str) -> int:
        """Bytes of a file, like ``hadoop fs -stat %b``. Not of a folder. Raises as `read`."""

    def checksum(self, path: str) -> str:
        """Checksum of a file's content as ``ALGORITHM:hex``, like ``hadoop fs -checksum``.

        Equal ones mean equal contents, within one store: which algorithm it is, the store decides, and on HDFS it
        depends on the sizes of blocks too. Where the store has no checksum at hand the whole file is read. Raises as
        `read`.
        """

    def list(self, path: str) -> tuple[str, ...]:
        """Names of the direct children of a folder, sorted, like ``hadoop fs -ls -C`` without the folder's path.

        Leaves out names that begin with a dot: files that are still being written or staged. `entries` says which
        names are folders.

        Raises
        ------
        NotFoundError
            If the folder is missing (where there are no folders: if nothing has a path below it).
        StorageError
            If it is a file or cannot be listed.
        """

    def entries(self, path: str, *, hidden: bool = False) -> tuple[Entry, ...]:
        """List what `list` names, with kind, size and time, like ``hadoop fs -ls``. Raises as `list`.

        Parameters
        ----------
        hidden : bool
            Also what has a name that begins with a dot.
        """

    def walk(self, path: str) -> tuple[str, ...]:
        """Paths, from the root, of all files below a folder, sorted, like ``hadoop fs -ls -R -C`` without the folders.

        Leaves out names that begin with a dot, and what is below them. Not a snapshot. Raises as `list`.
        """

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it, like ``hadoop fs -mkdir -p``; nothing if it is there.

        Never needed before `write`. Does nothing where there are no folders.
        """

    def publish(self, staged: str, target: str) -> None:
        """Give the staged file its final name, atomically, unless that name is taken: the commit of a version.

        ``hadoop fs -mv`` is NOT its equal: that moves *into* an existing folder (HADOOP-11452). Of any number of
        publishers at once exactly one succeeds. The target never was half there and, once this returns, survives a
        crash of the machine. When it raises `AlreadyExistsError` the staged file is still there. Both are in the
        same folder; a staged file has one owner.

        Raises
        ------
        AlreadyExistsError
            If anything has the target's name; it was not changed.
        NotFoundError
            If there is no staged file.
        StorageError
            If the store cannot publish (for instance a file system without hard links).
        """

    def publish_tree(self, staged: str, target: str) -> None:
        """Give a staged folder, with all that is in it, or a staged file its final name, unless that name is taken.

        For results that appear whole, under a name that a user chose. Readers see all of it or nothing. Versions are
        committed by `publish`: where a store cannot refuse a taken name in the same step as it renames (a local file
        system that renames a folder over an empty one, or has no hard links), this looks just before. What has the
        name already, if it holds anything, is never changed. When it raises `AlreadyExistsError` what was staged is
        still there. Missing folders above the target are not made.

        Raises
        ------
        AlreadyExistsError
            If anything has the target's name.
        NotFoundError
            If nothing is staged.
        """

    def remove(self, path: str) -> None:
        """Remove a file, like ``hadoop fs -rm -f -skipTrash``; nothing if it is missing. Never what is in a folder."""

    def remove_tree(self, path: str) -> None:
        """Remove a folder or file and all below, hidden files too, like ``hadoop fs -rm -r -f -skipTrash``.

        Nothing if it is missing. Not atomic: readers may see a part gone, so remove the manifests first. Not the root.
        """

    def local_path(self, path: str) -> str | None:
        """Path under which any process on this machine can open the file, or None on a remote store.

        ``hadoop fs`` has no equal. Does not fetch anything, and does not look whether the file exists. Who writes there
        directly has none of the promises of `write`: only new files, brought to the disk before a manifest names them.
        """

    def addresses(self, path: str, *, offset: int = 0, length: int | None = None) -> tuple[Address, ...]:
        """Return HTTP addresses at which any program reads a range of a file, of at least one byte.

        Without a length they are those of all of the file, see `Address.part`.

        For programs that have no credentials, such as tasks on other machines. Each is as good as the others. Does not
        look whether the file exists. None where the store gives out no such addresses.

        Raises
        ------
        StorageError
            If there are no credentials to make them by.
        """

    def uri(self, path: str) -> str:
        """Address of the file for users and for jobs: an absolute path, ``hdfs://...`` or ``s3://...``."""


def check_store(store: Store) -> None:
    """Prove that this store can be written to and published to, before anything long starts.

    Writes two small hidden files into the root, publishes one, reads it, sees that the other is refused, and removes
    both.

    Raises
    ------
    StorageError
        If it cannot, if it reads something else than was written, or if a publish overwrites.
    """
    first, second, target = staged_path(""), staged_path(""), staged_path("")
    try:
        store.write(first, b"first")
        store.write(second, b"second")
        store.publish(first, target)
        if store.read(target) != b"first":
            raise StorageError(f"expected in {store.uri(target)} what was just written there, found something else")
        try:
            store.publish(second, target)
        except AlreadyExistsError:
            return
        raise StorageError(
            f"expected that a second publish to the same name is refused; found that {store.root} accepts it, so two "
            f"runs at once could lose a version. Choose a root on another file system."
        )
    finally:
        for path in (first, second, target):
            with contextlib.suppress(StorageError):
                store.remove(path)
