"""The text that a job on a cluster reads: files on HDFS in place, and files of this machine, which are uploaded first.

Hadoop streams plain text to map tasks, cut wherever it likes. It would also decompress what is called .gz or .bz2, but
what it does at a damaged place, and how much it has read, could not be checked. So a compressed file is streamed
whole, as it is, under a name without suffix: by the number that HDFS gives a file, ``/.reserved/.inodes/NUMBER``. The
task decompresses it as `mr_ml.readers.text.compressed` does everywhere. A name that holds what Hadoop's jobs read as a
pattern or a list goes by its number too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from hdfs_layout import Root
from hdfs_layout.hdfs.store import HdfsStore
from mr_ml.errors import BadDataError, InternalError, MrMlError, StorageError, UnavailableError
from mr_ml.ids import unique_id
from mr_ml.readers.base import check_has_lines, format_named
from mr_ml.readers.text import chunks as text
from mr_ml.readers.text import source
from mr_ml.readers.text.find import Found, find
from mr_ml.readers.text.local_tree import LOCAL_TREE
from mr_ml.readers.text.source import TextFile
from mr_ml.runners.base import Place, StoredLines
from mr_ml.runners.hadoop.streamed_text import DELIMITER, PACKED, PROPERTY, WITH_HEADER, WITHOUT_HEADER
from mr_ml.runners.hadoop.tree import HdfsTree, path_in_store, tree_of

# Characters of a path that Hadoop's jobs read as something else.
INTERPRETED = frozenset("*?[]{}\\,#")
_FIRST_READ_BYTES = 1 << 16
_PIECE_BYTES = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass
class _Input:
    """A file, as jobs know it.

    Attributes
    ----------
    uri
        By which tasks read the file; None of one that is not brought there yet.
    tree
        Of HDFS; None of a file of this machine.
    found
        The file in its tree.
    is_checked
        Whether its beginning was looked at.
    """

    uri: str | None
    tree: HdfsTree | None
    found: Found
    is_checked: bool = False


class ClusterText:
    """Files by the names that users give them, and what jobs call them; see `mr_ml.runners.base.TextSource`.

    Attributes
    ----------
    root
        Below which files of this machine are put.
    """

    def __init__(self, root: Root, inputs: Sequence[str]) -> None:
        self.root = root
        self._inputs: dict[str, _Input] = {}
        self._uploads: list[str] = []
        self.files = self._find(inputs)

    def __enter__(self) -> ClusterText:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Remove what was brought to the cluster."""
        while self._uploads:
            with suppress(StorageError, UnavailableError):
                self.root.store.remove_tree(self._uploads.pop())

    def _find(self, inputs: Sequence[str]) -> list[TextFile]:
        """Find the files that the inputs name, sorted.

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
        places = [
            (LOCAL_TREE, _path_here(given)) if _scheme(given) in ("", "file") else tree_of(given) for given in inputs
        ]
        files = []
        for found in find(places):
            file = TextFile(found.name, found.status.size, stamp=found.status.stamp, input=found.input)
            # an unknown compression is refused here
            by_number = file.compression != "none" or bool(INTERPRETED & set(file.path))
            tree = found.tree if isinstance(found.tree, HdfsTree) else None
            uri = None if tree is None else tree.uri_by_number(found.status) if by_number else found.name
            self._inputs[file.path] = _Input(uri, tree, found)
            files.append(file)
        source.check_content(files)
        return files

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
        known.uri = self.root.store.uri(path)
        return known.uri

    def first_line(self, file: TextFile) -> bytes:
        """See `TextSource.first_line`.

        Raises
        ------
        BadDataError
            If the file is not compressed as its name says, or begins with a byte order mark.
        """
        known = self._inputs[file.path]
        known.is_checked = True
        if not file.size:
            return b""
        path = path_in_store(known.found.path)
        if known.tree is None:
            line = source.first_line(file)
        elif file.compression == "none":
            line = _first_line(known.tree.store, path)
        else:
            with known.tree.store.open_read(path) as content:
                chunks = text.open_chunks(content, file.compression, name=file.path, chunk_bytes=1)
                line = next((chunk[: chunk.find(b"\n") + 1] or chunk for chunk in chunks), b"")
        if file.compression == "none" and line.startswith(_BYTE_ORDER_MARK):
            # Hadoop drops it, which no count of bytes would show
            raise BadDataError(f"{file.path} begins with a byte order mark; remove it: `tail -c +4`")
        return line

    def input(self, files: Sequence[TextFile], form: str) -> StoredLines:
        """See `TextSource.input`; files of this machine are on the cluster afterwards, until the end of the block."""
        check_has_lines(format_named(form))
        for file in files:
            if not self._inputs[file.path].is_checked:
                self.first_line(file)
        header = WITH_HEADER if any(file.header_bytes for file in files) else WITHOUT_HEADER
        packed = any(file.compression != "none" for file in files)
        feeding = {PROPERTY: header, **DELIMITER, **({PACKED: "true"} if packed else {})}
        n_bytes = sum(file.size for file in files)
        return StoredLines(tuple(map(self._bring, files)), n_bytes, whole=packed, feeding=feeding)

    def known_as(self, file: TextFile) -> str:
        """See `TextSource.known_as`."""
        return urlsplit(self._bring(file)).path

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
        # tasks know a file by its address in Hadoop's configuration, which may spell the host in another way
        path = urlsplit(fed).path
        name = self._names.get(path)
        if name is None:
            raise InternalError(f"tasks were sent {fed}, which is none of the input files; run it again")
        return name

    @property
    def _names(self) -> dict[str, str]:
        return {urlsplit(item.uri).path: name for name, item in self._inputs.items() if item.uri is not None}

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
        for path, name in self._names.items():
            if path in message and path != urlsplit(name).path:
                uris = re.findall(rf"[a-z]+://[^/\s]*{re.escape(path)}(?![0-9])", message)
                for uri in sorted(set(uris), key=len, reverse=True):
                    message = message.replace(uri, name)
        return message

    def check_read(self, files: Sequence[TextFile], form: str, places: Sequence[Place], *, doing: str) -> None:
        """See `TextSource.check_read`; by the bytes that tasks read."""
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
        for file in files:
            file_found = self._inputs[file.path].found
            now = file_found.tree.look(file_found.path)
            if now is None or now.stamp != file_found.status.stamp:
                raise BadDataError(f"{file.path} changed while it was read; run it again when nothing writes to it")


def _scheme(given: str) -> str:
    # Windows knows one-letter schemes; a name with a colon is not one of theirs either
    return given.partition("://")[0].lower() if "://" in given else ""


def _path_here(given: str) -> str:
    return unquote(urlsplit(given).path) if _scheme(given) == "file" else given


def _first_line(store: HdfsStore, path: str) -> bytes:
    length = _FIRST_READ_BYTES
    while True:
        data = store.read_range(path, offset=0, length=length)
        end = data.find(b"\n") + 1
        if end or len(data) < length:
            return data[:end] or data
        length *= 4
