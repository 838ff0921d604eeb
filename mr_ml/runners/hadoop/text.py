"""The text that a job on a cluster reads: files in stores that Hadoop reads too, in place, and files that are uploaded.

Hadoop streams plain text to map tasks, cut wherever it likes. It would also decompress what is called .gz or .bz2, but
what it does at a damaged place, and how much it has read, could not be checked. So a compressed file is streamed
whole, as it is, and the task decompresses it as `mr_ml.readers.text.compressed` does everywhere:

    by its alias, a name without suffix, where the store has one (on HDFS by its number, ``/.reserved/.inodes/NUMBER``)
    by its own name, with Hadoop's codec that changes nothing in the place of the one for its suffix; Hadoop has room
        for one suffix a job
    else as a copy below the root, under a name without suffix, as files of this machine are

A name that holds what Hadoop's jobs read as a pattern or a list goes by its alias or as a copy too.

Files that are no lines, such as Parquet, no job can stream: its tasks are told which parts of which file are theirs,
and at which addresses of the store they read these.
"""

from __future__ import annotations

import os
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property

from hdfs_layout import Address, Root, open_store, scheme_of, split_uri
from hdfs_layout.open import path_of
from mr_ml.errors import BadDataError, InternalError, MrMlError, StorageError, UnavailableError, UsageError
from mr_ml.ids import unique_id
from mr_ml.readers.base import StoredPiece, check_reaches_tasks, format_named, listing
from mr_ml.readers.text import chunks as text
from mr_ml.readers.text import source
from mr_ml.readers.text.find import Found, find
from mr_ml.readers.text.local_tree import LOCAL_TREE
from mr_ml.readers.text.source import TextFile
from mr_ml.readers.text.store_tree import trees_of
from mr_ml.runners.base import Place
from mr_ml.runners.hadoop.file_systems import FILE_SYSTEMS, INTERPRETED, cluster_reads
from mr_ml.runners.hadoop.streamed_text import DELIMITER, PACKED, PROPERTY, WITH_HEADER, WITHOUT_HEADER
from mr_ml.runners.job_input import JobInput, StoredLines, Told, ToldPieces
from mr_ml.runners.local.text import check_pieces

# Hadoop 3.3.1 has it, 3.2 has not: it leaves the files with one suffix as they are.
_CODECS, _NO_CODEC = "io.compression.codecs", "org.apache.hadoop.io.compress.PassthroughCodec"
_NO_CODEC_SUFFIX = "io.compress.passthrough.extension"
# Whose services ask tasks for the token of their job, and the property by which a job gets those of further clusters.
_WITH_TOKENS, _ALSO_READ = frozenset({"hdfs"}), "mapreduce.job.hdfs-servers"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ClusterText:
    """Files by the names that users give them, and what jobs call them; see `mr_ml.runners.base.TextSource`.

    Attributes
    ----------
    root
        Below which files are put that jobs cannot read in place.
    """

    # by which tasks know files whose pieces they are told
    _told_names: frozenset[str] = frozenset()

    def __init__(self, root: Root, inputs: Sequence[str]) -> None:
        self.root = root
        self._uploads: list[str] = []
        self._is_checked = False
        # path -> address without scheme -> the user's name, of what tasks know
        self._names: dict[str, dict[str, str]] = {}
        found = _found(inputs)
        addresses, self._undecoded = _addresses(found)
        # of files that are not brought to the cluster yet, none
        self._uris: dict[str, str] = {}
        for name, uri in addresses.items():
            self._know(name, uri)
        self.files = list(map(source.of_found, found))
        source.check_content(self.files)

    def __enter__(self) -> ClusterText:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Remove what was brought to the cluster."""
        while self._uploads:
            with suppress(StorageError, UnavailableError):
                self.root.store.remove_tree(self._uploads.pop())

    def _bring(self, file: TextFile) -> str:
        """Upload a file, under a name without suffix, unless tasks can read it; the URI by which they do."""
        if file.path in self._uris:
            return self._uris[file.path]
        if not self._uploads:
            self._uploads.append(self.root.layout.job(f"input-{unique_id()}"))
        path = f"{self._uploads[0]}/{len(self._uris):06d}"
        self.root.store.write(path, source.content(file))
        uri = self.root.store.uri(path)
        self._know(file.path, uri)
        return uri

    def _know(self, name: str, uri: str) -> None:
        self._uris[name] = uri
        self._names.setdefault(path_of(uri), {})[uri.partition("://")[2]] = name

    def first_line(self, file: TextFile) -> bytes:
        """See `TextSource.first_line`.

        Raises
        ------
        BadDataError
            If the file is not compressed as its name says, or begins with a byte order mark.
        """
        return self._first_lines[file.path]

    @cached_property
    def _first_lines(self) -> dict[str, bytes]:
        return {file.path: line for file, line in self._checked_first_lines()}

    def _checked_first_lines(self) -> Iterator[tuple[TextFile, bytes]]:
        for file, line in zip(self.files, source.first_lines(self.files), strict=True):
            if file.compression == "none" and line.startswith(_BYTE_ORDER_MARK):
                # Hadoop drops it, which no count of bytes would show
                raise BadDataError(f"{file.path} begins with a byte order mark; remove it: `tail -c +4`")
            yield file, line
        self._is_checked = True

    def input(self, files: Sequence[TextFile], form: str) -> JobInput:
        """See `TextSource.input`; all files are on the cluster afterwards, until the end of the block."""
        check_reaches_tasks(format_named(form))
        if not format_named(form).has_lines:
            return self._told(files, form)
        if not self._is_checked:
            # unless their headers were asked for; rows are not kept
            deque(self._checked_first_lines(), maxlen=0)
        header = WITH_HEADER if any(file.header_bytes for file in files) else WITHOUT_HEADER
        packed = any(file.compression != "none" for file in files)
        feeding = {PROPERTY: header, **DELIMITER, **({PACKED: "true"} if packed else {})}
        if self._undecoded:
            feeding |= {_CODECS: _NO_CODEC, _NO_CODEC_SUFFIX: self._undecoded}
        n_bytes = sum(file.size for file in files)
        return StoredLines(tuple(map(self._bring, files)), n_bytes, whole=packed, feeding=feeding)

    def _told(self, files: Sequence[TextFile], form: str) -> ToldPieces:
        """Name the pieces of files to tasks that read them at their addresses."""
        addressed = [replace(file, at=self._at(file)) for file in files if file.size]
        pieces = [piece for task in _pieces(addressed, form) for piece in task]
        self._told_names = frozenset(file.path for file in addressed)
        others = {split_uri(file.path)[0] for file in addressed if scheme_of(file.path) in _WITH_TOKENS}
        others.discard(split_uri(self.root.store.root)[0])
        properties = {_ALSO_READ: ",".join(sorted(others))} if others else {}
        n_bytes = sum(file.size for file in files)
        # pieces of a file are about the same size
        sizes, n_pieces = {file.path: file.size for file in addressed}, Counter(piece.file for piece in pieces)
        told = [Told(sizes[piece.file] // n_pieces[piece.file], listing(form, [piece])) for piece in pieces]
        return ToldPieces(tuple(told), n_bytes, properties=properties)

    def _at(self, file: TextFile) -> tuple[Address, ...]:
        """Return where tasks read a file that is no text, uploaded if it is one of this machine.

        Raises
        ------
        UsageError
            If its store gives out no addresses.
        """
        root, path = split_uri(file.path if scheme_of(file.path) else self._bring(file))
        addresses = open_store(root).addresses(path)
        if not addresses:
            raise UsageError(
                f"expected files in stores that give tasks an address to read them at, HDFS or S3; found {file.path}. "
                "Use `runner` local"
            )
        return addresses

    def known_as(self, file: TextFile, form: str) -> str:
        """See `TextSource.known_as`."""
        return path_of(self._bring(file) if format_named(form).has_lines else file.path)

    def place(self, file: str, start: int, n_bytes: int | None = None) -> Place:
        """See `TextSource.place`."""
        return Place(self._name_of(file), start, n_bytes)

    def _name_of(self, fed: str) -> str:
        """Give the user's name of what a task calls so.

        Raises
        ------
        InternalError
            If no such file was to be read.
        """
        if fed in self._told_names:
            return fed
        known = self._names.get(path_of(fed), {})
        # Hadoop's configuration may spell the host in another way
        name = known.get(fed.partition("://")[2]) or (next(iter(known.values())) if len(known) == 1 else None)
        if name is None:
            raise InternalError(f"tasks were sent {fed}, which is none of the input files; run it again")
        return name

    @contextmanager
    def renaming(self) -> Iterator[None]:
        """See `TextSource.renaming`."""
        try:
            yield
        except MrMlError as error:
            message = self._renamed(str(error))
            if message == str(error):
                raise
            raise type(error)(message) from error

    def _renamed(self, message: str) -> str:
        for path, known in self._names.items():
            name = next(iter(known.values()))
            if path in message and path != path_of(name):
                uris = re.findall(rf"[a-z]+://[^/\s]*{re.escape(path)}(?![0-9])", message)
                for uri in sorted(set(uris), key=len, reverse=True):
                    message = message.replace(uri, name)
        return message

    def check_read(self, files: Sequence[TextFile], form: str, places: Sequence[Place], *, doing: str) -> None:
        """See `TextSource.check_read`; by the bytes that tasks read, or the pieces that they were told."""
        if not format_named(form).has_lines:
            check_pieces(_pieces(files, form), files, places, doing=doing)
            return
        total = dict.fromkeys((file.path for file in files), 0)
        seen = set[tuple[str, int]]()
        for name, start, n_bytes in places:
            if (name, start) in seen:
                raise InternalError(f"{doing} {name} from byte {start} was done twice; run it again")
            seen.add((name, start))
            total[name] += n_bytes or 0
        for file in files:
            # a last line without line feed is given one
            if total[file.path] not in (file.size, file.size + 1):
                raise InternalError(
                    f"{doing} {file.path} was not complete: expected {file.size} bytes, tasks were sent "
                    f"{total[file.path]}; run it again when nothing writes to the file"
                )

    def check_rest(self, files: Sequence[TextFile]) -> None:
        """See `TextSource.check_rest`."""
        source.check_rest(files)


def _pieces(files: Sequence[TextFile], form: str) -> Sequence[Sequence[StoredPiece]]:
    return format_named(form).pieces(files, n_tasks=1, longest_line=text.MAX_LINE_BYTES)


def _found(inputs: Sequence[str]) -> list[Found]:
    """Find the files that the inputs name, sorted.

    Parameters
    ----------
    inputs
        URIs of files, folders and globs (``* ? [] {,} **``), or the same without a scheme of this machine. Of folders
        and globs, names that begin with ``.`` or ``_`` are left out.

    Raises
    ------
    UsageError
        If an input names nothing, is elsewhere, or a file is named twice, by whatever names.
    """
    trees = trees_of(inputs)
    for given, (tree, _) in zip(inputs, trees, strict=True):
        if tree is not LOCAL_TREE and not cluster_reads(given):
            raise UsageError(
                f"jobs on a cluster read files of {', '.join(f'{name}://' for name in FILE_SYSTEMS)}, or files of this "
                f"machine; found {given!r}. Name it so, or copy it there: hadoop fs -cp, hadoop distcp"
            )
    return find(trees)


def _addresses(found: Sequence[Found]) -> tuple[dict[str, str], str]:
    """Say by which URIs tasks read files.

    Returns
    -------
    addresses
        By name; not of those that are to be brought to the cluster.
    undecoded
        The suffix of compressed files that Hadoop is to leave as they are; empty if that is not needed.
    """
    addresses: dict[str, str] = {}
    by_suffix: dict[str, list[Found]] = {}
    for file in found:
        # an unknown compression is refused here
        is_packed, is_plain = text.compression_of(file.name) != "none", not INTERPRETED & set(file.name)
        if not scheme_of(file.name):
            continue
        if is_plain and not is_packed:
            addresses[file.name] = file.name
        elif file.status.alias:
            addresses[file.name] = file.status.alias
        elif is_plain:
            by_suffix.setdefault(os.path.splitext(file.name)[1], []).append(file)
    undecoded = max(by_suffix, key=lambda suffix: sum(file.status.size for file in by_suffix[suffix]), default="")
    addresses.update((file.name, file.name) for file in by_suffix.get(undecoded, ()))
    return addresses, undecoded
