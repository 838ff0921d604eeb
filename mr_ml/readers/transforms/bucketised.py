"""A number as the interval that it is in: one feature for each."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.readers import terms
from mr_ml.readers.inputs import Unseen
from mr_ml.readers.transforms.base import I64, MISSING, Bad, Beside, Cells, Entries, Mask, Reading, Spelling, Transform
from mr_ml.readers.transforms.sample import Sample
from mr_ml.readers.transforms.seen import Alone, Seen

# Of the edges, as many are shown.
_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Bucketised(Spelling, Transform):
    """Features `age(-inf,30)`, `age[30,40)`, `age[40,inf)`: an edge belongs to the interval above it.

    Attributes
    ----------
    edges
        Where intervals end and others begin, ascending.
    quantiles
        Instead of edges: into how many intervals of about equally many rows the data is cut.
    missing
        What a missing value is: "category", a feature of its own, `age[<missing>]`; "none", all zeros; or "error" or
        "drop".
    learnt
        The edges, once they are known.
    """

    kind: ClassVar[str] = "bucketised"
    written: ClassVar[str] = "bucketised"

    column: str
    edges: tuple[float, ...] = ()
    quantiles: Annotated[int, stored.at_least(2), stored.at_most(1000)] | None = None
    missing: Literal["error", "drop", "category", "none"] = "error"
    learnt: tuple[float, ...] | None = None

    def check_stored(self) -> None:
        """See `Transform.check_stored`."""
        self.check_spelling()
        if bool(self.edges) == (self.quantiles is not None):
            found = "both" if self.edges else "neither"
            raise ValueError(f"expected `edges` or `quantiles`, found {found}")
        if any(low >= high for low, high in itertools.pairwise(self.edges)):
            raise ValueError("`edges`: expected numbers that ascend, found some that do not")

    @classmethod
    def unsaid(cls, beside: Beside) -> dict[str, Any]:
        """See `Transform.unsaid`."""
        return {**super().unsaid(beside), **vars(beside.spelling)}

    @property
    def interval(self) -> terms.Interval:
        """The interval of a row."""
        return terms.Interval(of=self.number_in(self.column), edges=self.learnt or ())

    def told(self, *, first: int, unseen: Unseen) -> tuple[terms.Term, ...]:
        """See `Transform.told`."""
        missing = terms.of_missing(self.missing, first + self.n_intervals)
        return (terms.chosen(self.interval, first, missing=missing),)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `Transform.columns`."""
        return (self.column,)

    def spelling_of(self, column: str) -> Spelling | None:
        """See `Transform.spelling_of`."""
        return self if column == self.column else None

    def read(self, cells: Cells) -> Reading:
        """See `Transform.read`."""
        values, ok, missing = cells.numbers(self.column, self)
        keys = None if self.quantiles is None else cells.row_keys()
        return Reading(values, missing, (Bad("bad_value", self.column, ~ok & ~missing),), keys=keys)

    def look(self, reading: Reading, kept: Mask) -> Seen:
        """See `Transform.look`."""
        n_rows, n_missing = int(np.count_nonzero(kept)), int(np.count_nonzero(reading.missing & kept))
        seen = Seen(n_rows=n_rows, n_missing=n_missing)
        if reading.keys is None:
            return seen
        chosen = kept & ~reading.missing
        return replace(seen, sample=Sample.of(reading.keys[chosen], reading.content[chosen]))

    def learn(self, seen: Alone) -> Bucketised:
        """See `Transform.learn`."""
        if self.quantiles is None:
            return replace(self, learnt=self.edges)
        cuts = seen.quantiles(self.column, range(1, self.quantiles), self.quantiles, of="quantiles")
        return replace(self, learnt=tuple(sorted(set(cuts))))

    @property
    def knows(self) -> str:
        """See `Transform.knows`: where the data was cut."""
        if self.quantiles is None or not self.learnt:
            return ""
        more = ", ..." if len(self.learnt) > _SHOWN else ""
        return f"cut at {', '.join(map(_text, self.learnt[:_SHOWN]))}{more}"

    @property
    def n_intervals(self) -> int:
        """Number of intervals."""
        return len(self.learnt or ()) + 1

    @property
    def n_features(self) -> int:
        """See `Transform.n_features`."""
        return self.n_intervals + (self.missing == "category")

    def names(self) -> list[str]:
        """See `Transform.names`."""
        ends = [-math.inf, *(self.learnt or ()), math.inf]
        intervals = [
            f"{self.column}{'(' if math.isinf(low) else '['}{_text(low)},{_text(high)})"
            for low, high in itertools.pairwise(ends)
        ]
        return [*intervals, f"{self.column}[{MISSING}]"][: self.n_features]

    def categories(self) -> dict[str, range]:
        """See `Transform.categories`."""
        return {f"{self.column}[)": range(self.n_features)}

    def codes(self, reading: Reading) -> I64:
        """Return the interval of each row, (n,); without a value the one behind the last, -1 if that is no feature."""
        edges = np.array(self.learnt or (), np.float64)
        codes: I64 = np.searchsorted(edges, reading.content, side="right").astype(np.int64)
        codes[reading.missing] = self.n_intervals if self.missing == "category" else -1
        return codes

    def entries(self, reading: Reading) -> Entries:
        """See `Transform.entries`."""
        return Entries.one_hot(self.codes(reading))


def _text(edge: float) -> str:
    return repr(edge).removesuffix(".0")
