"""The text of a column as one of 2^bits features: for categories of which there are too many, or always new ones."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.readers.text.fields import hash_fields
from mr_ml.readers.transforms.base import Cells, Entries, Reading, Transform
from mr_ml.readers.transforms.hashing import NOTHING, Bits, Seed, bucket_names, buckets


@dataclass(frozen=True, kw_only=True)
class Hashed(Transform):
    """One feature of `agent#0` ... `agent#65535` for each row; different texts may share one.

    Attributes
    ----------
    bits
        There are 2^bits features.
    seed
        Of the hash: with another one, other texts share features.
    missing
        What a missing value is: "category", hashed as a text of its own; "none", all zeros; or "error" or "drop".
    """

    kind: ClassVar[str] = "hashed"
    written: ClassVar[str] = "hashed"
    hashes: ClassVar[bool] = True

    column: str
    bits: Bits = 16
    seed: Seed = 0
    missing: Literal["error", "drop", "category", "none"] = "error"

    @property
    def columns(self) -> tuple[str, ...]:
        """See `Transform.columns`."""
        return (self.column,)

    def read(self, cells: Cells) -> Reading:
        """See `Transform.read`."""
        missing = cells.missing(self.column)
        return Reading(np.where(missing, NOTHING, hash_fields(*cells.texts(self.column))), missing)

    @property
    def n_features(self) -> int:
        """See `Transform.n_features`."""
        return 1 << self.bits

    def names(self) -> list[str]:
        """See `Transform.names`."""
        return bucket_names(self.column, self.bits)

    def entries(self, reading: Reading) -> Entries:
        """See `Transform.entries`."""
        codes = buckets(reading.content, bits=self.bits, seed=self.seed)
        if self.missing == "none":
            codes[reading.missing] = -1
        return Entries.one_hot(codes)
