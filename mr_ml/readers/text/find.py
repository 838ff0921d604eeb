"""The files of this machine that inputs name: files, folders and globs.

Whatever lies in a folder is read once, or the end is an error that names it: a folder that cannot be listed, a link
that leads back, a file by two names, what is no file at all. Links to folders are followed. Only names that begin with
``.`` or ``_``, which is how jobs mark what is no data, are left out of folders, and of globs that do not begin so.
"""

from __future__ import annotations

import errno
import fnmatch
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from mr_ml.errors import StorageError, UsageError

LEFT_OUT = (".", "_")
_MAGIC = re.compile(r"[*?\[]")
_ANY_DEPTH = "**"
_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

# Folders by identity: this one and those above it.
_Chain = Mapping[tuple[int, int], str]


def find(inputs: Sequence[str]) -> list[tuple[str, os.stat_result]]:
    """Find the files, absolute and sorted, and what they are.

    Raises
    ------
    UsageError
        If an input names nothing, a file is there twice, or something is no regular file.
    StorageError
        If something cannot be looked at.
    """
    paths: list[str] = []
    for given in inputs:
        # a name that exists is that name, even with [ or * in it
        found = [given] if _look(given, follow=False) is not None else _glob(given)
        files = {_absolute(path) for name in found for path in (_below(name) if _is_folder(name) else [name])}
        if not files:
            raise UsageError(f"expected input files, found nothing that matches {given!r}; check the path")
        paths.extend(files)
    paths.sort()
    for path, following in itertools.pairwise(paths):
        if path == following:
            raise UsageError(f"{path} is named more than once; its rows would count double")
    found_files = [(path, _file(path)) for path in paths]
    known: dict[tuple[int, ...], str] = {}
    for path, status in found_files:
        # numbers of files are not unique everywhere
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        other = known.setdefault(identity, path)
        if other != path:
            raise UsageError(
                f"{other} and {path} are one file by two names; its rows would count double: name one of them, or "
                "remove the link"
            )
    return found_files


def _file(path: str) -> os.stat_result:
    """Return what a regular file is."""
    status = _look(path)
    if status is None:
        raise UsageError(f"expected a regular file, found a symbolic link to nothing: {path!r}")
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for test, name in _KINDS if test(status.st_mode)), "something else")
        raise UsageError(f"expected a regular file, found {kind}: {path!r}; copy what it gives to a file")
    if "\n" in path:
        raise UsageError(f"expected a file name without line feeds, found {path!r}; rename it")
    if not status.st_size:
        with _reading(path), open(path, "rb", buffering=0) as file:
            if file.read(1):
                raise UsageError(
                    f"{path} has content although the system says that it is empty, as of files in /proc; copy it, and "
                    "name the copy"
                )
    return status


def _absolute(path: str) -> str:
    """Return the path without ``.`` and ``..``, which behind a link to a folder mean what they mean there."""
    plain = os.path.abspath(path)
    if ".." in path.split("/"):
        folder = os.path.realpath(os.path.dirname(path))
        if folder != os.path.realpath(os.path.dirname(plain)):
            return os.path.join(folder, os.path.basename(path))
    return plain


def _below(folder: str, chain: _Chain | None = None) -> Iterator[str]:
    """All files below a folder."""
    waiting = [(folder, _within(folder, chain or {}))]
    while waiting:
        place, above = waiting.pop()
        for name, is_folder in _entries(place):
            if name.startswith(LEFT_OUT):
                continue
            path = os.path.join(place, name)
            if is_folder:
                waiting.append((path, _within(path, above)))
            else:
                yield path


def _within(folder: str, above: _Chain) -> _Chain:
    """Return the chain of a folder in which one goes on.

    Raises
    ------
    UsageError
        If it is one of those in which it lies.
    """
    status = _look(folder or ".")
    if status is None:
        return above
    identity = status.st_dev, status.st_ino
    if identity in above:
        raise UsageError(
            f"{folder} is a link that leads back to {above[identity] or '.'}, in which it lies: there is no end to it; "
            "remove the link, or name the files"
        )
    return {**above, identity: folder}


def _glob(pattern: str) -> list[str]:
    """Find what matches; ``* ? [a-z] [!a]`` within a name, ``**`` any number of folders."""
    if not _MAGIC.search(pattern):
        return []
    start = "/" if pattern.startswith("/") else ""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    found = sorted(set(_matches(start, parts, {})))
    return [name for name in found if _is_folder(name)] if pattern.endswith("/") else found


def _matches(folder: str, parts: Sequence[str], chain: _Chain) -> Iterator[str]:
    part, rest = parts[0], parts[1:]
    if part == _ANY_DEPTH:
        if not rest:
            yield from _below(folder, chain)
            return
        inside = _within(folder, chain)
        yield from _matches(folder, rest, chain)
        for name, is_folder in _entries(folder):
            if is_folder and not name.startswith(LEFT_OUT):
                yield from _matches(os.path.join(folder, name), parts, inside)
        return
    if _MAGIC.search(part):
        matches = re.compile(fnmatch.translate(part)).match
        hidden = tuple(start for start in LEFT_OUT if not part.startswith(start))
        names = [name for name, _ in _entries(folder) if matches(name) and not name.startswith(hidden)]
    else:
        names = [part]
    for name in names:
        path = os.path.join(folder, name)
        if not rest:
            if _look(path, follow=False) is not None:
                yield path
        elif _is_folder(path):
            yield from _matches(path, rest, chain)


def _entries(folder: str) -> list[tuple[str, bool]]:
    """Names in a folder, and which of them are folders, by a link too."""
    found = []
    with _reading(folder or "."), os.scandir(folder or ".") as entries:
        for entry in entries:
            with _reading(entry.path):
                found.append((entry.name, entry.is_dir()))
    return sorted(found)


def _is_folder(path: str) -> bool:
    status = _look(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _look(path: str, *, follow: bool = True) -> os.stat_result | None:
    """Return what is there; None if nothing is."""
    with _reading(path):
        try:
            return os.stat(path, follow_symlinks=follow)
        except OSError as error:
            if error.errno in _NOTHING_THERE:
                return None
            raise
        except ValueError:
            # a NUL
            return None


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot read {path}: {error.strerror or error}; see that it is there and that you may read it"
        ) from error
