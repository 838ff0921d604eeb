"""A number under the name of its column, written as the column writes numbers, and what stands for a missing one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.readers import terms
from mr_ml.readers.inputs import Unseen
from mr_ml.readers.transforms.base import F64, MISSING, Bad, Beside, Cells, Entries, Mask, Reading, Spelling, Transform
from mr_ml.readers.transforms.sample import Sample
from mr_ml.readers.transforms.seen import ExactSum, Seen


@dataclass(frozen=True, kw_only=True)
class Quantity(Spelling, Transform):
    """One feature, `age`; with `indicator` another, `age=<missing>`, which is 1 where there is no value.

    Attributes
    ----------
    missing
        What stands for a missing value: a number, "zero", or "mean" or "median" of the values that there are; or
        "error" or "drop".
    indicator
        Whether a feature says where a value is missing.
    learnt
        What stands for a missing value, once it is known.
    """

    kind: ClassVar[str] = "quantity"
    written: ClassVar[str] = "numeric"

    column: str
    missing: Literal["error", "drop", "zero", "mean", "median"] | float = "error"
    indicator: bool = False
    learnt: float | None = None

    def check_stored(self) -> None:
        """See `Transform.check_stored`."""
        self.check_spelling()

    @classmethod
    def unsaid(cls, beside: Beside) -> dict[str, Any]:
        """See `Transform.unsaid`."""
        return {"missing": beside.missing, **vars(beside.spelling)}

    def told(self, *, first: int, unseen: Unseen) -> tuple[terms.Term, ...]:
        """See `Transform.told`."""
        number = self.number_in(self.column)
        fill = None if self.missing in ("error", "drop") else self.learnt
        value = terms.Measured(number=number, feature=first, fill=fill)
        if not self.indicator:
            return (value,)
        any_number = terms.Interval(of=number, edges=())
        missing = terms.REFUSED if fill is None else first + 1
        return value, terms.Chosen(code=any_number, features=(terms.NOTHING, missing, terms.NOTHING))

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
        keys = cells.row_keys() if self.missing == "median" else None
        return Reading(values, missing, (Bad("bad_value", self.column, ~ok & ~missing),), keys=keys)

    def look(self, reading: Reading, kept: Mask) -> Seen:
        """See `Transform.look`."""
        n_missing = int(np.count_nonzero(reading.missing & kept))
        seen = Seen(n_rows=int(np.count_nonzero(kept)), n_missing=n_missing)
        chosen = kept & ~reading.missing
        if self.missing == "mean":
            return replace(seen, total=ExactSum.of(reading.content[chosen]))
        if reading.keys is not None:
            return replace(seen, sample=Sample.of(reading.keys[chosen], reading.content[chosen]))
        return seen

    def learn(self, seen: Seen) -> Quantity:
        """See `Transform.learn`."""
        if self.missing == "mean":
            return replace(self, learnt=seen.mean(self.column))
        if self.missing == "median":
            return replace(self, learnt=seen.quantiles(self.column, [1], 2, of="median")[0])
        return replace(self, learnt=0.0 if isinstance(self.missing, str) else self.missing)

    @property
    def knows(self) -> str:
        """See `Transform.knows`: what stands for a missing value."""
        of = f", the {self.missing}" if self.missing in ("mean", "median") else ""
        stands = self.learnt is not None and self.missing not in ("error", "drop")
        return f"{self.learnt:.6g} where missing{of}" if stands else ""

    @property
    def n_features(self) -> int:
        """See `Transform.n_features`."""
        return 1 + self.indicator

    def names(self) -> list[str]:
        """See `Transform.names`."""
        return [self.column, f"{self.column}={MISSING}"][: self.n_features]

    def entries(self, reading: Reading) -> Entries:
        """See `Transform.entries`."""
        filled = 0.0 if self.learnt is None else self.learnt
        values: F64 = np.where(reading.missing, filled, reading.content)
        rows = np.flatnonzero(values != 0)
        ids = np.zeros(len(rows), np.int64)
        if not self.indicator:
            return Entries(rows, ids, values[rows])
        told = np.flatnonzero(reading.missing)
        return Entries(
            np.concatenate([rows, told]),
            np.concatenate([ids, np.ones(len(told), np.int64)]),
            np.concatenate([values[rows], np.ones(len(told))]),
        )
