"""The protocol of column transforms: how fields of a table become features.

    reading = transform.read(cells)                      # what stands in the rows, whatever was learnt
    seen    = transform.look(reading, kept) of every piece, added up
    fitted  = transform.learn(seen)                      # once, from all rows
    entries = fitted.entries(reading)                    # of every piece, in any process

A transform is a frozen dataclass that `mr_ml.data.stored` reads: its fields are what the user asked for, and what was
learnt, None before. It is named in `mr_ml.readers.transforms.registry` or by an entry point of the group
``mr_ml.transforms``. It is stored in the schemas of datasets and models, so that rows become the same features,
to the last bit, wherever they are read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError
from mr_ml.readers.text.marks import check_marks
from mr_ml.readers.transforms.registry import TRANSFORMS
from mr_ml.readers.transforms.seen import Seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mr_ml.readers.inputs import Unseen
    from mr_ml.readers.terms import Number, Term

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
U64 = NDArray[np.uint64]
F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: What the feature of a missing value is called, `age=<missing>`, as that of plain categories is.
MISSING = "<missing>"


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """How numbers are written in a column.

    Attributes
    ----------
    decimal
        Decimal mark.
    thousands
        What separates groups of three digits; empty: nothing.
    percent
        Whether numbers may end with %, and are then hundredths.
    """

    decimal: Literal[".", ","] = "."
    thousands: str = ""
    percent: bool = False

    def number_in(self, column: str) -> Number:
        """Return the numbers of a column that are written so."""
        from mr_ml.readers.terms import Number

        return Number(column=column, decimal=self.decimal, thousands=self.thousands, percent=self.percent)

    def check_spelling(self) -> None:
        """Raise ValueError if the marks cannot be told from each other."""
        try:
            check_marks(decimal=self.decimal, thousands=self.thousands)
        except UsageError as error:
            raise ValueError(str(error)) from None


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What a schema file says of all columns, and what it makes of the others.

    Attributes
    ----------
    missing
        "error", "drop", or the number that stands for a missing one.
    transforms
        The others, which have not learnt yet.
    """

    missing: str | float = "error"
    spelling: Spelling = Spelling()
    transforms: tuple[Transform, ...] = ()


class Cells(Protocol):
    """The n rows of a table, by the names of their columns."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    def numbers(self, column: str, spelling: Spelling) -> tuple[F64, Mask, Mask]:
        """Values (n,), whether each field is a finite number, and whether it means that there is none; never both."""

    def texts(self, column: str) -> tuple[U8, I64, I64]:
        """Buffer, starts (n,) and ends (n,) of the fields: UTF-8, without blanks around them."""

    def missing(self, column: str) -> Mask:
        """Whether fields are empty or mean a missing value in whatever column, (n,)."""

    def row_keys(self) -> U64:
        """Return a hash of each row, (n,), of the columns that are used: of equal rows equal, however they are read.

        Only for what is to be learnt; where features are made, rows are not told apart.
        """


@dataclass(frozen=True)
class Bad:
    """Fields of a column that no row may have: the kind of `BAD_KINDS`, the column, and the rows, (n,)."""

    kind: str
    column: str
    rows: Mask


@dataclass(frozen=True)
class Reading:
    """What a transform read in n rows.

    Attributes
    ----------
    content
        For the transform alone.
    missing
        The rows without a value, (n,).
    bad
        What must not be.
    counts
        About how many features each row has, (n,); None: one where there is a value.
    keys
        `Cells.row_keys`, where the transform draws a sample.
    """

    content: Any
    missing: Mask
    bad: tuple[Bad, ...] = ()
    counts: I64 | None = None
    keys: U64 | None = None

    def n_stored(self, kept: Mask) -> int:
        """About how many features the kept rows have."""
        counts = ~self.missing if self.counts is None else self.counts
        return int(np.sum(counts[kept]))


@dataclass(frozen=True)
class Entries:
    """Features of n rows, in any order, each once.

    Attributes
    ----------
    rows, ids, values
        Of each entry: its row, its feature counted from the first of the transform, its value.
    unseen
        The rows with a value that the transform has not learnt, (n,); None: there are none.
    """

    rows: I64
    ids: I64
    values: F64
    unseen: Mask | None = None

    @classmethod
    def one_hot(cls, codes: I64, *, unseen: Mask | None = None) -> Entries:
        """Return 1 for the feature `codes`, (n,), of each row; nothing where that is negative."""
        rows = np.flatnonzero(codes >= 0)
        return cls(rows, codes[rows], np.ones(len(rows)), unseen)


@dataclass(frozen=True, kw_only=True)
class Transform(ABC):
    """Makes features of columns; `kind` is its name in the registry, `written` that in a schema file.

    Attributes
    ----------
    missing
        What becomes of a row without a value: "error" refuses it, "drop" leaves it out; else what stands for the value.
    """

    kind: ClassVar[str]
    written: ClassVar[str]
    #: The part of a schema file that says it: "columns" by the name of a column, else a list of its own.
    section: ClassVar[str] = "columns"
    #: Whether its features are hashes, of which the data need not have each.
    hashes: ClassVar[bool] = False
    #: Fields that a user does not write.
    own: ClassVar[frozenset[str]] = frozenset({"column", "learnt"})

    missing: Any

    @classmethod
    def stored_as(cls, document: Mapping[str, Any]) -> tuple[type[Transform], Mapping[str, Any]]:
        """Return the class of the kind that a document names, and what the document has for that class."""
        values = dict(document)
        name = values.pop("kind", None)
        if not isinstance(name, str) or name not in TRANSFORMS:
            raise ValueError(f"a transform, one of {', '.join(TRANSFORMS)}")
        return TRANSFORMS.get(name), values

    def check_stored(self) -> None:
        """Raise ValueError if the fields do not fit together."""
        return

    @classmethod
    def unsaid(cls, beside: Beside) -> dict[str, Any]:
        """Return the values of the fields that a schema file may leave out, where these depend on what it says else."""
        return {"missing": beside.missing if isinstance(beside.missing, str) else "category"}

    def among(self, beside: Beside) -> Transform:
        """Return the transform with what it takes from what else the schema file says."""
        return self

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, what was learnt among them: all that is to be known to do the same elsewhere."""
        return {"kind": self.kind, **{item.name: _plain(getattr(self, item.name)) for item in fields(self)}}

    def exported(self, *, unseen: Unseen) -> dict[str, Any]:
        """Plain JSON types: what a program that is not mr_ml must know to do the same, once it has learnt.

        Parameters
        ----------
        unseen
            What a row is with a value that the transform has not learnt.
        """
        return self.to_json()

    def told(self, *, first: int, unseen: Unseen) -> tuple[Term, ...] | None:
        """Return what it computes in words that other languages have, once it has learnt; None if there are none.

        Parameters
        ----------
        first
            The number of its first feature.
        unseen
            What a row is with a value that the transform has not learnt.
        """
        return None

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that it reads."""

    @property
    def claimed(self) -> tuple[str, ...]:
        """Those of the columns that are no features by themselves unless that is said."""
        return self.columns

    def spelling_of(self, column: str) -> Spelling | None:
        """Return how numbers are written in a column, if it reads that as numbers."""
        return None

    @abstractmethod
    def read(self, cells: Cells) -> Reading:
        """Read rows: what does not depend on what was learnt."""

    def look(self, reading: Reading, kept: Mask) -> Seen:
        """Return what is to be learnt of the kept rows, (n,); of other rows as `Seen` adds it up."""
        return Seen()

    def learn(self, seen: Seen) -> Transform:
        """Return the transform with what it learns of all rows.

        Raises
        ------
        BadDataError
            The rows do not allow it.
        """
        return self

    @property
    def title(self) -> str:
        """Return the columns, for messages."""
        return " and ".join(self.columns)

    @property
    def knows(self) -> str:
        """Return what it learnt that its features do not say by their names, for people; empty if there is nothing."""
        return ""

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Number of features, once it has learnt."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of the features."""

    def categories(self) -> dict[str, range]:
        """Return sets of features, counted from its first, of which a row has at most one, by a name each."""
        return {}

    @abstractmethod
    def entries(self, reading: Reading) -> Entries:
        """Return the features of rows, once it has learnt; of rows that are bad or left out, whatever they may be."""


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
