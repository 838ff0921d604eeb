"""Block: rows held as arrays, and its text line in a partition file.

    partition TAB index TAB base64(frame) NEWLINE

The frame keeps each array in the narrowest form that is lossless. Features stay so in memory and are widened as they
are used, sparse ones where there are compiled loops; all else is widened when it is decoded. What is computed never
depends on how it was stored. A block is dense when at least a third of its entries are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import frame, kernels
from mr_ml.data.features import DenseFeatures, Features, SparseFeatures, narrow_indptr
from mr_ml.data.narrow import NARROW_DTYPES, check_narrow, narrow, widen
from mr_ml.errors import BadDataError

KIND = "block-2"
# had no decimal places
KIND_1 = "block"
DENSE_FROM = 1 / 3
_LONGEST_ADDRESS = 64
_ARRAYS = frozenset({"labels", "weights", "offsets", "dense", "counts", "indices", "values"})
_META = frozenset({"partition", "index", "rows", "places"})
_ID_DTYPES = ("<u2", "<i4")

Floats = NDArray[np.float64]
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of one dataset.

    Attributes
    ----------
    features
        X, (n_rows, n_features).
    labels
        y, float64 (n_rows,).
    weights, offsets
        float64 (n_rows,), or None for all one and all zero.
    partition
        Number of the partition that it was read from, if it was.
    folds
        The fold of each row, int8 (n_rows,), where a query has asked for it.
    """

    features: Features
    labels: Floats
    weights: Floats | None = None
    offsets: Floats | None = None
    partition: int | None = None
    folds: Array | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.labels)

    @property
    def nbytes(self) -> int:
        """Bytes that the decoded arrays occupy."""
        extra = (self.labels, self.weights, self.offsets, self.folds)
        return self.features.nbytes + sum(a.nbytes for a in extra if a is not None)

    def over(self, columns: Array) -> Block:
        """Return the rows over these columns alone, see `SparseFeatures.over`."""
        return replace(self, features=self.features.over(columns))

    def head(self, n: int) -> Block:
        """Return the first n rows."""
        return self._of(self.features.head(n), slice(n))

    def rows(self, chosen: Array) -> Block:
        """Return the rows of these numbers, in their order."""
        return self._of(self.features.rows(chosen), chosen)

    def _of(self, features: Features, chosen: Any) -> Block:
        columns = (self.labels, self.weights, self.offsets, self.folds)
        labels, weights, offsets, folds = (None if column is None else column[chosen] for column in columns)
        assert labels is not None
        return Block(features, labels, weights, offsets, self.partition, folds)


@dataclass(frozen=True)
class BlockAddress:
    """Where a block is stored: the number of its partition, and its index there, both counted from 0."""

    partition: int
    index: int

    def __str__(self) -> str:
        return f"partition {self.partition}, block {self.index}"


@dataclass(frozen=True, eq=False)
class StoredBlock:
    """A decoded line: the block, its address, and the checksum that its frame carries."""

    address: BlockAddress
    block: Block
    crc: int

    def over(self, columns: Array) -> StoredBlock:
        """Return the block with its rows over these columns alone."""
        return replace(self, block=self.block.over(columns))


def is_dense(nnz: int, n_rows: int, width: int) -> bool:
    """Whether a block of so many entries is dense; its last column has one."""
    return nnz >= DENSE_FROM * n_rows * width


def as_stored(block: Block) -> Block:
    """Return the block as a reader will see it: dense or sparse as it is stored, the numbers unchanged."""
    features = block.features
    if isinstance(features, DenseFeatures):
        return block
    if is_dense(features.nnz, features.n_rows, features.width):
        return replace(block, features=DenseFeatures(features.toarray(n_features=features.width)))
    return replace(block, features=replace(features, indptr=narrow_indptr(features.indptr)))


def block_digest(*, index: int, crc: int) -> int:
    """Return a block's share in the digest of its partition, which is sum_i (2 i + 1) crc_i mod 2^64."""
    return (2 * index + 1) * crc % 2**64


def encode_line(block: Block, address: BlockAddress) -> bytes:
    """Return the block's line, newline included."""
    return b"".join(line_parts(encode_block(block, address), address))


def line_parts(data: bytes, address: BlockAddress) -> tuple[bytes, bytes, bytes]:
    """Return the line that carries an encoded block in three parts: its address, its text and its end."""
    return b"%d\t%d\t" % (address.partition, address.index), frame.to_text(data), b"\n"


def encode_block(block: Block, address: BlockAddress) -> bytes:
    """Return the block's frame."""
    features = as_stored(block).features
    arrays: dict[str, Array] = {}
    places: dict[str, int] = {}

    def add(name: str, values: Array | None) -> None:
        if values is not None:
            arrays[name], places[name] = narrow(values)

    add("labels", block.labels)
    add("weights", block.weights)
    add("offsets", block.offsets)
    if isinstance(features, DenseFeatures):
        arrays["dense"], places["dense"] = features.narrow()
    else:
        arrays["counts"] = _narrow_counts(np.diff(features.indptr))
        arrays["indices"] = features.indices.astype("<u2" if features.width <= 1 << 16 else "<i4")
        values = features.wide.values
        # mostly the first one tells
        if not ((values[:1] == 1).all() and (values == 1).all()):
            add("values", values)
    meta = {
        "partition": address.partition,
        "index": address.index,
        "rows": block.n_rows,
        "places": {name: n for name, n in places.items() if n},
    }
    return frame.encode(KIND, meta, arrays)


def decode_line(line: bytes | memoryview, *, where: str) -> StoredBlock:
    """Undo `encode_line` (with or without the newline).

    Raises
    ------
    BadDataError
        If the line is not exactly one undamaged block whose address is the one written before it.
    """
    head = bytes(line[:_LONGEST_ADDRESS])
    try:
        partition, index, _ = head.split(b"\t", 2)
        address = BlockAddress(int(partition), int(index))
    except ValueError:
        raise BadDataError(f"{where}: expected 'partition TAB index TAB base64', found {head[:40]!r}") from None
    spot = f"{where}: {address}"
    # a view: the text is megabytes long
    text = memoryview(line)[len(partition) + len(index) + 2 : len(line) - (line[-1:] == b"\n")]
    opened = frame.decode(frame.from_text(text, where=spot), kind=(KIND, KIND_1), where=spot)
    meta, arrays = opened.meta, opened.arrays
    inside = BlockAddress(meta.get("partition", -1), meta.get("index", -1))
    if inside != address or partition != b"%d" % address.partition or index != b"%d" % address.index:
        raise BadDataError(f"{spot}: the block inside says {inside}")
    try:
        # by hand what `mr_ml.data.stored` does: there are many blocks
        places = meta.get("places", {})
        if type(places) is not dict or not places.keys() <= arrays.keys() <= _ARRAYS or not meta.keys() <= _META:
            raise ValueError(f"{sorted(meta)}, decimal places {places!r}, arrays {sorted(arrays)}")
        numbers = _Numbers(arrays, places)
        block = Block(
            _features(arrays, numbers), numbers.get("labels"), numbers.find("weights"), numbers.find("offsets"),
            address.partition,
        )  # fmt: skip
        columns = (block.weights, block.offsets, *(() if "dense" in arrays else (arrays["counts"],)))
        sizes = {block.n_rows, block.features.n_rows, meta["rows"], *(len(a) for a in columns if a is not None)}
        if len(sizes) != 1:
            raise ValueError(f"row counts disagree: {sorted(sizes)}")
    except (KeyError, ValueError, TypeError) as error:
        raise BadDataError(f"{spot}: malformed block: {error!r}") from error
    return StoredBlock(address, block, opened.crc)


@dataclass(frozen=True)
class _Numbers:
    """The arrays of a frame that hold numbers."""

    arrays: Mapping[str, Array]
    places: Mapping[str, int]

    def narrow(self, name: str, *, ndim: int = 1) -> tuple[Array, int]:
        """As they are stored, if it is as `narrow` does: the array and its decimal places."""
        array, places = self.arrays[name], self.places.get(name, 0)
        if array.ndim != ndim:
            raise ValueError(f"{name} of shape {array.shape}, expected {ndim} dimension(s)")
        check_narrow(array, places)
        return (array, places) if array.dtype.str in NARROW_DTYPES else (widen(array, places), 0)

    def get(self, name: str) -> Floats:
        return widen(*self.narrow(name))

    def find(self, name: str) -> Floats | None:
        return self.get(name) if name in self.arrays else None


def _features(arrays: Mapping[str, Array], numbers: _Numbers) -> Features:
    if "dense" in arrays:
        return DenseFeatures(*numbers.narrow("dense", ndim=2))
    counts, stored = arrays["counts"], arrays["indices"]
    # scipy's kernels check no bounds
    if counts.dtype.kind != "u" or stored.dtype.str not in _ID_DTYPES or stored.min(initial=0) < 0:
        raise ValueError(f"row counts of type {counts.dtype}, column ids of type {stored.dtype} or negative")
    if counts.ndim != 1 or stored.ndim != 1:
        raise ValueError(f"row counts of shape {counts.shape}, column ids of shape {stored.shape}")
    indptr = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    values, places = numbers.narrow("values") if "values" in arrays else (np.ones(len(stored), np.int8), 0)
    if indptr[-1] != len(stored) or len(values) != len(stored):
        raise ValueError(f"{indptr[-1]} entries by row counts, {len(stored)} column ids, {len(values)} values")
    features = SparseFeatures(narrow_indptr(indptr), stored, values, places)
    # plain loops would widen it again for each product
    return features if kernels.installed() else features.wide


def _narrow_counts(counts: Array) -> Array:
    most = int(counts.max(initial=0))
    return counts.astype("|u1" if most < 1 << 8 else "<u2" if most < 1 << 16 else "<u4")
