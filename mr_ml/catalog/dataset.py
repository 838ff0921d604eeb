"""A packed dataset: its manifest, and what a pass needs to know of it."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from numpy.typing import NDArray

from hdfs_layout import NotFoundError, Root, Store, find_version, parse_reference, read_version
from hdfs_layout.dataclass import dataclass
from hdfs_layout.limits import MAX_PARTITION
from hdfs_layout.suggestions import did_you_mean
from mr_ml.data import stored
from mr_ml.data.partition_file import PartitionFacts
from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.schema import Schema
from mr_ml.sums.tree import PartitionPlan, SumTree

Array = NDArray[Any]


@dataclass(frozen=True)
class Partition:
    """A partition with its place: `path` in the store, its split, and its fold if there are folds."""

    path: str
    split: str
    fold: int | None
    facts: PartitionFacts


@dataclass(frozen=True)
class StoredFile:
    """A file of the store and the sha256 that its bytes must have."""

    path: str
    sha256: str

    def read(self, store: Store) -> bytes:
        """Return the whole file.

        Raises
        ------
        BadDataError
            If it is not the file that was written.
        StorageError
            If it cannot be read.
        """
        data = store.read(self.path)
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise BadDataError(
                f"{store.uri(self.path)}: expected sha256 {self.sha256}, the file has another; restore it, or pack or "
                "train again"
            )
        return data


@dataclass(frozen=True)
class RowWeights:
    """The largest weight of a row, and their sums by split and label (those that are finite)."""

    largest: stored.NotNegative
    by_label: Mapping[stored.Name, Mapping[str, stored.NotNegative]]


@dataclass(frozen=True)
class Dataset:
    """One version of a dataset.

    Attributes
    ----------
    data_id
        Unique to the pack that wrote the partitions.
    moments
        By split: an .npz of `FeatureMoments`.
    packing
        How it was packed, for people: seed, shares, folds, rows per block, inputs.
    weights
        None if rows have no weights, or were packed before these were noted.
    request
        By which `find_dataset` finds it; None if it was packed without one.
    """

    name: str
    version: int
    data_id: str
    schema: Schema
    partitions: tuple[Partition, ...]
    moments: Mapping[str, StoredFile]
    label_counts: Mapping[str, Mapping[str, int]]
    nnz: int
    packing: Mapping[str, Any]
    weights: RowWeights | None = None
    request: stored.Name | None = None

    def __repr__(self) -> str:
        # a schema has a name for each feature, which may be a million
        rows = ", ".join(f"{self.n_rows(split)} {split}" for split in self.splits)
        return (
            f"Dataset({self.reference}: {self.schema.n_features} features, {rows} rows, read as {self.schema.format})"
        )

    @property
    def weight_exponent(self) -> int:
        """That of the power of two that brings the largest weight to between 1/2 and 1."""
        return -math.frexp(self.weights.largest)[1] if self.weights else 0

    @property
    def reference(self) -> str:
        """Name and version, ``iris@3``."""
        return f"{self.name}@{self.version}"

    @property
    def splits(self) -> list[str]:
        """Names of the splits, in the order of their partitions."""
        return list(dict.fromkeys(p.split for p in self.partitions))

    def of_split(self, split: str) -> tuple[Partition, ...]:
        """Return the split's partitions.

        Raises
        ------
        UsageError
            If there is no such split.
        BadDataError
            If it has no rows.
        """
        chosen = tuple(p for p in self.partitions if p.split == split)
        if not chosen:
            guess = did_you_mean(split, self.splits)
            instead = (
                f"; say `split` {self.splits[0]}, or pack with shares, such as train=0.8,test=0.2"
                if len(self.splits) == 1
                else ""
            )
            raise UsageError(
                f"{self.reference} has no split {split!r}{guess}; it has {', '.join(self.splits)}{instead}"
            )
        if not sum(p.facts.rows for p in chosen):
            raise BadDataError(f"split {split!r} of {self.reference} has no rows; pack with other shares or more data")
        return chosen

    def n_rows(self, split: str | None = None) -> int:
        """Return the number of rows of a split, or of all."""
        return sum(p.facts.rows for p in self.partitions if split in (None, p.split))

    def tree(self, split: str) -> SumTree:
        """Return the fixed tree of a split's sums."""
        return SumTree(tuple(PartitionPlan(p.facts.partition, p.facts.blocks) for p in self.of_split(split)))

    def expected(self, split: str) -> dict[int, tuple[int, int]]:
        """Rows and digest by partition number."""
        return {p.facts.partition: (p.facts.rows, p.facts.digest) for p in self.of_split(split)}

    def to_json(self) -> dict[str, Any]:
        """Return the manifest's content."""
        return {
            "kind": "dataset",
            "name": self.name,
            "data_id": self.data_id,
            "schema": self.schema.to_json(),
            "splits": {split: {"rows": self.n_rows(split)} for split in self.splits},
            "partitions": [
                {"uri": p.path, "split": p.split, "fold": p.fold, **p.facts.to_json()} for p in self.partitions
            ],
            "moments": {split: {"uri": file.path, "sha256": file.sha256} for split, file in self.moments.items()},
            "label_counts": {split: dict(counts) for split, counts in self.label_counts.items()},
            "nnz": self.nnz,
            "packing": dict(self.packing),
            **({"weights": vars(self.weights)} if self.weights else {}),
            **({} if self.request is None else {"request": self.request}),
        }


def load_dataset(root: Root, reference: str) -> Dataset:
    """Open ``name`` (latest version, as ``name@latest``) or ``name@3``.

    Raises
    ------
    UsageError
        If the reference is not one, or is a file or folder of rows that nobody has packed.
    StorageError
        If there is no such dataset.
    BadDataError
        If its manifest is damaged.
    """
    try:
        wanted = parse_reference(reference, kind="dataset")
        version = read_version(root.store, root.layout.dataset(wanted.name), wanted.version)
    except (UsageError, NotFoundError) as fault:
        if isinstance(reference, str) and ("://" in reference or os.path.exists(reference)):
            raise UsageError(
                f"expected the name of a dataset in {root.store.root}, found where rows lie: {reference[:500]!r}; "
                "pack them first (mr-ml pack) and give the name that they are packed `to`"
            ) from fault
        raise
    where = root.store.uri(version.path)
    manifest = stored.read(DatasetManifest, version.document, where=where)
    if manifest.name != wanted.name:
        raise BadDataError(
            f"{where}: expected the manifest of {wanted.name}, found that of {manifest.name}; {stored.REMEDY}"
        )
    return manifest.dataset(version.number)


def find_dataset(root: Root, name: str, *, request: str) -> Dataset | None:
    """Open the version that was packed with this request; None if there is none. Raises as `load_dataset`."""
    number = find_version(root.store, root.layout.dataset(name), key="request", value=request)
    return None if number is None else load_dataset(root, f"{name}@{number}")


@dataclass(frozen=True, kw_only=True)
class PartitionEntry:
    """A partition in the manifest."""

    uri: stored.Path
    split: stored.Name
    fold: stored.Count | None
    partition: Annotated[int, stored.at_least(0), stored.at_most(MAX_PARTITION)]
    blocks: stored.Count
    rows: stored.Count
    nnz: stored.Count
    bytes: stored.Count
    sha256: stored.Sha256
    digest: stored.Digest
    line_bytes: tuple[stored.Positive, ...]

    def check_stored(self) -> None:
        """Raise ValueError if numbers of blocks and bytes do not agree."""
        if (self.blocks, self.bytes) != (len(self.line_bytes), sum(self.line_bytes)):
            raise ValueError(
                f"{self.blocks} blocks of {self.bytes} bytes, line_bytes of {len(self.line_bytes)} that sum to "
                f"{sum(self.line_bytes)}"
            )
        if self.rows < self.blocks or (self.rows and not self.blocks):
            raise ValueError(f"{self.rows} rows in {self.blocks} blocks")

    def opened(self) -> Partition:
        """Return the partition that this describes."""
        facts = PartitionFacts(self.partition, self.rows, self.nnz, self.sha256, int(self.digest, 16), self.line_bytes)
        return Partition(self.uri, self.split, self.fold, facts)


class SplitRows(TypedDict):
    """A split in the manifest."""

    rows: stored.Count


class FileEntry(TypedDict):
    """A file below the root, in a manifest."""

    uri: stored.Path
    sha256: stored.Sha256


class CoefEntry(FileEntry, total=False):
    """The coefficients' file, in a manifest."""

    format: stored.Positive


class _Packing(TypedDict):
    seed: int
    bad_rows: dict[str, stored.Count]


class Packing(_Packing, total=False):
    """How the dataset was packed: the fields that are read again; the others are for people."""

    block_rows: stored.Positive
    missing: dict[str, stored.Count]
    missing_by_split: dict[stored.Name, dict[str, stored.Count]]


@dataclass(frozen=True, kw_only=True)
class DatasetManifest:
    """The manifest of a dataset; see `Dataset.to_json`."""

    kind: Literal["dataset"]
    name: stored.Name
    data_id: stored.Name
    schema: Schema
    splits: Mapping[stored.Name, SplitRows]
    partitions: tuple[PartitionEntry, ...]
    moments: Mapping[stored.Name, FileEntry]
    label_counts: Mapping[stored.Name, Mapping[str, stored.Count]]
    nnz: stored.Count
    packing: Annotated[Packing, stored.MORE]
    weights: RowWeights | None = None
    request: stored.Name | None = None

    may_lack: ClassVar[frozenset[str]] = frozenset({"weights", "request"})

    def check_stored(self) -> None:
        """Raise ValueError if the parts do not fit together."""
        rows: dict[str, int] = {}
        for p in self.partitions:
            rows[p.split] = rows.get(p.split, 0) + p.rows
        if rows != {split: entry["rows"] for split, entry in self.splits.items()}:
            raise ValueError(f"splits {dict(self.splits)}, rows of partitions by split {rows}")
        if not rows or rows.keys() != self.moments.keys() or rows.keys() != self.label_counts.keys():
            raise ValueError(
                f"splits {list(rows)}, moments of {list(self.moments)}, label_counts of {list(self.label_counts)}"
            )
        numbers = [p.partition for p in self.partitions]
        if numbers != list(range(len(numbers))) or len({p.uri for p in self.partitions}) != len(numbers):
            raise ValueError(f"partitions {stored.shown(numbers)}, which are not each once and in order")
        if self.nnz != sum(p.nnz for p in self.partitions):
            raise ValueError(f"nnz {self.nnz}, that of partitions {sum(p.nnz for p in self.partitions)}")
        for split, counts in self.label_counts.items():
            # labels that are different numbers may be the same text
            if sum(counts.values()) > rows[split] or len(counts) > len(self.schema.labels):
                raise ValueError(
                    f"{len(self.schema.labels)} labels, label_counts {stored.shown(dict(counts))} of the {rows[split]} "
                    f"rows of {split}"
                )

    def dataset(self, version: int) -> Dataset:
        """Return the version that this describes."""
        return Dataset(
            name=self.name,
            version=version,
            data_id=self.data_id,
            schema=self.schema,
            partitions=tuple(p.opened() for p in self.partitions),
            moments={split: StoredFile(f["uri"], f["sha256"]) for split, f in self.moments.items()},
            label_counts=self.label_counts,
            nnz=self.nnz,
            packing=self.packing,
            weights=self.weights,
            request=self.request,
        )
