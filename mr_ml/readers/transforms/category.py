"""A category: one feature `city=Bern` for each value of a column, in the order of code points."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.errors import BadDataError
from mr_ml.readers import terms
from mr_ml.readers.csv.categories import Categories, are_whole, one_spelling
from mr_ml.readers.csv.values import distinct
from mr_ml.readers.inputs import Unseen
from mr_ml.readers.transforms.base import MISSING, Cells, Entries, Mask, Reading, Transform
from mr_ml.readers.transforms.seen import MAX_CHARACTERS, Seen, Texts


@dataclass(frozen=True, kw_only=True)
class Category(Transform):
    """As a plain categorical column, with a `missing` of its own.

    Attributes
    ----------
    missing
        What a missing value is: "category", one of its own, `city=<missing>`, if it occurs; "none", all zeros; or
        "error" or "drop".
    max_categories
        The most distinct values that the column may have.
    learnt
        The values.
    """

    kind: ClassVar[str] = "category"
    written: ClassVar[str] = "categorical"

    column: str
    missing: Literal["error", "drop", "category", "none"] = "error"
    max_categories: stored.Positive = 100_000
    learnt: tuple[str, ...] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """See `Transform.columns`."""
        return (self.column,)

    def exported(self, *, unseen: Unseen) -> dict[str, Any]:
        """See `Transform.exported`: with `unseen`, and whether each spelling of a whole number is one category."""
        return {**self.to_json(), "whole": are_whole(self.learnt or ()), "unseen": unseen}

    def told(self, *, first: int, unseen: Unseen) -> tuple[terms.Term, ...]:
        """See `Transform.told`: a missing value that is no category is one that was not learnt."""
        known = self.learnt or ()
        of_others = terms.NOTHING if unseen == "ignore" else terms.REFUSED
        own = first + known.index(MISSING) if MISSING in known else of_others
        code = terms.Category(column=self.column, known=known, whole=are_whole(known))
        return (terms.chosen(code, first, missing=terms.of_missing(self.missing, own), unseen=of_others),)

    def read(self, cells: Cells) -> Reading:
        """See `Transform.read`."""
        return Reading(cells.texts(self.column), cells.missing(self.column))

    def look(self, reading: Reading, kept: Mask) -> Seen:
        """See `Transform.look`."""
        buffer, starts, ends = reading.content
        chosen = kept & ~reading.missing
        (values,) = distinct(buffer, starts[:, None], ends[:, None], chosen[:, None])
        return Seen(
            n_rows=int(np.count_nonzero(kept)),
            n_missing=int(np.count_nonzero(kept & reading.missing)),
            texts=Texts.of((value.decode() for value in values), self.max_categories),
        )

    def learn(self, seen: Seen) -> Category:
        """See `Transform.learn`."""
        values = () if seen.texts is None else seen.texts.known
        if values is None:
            raise BadDataError(
                f"expected at most {self.max_categories} categories (and {MAX_CHARACTERS} characters in them together) "
                f"in column {self.column!r}, found more; leave the column out, or make it `kind: hashed` in the schema "
                "file"
            )
        known = one_spelling(values)
        if self.missing == "category" and seen.n_missing:
            if MISSING in known:
                raise BadDataError(
                    f"expected another name than {MISSING!r} for a category, found it in column {self.column!r}, which "
                    "has missing values too; rename it"
                )
            known.add(MISSING)
        return replace(self, learnt=tuple(sorted(known)))

    @property
    def n_features(self) -> int:
        """See `Transform.n_features`."""
        return len(self.learnt or ())

    def names(self) -> list[str]:
        """See `Transform.names`."""
        return [f"{self.column}={value}" for value in self.learnt or ()]

    def categories(self) -> dict[str, range]:
        """See `Transform.categories`."""
        return {self.column: range(self.n_features)}

    def entries(self, reading: Reading) -> Entries:
        """See `Transform.entries`."""
        known = self.learnt or ()
        codes = Categories(known).find(*reading.content)
        as_missing = known.index(MISSING) if self.missing == "category" and MISSING in known else -1
        codes[reading.missing] = as_missing
        # a missing value is unseen too where none was missing when it was learnt
        is_told = self.missing != "category" or as_missing >= 0
        return Entries.one_hot(codes, unseen=(codes < 0) & ~(reading.missing & is_told))
