"""Numbered, immutable versions: manifests ``v000001.json``, ``v000002.json``... in one folder.

The log of versions is its own lock. A publisher stages the manifest under a name of its own, and the store's `publish`
gives it the next number unless another took that; then it takes the one after. There is no pointer to the latest
version that could disagree with what is there: the latest is the highest number.

Who removes a version at a user's wish first writes the note ``removed-000003``, and then removes the manifest: numbers
of which there is a note are never given again, also that of the latest version. Notes are no versions.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from hdfs_layout.dataclass import dataclass
from hdfs_layout.document import decode_document, encode_document
from hdfs_layout.errors import (
    AlreadyExistsError,
    BadDataError,
    NotFoundError,
    PerhapsPublishedError,
    StorageError,
    StoreUnavailableError,
)
from hdfs_layout.limits import MAX_VERSION
from hdfs_layout.paths import (
    join,
    removed_file,
    removed_of,
    split_path,
    staged_path,
    version_file,
    version_of,
)
from hdfs_layout.store import Store
from hdfs_layout.suggestions import did_you_mean

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """One published version.

    Attributes
    ----------
    number : int
        1, 2, ...
    path : str
        Of its manifest, in its store.
    document : dict
        What was published.
    """

    number: int
    path: str
    document: dict[str, Any]


def list_versions(store: Store, folder: str) -> tuple[int, ...]:
    """Numbers of the published versions, ascending; none if the folder is missing. Other files are no versions.

    Raises
    ------
    StorageError
        If the folder cannot be listed.
    """
    try:
        names = store.list(folder)
    except NotFoundError:
        return ()
    return tuple(sorted(number for name in names if (number := version_of(name)) is not None))


def mark_removed(store: Store, folder: str, version: int, note: Mapping[str, Any]) -> None:
    """Note that a version is being removed: from now on its number is taken. Who notes it removes the manifest then.

    Parameters
    ----------
    note : mapping
        Who removes it, when and why; ``note["at"]`` is told to who asks for the version.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    store.write(join(folder, removed_file(version)), encode_document(note))


def unmark_removed(store: Store, folder: str, version: int) -> None:
    """Take back such a note, where the version stays after all; raises as `mark_removed`."""
    store.remove(join(folder, removed_file(version)))


def _numbers(store: Store, folder: str) -> tuple[set[int], int]:
    """Return the published versions, and the highest number that was ever given: of these, and of removed ones."""
    try:
        names = store.list(folder)
    except NotFoundError:
        return set(), 0
    there = {number for name in names if (number := version_of(name)) is not None}
    removed = {number for name in names if (number := removed_of(name)) is not None}
    return there, max(there | removed, default=0)


def latest_version(store: Store, folder: str) -> int | None:
    """Highest published number, or None. Raises as `list_versions`."""
    return max(list_versions(store, folder), default=None)


def read_version(store: Store, folder: str, version: int | None = None) -> Version:
    """Read one version, by default the latest.

    Raises
    ------
    NotFoundError
        If there is no such version.
    BadDataError
        If its manifest is damaged or of a newer format.
    """
    number = latest_version(store, folder) if version is None else version
    if number is not None:
        path = join(folder, version_file(number))
        with contextlib.suppress(NotFoundError):
            return Version(number, path, decode_document(store.read(path), where=store.uri(path)))
    there = list_versions(store, folder)
    wanted = "a published version" if number is None else f"version {number}"
    existing = f"version{'s' * (len(there) > 1)} {_ranges(there)}" if there else "none"
    existing += "" if number is None else _removal(store, folder, number)
    guess = "" if there else _neighbour(store, folder)
    raise NotFoundError(
        f"expected {wanted} in {store.uri(folder)}; found {existing}{guess}. Check the name, the version and `root`."
    )


def _removal(store: Store, folder: str, number: int) -> str:
    """Say that a version was removed, if it was at a user's wish."""
    path = join(folder, removed_file(number))
    try:
        return f" (version {number} was removed at {decode_document(store.read(path), where=store.uri(path))['at']})"
    except (NotFoundError, BadDataError, KeyError):
        return ""


def _neighbour(store: Store, folder: str) -> str:
    """Return a question after a folder beside this one of a name that is much like its name."""
    *above, name = split_path(folder)
    try:
        return did_you_mean(name, store.list("/".join(above)))
    except StorageError:
        return ""


def read_latest(store: Store, folder: str) -> Version | None:
    """Read the latest version of a folder from which older ones are removed as soon as there is a newer one.

    Returns
    -------
    Version or None
        None if there is none. If the latest is removed before it is read, that which came after it.

    Raises
    ------
    BadDataError, StorageError
        As `read_version`.
    """
    tried = None
    while (number := latest_version(store, folder)) is not None:
        try:
            return read_version(store, folder, number)
        except NotFoundError:
            if number == tried:
                raise
            tried = number
    return None


def publish_version(store: Store, folder: str, document: Mapping[str, Any]) -> int:
    """Publish a manifest as the next version and return its number.

    All that it refers to must be written before. Publishers at once each get a number of their own. If this is killed,
    the version was published whole or not at all; to publish again without making a second one use
    `publish_version_once`.

    Raises
    ------
    PerhapsPublishedError, StoreUnavailableError
        The version may be visible, or become so.
    StorageError
        If it cannot be published; it is not visible.
    BadDataError
        If it holds NaN or infinity.
    """
    with _staged(store, folder, document) as staged:
        number = _numbers(store, folder)[1]
        while True:
            number += 1
            with contextlib.suppress(AlreadyExistsError):
                return staged.publish_next(number)


def publish_version_as(store: Store, folder: str, document: Mapping[str, Any], number: int) -> None:
    """Publish a manifest under this very number: of any number of publishers at once exactly one succeeds.

    So who read a folder's latest version and publishes the number after it knows that nothing came in between.

    Raises
    ------
    AlreadyExistsError
        If the number is taken; nothing was changed.
    StorageError, BadDataError
        As `publish_version`.
    """
    with _staged(store, folder, document) as staged:
        staged.publish_as(number)


def publish_version_once(
    store: Store, folder: str, document: Mapping[str, Any], *, key: str = "run", after: int = 0
) -> int:
    """Publish a manifest unless a version with the same ``document[key]`` is there, and return that version's number.

    So a driver that was killed at any instant may simply publish again, also while another one does the same.

    Parameters
    ----------
    document : mapping
        ``document[key]`` is a non-empty string that no other publication shares, for instance the run's name. If a
        version has it, that version stays as it is even if the rest differs.
    after : int
        A version that was there before anybody could have published this one: it and those before it are not read.

    Raises
    ------
    StorageError
        If the manifest cannot be written, or another one cannot be read. `PerhapsPublishedError` if the version may
        be visible.
    BadDataError
        If it holds NaN or infinity.
    ValueError
        If ``document[key]`` is not a non-empty string: a defect of the caller.

    Notes
    -----
    Exactly once: number n + 1 is tried only after versions 1..n were all read, so a version with the same key can only
    appear by taking n + 1 first, and then this one loses and looks again. Reads each version's manifest once. A damaged
    one is passed over: were it the one, it could not be used, and a whole one is what is wanted.
    """
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected in document[{key!r}] a non-empty string; found {value!r}")
    seen: set[int] = set()
    with contextlib.ExitStack() as stack:
        staged: _Staged | None = None
        while True:
            there, highest = _numbers(store, folder)
            for number in sorted(there - seen, reverse=True):
                if number > after and _has(store, folder, number, key, value):
                    return number
                seen.add(number)
            if staged is None:
                staged = stack.enter_context(_staged(store, folder, document))
            with contextlib.suppress(AlreadyExistsError):
                return staged.publish_next(highest + 1)


@dataclass(frozen=True)
class _Staged:
    """A manifest that was written to the folder under a temporary name."""

    store: Store
    folder: str
    path: str
    data: bytes

    def publish_next(self, number: int) -> int:
        """Publish under a number that seems free; AlreadyExistsError if it is not, or was that of a removed version."""
        # it may have been published and removed since the folder was listed, or while it was
        if number <= MAX_VERSION and self.store.exists(join(self.folder, removed_file(number))):
            raise AlreadyExistsError(f"version {number} of {self.store.uri(self.folder)} was removed")
        return self.publish_as(number)

    def publish_as(self, number: int) -> int:
        if number > MAX_VERSION:
            raise StorageError(
                f"expected at most {MAX_VERSION} versions in {self.store.uri(self.folder)}; found that all numbers up "
                f"to it are taken. Publish under another name."
            )
        target = join(self.folder, version_file(number))
        try:
            self.store.publish(self.path, target)
        except (AlreadyExistsError, StoreUnavailableError):
            raise
        except StorageError as error:
            if not self._is_visible(target, error):
                raise
            _LOG.warning(
                "%s is published and whole, but may not survive a crash of the machine: %s",
                self.store.uri(target),
                error.__cause__ or error,
            )
        return number

    def _is_visible(self, target: str, error: StorageError) -> bool:
        """Whether the name was given, although something failed then or after it."""
        try:
            return self.store.read(target) == self.data
        except NotFoundError:
            return False
        except StorageError as blind:
            raise PerhapsPublishedError(
                f"{error} Whether {self.store.uri(target)} is visible nonetheless could not be seen: look for it "
                f"before you publish again."
            ) from blind


def find_version(store: Store, folder: str, *, key: str, value: str, after: int = 0) -> int | None:
    """Find the newest whole version after `after` whose ``document[key]`` is `value`; None if there is none."""
    for number in reversed(list_versions(store, folder)):
        if number > after and _has(store, folder, number, key, value):
            return number
    return None


def _has(store: Store, folder: str, number: int, key: str, value: str) -> bool:
    # damaged, of a newer format, or removed meanwhile
    with contextlib.suppress(BadDataError, NotFoundError):
        return bool(read_version(store, folder, number).document.get(key) == value)
    return False


@contextlib.contextmanager
def _staged(store: Store, folder: str, document: Mapping[str, Any]) -> Iterator[_Staged]:
    """Write the manifest under a temporary name, which is always removed at the end."""
    staged = _Staged(store, folder, staged_path(folder), encode_document(document))
    try:
        store.write(staged.path, staged.data)
        yield staged
    finally:
        with contextlib.suppress(StorageError):
            store.remove(staged.path)


def _ranges(numbers: tuple[int, ...]) -> str:
    """Write 1, 2, 3, 7 as ``1-3, 7``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
