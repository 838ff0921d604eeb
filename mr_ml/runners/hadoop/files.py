"""The text that a job on a cluster reads: files on HDFS where they lie, and files of this machine, brought there first.

Hadoop feeds plain text to map tasks, cut wherever it likes. It would also decompress what is called .gz or .bz2, but
what it does at a damaged place, and how much it has read, could not be checked. So a compressed file is fed as it is,
whole, under a name that has no suffix: by the number that HDFS gives each file, ``/.reserved/.inodes/NUMBER``. The task
decompresses it as `mr_ml.readers.text.compressed` does everywhere. A name that holds what Hadoop's jobs read as a
pattern or a list goes by its number too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from hdfs_layout import Root
from hdfs_layout.hdfs.store import HdfsStore
from mr_ml.errors import BadDataError, InternalError, MrMlError, StorageError, UnavailableError, UsageError
from mr_ml.ids import unique_id
from mr_ml.readers.text import chunks as text
from mr_ml.readers.text import source
from mr_ml.readers.text.source import TextFile
from mr_ml.runners.hadoop.fed_text import DELIMITER, PACKED, PROPERTY, WITH_HEADER, WITHOUT_HEADER
from mr_ml.runners.hadoop.glob import INTERPRETED, HdfsFile, find_on_hdfs

_FIRST_READ_BYTES = 1 << 16
_PIECE_BYTES = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# No split is as long: a map task reads a whole file.
WHOLE_FILES: Mapping[str, str] = {"mapreduce.input.fileinputformat.split.minsize": str(1 << 60)}


@dataclass(frozen=True)
class FileLines:
    """Files on HDFS whose lines the map tasks are fed."""

    paths: tuple[str, ...]
    n_bytes: int
    # tasks say of which file they were fed how much
    n_mixable: int = 0

    def lines(self, *, n_tasks: int) -> Sequence[bytes]:
        raise UsageError("files on HDFS are read by tasks on the cluster; use -r hadoop")

    def uris(self) -> Sequence[str]:
        return self.paths


@dataclass(frozen=True)
class _Input:
    """Attributes
    ----------
    uri
        By which tasks are fed the file; None of one that is not brought there yet.
    found
        On HDFS; None of a file of this machine.
    """

    uri: str | None
    found: HdfsFile | None


@dataclass(frozen=True)
class ClusterFiles:
    """Files by the names that users give them, `TextFile.path`, and what jobs call them.

    Attributes
    ----------
    root
        Where files of this machine are put.
    """

    root: Root
    _inputs: dict[str, _Input] = field(default_factory=dict)
    _uploads: list[str] = field(default_factory=list)

    def find(self, inputs: Sequence[str]) -> list[TextFile]:
        """The files that the inputs name, sorted.

        Parameters
        ----------
        inputs
            ``hdfs://...`` URIs of files, folders and globs (``* ? [] {,} **``), or the same without a scheme of this
            machine, whose files are brought to the cluster. Of folders and globs, names that begin with ``.`` or ``_``
            are left out.

        Raises
        ------
        UsageError
            If an input names nothing, is elsewhere, or a file is named twice, by whatever names.
        """
        here = [_path_here(given) for given in inputs if _scheme(given) in ("", "file")]
        there = [given for given in inputs if _scheme(given) not in ("", "file")]
        files = source.expand(here) if here else []
        found = [file for given in there for file in find_on_hdfs(given)]
        named = [file.path for file in files] + [file.uri for file in found]
        if len(set(named)) < len(named):
            twice = next(name for name in named if named.count(name) > 1)
            raise UsageError(f"{twice} is named more than once; its rows would count double")
        _check_numbers(found)
        for on_hdfs in found:
            file = TextFile(on_hdfs.uri, on_hdfs.size)
            by_number = file.compression != "none" or bool({*INTERPRETED, "\n"} & set(file.path))
            uri = on_hdfs.uri_by_number if by_number else file.path
            self._inputs[file.path] = _Input(uri, on_hdfs)
            files.append(file)
        for file in files:
            # an unknown compression is refused here
            if file.compression is not None and file.path not in self._inputs:
                self._inputs[file.path] = _Input(None, None)
        source.check_content(files)
        return sorted(files)

    def _bring(self, file: TextFile) -> str:
        """Upload a file of this machine, under a name without suffix, unless that is done; its URI there."""
        known = self._inputs[file.path]
        if known.uri is not None:
            return known.uri
        if not self._uploads:
            self._uploads.append(self.root.layout.job(f"input-{unique_id()}"))
        path = f"{self._uploads[0]}/{list(self._inputs).index(file.path):06d}"
        try:
            with open(file.path, "rb") as content:
                self.root.store.write(path, iter(lambda: content.read(_PIECE_BYTES), b""))
        except OSError as error:
            raise StorageError(f"cannot read {file.path}: {error.strerror or error}; check its permissions") from error
        uri = self.root.store.uri(path)
        self._inputs[file.path] = replace(known, uri=uri)
        return uri

    def first_line(self, file: TextFile) -> bytes:
        """The first line, newline included; empty for an empty file.

        Raises
        ------
        BadDataError
            If the file is not compressed as its name says, or begins with a byte order mark.
        """
        on_hdfs = self._inputs[file.path].found
        if not file.size:
            return b""
        if on_hdfs is None:
            line = source.first_line(file)
        elif file.compression == "none":
            line = _first_line(on_hdfs.store, on_hdfs.path)
        else:
            with on_hdfs.store.open_read(on_hdfs.path) as content:
                chunks = text.open_chunks(content, file.compression, name=file.path, chunk_bytes=1)
                line = next((chunk[: chunk.find(b"\n") + 1] or chunk for chunk in chunks), b"")
        if file.compression == "none" and line.startswith(_BYTE_ORDER_MARK):
            # Hadoop drops it, which no count of bytes would show
            raise BadDataError(f"{file.path} begins with a byte order mark; remove it: `tail -c +4`")
        return line

    def lines(self, files: Sequence[TextFile]) -> FileLines:
        """The input of a job over these files; those of this machine are on the cluster afterwards, until `close`."""
        return FileLines(tuple(self._bring(file) for file in files), sum(file.size for file in files))

    def properties(self, files: Sequence[TextFile], *, header: str) -> dict[str, str]:
        """Hadoop's properties for a job over these files.

        Parameters
        ----------
        header
            `WITH_HEADER` or `WITHOUT_HEADER`.
        """
        assert header in (WITH_HEADER, WITHOUT_HEADER)
        packed = any(file.compression != "none" for file in files)
        return {PROPERTY: header, **DELIMITER, **({PACKED: "true", **WHOLE_FILES} if packed else {})}

    def name_of(self, fed: str) -> str:
        """The user's name of what a task calls so.

        Raises
        ------
        InternalError
            If no such file was to be read.
        """
        # tasks know a file by its address in Hadoop's configuration, which may spell the host in another way
        path = urlsplit(fed).path
        name = self._names.get(path)
        if name is None:
            raise InternalError(f"tasks were fed {fed}, which is none of the input files; run it again")
        return name

    @property
    def _names(self) -> dict[str, str]:
        return {urlsplit(item.uri).path: name for name, item in self._inputs.items() if item.uri is not None}

    @contextmanager
    def renaming(self) -> Iterator[None]:
        """Errors of tasks name files as the user does."""
        try:
            yield
        except MrMlError as error:
            message = self._renamed(str(error))
            if message == str(error):
                raise
            raise type(error)(message) from error

    def _renamed(self, message: str) -> str:
        for path, name in self._names.items():
            if path in message and path != urlsplit(name).path:
                found = re.findall(rf"[a-z]+://[^/\s]*{re.escape(path)}(?![0-9])", message)
                for uri in sorted(set(found), key=len, reverse=True):
                    message = message.replace(uri, name)
        return message

    def check_fed(self, files: Sequence[TextFile], fed: Sequence[tuple[str, int]], *, doing: str) -> None:
        """Hold the bytes that map tasks were fed, of files by their users' names, against the files.

        Raises
        ------
        InternalError
            If some are missing or came twice.
        """
        total = dict.fromkeys((file.path for file in files), 0)
        for name, n_bytes in fed:
            total[name] += n_bytes
        for file in files:
            # a last line without line feed is given one
            if total[file.path] not in (file.size, file.size + 1):
                raise InternalError(
                    f"{doing} {file.path} was not complete: expected {file.size} bytes, tasks were fed "
                    f"{total[file.path]}; run it again when the file is at rest"
                )

    def check_rest(self, files: Sequence[TextFile]) -> None:
        """Raise BadDataError if a file is not as it was found."""
        source.check_rest([file for file in files if self._inputs[file.path].found is None])
        for file in files:
            on_hdfs = self._inputs[file.path].found
            if on_hdfs is not None and on_hdfs.stamp != on_hdfs.stamp_now():
                raise BadDataError(f"{file.path} changed while it was read; run it again when the file is at rest")

    def close(self) -> None:
        """Remove what was brought to the cluster."""
        while self._uploads:
            with suppress(StorageError, UnavailableError):
                self.root.store.remove_tree(self._uploads.pop())


def _scheme(given: str) -> str:
    # Windows knows one-letter schemes; a name with a colon is not one of theirs either
    return given.partition("://")[0].lower() if "://" in given else ""


def _path_here(given: str) -> str:
    return unquote(urlsplit(given).path) if _scheme(given) == "file" else given


def _check_numbers(files: Sequence[HdfsFile]) -> None:
    """Refuse a file by two names: another spelling of the NameNode, or its number."""
    known: dict[object, str] = {}
    for file in files:
        for identity in ((file.store.root, file.number), (file.path, file.number, file.size)):
            other = known.setdefault(identity, file.uri)
            if other != file.uri:
                raise UsageError(f"{other} and {file.uri} are one file by two names; its rows would count double")


def _first_line(store: HdfsStore, path: str) -> bytes:
    length = _FIRST_READ_BYTES
    while True:
        data = store.read_range(path, offset=0, length=length)
        end = data.find(b"\n") + 1
        if end or len(data) < length:
            return data[:end] or data
        length *= 4
