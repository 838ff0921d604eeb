"""What a scan saw in the columns of a CSV text, and how that adds up.

Facts about a column are sets that grow by union up to a fixed size and are None beyond, so that they add up to the
same whatever the order and however the text was cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, field, replace
from typing import Any, Literal, TypedDict

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.readers.csv.stored import Role
from mr_ml.readers.summary import MAX_LABELS
from mr_ml.readers.text.options import TextOptions
from mr_ml.readers.transforms.seen import Seen

#: A column with texts and more distinct numbers than this is a damaged column of numbers rather than a category. Less
#: where there are many columns, for a scan remembers the numbers of all of them.
MAX_NUMBERS = 1000
MAX_NUMBERS_OF_ALL_COLUMNS = 200_000
MIN_NUMBERS = 10
#: Characters of all distinct texts of a column together; more is free text.
MAX_CHARACTERS = 1 << 24
#: So many numbers to each other text make a column one of numbers, in which other texts are bad rows.
NUMBERS_PER_TEXT = 9


class Facts(TypedDict):
    """What a scan saw in a column, of rows that are neither bad nor left out. Plain JSON types.

    ``missing``, ``strange``: number of missing fields, and of those that are neither missing nor numbers; the others
    are numbers. ``numbers``, ``texts``: the distinct numbers and the distinct strange fields, sorted, or None if there
    are more than ``max_numbers`` or ``max_texts``; a column that is declared categorical has texts only. ``like``,
    ``maybe_missing``: number of strange fields that look like numbers, and of those that would be missing ones in a
    column of numbers; None where ``texts`` is.
    """

    missing: int
    strange: int
    like: int | None
    maybe_missing: int | None
    numbers: list[str] | None
    texts: list[str] | None
    max_numbers: int
    max_texts: int


@dataclass(frozen=True)
class CsvFacts:
    """What a scan saw.

    Attributes
    ----------
    columns : dict of str to Facts
        Of the label, the categories and the columns that the data decides.
    transforms : tuple of Seen
        What the transforms of the options learn, in their order; nothing if no row was looked at.
    """

    columns: dict[str, Any] = field(default_factory=dict)
    transforms: tuple[Seen, ...] = ()
    format: Literal["csv"] = "csv"

    def __add__(self, other: CsvFacts) -> CsvFacts:
        """Return the facts of both texts together."""
        transforms = self.transforms or other.transforms
        if self.transforms and other.transforms:
            transforms = tuple(a + b for a, b in zip(self.transforms, other.transforms, strict=True))
        return CsvFacts(merge_columns(self.columns, other.columns), transforms)

    def renamed(self, file: str) -> CsvFacts:
        """Return the same: nothing is kept by file."""
        return self

    def learning_from(self, part: CsvFacts) -> CsvFacts:
        """Return the same, with what the transforms learn of a part; which categories there are is of all rows."""
        if not part.transforms:
            return self
        pairs = zip(self.transforms, part.transforms, strict=True)
        return replace(self, transforms=tuple(whole if whole.texts is not None else some for whole, some in pairs))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        seen = [stored.plain(asdict(one)) for one in self.transforms]
        return {"columns": self.columns, "transforms": seen, "format": self.format}


def merge_columns(a: Mapping[str, Facts], b: Mapping[str, Facts]) -> dict[str, Facts]:
    """Add up the facts of two texts; associative and commutative."""
    merged = {**a, **b}
    for name in a.keys() & b.keys():
        one, two = a[name], b[name]
        # of most columns soon nothing new is found
        if _says_nothing_to(one, two):
            merged[name] = one
            continue
        max_numbers = min(one["max_numbers"], two["max_numbers"])
        max_texts = min(one["max_texts"], two["max_texts"])
        texts = _union(one["texts"], two["texts"], limit=max_texts)
        merged[name] = Facts(
            missing=one["missing"] + two["missing"],
            strange=one["strange"] + two["strange"],
            like=None if texts is None else (one["like"] or 0) + (two["like"] or 0),
            maybe_missing=None if texts is None else (one["maybe_missing"] or 0) + (two["maybe_missing"] or 0),
            numbers=_union(one["numbers"], two["numbers"], limit=max_numbers),
            texts=texts,
            max_numbers=max_numbers,
            max_texts=max_texts,
        )
    return merged


def _says_nothing_to(known: Facts, more: Facts) -> bool:
    """Whether more facts add nothing to those that are known."""
    return (
        not (more["missing"] or more["strange"] or more["like"] or more["maybe_missing"] or more["numbers"])
        and not more["texts"]
        and (more["numbers"] is not None or known["numbers"] is None)
        and (more["texts"] is not None or known["texts"] is None)
        and known["max_numbers"] == more["max_numbers"]
        and known["max_texts"] == more["max_texts"]
    )


def no_facts(options: TextOptions, role: Role) -> Facts:
    """Return the facts about a column of which no row was seen."""
    max_numbers, max_texts = MAX_LABELS, MAX_LABELS
    if role != "label":
        share = MAX_NUMBERS_OF_ALL_COLUMNS // max(len(options.columns or ()), 1)
        max_numbers, max_texts = max(MIN_NUMBERS, min(MAX_NUMBERS, share)), options.max_categories
    return Facts(
        missing=0, strange=0, like=0, maybe_missing=0, numbers=[], texts=[],
        max_numbers=max_numbers, max_texts=max_texts,
    )  # fmt: skip


def is_numeric(facts: Facts, *, n_rows: int) -> bool:
    """Whether a column is one of numbers, so that what else it holds is bad.

    It is if there is nothing else, or few other texts, or only such as look like numbers or like missing ones.
    """
    if not facts["strange"]:
        return True
    like, maybe_missing = facts["like"] or 0, facts["maybe_missing"] or 0
    n_numbers = n_rows - facts["missing"] - facts["strange"] + like
    n_texts = facts["strange"] - like - maybe_missing
    return n_numbers > 0 and n_numbers >= NUMBERS_PER_TEXT * n_texts


def bounded(values: Iterable[str], *, limit: int) -> list[str] | None:
    """Sorted values; None if they are more than `limit` or longer than `MAX_CHARACTERS` together."""
    kept = sorted(values)
    return None if len(kept) > limit or sum(map(len, kept)) > MAX_CHARACTERS else kept


def _union(a: list[str] | None, b: list[str] | None, *, limit: int) -> list[str] | None:
    if a is None or b is None:
        return None
    # dict.fromkeys keeps the order; sorting two sorted lists is a merge.
    return bounded(dict.fromkeys(sorted(a + b)), limit=limit)
