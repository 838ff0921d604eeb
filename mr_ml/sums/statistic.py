"""Statistic: what a map task finds out about its rows, made of parts that add.

Parts have an associative `+`; floating-point results depend on the order of additions, which is why statistics are
only ever joined along the tree of `mr_ml.sums.tree`. Those with a column for each of very many features are in slices,
each of which is complete or not by itself.

A statistic also carries *receipts*: which blocks it covers and a digest of their checksums, so that the driver can
hold them against the dataset's manifest.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import frame
from mr_ml.data.block import block_digest
from mr_ml.errors import BadDataError, InternalError
from mr_ml.sums.parts import PARTS, Part, Sum, absorbed
from mr_ml.sums.slices import Slice, held_columns, held_part, whole_part
from mr_ml.sums.tree import Node

KIND = "statistic"

Array = NDArray[Any]
P = TypeVar("P", bound=Part)


@dataclass(frozen=True, eq=False)
class Receipts:
    """One row per run of neighbouring blocks: columns partition, first, last (exclusive), rows; and the digest.

    The digest of a run is the sum of `block_digest` over its blocks, mod 2^64.
    """

    runs: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 4), np.int64))
    digests: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    @classmethod
    def of_block(cls, *, partition: int, index: int, rows: int, crc: int) -> Receipts:
        """Return the receipt of one block."""
        digest = block_digest(index=index, crc=crc)
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
    """The sums of a map task over its rows: named parts, some of them in slices, with receipts."""

    parts: Mapping[str, Part]
    receipts: Receipts = field(default_factory=Receipts)
    slices: tuple[Slice, ...] = ()

    def __add__(self, other: Statistic) -> Statistic:
        return self._joined(other, operator.add)

    def absorb(self, other: Statistic) -> Statistic:
        """`self + other`, where possible in the memory of self, which must not be used any more."""
        return self._joined(other, absorbed)

    def _joined(self, other: Statistic, add: Callable[[Any, Any], Any]) -> Statistic:
        if self.parts.keys() != other.parts.keys():
            raise ValueError(f"statistics of different queries: {sorted(self.parts)} and {sorted(other.parts)}")
        parts = {name: add(part, other.parts[name]) for name, part in self.parts.items()}
        slices = tuple(mine + theirs for mine, theirs in zip(self.slices, other.slices, strict=True))
        return Statistic(parts, self.receipts + other.receipts, slices)

    def part(self, name: str) -> Part:
        """Return the part called `name`, whole."""
        if name in self.parts:
            return self.parts[name]
        return whole_part(self.slices, name)

    @property
    def columns(self) -> Array | None:
        """The columns that parts in slices hold, ascending; None where there are no slices."""
        return held_columns(self.slices) if self.slices else None

    def held(self, name: str) -> Part:
        """Return the part called `name`, over the `columns` alone."""
        return self.parts[name] if name in self.parts else held_part(self.slices, name)

    def part_of(self, name: str, kind: type[P]) -> P:
        """Return the part called `name`, whole, which is of this kind."""
        return _checked(self.part(name), kind)

    def held_of(self, name: str, kind: type[P]) -> P:
        """Return the part called `name`, over the `columns` alone, which is of this kind."""
        return _checked(self.held(name), kind)

    def sum(self, name: str) -> Array:
        """Return the array of the `Sum` called `name`."""
        return self.part_of(name, Sum).value

    def __contains__(self, name: str) -> bool:
        return name in self.parts or any(name in mine.parts for mine in self.slices[:1])

    @property
    def n_rows(self) -> int:
        """How many rows the blocks have that it covers."""
        return int(self.receipts.runs[:, 3].sum())

    @property
    def first_feature(self) -> int:
        """Key that differs between the pieces of one whole."""
        return self.slices[0].first if self.slices else 0

    def pieces(self) -> list[Statistic]:
        """One for each slice, all with the receipts; the first has all other parts too."""
        if len(self.slices) <= 1:
            return [self]
        return [Statistic({} if k else self.parts, self.receipts, (mine,)) for k, mine in enumerate(self.slices)]

    @staticmethod
    def joined(pieces: Iterable[Statistic]) -> Statistic:
        """Undo `pieces`; the receipts are the first one's.

        Raises
        ------
        InternalError
            If slices are missing or doubled.
        """
        ordered = sorted(pieces, key=lambda piece: piece.first_feature)
        columns = tuple(mine for piece in ordered for mine in piece.slices)
        ends = [0, *(mine.last for mine in columns)]
        starts = [*(mine.first for mine in columns), columns[0].width if columns else 0]
        for end, start in zip(ends, starts, strict=True):
            if end != start:
                fault = "missing" if end < start else "doubled"
                raise InternalError(
                    f"the pass is not complete: expected sums of every feature once, found those of features "
                    f"{min(end, start)} to {max(end, start) - 1} {fault}; run it again"
                )
        return Statistic(ordered[0].parts, ordered[0].receipts, columns)

    def encode(self, node: Node) -> bytes:
        """Return the frame that carries this statistic as the sum of a tree node."""
        arrays: dict[str, Array] = {"receipts": self.receipts.runs, "digests": self.receipts.digests}
        named: dict[str, Part] = dict(self.parts)
        for k, mine in enumerate(self.slices):
            named.update({f"{k}/{name}": part for name, part in mine.parts.items()})
            if mine.ids is not None:
                arrays[f"{k}/ids"] = mine.ids
        for name, part in sorted(named.items()):
            arrays.update({f"{name}/{key}": np.asarray(array) for key, array in part.arrays().items()})
        meta: dict[str, Any] = {"node": list(node), "parts": {name: part.rule for name, part in named.items()}}
        if self.slices:
            meta["slices"] = [[mine.first, mine.last, mine.width] for mine in self.slices]
        return frame.encode(KIND, meta, arrays)

    @staticmethod
    def decode(data: bytes | memoryview, *, where: str) -> tuple[Node, Statistic]:
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
            bounds = opened.meta.get("slices", [])
            ids = [arrays.pop(f"{k}/ids", None) for k in range(len(bounds))]
            named: dict[str, dict[str, Array]] = {name: {} for name in opened.meta["parts"]}
            for key, array in arrays.items():
                name, _, field_name = key.rpartition("/")
                named[name][field_name] = array
            parts = {name: PARTS[rule](**named[name]) for name, rule in opened.meta["parts"].items()}
            columns: list[Slice] = []
            for k, (first, last, width) in enumerate(bounds):
                prefix = f"{k}/"
                mine: dict[str, Any] = {
                    name.removeprefix(prefix): parts.pop(name) for name in list(parts) if name.startswith(prefix)
                }
                columns.append(Slice(first, last, width, ids[k], mine))
            return Node(*opened.meta["node"]), Statistic(parts, receipts, tuple(columns))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadDataError(f"{where}: malformed statistic: {error!r}") from error


def _checked(part: Part, kind: type[P]) -> P:
    if not isinstance(part, kind):
        raise InternalError(f"expected a part of kind {kind.rule!r}, found {part.rule!r}")
    return part
