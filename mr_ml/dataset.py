"""A packed dataset: its manifest, and what a pass needs to know of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import Layout, Store, parse_reference, read_version
from mr_ml.errors import BadDataError, UsageError
from mr_ml.npz import from_npz, to_npz
from mr_ml.partition_file import PartitionFacts
from mr_ml.readers.schema import Schema
from mr_ml.slices import are_few
from mr_ml.tree import PartitionPlan, SumTree

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
        """The whole file.

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

    largest: float
    by_label: Mapping[str, Mapping[str, float]]


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

    @property
    def weight_exponent(self) -> int:
        """That of the power of two that brings the largest weight to between 1/2 and 1."""
        return -math.frexp(self.weights.largest)[1] if self.weights else 0

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def splits(self) -> list[str]:
        return list(dict.fromkeys(p.split for p in self.partitions))

    def of_split(self, split: str) -> tuple[Partition, ...]:
        """The split's partitions.

        Raises
        ------
        UsageError
            If there is no such split.
        BadDataError
            If it has no rows.
        """
        chosen = tuple(p for p in self.partitions if p.split == split)
        if not chosen:
            raise UsageError(f"{self.reference} has no split {split!r}; it has {', '.join(self.splits)}")
        if not sum(p.facts.rows for p in chosen):
            raise BadDataError(f"split {split!r} of {self.reference} has no rows; pack with other shares or more data")
        return chosen

    def n_rows(self, split: str | None = None) -> int:
        return sum(p.facts.rows for p in self.partitions if split in (None, p.split))

    def tree(self, split: str) -> SumTree:
        """The fixed tree of a split's sums."""
        return SumTree(tuple(PartitionPlan(p.facts.partition, p.facts.blocks) for p in self.of_split(split)))

    def expected(self, split: str) -> dict[int, tuple[int, int]]:
        """Rows and digest by partition number."""
        return {p.facts.partition: (p.facts.rows, p.facts.digest) for p in self.of_split(split)}

    def to_json(self) -> dict[str, Any]:
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
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, version: int) -> Dataset:
        partitions = tuple(
            Partition(p["uri"], p["split"], p["fold"], PartitionFacts.from_json(p)) for p in data["partitions"]
        )
        return cls(
            name=data["name"],
            version=version,
            data_id=data["data_id"],
            schema=Schema.from_json(data["schema"]),
            partitions=partitions,
            moments={split: StoredFile(file["uri"], file["sha256"]) for split, file in data["moments"].items()},
            label_counts=data["label_counts"],
            nnz=data["nnz"],
            packing=data["packing"],
            weights=RowWeights(**data["weights"]) if "weights" in data else None,
        )


def load_dataset(store: Store, layout: Layout, reference: str) -> Dataset:
    """Open ``name`` (latest version) or ``name@3``.

    Raises
    ------
    UsageError
        If the reference is not one.
    StorageError
        If there is no such dataset.
    BadDataError
        If its manifest is damaged.
    """
    asked = parse_reference(reference, kind="dataset")
    found = read_version(store, layout.dataset(asked.name), asked.version)
    try:
        return Dataset.from_json(found.document, version=found.number)
    except (KeyError, TypeError) as error:
        raise BadDataError(f"{store.uri(found.path)}: not a dataset's manifest: {error!r}") from error


def checked_features(stored: Array, n_features: int, *, where: str) -> NDArray[np.int32]:
    """Which features a file's numbers are of, as the file has it.

    Raises
    ------
    BadDataError
        If these are not some of the features in order.
    """
    if stored.ndim != 1 or stored.dtype.kind != "i":
        raise BadDataError(f"{where}: expected a row of features, found {stored.dtype} of shape {stored.shape}")
    if len(stored) and not (stored[0] >= 0 and stored[-1] < n_features and (np.diff(stored) > 0).all()):
        raise BadDataError(f"{where}: expected features from 0 to {n_features - 1} in order, found others; restore it")
    return stored.astype(np.int32)


_COLUMNS = ("mean", "variance", "minimum", "maximum", "nonzero")


@dataclass(frozen=True, eq=False)
class FeatureMoments:
    """Of the rows of one split, unweighted.

    Attributes
    ----------
    count, label_mean, label_variance
        (). Datasets of before did not say what their labels are like: not a number.
    mean, variance, minimum, maximum, nonzero
        (n_features,), or (n,) if there are `features`.
    features : int32 (n,), or None
        Which features these are, counted from 0 and ascending; all others are zero in every row. None for all.
    """

    count: int
    mean: Array
    variance: Array
    minimum: Array
    maximum: Array
    nonzero: Array
    label_mean: float = math.nan
    label_variance: float = math.nan
    features: Array | None = None

    @property
    def n_features(self) -> int:
        """How many features there are moments of."""
        return len(self.mean)

    def feature(self, k: int) -> int:
        """Which feature, counted from 0, the moments at k are of."""
        return k if self.features is None else int(self.features[k])

    def compact(self, n_features: int) -> FeatureMoments:
        """The same: over the features that occur where these are few of `n_features`, else over all."""
        occur = np.flatnonzero(self.nonzero)
        if are_few(len(occur), n_features):
            if self.features is not None and len(occur) == len(self.features):
                return self
            ids = occur if self.features is None else self.features[occur]
            return self._each(lambda array: array[occur], ids.astype(np.int32))
        if self.features is None:
            return self

        def spread(array: Array) -> Array:
            whole = np.zeros(n_features, array.dtype)
            whole[self.features] = array
            return whole

        return self._each(spread, None)

    def _each(self, change: Callable[[Array], Array], features: Array | None) -> FeatureMoments:
        """The same with every column changed."""
        columns: dict[str, Any] = {name: change(getattr(self, name)) for name in _COLUMNS}
        return replace(self, features=features, **columns)

    def save(self, store: Store, path: str) -> StoredFile:
        given = {name: np.asarray(value) for name, value in vars(self).items() if value is not None}
        if self.features is not None:
            given["features"] = self.features.astype(np.int64)
        data = to_npz(given)
        store.write(path, data)
        return StoredFile(path, hashlib.sha256(data).hexdigest())

    @classmethod
    def load(cls, store: Store, dataset: Dataset, split: str) -> FeatureMoments:
        """Those of a split, over the features that occur where these are few."""
        file = dataset.moments[split]
        where = store.uri(file.path)
        arrays = from_npz(file.read(store), where=where)
        if "features" in arrays:
            arrays["features"] = checked_features(arrays["features"], dataset.schema.n_features, where=where)
        found: dict[str, Any] = {name: array if array.ndim else array.item() for name, array in arrays.items()}
        return cls(**found).compact(dataset.schema.n_features)
