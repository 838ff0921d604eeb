"""Partition files: written once by pack, read by every pass."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hdfs_layout import NotFoundError, open_store
from hdfs_layout.dataclass import dataclass
from hdfs_layout.faults import storage_error
from mr_ml.data import frame
from mr_ml.data.block import (
    Block,
    BlockAddress,
    StoredBlock,
    as_stored,
    block_digest,
    decode_line,
    encode_block,
    line_parts,
)
from mr_ml.data.from_store import read_lines
from mr_ml.errors import BadDataError, StorageError

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class PartitionFacts:
    """What the manifest says of a partition.

    Attributes
    ----------
    line_bytes
        Length of each block's line; their sum is the file's size.
    digest
        Sum of `block_digest` over the blocks, mod 2^64.
    """

    partition: int
    rows: int
    nnz: int
    sha256: str
    digest: int
    line_bytes: tuple[int, ...]

    @classmethod
    def of_nothing(cls, partition: int) -> PartitionFacts:
        """Describe an empty file."""
        return cls(partition, 0, 0, hashlib.sha256().hexdigest(), 0, ())

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.line_bytes)

    @property
    def n_bytes(self) -> int:
        """Size of the file in bytes."""
        return sum(self.line_bytes)

    def to_json(self) -> dict[str, Any]:
        """Return the partition's entry in the manifest."""
        return {
            "partition": self.partition,
            "blocks": self.blocks,
            "rows": self.rows,
            "nnz": self.nnz,
            "bytes": self.n_bytes,
            "sha256": self.sha256,
            "digest": f"{self.digest:016x}",
            "line_bytes": list(self.line_bytes),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PartitionFacts:
        """Undo `to_json`."""
        return cls(
            partition=data["partition"],
            rows=data["rows"],
            nnz=data["nnz"],
            sha256=data["sha256"],
            digest=int(data["digest"], 16),
            line_bytes=tuple(data["line_bytes"]),
        )


@dataclass
class PartitionTally:
    """Counts what a partition file holds, a block after the other; `facts` at any time."""

    partition: int
    _sha256: Any = field(default_factory=hashlib.sha256)
    _line_bytes: list[int] = field(default_factory=list)
    _rows: int = 0
    _nnz: int = 0
    _digest: int = 0

    @property
    def next_address(self) -> BlockAddress:
        """Of the block that comes next."""
        return BlockAddress(self.partition, len(self._line_bytes))

    def add(self, stored: StoredBlock, line: Iterable[bytes | memoryview]) -> None:
        """Count a block, of whose line these are all parts."""
        size = 0
        for part in line:
            self._sha256.update(part)
            size += len(part)
        self._digest = (self._digest + block_digest(index=stored.address.index, crc=stored.crc)) % 2**64
        self._line_bytes.append(size)
        self._rows += stored.block.n_rows
        self._nnz += stored.block.features.nnz

    def facts(self) -> PartitionFacts:
        """Describe the blocks so far, for the manifest."""
        sha256 = self._sha256.hexdigest()
        return PartitionFacts(self.partition, self._rows, self._nnz, sha256, self._digest, tuple(self._line_bytes))


class PartitionWriter:
    """Writes blocks to a file and counts them; `facts` afterwards."""

    def __init__(self, partition: int, out: BinaryIO) -> None:
        self._out = out
        self._tally = PartitionTally(partition)
        self.facts = self._tally.facts

    def write(self, block: Block) -> StoredBlock:
        """Append a block; returns it as a reader will see it."""
        address = self._tally.next_address
        as_read = as_stored(block)
        data = encode_block(as_read, address)
        # the long part is not copied once more to be one with the others
        parts = list(line_parts(data, address))
        for part in parts:
            self._out.write(part)
        stored = StoredBlock(address, as_read, frame.crc_of(data))
        self._tally.add(stored, parts)
        return stored


class PartitionShelf:
    """Writes partition files that appear only when they are whole and on the disk; a `with` block ends when all are.

    While a file is brought to the disk, or from a folder of this machine to a store, in a thread, the next one can be
    written.

    Parameters
    ----------
    root
        Of the store to which the files go; empty if they are files of this machine.
    scratch
        In that case, where they are until they are there.
    """

    def __init__(self, *, root: str = "", scratch: str = "") -> None:
        self._root, self._scratch = root, scratch
        self._thread = ThreadPoolExecutor(1)
        self._settling: list[Future[None]] = []

    def __enter__(self) -> PartitionShelf:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def write(
        self, path: str, blocks: Iterable[Block], *, partition: int
    ) -> Generator[tuple[StoredBlock, PartitionWriter], None, None]:
        """Write a partition file; yields each block as stored, and the writer.

        Another attempt at the same partition writes the same bytes, so that it takes the place of the first changes
        nothing.

        Parameters
        ----------
        path
            Of this machine, or below the root.

        Raises
        ------
        StorageError
            If this file, or an earlier one, cannot be written.
        """
        folder, _, name = path.rpartition("/")
        temporary = Path(self._scratch if self._root else folder) / f".writing-{name}-{os.getpid()}"
        try:
            with _explained(str(temporary) if self._root else path, partition), temporary.open("wb") as out:
                writer = PartitionWriter(partition, out)
                for block in blocks:
                    yield writer.write(block), writer
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        # not more than one behind: what is written must not outrun the disk
        self._wait()
        self._settling.append(self._thread.submit(self._settle, temporary, path, partition))

    def close(self) -> None:
        """Wait until all files are there.

        Raises
        ------
        StorageError
            If one cannot be written.
        """
        self._thread.shutdown()
        self._wait()

    def abandon(self) -> None:
        """Write nothing more: what goes on in the thread has ended when this returns."""
        self._thread.shutdown(cancel_futures=True)

    def _wait(self) -> None:
        while self._settling:
            self._settling.pop(0).result()

    def _settle(self, temporary: Path, path: str, partition: int) -> None:
        """Bring a written file to the disk, or to the store, under its name."""
        try:
            if self._root:
                open_store(self._root).write(path, _Content(temporary))
                return
            with _explained(path, partition):
                with temporary.open("rb") as written:
                    os.fsync(written.fileno())
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Content:
    """The bytes of a file of this machine, some at a time; as often as a store needs them."""

    path: Path

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as source:
            while chunk := source.read(_CHUNK_BYTES):
                yield chunk


@contextmanager
def _explained(path: str, partition: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, doing=f"write partition {partition} to", place=path) from error


# How a task calls the file of a line that it is fed, which it does not know.
FED = "a map task's input"
_DAMAGED = "that partition is damaged: restore it, or pack the dataset again"


def packed_block(line: bytes | memoryview, *, where: str) -> StoredBlock:
    """Decode a line of a published partition; `where` is its file, as far as that is known.

    Raises
    ------
    BadDataError
        If it is not one undamaged block.
    """
    try:
        return decode_line(line, where=where)
    except BadDataError as error:
        raise BadDataError(f"{error}; {_DAMAGED}") from error


@dataclass(frozen=True)
class BlockRange:
    """Neighbouring blocks of one partition file: what a map task is given to read.

    Attributes
    ----------
    path
        Of the file: of this machine, or below `root`.
    first
        Index of the first block.
    offset
        Byte at which its line starts.
    line_bytes
        Lengths of the lines to read.
    file_bytes
        Size that the whole file must have.
    root
        Of the store that has the file; empty for a file of this machine.
    """

    path: str
    partition: int
    first: int
    offset: int
    line_bytes: tuple[int, ...]
    file_bytes: int
    root: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what a task's request says of the range."""
        return {**vars(self), "line_bytes": list(self.line_bytes)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> BlockRange:
        """Undo `to_json`."""
        return cls(**{**data, "line_bytes": tuple(data["line_bytes"])})

    def signature(self) -> tuple[int, int, int]:
        """(inode, size, mtime in ns) of the file now; of one in a store, which only its driver looks at, the size.

        Raises
        ------
        BadDataError
            If it is missing or has another size than when it was packed.
        StorageError
            If the system does not say.
        """
        if self.root:
            return 0, self.file_bytes, 0
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            raise missing(self.partition, self.path) from None
        except OSError as error:
            raise self._unreadable(error) from error
        if status.st_size != self.file_bytes:
            raise changed(self.partition, self.path, expected=self.file_bytes, found=status.st_size)
        return status.st_ino, status.st_size, status.st_mtime_ns

    def read(self, *, skip: int = 0) -> Iterator[StoredBlock]:
        """Decode the blocks, leaving out the first `skip`.

        Raises
        ------
        BadDataError
            If they are not what was packed.
        StorageError
            If they cannot be read.
        """
        store = open_store(self.root) if self.root else None
        where = self.path if store is None else store.uri(self.path)
        offset, sizes = self.offset + sum(self.line_bytes[:skip]), self.line_bytes[skip:]
        read = self._lines(offset, sizes) if store is None else read_lines(store, self.path, offset=offset, sizes=sizes)
        try:
            with closing(read) as lines:
                for index, (size, line) in enumerate(zip(sizes, lines, strict=True), self.first + skip):
                    stored = packed_block(line, where=where)
                    expected = BlockAddress(self.partition, index)
                    if stored.address != expected or len(line) != size:
                        raise BadDataError(
                            f"{where}: expected {expected} in {size} bytes, found {stored.address}; {_DAMAGED}"
                        )
                    yield stored
        except NotFoundError:
            raise missing(self.partition, where) from None
        except OSError as error:
            raise self._unreadable(error) from error

    def _lines(self, offset: int, sizes: Sequence[int]) -> Generator[memoryview, None, None]:
        # one buffer: a line of its own for each would leave holes between the blocks that are kept
        buffer = np.empty(max(sizes, default=0), np.uint8).data
        with open(self.path, "rb") as source:
            source.seek(offset)
            for size in sizes:
                yield buffer[: source.readinto(buffer[:size])]

    def _unreadable(self, error: OSError) -> StorageError:
        return storage_error(error, doing=f"read partition {self.partition} from", place=self.path)


def missing(partition: int, where: str) -> BadDataError:
    """Make the error that says that a partition file is not there."""
    return BadDataError(f"partition {partition} is missing: expected {where}; restore it or pack the dataset again")


def changed(partition: int, where: str, *, expected: int, found: int) -> BadDataError:
    """Make the error that says that a partition file has another size than when it was packed."""
    return BadDataError(
        f"partition {partition} changed since it was packed: expected {expected} bytes, found {found} in {where}; "
        "restore it or pack the dataset again"
    )
