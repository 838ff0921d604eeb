"""Statistic: what a map task finds out about its rows, made of parts that add.

Each part is one of four small algebras with an associative `+`; floating-point results depend on the order of
additions, which is why statistics are only ever joined along the tree of `mr_ml.tree`.

    Sum       plain sums (loss, gradient, curvature, counts)
    Minimum   element-wise minimum
    Moments   count, mean and squared deviations, joined without cancellation (Chan, Golub & LeVeque 1983, eq. 2.1)
    Keyed     sums by integer key, for tables whose keys are not known ahead

A statistic also carries *receipts*: which blocks it covers and a digest of their checksums, so that the driver can
hold them against the dataset's manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mr_ml import frame
from mr_ml.errors import BadDataError
from mr_ml.tree import Node

KIND = "statistic"

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sum:
    value: Array
    rule: ClassVar[str] = "sum"

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.value + other.value)

    def arrays(self) -> dict[str, Array]:
        return {"value": self.value}


@dataclass(frozen=True, eq=False)
class Minimum:
    value: Array
    rule: ClassVar[str] = "minimum"

    def __add__(self, other: Minimum) -> Minimum:
        return Minimum(np.minimum(self.value, other.value))

    def arrays(self) -> dict[str, Array]:
        return {"value": self.value}


@dataclass(frozen=True, eq=False)
class Moments:
    """count (), mean and m2 = sum of squared deviations from the mean, both (n,)."""

    count: Array
    mean: Floats
    m2: Floats
    rule: ClassVar[str] = "moments"

    def __add__(self, other: Moments) -> Moments:
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        delta = other.mean - self.mean
        share = other.count / count
        return Moments(count, self.mean + delta * share, self.m2 + other.m2 + delta * delta * (self.count * share))

    def arrays(self) -> dict[str, Array]:
        return {"count": self.count, "mean": self.mean, "m2": self.m2}


@dataclass(frozen=True, eq=False)
class Keyed:
    """keys int64 (n,) strictly ascending, values float64 (n, m); at most `limit` keys.

    Beyond the limit keys are halved (shifted right) until they fit and equal ones are summed; `shift` says by how
    many bits in all. The tree fixes the order of additions, so the outcome is as deterministic as any other sum.
    """

    keys: Array
    values: Floats
    limit: int
    shift: int = 0
    rule: ClassVar[str] = "keyed"

    @classmethod
    def of(cls, keys: Array, values: Floats, *, limit: int, shift: int = 0) -> Keyed:
        """Sum the values of equal keys, in the order given."""
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], values[order]
        while True:
            starts = np.flatnonzero(np.concatenate([[len(keys) > 0], keys[1:] != keys[:-1]]))
            keys, values = keys[starts], np.add.reduceat(values, starts, axis=0) if len(starts) else values[:0]
            if len(keys) <= limit:
                return cls(keys, values, limit, shift)
            keys, shift = keys >> 1, shift + 1

    def __add__(self, other: Keyed) -> Keyed:
        shift = max(self.shift, other.shift)
        keys = np.concatenate([self.keys >> (shift - self.shift), other.keys >> (shift - other.shift)])
        return Keyed.of(keys, np.concatenate([self.values, other.values]), limit=self.limit, shift=shift)

    def arrays(self) -> dict[str, Array]:
        return {"keys": self.keys, "values": self.values, "bounds": np.array([self.limit, self.shift])}

    @classmethod
    def from_arrays(cls, keys: Array, values: Floats, bounds: Array) -> Keyed:
        limit, shift = bounds.tolist()
        return cls(keys, values, limit, shift)


Part = Sum | Minimum | Moments | Keyed
_PARTS: dict[str, Callable[..., Part]] = {
    Sum.rule: Sum,
    Minimum.rule: Minimum,
    Moments.rule: Moments,
    Keyed.rule: Keyed.from_arrays,
}


@dataclass(frozen=True, eq=False)
class Receipts:
    """One row per run of neighbouring blocks: columns partition, first, last (exclusive), rows; and the digest.

    The digest of a run is sum_i (2 i + 1) crc32_i mod 2^64 over its blocks i.
    """

    runs: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 4), np.int64))
    digests: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    @classmethod
    def of_block(cls, *, partition: int, index: int, rows: int, crc: int) -> Receipts:
        digest = (2 * index + 1) * crc % 2**64
        return cls(np.array([[partition, index, index + 1, rows]], np.int64), np.array([digest], np.uint64))

    def __add__(self, other: Receipts) -> Receipts:
        runs = np.concatenate([self.runs, other.runs])
        digests = np.concatenate([self.digests, other.digests])
        at = len(self.runs)
        if 0 < at < len(runs) and runs[at, 0] == runs[at - 1, 0] and runs[at, 1] == runs[at - 1, 2]:
            runs[at - 1, 2:] = runs[at, 2], runs[at - 1, 3] + runs[at, 3]
            # slices wrap around silently, single numbers warn
            digests[at - 1 : at] += digests[at : at + 1]
            runs, digests = np.delete(runs, at, axis=0), np.delete(digests, at)
        return Receipts(runs, digests)


@dataclass(frozen=True, eq=False)
class Statistic:
    parts: Mapping[str, Part]
    receipts: Receipts = field(default_factory=Receipts)

    def __add__(self, other: Statistic) -> Statistic:
        if self.parts.keys() != other.parts.keys():
            raise ValueError(f"statistics of different queries: {sorted(self.parts)} and {sorted(other.parts)}")
        parts = {name: part + other.parts[name] for name, part in self.parts.items()}  # type: ignore[operator]
        return Statistic(parts, self.receipts + other.receipts)

    def sum(self, name: str) -> Array:
        """The array of the `Sum` called `name`."""
        part = self.parts[name]
        assert isinstance(part, Sum)
        return part.value

    @property
    def n_rows(self) -> int:
        return int(self.receipts.runs[:, 3].sum())

    def encode(self, node: Node) -> bytes:
        """The frame that carries this statistic as the sum of a tree node."""
        arrays: dict[str, Array] = {"receipts": self.receipts.runs, "digests": self.receipts.digests}
        for name, part in sorted(self.parts.items()):
            arrays.update({f"{name}/{key}": np.asarray(array) for key, array in part.arrays().items()})
        meta = {"node": list(node), "parts": {name: part.rule for name, part in self.parts.items()}}
        return frame.encode(KIND, meta, arrays)

    @staticmethod
    def decode(data: bytes, *, where: str) -> tuple[Node, Statistic]:
        """Undo `encode`.

        Raises
        ------
        BadDataError
            If the bytes are not an undamaged statistic.
        """
        opened = frame.decode(data, kind=KIND, where=where)
        arrays = dict(opened.arrays)
        try:
            receipts = Receipts(arrays.pop("receipts"), arrays.pop("digests"))
            parts = {}
            for name, rule in opened.meta["parts"].items():
                mine = {key.rpartition("/")[2]: a for key, a in arrays.items() if key.rpartition("/")[0] == name}
                parts[name] = _PARTS[rule](**mine)
            return Node(*opened.meta["node"]), Statistic(parts, receipts)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadDataError(f"{where}: malformed statistic: {error!r}") from error
