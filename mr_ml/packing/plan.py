"""What packing decides once the scan has counted everything: splits, folds, partitions and rows per block.

All of it follows from the rows and the user's options alone, never from machine or runner; from files only if the user
says of which split each one is.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.rowhash import Hashes, Purpose, derive, scale_to
from mr_ml.errors import UsageError

PARTITION_BYTES = 16 << 20
LARGE_PARTITION_BYTES = 128 << 20
LARGE_FROM_PARTITIONS = 256
EVEN_FROM = 8
BLOCK_BYTES = 1 << 20
# A sum over a block has a number for every feature: a block should have many more entries than there are features.
BLOCK_BYTES_PER_FEATURE = 96
LARGEST_BLOCK = 4
MAX_BLOCK_ROWS = 1 << 16
ENTRY_BYTES = 6
ROW_BYTES = 8
SHUFFLED_ENTRY_BYTES = 12
SHUFFLED_ROW_BYTES = 40


@dataclass(frozen=True)
class Segment:
    """A split, or one fold of it; consists of whole partitions."""

    split: str
    fold: int | None
    first_partition: int
    n_partitions: int


@dataclass(frozen=True)
class PackPlan:
    """How rows find their partition and blocks are cut.

    Attributes
    ----------
    seed
        Of split, folds and order.
    shares
        Split name -> upper end of its range of the split hash, ascending to 1.0.
    folds
        Folds of each split, or 1.
    segments
        In partition order.
    block_rows
        Rows of a block, a power of two; the last block of a partition may have fewer.
    by_group
        Whether split and fold go by the group hash instead of the row's.
    by_file
        Whether the split of a row is that of its file, see `of_split`, instead of one by hash; `shares` are then those
        that the splits have.
    shuffled_bytes
        About what all rows occupy on their way to the partitions; not stored.
    """

    seed: int
    shares: tuple[tuple[str, float], ...]
    folds: int
    segments: tuple[Segment, ...]
    block_rows: int
    by_group: bool
    by_file: bool = False
    shuffled_bytes: int = field(default=0, compare=False)

    @property
    def n_partitions(self) -> int:
        """Partitions of all splits and folds."""
        return sum(s.n_partitions for s in self.segments)

    def partitions_by_split(self) -> dict[str, list[int]]:
        """Numbers of the partitions of each split, ascending."""
        numbers: dict[str, list[int]] = {}
        for s in self.segments:
            numbers.setdefault(s.split, []).extend(range(s.first_partition, s.first_partition + s.n_partitions))
        return numbers

    @property
    def partition_bytes(self) -> int:
        """About what the rows of the largest partition occupy on their way."""
        starts = dict(zip((name for name, _ in self.shares), [0.0, *(end for _, end in self.shares)], strict=False))
        ends = dict(self.shares)
        shares = ((ends[s.split] - starts[s.split]) / self.folds / s.n_partitions for s in self.segments)
        return round(self.shuffled_bytes * max(shares, default=0))

    def deals_as(self, other: PackPlan) -> bool:
        """Whether every row has the same place under another plan: shares decide nothing if splits go by file."""
        return replace(self, shares=other.shares if self.by_file else self.shares) == other

    def of_split(self, split: str) -> PackPlan:
        """Return the plan of the rows of one split, which has its partitions and no others."""
        return replace(self, shares=((split, 1.0),), segments=tuple(s for s in self.segments if s.split == split))

    def assign(self, hashes: Hashes, groups: Hashes | None) -> tuple[NDArray[np.int64], Hashes]:
        """Partition number and order hash of each row."""
        chosen = hashes if groups is None else groups
        split_hash = derive(chosen, seed=self.seed, purpose=Purpose.SPLIT)
        ends = np.array([_threshold(end) for _, end in self.shares[:-1]], np.uint64)
        segment = np.searchsorted(ends, split_hash, side="right")
        if self.folds > 1:
            fold = scale_to(derive(chosen, seed=self.seed, purpose=Purpose.FOLD), self.folds)
            segment = segment * self.folds + fold
        return self._within(segment, hashes)

    def assign_again(self, hashes: Hashes, *, home: int) -> tuple[NDArray[np.int64], Hashes]:
        """As `assign`, of rows by `rowhash.again` that met an equal one in partition `home`.

        Rows of a group stay in its split and fold, rows of a file in its split.
        """
        if not self.by_group and not self.by_file:
            return self.assign(hashes, None)
        firsts = [s.first_partition for s in self.segments]
        segment = bisect.bisect_right(firsts, home) - 1
        if not self.by_group:
            return self.of_split(self.segments[segment].split).assign(hashes, None)
        return self._within(np.full(len(hashes), segment), hashes)

    def _within(self, segment: NDArray[np.int64], hashes: Hashes) -> tuple[NDArray[np.int64], Hashes]:
        order = self.order(hashes)
        first = np.array([s.first_partition for s in self.segments])
        size = np.array([s.n_partitions for s in self.segments], np.uint64)
        within = (order >> np.uint64(32)) * size[segment] >> np.uint64(32)
        return first[segment] + within.astype(np.int64), order

    def order(self, hashes: Hashes) -> Hashes:
        """Order hash of each row."""
        return derive(hashes, seed=self.seed, purpose=Purpose.ORDER)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, from which `from_json` makes the same plan."""
        return {
            "seed": self.seed,
            "shares": [list(s) for s in self.shares],
            "folds": self.folds,
            "segments": [[s.split, s.fold, s.first_partition, s.n_partitions] for s in self.segments],
            "block_rows": self.block_rows,
            "by_group": self.by_group,
            **({"by_file": True} if self.by_file else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PackPlan:
        """Undo `to_json`."""
        return cls(
            seed=data["seed"],
            shares=tuple((name, end) for name, end in data["shares"]),
            folds=data["folds"],
            segments=tuple(Segment(*s) for s in data["segments"]),
            block_rows=data["block_rows"],
            by_group=data["by_group"],
            by_file=data.get("by_file", False),
        )


def make_plan(
    *,
    n_rows: int,
    nnz: int,
    n_features: int,
    shares: Mapping[str, float],
    folds: int = 1,
    seed: int = 0,
    by_group: bool = False,
    by_file: bool = False,
    partitions: int | None = None,
) -> PackPlan:
    """Choose partitions and block size.

    Parameters
    ----------
    shares
        Split name -> share of the rows; must sum to 1.
    by_file
        Whether these are what the splits have, by the files that they are made of, see `shares_of`.
    partitions
        Asked for by the user (over all splits, at least one each); otherwise it follows from the size.
    """
    entries = min(nnz, n_rows * n_features)
    stored = stored_bytes(n_rows, entries)
    block_bytes = min(max(BLOCK_BYTES, BLOCK_BYTES_PER_FEATURE * n_features), LARGEST_BLOCK * BLOCK_BYTES)
    block_rows = _power_of_two(block_bytes * max(n_rows, 1) / max(stored, 1))
    ends, end, segments, at = [], 0.0, [], 0
    for name, share in shares.items():
        end += share
        ends.append((name, end))
        count = _count(stored * share / folds, stored, partitions and partitions * share / folds)
        for fold in range(folds):
            segments.append(Segment(name, fold if folds > 1 else None, at, count))
            at += count
    ends[-1] = (ends[-1][0], 1.0)
    shuffled = entries * SHUFFLED_ENTRY_BYTES + n_rows * SHUFFLED_ROW_BYTES
    return PackPlan(seed, tuple(ends), folds, tuple(segments), block_rows, by_group, by_file, shuffled)


def shares_of(rows: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """Return which share of what is stored each split is, by its number of rows and of entries."""
    stored = {split: stored_bytes(n_rows, nnz) for split, (n_rows, nnz) in rows.items()}
    return {split: n_bytes / max(sum(stored.values()), 1) for split, n_bytes in stored.items()}


def stored_bytes(n_rows: int, nnz: int) -> int:
    """Return about how many bytes rows take in partitions."""
    return nnz * ENTRY_BYTES + n_rows * ROW_BYTES


def nnz_of(n_rows: int, n_bytes: int) -> int:
    """Undo `stored_bytes`."""
    return max((n_bytes - n_rows * ROW_BYTES) // ENTRY_BYTES, 0)


def parse_shares(text: str) -> dict[str, float]:
    """Read ``train=0.8,test=0.2``.

    Raises
    ------
    UsageError
        If a name or share is unusable or the shares do not sum to 1.
    """
    shares: dict[str, float] = {}
    for item in text.split(","):
        name, _, share = (part.strip() for part in item.partition("="))
        try:
            value = float(share)
        except ValueError:
            value = math.nan
        if name in shares or not _is_share(name, value):
            raise UsageError(f"`split`: expected NAME=SHARE with 0 < SHARE <= 1 and each name once, found {item!r}")
        shares[name] = value
    return check_shares(shares)


def check_shares(shares: Mapping[str, float]) -> dict[str, float]:
    """Return shares that are usable.

    Raises
    ------
    UsageError
        As `parse_shares`.
    """
    for name, share in shares.items():
        if not _is_share(name, share):
            raise UsageError(
                "`split`: expected names of letters, digits, _ and - and shares with 0 < share <= 1, found "
                f"{name!r} with {share!r}"
            )
    if abs(sum(shares.values()) - 1) > 1e-9:
        found = ", ".join(f"{name} {share:.12g}" for name, share in shares.items())
        raise UsageError(f"`split`: the shares must sum to 1, found {sum(shares.values()):.12g} of {found or 'none'}")
    return dict(shares)


def is_split_name(name: str) -> bool:
    """Whether a split can have this name."""
    return name.isascii() and name.replace("-", "_").isidentifier()


def _is_share(name: str, share: float) -> bool:
    return is_split_name(name) and 0 < share <= 1


def _count(stored: float, whole: float, wanted: float | None) -> int:
    if wanted is not None:
        return max(round(wanted), 1)
    # partitions grow to the size of an HDFS block before they become many
    target = min(max(PARTITION_BYTES, whole / LARGE_FROM_PARTITIONS), LARGE_PARTITION_BYTES)
    count = max(math.ceil(stored / target), 1)
    # 17 give one of two or four tasks more to do than 20 do
    step = 1 if count <= EVEN_FROM else 4
    return -(-count // step) * step


def _power_of_two(rows: float) -> int:
    return min(max(1 << round(math.log2(max(rows, 1))), 1), MAX_BLOCK_ROWS)


def _threshold(share: float) -> int:
    return min(int(share * 2**64), 2**64 - 1)
