"""Several columns as one: a feature for each combination of what they hold, hashed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.readers import terms
from mr_ml.readers.inputs import Unseen
from mr_ml.readers.text.fields import hash_fields, mixed
from mr_ml.readers.transforms.base import Beside, Cells, Entries, Mask, Reading, Spelling, Transform
from mr_ml.readers.transforms.bucketised import Bucketised
from mr_ml.readers.transforms.hashing import NOTHING, Bits, Seed, bucket_names, buckets
from mr_ml.readers.transforms.seen import Alone, Seen

# of which an export lists each
_MOST_COMBINATIONS = 4096
_SEVERAL = stored.Rule(
    "a list of two columns or more, each once", lambda of: len(set(of)) == len(of) > 1,
    schema=(("minItems", 2), ("uniqueItems", True)),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Crossed(Transform):
    """One feature of `city*age#0` ... for each row: of the text of each column, or of the interval of a bucketised one.

    Attributes
    ----------
    of
        The columns, two or more.
    bits
        There are 2^bits features.
    seed
        Of the hash.
    missing
        What a row is of which one of the columns has no value: "category", that is a value too; "none", all zeros; or
        "error" or "drop".
    intervals
        What the schema file says of those columns that are bucketised.
    """

    kind: ClassVar[str] = "crossed"
    written: ClassVar[str] = "crossed"
    hashes: ClassVar[bool] = True
    section: ClassVar[str] = "crossed"
    own: ClassVar[frozenset[str]] = frozenset({"intervals"})

    of: Annotated[tuple[str, ...], _SEVERAL]
    bits: Bits = 16
    seed: Seed = 0
    missing: Literal["error", "drop", "category", "none"] = "error"
    intervals: tuple[Bucketised, ...] = ()

    def among(self, beside: Beside) -> Crossed:
        """See `Transform.among`."""
        known = {other.column: other for other in beside.transforms if isinstance(other, Bucketised)}
        return replace(self, intervals=tuple(known[name] for name in self.of if name in known))

    def told(self, *, first: int, unseen: Unseen) -> tuple[terms.Term, ...] | None:
        """See `Transform.told`: there are so many combinations of intervals, while of texts any may come."""
        code = terms.Combination(of=tuple(one.interval for one in self.intervals))
        if len(self.intervals) < len(self.of) or code.n > _MOST_COMBINATIONS:
            return None
        codes = np.array(list(itertools.product(*map(range, code.sizes))), np.uint64)
        is_none = codes == np.array(code.sizes, np.uint64) - 1
        keys = np.zeros(len(codes), np.uint64)
        for k in range(len(self.of)):
            keys = mixed(keys ^ np.where(is_none[:, k], NOTHING, mixed(codes[:, k])))
        features = first + buckets(keys, bits=self.bits, seed=self.seed)
        if self.missing != "category":
            features[is_none.any(axis=1)] = terms.of_missing(self.missing, 0)
        return (terms.Chosen(code=code, features=(*features.tolist(), terms.NOTHING, terms.NOTHING)),)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `Transform.columns`."""
        return self.of

    @property
    def claimed(self) -> tuple[str, ...]:
        """See `Transform.claimed`."""
        return ()

    @property
    def title(self) -> str:
        """See `Transform.title`."""
        return "*".join(self.of)

    def spelling_of(self, column: str) -> Spelling | None:
        """See `Transform.spelling_of`."""
        return next((one for one in self.intervals if one.column == column), None)

    def read(self, cells: Cells) -> Reading:
        """See `Transform.read`: hashes of texts, and readings of intervals, by column."""
        inner = {one.column: one.read(cells) for one in self.intervals}
        content = [inner[name] if name in inner else hash_fields(*cells.texts(name)) for name in self.of]
        none = [inner[name].missing if name in inner else cells.missing(name) for name in self.of]
        bad = tuple(bad for one in inner.values() for bad in one.bad)
        return Reading((content, none), np.logical_or.reduce(none), bad)

    def look(self, reading: Reading, kept: Mask) -> Seen:
        """See `Transform.look`."""
        content, _ = reading.content
        pairs = [(one, content[self.of.index(one.column)]) for one in self.intervals]
        return Seen(inner=tuple(one.look(of_it, kept).alone() for one, of_it in pairs))

    def learn(self, seen: Seen) -> Crossed:
        """See `Transform.learn`."""
        pairs = zip(self.intervals, seen.inner or (Alone(),) * len(self.intervals), strict=True)
        return replace(self, intervals=tuple(one.learn(of_it) for one, of_it in pairs))

    @property
    def n_features(self) -> int:
        """See `Transform.n_features`."""
        return 1 << self.bits

    def names(self) -> list[str]:
        """See `Transform.names`."""
        return bucket_names(self.title, self.bits)

    def entries(self, reading: Reading) -> Entries:
        """See `Transform.entries`."""
        content, none = reading.content
        intervals = {one.column: one for one in self.intervals}
        keys = np.zeros(len(reading.missing), np.uint64)
        for name, of_it, is_none in zip(self.of, content, none, strict=True):
            part = of_it
            if name in intervals:
                part = mixed(intervals[name].codes(of_it).astype(np.uint64))
            keys = mixed(keys ^ np.where(is_none, NOTHING, part))
        codes = buckets(keys, bits=self.bits, seed=self.seed)
        if self.missing == "none":
            codes[reading.missing] = -1
        return Entries.one_hot(codes)
