"""The files that inputs name, in any file system: files, folders and globs.

Whatever is in a folder is read once, or the end is an error that names it: a folder that cannot be listed, a link that
leads back, a file by two names, what is no file at all. Links to folders are followed. Only names that begin with ``.``
or ``_``, which is how jobs mark what is no data, are left out of folders, and of globs that do not begin so. A file
system joins by a `Tree`: see `local_tree` and `store_tree` beside this module.
"""

from __future__ import annotations

import fnmatch
import itertools
import os
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Protocol

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError

LEFT_OUT = (".", "_")
FILE, FOLDER = "a file", "a folder"
_MAGIC = re.compile(r"[*?\[{]")
_BRACES = re.compile(r"\{([^{}]*)\}")
_ANY_DEPTH = "**"
_MOST_PATTERNS = 1000


@dataclass(frozen=True)
class Status:
    """What a path leads to.

    Attributes
    ----------
    kind
        `FILE`, `FOLDER`, or in words what else it is, such as "a named pipe".
    size
        Bytes of a file.
    stamp
        What changes when a file is replaced or grows.
    identities
        Two names that share one of these are names of one file, or of one folder.
    alias
        See `hdfs_layout.Entry.alias`.
    """

    kind: str
    size: int = 0
    stamp: tuple[Hashable, ...] = ()
    identities: tuple[Hashable, ...] = ()
    alias: str = ""


@dataclass(frozen=True)
class Listed:
    """A name in a folder.

    Attributes
    ----------
    is_folder
        Whether it leads to one, by a link too.
    status
        Of what it leads to; None if the listing does not tell.
    """

    name: str
    is_folder: bool
    status: Status | None = None


class Tree(Protocol):
    """A file system. Paths are joined by ``/``; those that begin with it count from its root.

    Every method raises `StorageError` if something cannot be looked at.
    """

    def look(self, path: str, *, follow: bool = True) -> Status | None:
        """Say what is there; None if nothing is. Of a link itself, what is there if not `follow`."""

    def entries(self, folder: str) -> list[Listed]:
        """List what is in a folder, hidden names too, sorted; of an empty path, in the current one."""

    def loops(self) -> bool:
        """Whether a folder can be reached from itself, by links."""

    def full_name(self, path: str) -> str:
        """Give the name by which everybody knows the file of a path."""

    def as_given(self, path: str) -> str:
        """Spell a path, or a pattern, as users give it."""

    def check(self, name: str, status: Status) -> None:
        """Raise `UsageError` if a file cannot be read in spite of what its status says."""


@dataclass(frozen=True, order=True)
class Found:
    """A file that was found.

    Attributes
    ----------
    name
        By which everybody knows it.
    path
        In its tree.
    input
        Number of the input that names it, from 0.
    """

    name: str
    path: str
    tree: Tree
    status: Status
    input: int


# Folders by identity: this one and those above it.
_Chain = Mapping[Hashable, str]
_Hit = tuple[str, bool, Status | None]


def find(inputs: Sequence[tuple[Tree, str]]) -> list[Found]:
    """Find the files that paths or patterns name in their trees, sorted by their full names.

    A path that exists means itself. In others ``* ? [a-z] [!a]`` match within a name, ``{a,b}`` stands for either,
    ``**`` for any number of folders.

    Raises
    ------
    UsageError
        If an input names nothing, a file is there twice, or something is no regular file.
    StorageError
        If something cannot be looked at.
    """
    files_of_inputs = look_for(inputs)
    for (tree, given), files in zip(inputs, files_of_inputs, strict=True):
        if not files:
            found = f"nothing that matches {tree.as_given(given)!r}"
            raise UsageError(f"expected input files, found {found}; check the path")
    return sorted((file for files in files_of_inputs for file in files), key=lambda file: file.name)


def look_for(inputs: Sequence[tuple[Tree, str]]) -> list[list[Found]]:
    """As `find`, by input, but an input may name nothing.

    Raises
    ------
    UsageError
        If a file is there twice, or something is no regular file.
    StorageError
        If something cannot be looked at.
    """
    hits = [
        (name, k, path, tree, status)
        for k, (tree, given) in enumerate(inputs)
        for name, (path, status) in _Walk(tree).files(given).items()
    ]
    hits.sort(key=lambda hit: hit[:2])
    for (name, *_), (following, *_) in itertools.pairwise(hits):
        if name == following:
            raise UsageError(f"{name} is named more than once; its rows would count double")
    files: list[list[Found]] = [[] for _ in inputs]
    known: dict[Hashable, str] = {}
    for name, k, path, tree, status in hits:
        file = Found(name, path, tree, _file(tree, name, status), k)
        files[k].append(file)
        for identity in file.status.identities:
            other = known.setdefault(identity, file.name)
            if other != file.name:
                raise UsageError(
                    f"{other} and {file.name} are one file by two names; its rows would count double: name one of "
                    "them, or remove the link"
                )
    return files


def _file(tree: Tree, name: str, status: Status | None) -> Status:
    """Say what a regular file is."""
    status = status or tree.look(name)
    if status is None:
        raise UsageError(f"expected a regular file, found a symbolic link to nothing: {name!r}")
    if status.kind != FILE:
        raise UsageError(f"expected a regular file, found {status.kind}: {name!r}; copy what it gives to a file")
    if "\n" in name:
        raise UsageError(f"expected a file name without line feeds, found {name!r}; rename it")
    tree.check(name, status)
    return status


class _Walk:
    """Looks into the folders of one tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def files(self, given: str) -> dict[str, tuple[str, Status | None]]:
        """Full name -> path and what is known of each file that one path or pattern names."""
        status = self._tree.look(given, follow=False)
        hits = self._glob(given) if status is None else [self._literal(given)]
        files = (file for hit in hits for file in (self._below(hit[0]) if hit[1] else [hit]))
        return {self._tree.full_name(path): (path, status) for path, _, status in files}

    def _literal(self, path: str) -> _Hit:
        status = self._tree.look(path)
        return path, status is not None and status.kind == FOLDER, status

    def _below(self, folder: str, chain: _Chain | None = None) -> Iterator[_Hit]:
        """All files below a folder."""
        waiting = [(folder, self._within(folder, chain or {}))]
        while waiting:
            place, above = waiting.pop()
            for entry in self._tree.entries(place):
                if entry.name.startswith(LEFT_OUT):
                    continue
                path = os.path.join(place, entry.name)
                if entry.is_folder:
                    waiting.append((path, self._within(path, above)))
                else:
                    yield path, False, entry.status

    def _within(self, folder: str, above: _Chain) -> _Chain:
        """Extend the chain by a folder in which one goes on.

        Raises
        ------
        UsageError
            If it is one of those in which it is.
        """
        status = self._tree.look(folder or ".") if self._tree.loops() else None
        if status is None:
            return above
        (identity,) = status.identities
        if identity in above:
            raise UsageError(
                f"{folder} is a link that leads back to {above[identity] or '.'}, in which it is: there is no end to "
                "it; remove the link, or name the files"
            )
        return {**above, identity: folder}

    def _glob(self, pattern: str) -> list[_Hit]:
        """Find what matches a pattern."""
        if not _MAGIC.search(pattern):
            return []
        hits: dict[str, _Hit] = {}
        for chosen in _alternatives(pattern):
            start = "/" if chosen.startswith("/") else ""
            parts = [part for part in chosen.split("/") if part not in ("", ".")]
            if parts:
                hits.update((hit[0], hit) for hit in self._matches(start, parts, {}))
        matches = [hits[path] for path in sorted(hits)]
        return [hit for hit in matches if hit[1]] if pattern.endswith("/") else matches

    def _matches(self, folder: str, parts: Sequence[str], chain: _Chain) -> Iterator[_Hit]:
        part, rest = parts[0], parts[1:]
        if part == _ANY_DEPTH:
            if not rest:
                yield from self._below(folder, chain)
                return
            inside = self._within(folder, chain)
            yield from self._matches(folder, rest, chain)
            for entry in self._tree.entries(folder):
                if entry.is_folder and not entry.name.startswith(LEFT_OUT):
                    yield from self._matches(os.path.join(folder, entry.name), parts, inside)
            return
        if _MAGIC.search(part):
            matches = re.compile(fnmatch.translate(part)).match
            hidden = tuple(start for start in LEFT_OUT if not part.startswith(start))
            entries = [e for e in self._tree.entries(folder) if matches(e.name) and not e.name.startswith(hidden)]
            hits = [(os.path.join(folder, entry.name), entry.is_folder, entry.status) for entry in entries]
        else:
            path = os.path.join(folder, part)
            hits = [] if self._tree.look(path, follow=False) is None else [self._literal(path)]
        for path, is_folder, status in hits:
            if not rest:
                yield path, is_folder, status
            elif is_folder:
                yield from self._matches(path, rest, chain)


def _alternatives(pattern: str) -> list[str]:
    """``a{b,c}d`` -> ``abd``, ``acd``."""
    pieces = _BRACES.split(pattern)
    choices = [[part] if k % 2 == 0 else part.split(",") for k, part in enumerate(pieces)]
    patterns = ["".join(parts) for parts in itertools.islice(itertools.product(*choices), _MOST_PATTERNS + 1)]
    if len(patterns) > _MOST_PATTERNS:
        raise UsageError(f"{pattern!r} stands for more than {_MOST_PATTERNS} patterns; name a folder instead")
    return patterns
